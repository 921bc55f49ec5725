"""A server that answers each request after a pause, however many come at once: HTTP/1.1 without anything that isn't needed.

`slow_server.py` as contestant; its first line names its port. A round is {"pause_s": n}. GET is answered with a few bytes, POST with an
answer in the Messages protocol. Imports nothing of ours.
"""

import asyncio
import json
import sys

TEXT = b"1,2,3"
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "bench-1", "stop_reason": "tool_use", "stop_sequence": None,
    "content": [{"type": "tool_use", "id": "toolu_1", "name": "answer", "input": {"value": 7}}],
    "usage": {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0},
}  # fmt: skip


def _answer(kind: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n%s" % (kind, len(body), body)


GET, POST = _answer(b"text/plain", TEXT), _answer(b"application/json", json.dumps(MESSAGE).encode())


class Slow:
    """What is asked is read to its end, and answered when the pause is over."""

    def __init__(self) -> None:
        self.pause_s, self.asked, self.open, self.most_open = 0.0, 0, 0, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(_length(head))
                self.asked += 1
                await asyncio.sleep(self.pause_s)
                writer.write(GET if head.startswith(b"GET") else POST)
                await writer.drain()
                if b"connection: close" in head.lower():
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


def _length(head: bytes) -> int:
    lines = [line.partition(b":") for line in head.split(b"\r\n")]
    return next((int(value) for name, _, value in lines if name.lower() == b"content-length"), 0)


async def main() -> None:
    slow = Slow()
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0, backlog=2048)
    _say({"port": server.sockets[0].getsockname()[1]})
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked, most = slow.asked, slow.most_open
        slow.pause_s, slow.asked, slow.most_open = json.loads(line)["pause_s"], 0, slow.open
        _say({"asked": asked, "at_once": most})


def _say(answer: dict[str, int]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
