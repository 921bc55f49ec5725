"""A server on loopback that speaks the Messages protocol, well or badly, as each test wants it.

Owns the wire; knows nothing of runs. Runs in a thread of its own, so that the engine under test has its loop for itself.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"input_tokens": 1_000, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 8, "output_tokens": 200}


@dataclass
class Asked:
    """One request as it came in."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    at: float = field(default_factory=time.monotonic)


@dataclass
class MessagesServer:
    """`behave` answers the n-th request; each behaviour is one of the functions below."""

    behave: Callable[["Exchange"], None]
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)


class Exchange:
    """A request and the wire to answer it on."""

    def __init__(self, handler: BaseHTTPRequestHandler, server: MessagesServer, number: int) -> None:
        self.handler, self.server, self.number = handler, server, number

    @property
    def streams(self) -> bool:
        return bool(self.server.asked[self.number].body.get("stream"))

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.write(body)

    def begin_stream(self) -> None:
        self.handler.send_response(200)
        self.handler.send_header("Content-Type", "text/event-stream")
        self.handler.send_header("Connection", "close")
        self.handler.end_headers()
        self.handler.close_connection = True

    def event(self, said: Mapping[str, Any]) -> None:
        self.handler.wfile.write(f"event: {said['type']}\ndata: {json.dumps(said)}\n\n".encode())
        self.handler.wfile.flush()


@contextmanager
def serving(behave: Callable[[Exchange], None]) -> Iterator[MessagesServer]:
    server = MessagesServer(behave)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.asked.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            try:
                server.behave(Exchange(self, server, len(server.asked) - 1))
            except (ConnectionError, BrokenPipeError):
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Silent."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server.url = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        listener.shutdown()
        listener.server_close()


# --- behaviours ---


def replies(*values: Any, usage: Mapping[str, int] | None = USAGE, stop: Any = "tool_use") -> Callable[[Exchange], None]:
    """The n-th request gets the n-th value (the last one again and again), as the input of the tool; streamed where that was asked."""

    def behave(exchange: Exchange) -> None:
        value = values[min(exchange.number, len(values) - 1)]
        if exchange.streams:
            stream(exchange, value, usage=usage, stop=stop)
        else:
            exchange.send(200, json.dumps(message(value, usage=usage, stop=stop)).encode())

    return behave


def message(value: Any, *, usage: Mapping[str, int] | None = USAGE, stop: Any = "tool_use") -> dict[str, Any]:
    block = {"type": "text", "text": value} if isinstance(value, str) else {"type": "tool_use", "id": "toolu_1", "name": "answer", "input": value}
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "some-model", "content": [block], "stop_reason": stop}
    return said | ({} if usage is None else {"usage": dict(usage)})


def stream(
    exchange: Exchange, value: Any, *, usage: Mapping[str, int] | None = USAGE, stop: Any = "tool_use", cut_after: int | None = None,
    pause_s: float = 0.0, hang_after: int | None = None, last: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Events as the API sends them, in pieces of ten characters; cut off or silent after so many pieces. `last`: what else the event says
    that ends the answer, where it isn't its usage."""
    first = None if usage is None else {**usage, "output_tokens": 1}
    exchange.begin_stream()
    exchange.event({"type": "message_start", "message": {"id": "msg_1", "type": "message"} | ({} if first is None else {"usage": first})})
    words = isinstance(value, str)
    block = {"type": "text", "text": ""} if words else {"type": "tool_use", "id": "toolu_1", "name": "answer", "input": {}}
    exchange.event({"type": "content_block_start", "index": 0, "content_block": block})
    exchange.event({"type": "ping"})
    text = value if words else json.dumps(value)
    for number, start in enumerate(range(0, len(text), 10)):
        if number == cut_after:
            return
        if number == hang_after:
            exchange.server.stopping.wait(60)
            return
        time.sleep(pause_s)
        part = text[start : start + 10]
        delta = {"type": "text_delta", "text": part} if words else {"type": "input_json_delta", "partial_json": part}
        exchange.event({"type": "content_block_delta", "index": 0, "delta": delta})
    exchange.event({"type": "content_block_stop", "index": 0})
    if last is None:
        last = {} if usage is None else {"usage": {"output_tokens": usage["output_tokens"]}}
    exchange.event({"type": "message_delta", "delta": {"stop_reason": stop}, **last})
    exchange.event({"type": "message_stop"})


def fails(status: int, *, retry_after: int | None = None, words: str = "not now") -> Callable[[Exchange], None]:
    body = json.dumps({"type": "error", "error": {"type": "api_error", "message": words}}).encode()
    return lambda exchange: exchange.send(status, body, {} if retry_after is None else {"Retry-After": str(retry_after)})


def never(exchange: Exchange) -> None:
    """Takes the request and stays silent."""
    exchange.server.stopping.wait(60)
    exchange.handler.close_connection = True


def nonsense(exchange: Exchange) -> None:
    exchange.send(200, b"<html>It works!</html>")


def hangs_up(exchange: Exchange) -> None:
    exchange.handler.close_connection = True


def cuts_stream(value: Any, *, after: int = 2) -> Callable[[Exchange], None]:
    return lambda exchange: stream(exchange, value, cut_after=after)


def in_turn(*behaviours: Callable[[Exchange], None]) -> Callable[[Exchange], None]:
    """The n-th request meets the n-th behaviour; the last one stays."""
    return lambda exchange: behaviours[min(exchange.number, len(behaviours) - 1)](exchange)
