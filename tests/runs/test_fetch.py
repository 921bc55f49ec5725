"""What `fetch` makes of an answer, from real servers on this machine's loopback."""

import asyncio
import gzip
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from audit import clock
from runs.adapters.http import Fetched, Target
from tests.runs.loopback import failed, get, only_loopback, redirect, reply, scripted_resolver, serving  # noqa: F401 (fixtures by their names)


async def test_a_named_private_source_is_read_with_digest_time_and_few_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 20, 11, 44, 48, tzinfo=UTC))
    body = "timestamp,value\n2026-11-20,1 µs\n".encode()
    headers = ["Content-Type: text/csv", "Date: Fri, 20 Nov 2026 11:44:48 GMT", "Set-Cookie: a=b", "X-Odd: \xff", "ETag: \xff"]
    async with serving(reply(body, headers=headers)) as server:
        answer = await get(server.url + "#part", server.endpoint)

    assert answer == Fetched(
        status=200,
        url=server.url,
        headers={"content-type": "text/csv", "date": "Fri, 20 Nov 2026 11:44:48 GMT"},
        body=body.decode(),
        digest=hashlib.sha256(body).hexdigest(),
        fetched_at="2026-11-20T11:44:48.000000Z",
    )


async def test_the_request_names_the_host_and_carries_only_what_was_agreed() -> None:
    async with serving(reply(b"x")) as server:
        await get(server.url, server.endpoint, headers={"Accept": "text/csv"})

    lines = server.requests[0].decode().lower().split("\r\n")
    assert lines[0] == "get /feed.csv http/1.1"
    assert f"host: {server.endpoint}" in lines
    assert "accept: text/csv" in lines
    assert {line.split(":")[0] for line in lines[1:] if line} == {"host", "user-agent", "accept", "accept-encoding", "connection"}


@pytest.mark.parametrize("headers", [{"Host": "other"}, {"Range": "bytes=0-1"}, {"cookie": "a=b"}, {"accept": "x\r\nHost: y"}, {"accept": "ü"}])
async def test_a_header_that_would_change_the_question_is_not_sent(headers: dict[str, str]) -> None:
    async with serving(reply(b"x")) as server:
        answer = failed(await get(server.url, server.endpoint, headers=headers))

    assert (answer.cause, server.connections) == ("denied", 0)


async def test_gzip_is_unpacked_also_in_several_members_and_the_digest_is_of_what_was_packed() -> None:
    packed = gzip.compress(b"a,b\n") + gzip.compress(b"1,2\n")
    async with serving(reply(packed, headers=["Content-Encoding: gzip"])) as server:
        answer = await get(server.url, server.endpoint)

    assert isinstance(answer, Fetched)
    assert (answer.body, answer.digest) == ("a,b\n1,2\n", hashlib.sha256(b"a,b\n1,2\n").hexdigest())


# What is no answer


@pytest.mark.parametrize(
    ("status", "cause"),
    [(404, "missing"), (410, "missing"), (400, "upstream"), (429, "upstream"), (503, "upstream"), (206, "upstream"), (304, "upstream")],
)
async def test_a_status_that_is_no_success_is_a_failure_with_its_number(status: int, cause: str) -> None:
    async with serving(reply(b"" if status == 304 else b"x", status=status)) as server:
        answer = failed(await get(server.url, server.endpoint))

    assert (answer.cause, answer.details) == (cause, {"status": status})
    assert f"answered {status}" in answer.message


@pytest.mark.parametrize("announced", [True, False])
async def test_an_answer_over_the_limit_is_refused_and_one_at_the_limit_is_not(announced: bool) -> None:
    head = reply(b"x" * 1001) if announced else b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001
    async with serving(head) as server:
        over = failed(await get(server.url, server.endpoint, max_bytes=1000))
        at = await get(server.url, server.endpoint, max_bytes=1001)

    assert (over.cause, over.details) == ("upstream", {"limit": 1000})
    assert isinstance(at, Fetched)


async def test_an_endless_answer_is_left_at_the_limit() -> None:
    sent = 0

    async def handler(_head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async with serving(handler) as server:
        answer = failed(await get(server.url, server.endpoint, max_bytes=100_000))

    assert answer.details == {"limit": 100_000}
    assert sent < 64 * 1024 * 1024  # the rest of the difference is what the kernel's buffers took


async def test_a_gzip_bomb_is_refused_by_what_it_unpacks_to() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    async with serving(reply(bomb, headers=["Content-Encoding: gzip"])) as server:
        answer = failed(await get(server.url, server.endpoint, max_bytes=1_000_000))

    assert len(bomb) < 100_000
    assert answer.details == {"limit": 1_000_000}


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(b"1,2\n")[:-3], b"no gzip at all", gzip.compress(b"") * 2000, gzip.compress(b"1,2\n") + b"tail"],
    ids=["cut", "plain", "thousands of members", "tail"],  # gzip holds the time: workers of one test run would differ in the names
)
async def test_damaged_gzip_is_never_half_an_answer(packed: bytes) -> None:
    async with serving(reply(packed, headers=["Content-Encoding: gzip"])) as server:
        assert failed(await get(server.url, server.endpoint)).cause == "upstream"


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
async def test_a_packing_that_was_not_asked_for_is_refused(encoding: str) -> None:
    async with serving(reply(b"x", headers=[f"Content-Encoding: {encoding}"])) as server:
        assert failed(await get(server.url, server.endpoint)).cause == "upstream"


async def test_bytes_that_are_no_utf8_break_the_contract() -> None:
    async with serving(reply(b"caf\xe9")) as server:
        answer = failed(await get(server.url, server.endpoint))

    assert (answer.cause, answer.details) == ("contract", {"at": 3})


async def test_a_slow_drip_ends_at_the_total_time_though_every_byte_is_quick() -> None:
    async def handler(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(handler) as server:
        answer = failed(await get(server.url, server.endpoint, timeout_s=0.2))

    assert (answer.cause, answer.details) == ("deadline", {"timeout_ms": 200})


async def test_a_resolver_that_hangs_counts_towards_the_total_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)

    assert failed(await get("http://slow.test/", timeout_s=0.1)).cause == "deadline"


@pytest.mark.parametrize(
    "cut",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
        b"SSH-2.0-something\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200_000,
    ],
)
async def test_a_connection_cut_before_the_end_is_never_half_an_answer(cut: bytes) -> None:
    async with serving(cut) as server:
        answer = failed(await get(server.url, server.endpoint))

    assert (answer.cause, answer.details) == ("upstream", {"endpoint": server.endpoint})


async def test_a_port_where_nobody_listens_is_the_sources_failure() -> None:
    async with serving(b"") as server:
        gone = server
    answer = failed(await get(gone.url, gone.endpoint))

    assert answer.cause == "upstream"
    assert "could not be connected" in answer.message


async def test_an_error_in_the_policy_is_not_taken_for_a_yes() -> None:
    def broken(_target: Target) -> bool:
        raise LookupError("no policy")

    async with serving(reply(b"x")) as server:
        with pytest.raises(LookupError):
            await get(server.url, server.endpoint, may=broken)

    assert server.connections == 0


async def test_a_cancelled_fetch_is_cancelled_and_not_a_deadline() -> None:
    asked = asyncio.Event()

    async def handler(_head: bytes, _writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.sleep(60)

    async with serving(handler) as server:
        task = asyncio.create_task(get(server.url, server.endpoint))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
