"""The connection below `fetch`: one for each question, closed whatever is still on its way, and believed in nothing."""

import asyncio

import pytest

from runs.adapters.http import Fetched
from tests.runs.loopback import failed, get, only_loopback, reply, serving  # noqa: F401 (fixtures by their names)


async def test_every_question_has_a_connection_of_its_own() -> None:
    async with serving(reply(b"x")) as server:
        for _ in range(3):
            assert isinstance(await get(server.url, server.endpoint), Fetched)

    assert server.connections == 3


async def test_a_connection_is_closed_while_its_answer_still_comes() -> None:
    gone = asyncio.Event()

    async def endless(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        finally:
            gone.set()

    async with serving(endless) as server:
        answer = failed(await get(server.url, server.endpoint, max_bytes=1000))
        await asyncio.wait_for(gone.wait(), timeout=10)

    assert answer.cause == "upstream"


async def test_news_before_the_answer_is_passed_over() -> None:
    async with serving(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply(b"x")) as server:
        answer = await get(server.url, server.endpoint)

    assert isinstance(answer, Fetched) and (answer.status, answer.body) == (200, "x")


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nA"])
async def test_what_is_no_answer_in_http_is_the_sources_failure(sent: bytes) -> None:
    async with serving(sent) as server:
        answer = failed(await get(server.url, server.endpoint))

    assert answer.cause == "upstream" and "did not answer in HTTP" in answer.message


async def test_a_head_without_end_is_left_at_its_limit() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\n" + b"A: " + b"x" * 300_000) as server:
        answer = failed(await get(server.url, server.endpoint))

    assert answer.cause == "upstream"


async def test_a_header_that_has_no_place_in_a_request_is_no_failure_of_the_platform() -> None:
    async with serving(reply(b"x")) as server:
        answer = failed(await get(server.url, server.endpoint, headers={"accept": " text/plain"}))

    assert answer.cause == "upstream"


async def test_packed_twice_is_not_unpacked() -> None:
    async with serving(reply(b"x", headers=["Content-Encoding: gzip", "Content-Encoding: gzip"])) as server:
        answer = failed(await get(server.url, server.endpoint))

    assert (answer.cause, "packed" in answer.message) == ("upstream", True)
