"""Where `fetch` may go: every odd way to a private address ends before a connection."""

import asyncio
import socket
from typing import Any

import httpx2
import pytest

from runs.adapters.http import Fetched, _redirected, _Stopped, target_of
from tests.runs.loopback import failed, get, only_loopback, redirect, reply, scripted_resolver, serving  # noqa: F401 (fixtures by their names)


async def test_a_private_address_that_nobody_named_is_refused_before_any_connection() -> None:
    async with serving(reply(b"x")) as server:
        answer = failed(await get(server.url, f"127.0.0.1:{server.port + 1}"))

    assert (answer.cause, server.connections) == ("denied", 0)
    assert f"network:{server.endpoint}" in answer.message


async def test_without_a_grant_nothing_is_resolved_or_sent(resolver: Any, attempts: list[str]) -> None:
    asked = resolver([["127.0.0.1"]])

    answer = failed(await get("http://metrics.test:8000/", "metrics.test:8000", may=lambda _: False))

    assert (answer.cause, answer.details, asked, attempts) == ("denied", {"resource": "network:metrics.test:8000"}, [], [])


async def test_one_private_answer_among_public_ones_refuses_the_name(resolver: Any, attempts: list[str]) -> None:
    resolver([["8.8.8.8", "127.0.0.1"]])

    assert failed(await get("http://mixed.test/")).cause == "denied"
    assert attempts == []


async def test_a_name_that_is_rebound_after_the_check_is_not_asked_again(resolver: Any, attempts: list[str]) -> None:
    async with serving(reply(b"secret")) as canary:
        asked = resolver([["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]])
        answer = failed(await get(f"http://rebind.test:{canary.port}/"))

    assert (asked, attempts, canary.connections) == (["rebind.test"], ["8.8.8.8"], 0)
    assert answer.cause == "upstream"


async def test_the_pinned_connection_keeps_the_name_in_the_host_header(resolver: Any) -> None:
    async with serving(reply(b"x")) as server:
        asked = resolver([["127.0.0.1"]])
        answer = await get(f"http://metrics.test:{server.port}/", f"metrics.test:{server.port}")

    assert isinstance(answer, Fetched)
    assert asked == ["metrics.test"]
    assert f"host: metrics.test:{server.port}\r\n".encode() in server.requests[0].lower()


async def test_the_pinned_connection_asks_for_the_name_in_tls(resolver: Any) -> None:
    async with serving(b"no TLS here") as server:
        resolver([["127.0.0.1"]])
        answer = failed(await get(f"https://metrics.test:{server.port}/", f"metrics.test:{server.port}"))

    assert b"metrics.test" in server.requests[0]  # the hello of TLS says the name in the clear
    assert answer.cause == "upstream"


async def test_the_next_checked_address_is_tried_where_one_does_not_answer(resolver: Any, attempts: list[str]) -> None:
    async with serving(reply(b"x")) as server:
        resolver([["10.0.0.1", "127.0.0.1"]])
        answer = await get(f"http://metrics.test:{server.port}/", f"metrics.test:{server.port}")

    assert isinstance(answer, Fetched)
    assert attempts == ["10.0.0.1", "127.0.0.1"]


async def test_a_name_that_does_not_exist_is_the_sources_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)

    assert failed(await get("http://nowhere.test/")).cause == "upstream"


async def test_a_name_without_an_address_is_the_sources_failure(resolver: Any) -> None:
    resolver([[]])

    assert failed(await get("http://nowhere.test/")).cause == "upstream"


ODD = [
    *("http://2130706433:{port}/", "http://017700000001:{port}/", "http://0x7f000001:{port}/", "http://0x7f.1:{port}/", "http://127.1:{port}/"),
    *("http://0177.0.0.1:{port}/", "http://127.0.0.01:{port}/", "http://127.0.0.0x1:{port}/", "http://0:{port}/", "http://127.0.0.1.:{port}/"),
    *("http://[::ffff:127.0.0.1]:{port}/", "http://[::ffff:7f00:1]:{port}/", "http://[::127.0.0.1]:{port}/", "http://[::1%25lo]:{port}/"),
    *("http://[::1%lo]:{port}/", "http://[127.0.0.1]:{port}/", "http://::1:{port}/", "http://[::1:{port}/", "http://[64:ff9b::7f00:1]:{port}/"),
    *("http://me@127.0.0.1:{port}/", "http://me:pw@127.0.0.1:{port}/", "http://@127.0.0.1:{port}/", "http://example.com@127.0.0.1:{port}/"),
    *("http://127.0.0.1:{port}@example.com/", "http://127.0.0.1:{port}\\@example.com/", "http://127%2e0.0.1:{port}/", "http://127.0.0.1%00:{port}/"),
    *(
        "http://127。0。0。1:{port}/",
        "http://127．0．0．1:{port}/",
        "http://127｡0｡0｡1:{port}/",
        "http://①②⑦.0.0.1:{port}/",
        "http://１２７.0.0.1:{port}/",
    ),
    *("http://127.0.0.1:{port}/\r\nHost: evil", "http://127.0.0.1:{port}/\n", " http://127.0.0.1:{port}/", "http://127.0.0.1:{port}/a b"),
    *(
        "http://127.0.0.1\t:{port}/",
        "http://127.0.0.1\u200b:{port}/",
        "http://127.0.0.1:{port}\x00/",
        "http:/127.0.0.1:{port}/",
        "//127.0.0.1:{port}/",
    ),
    *("http:127.0.0.1:{port}/", "http:///127.0.0.1:{port}/", "ftp://127.0.0.1:{port}/", "file:///etc/passwd", "gopher://127.0.0.1:{port}/", ""),
    *("http://127.0.0.1:+{port}/", "http://127.0.0.1:0{port}/", "http://127.0.0.1:/", "http://127.0.0.1:0/", "http://127.0.0.1:{port}:{port}/"),
    *("http://localhost..:{port}/", "http://-localhost:{port}/", "http://a" + "b" * 63 + ".localhost:{port}/", "http://127.0.0.1:{port}¹/"),
]


@pytest.mark.parametrize("pattern", ODD)
async def test_an_odd_url_reaches_nobody_even_where_the_address_is_named(pattern: str, attempts: list[str]) -> None:
    async with serving(reply(b"x")) as canary:
        named = [f"{host}:{canary.port}" for host in ("127.0.0.1", "localhost", "[::1]")]
        answer = failed(await get(pattern.replace("{port}", str(canary.port)), *named))

    assert (answer.cause, canary.connections, attempts) == ("denied", 0, [])


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_of_the_environment_is_not_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(reply(b"from the proxy")) as proxy, serving(reply(b"from the source")) as server:
        monkeypatch.setenv(name, f"http://{proxy.endpoint}")
        answer = await get(server.url, server.endpoint)

    assert isinstance(answer, Fetched)
    assert (answer.body, proxy.connections) == ("from the source", 0)


# Redirects


async def test_a_redirect_to_a_private_address_that_nobody_named_is_refused() -> None:
    async with serving(reply(b"secret")) as canary, serving(redirect(canary.url)) as server:
        answer = failed(await get(server.url, server.endpoint))

    assert (answer.cause, answer.details["endpoint"], canary.connections) == ("denied", canary.endpoint, 0)


async def test_a_redirect_is_followed_where_grant_and_guard_both_allow_it() -> None:
    asked: list[str] = []
    async with serving(reply(b"x")) as other, serving(redirect(other.url)) as server:
        answer = await get(server.url, server.endpoint, other.endpoint, may=lambda target: not asked.append(target.resource))  # type: ignore[func-returns-value]

    assert isinstance(answer, Fetched)
    assert answer.url == other.url
    assert asked == [target_of(server.url).resource, target_of(other.url).resource]


async def test_a_redirect_without_a_grant_is_refused_though_the_address_is_named() -> None:
    async with serving(reply(b"x")) as other, serving(redirect(other.url)) as server:
        allowed = target_of(server.url).resource
        answer = failed(await get(server.url, server.endpoint, other.endpoint, may=lambda target: target.resource == allowed))

    assert (answer.cause, answer.details, other.connections) == ("denied", {"resource": target_of(other.url).resource}, 0)


async def test_a_relative_redirect_stays_on_its_host() -> None:
    async def handler(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(b"here") if head.startswith(b"GET /new") else redirect("new?a=http://b", 308))

    async with serving(handler) as server:
        answer = await get(server.url, server.endpoint)

    assert isinstance(answer, Fetched)
    assert answer.url == f"http://{server.endpoint}/new?a=http://b"


async def test_a_circle_of_redirects_ends_after_the_third() -> None:
    async with serving(redirect("/again")) as server:
        answer = failed(await get(server.url, server.endpoint))

    assert (answer.cause, server.connections) == ("upstream", 4)


@pytest.mark.parametrize(
    "location", ["http://me@127.0.0.1/", "http://2130706433/", "\\\\127.0.0.1/x", "/a b", "file:///etc/passwd", "http://0177.0.0.1/", "//0177.0.0.1/"]
)
async def test_a_redirect_to_an_odd_url_is_refused(location: str) -> None:
    async with serving(redirect(location)) as server:
        answer = failed(await get(server.url, server.endpoint))

    assert (answer.cause, server.connections) == ("denied", 1)


async def test_a_redirect_to_nowhere_is_the_sources_failure() -> None:
    async with serving(reply(status=302)) as server:
        assert failed(await get(server.url, server.endpoint)).cause == "upstream"


def test_a_redirect_may_not_leave_https() -> None:
    response = httpx2.Response(301, headers={"location": "http://api.example.com/"})
    with pytest.raises(_Stopped) as stopped:
        _redirected(response, target_of("https://api.example.com/"))

    assert stopped.value.failure.cause == "denied"
