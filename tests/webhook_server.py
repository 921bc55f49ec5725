"""A webhook on loopback that takes what is posted to it and verifies it as its people would, or fails, as each test wants it."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Posted:
    path: str
    headers: Mapping[str, str]
    raw: bytes

    def verified(self, secret: str = SECRET) -> Any:
        """What was said, once the signature was checked; else the verifier raises."""
        return Webhook(secret).verify(self.raw, dict(self.headers))


@dataclass
class WebhookServer:
    """Answers the n-th request with the n-th of `answers`, and with the last one from then on; None: not at all."""

    port: int = 0
    answers: list[int | None] = field(default_factory=lambda: [204])
    posted: list[Posted] = field(default_factory=list)
    location: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.endpoint}/hook?of=platform"


@contextmanager
def serving() -> Iterator[WebhookServer]:
    hook = WebhookServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            hook.posted.append(Posted(self.path, {name.lower(): value for name, value in self.headers.items()}, raw))
            answer = hook.answers[min(len(hook.posted), len(hook.answers)) - 1]
            if answer is None:
                hook.stopping.wait(10)
                return
            self.send_response(answer)
            if hook.location:
                self.send_header("Location", hook.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            hook.posted.append(Posted(f"GET {self.path}", {}, b""))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hook
    finally:
        hook.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
