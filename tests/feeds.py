"""A web server on loopback for functions that fetch: it counts what it is asked, so that a test sees a request that was not needed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Feed:
    """`paths` is what was asked, in order. /404 and /500 answer with their number, /hang only when the feed ends; /to/PATH leads to /PATH."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.ended = threading.Event()
        feed = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                feed.paths.append(self.path)
                if self.path == "/hang":
                    feed.ended.wait(30)
                if self.path.startswith("/to/"):
                    self.send_response(302)
                    self.send_header("Location", self.path.removeprefix("/to"))
                else:
                    self.send_response(int(self.path[1:]) if self.path[1:].isdigit() else 200)
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"1,2,3")

            def log_message(self, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.endpoint}"


@contextmanager
def feed() -> Iterator[Feed]:
    serving = Feed()
    thread = threading.Thread(target=serving.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield serving
    finally:
        serving.ended.set()
        serving.server.shutdown()
        serving.server.server_close()
