"""ops-digest over a feed that a server gives: reader and auditor each fetch it through the boundary, by the permissions of the example."""

import shutil
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from agents import registry
from runs.models import Call
from tests import pipelines
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def feed_server():
    """Gives a series whose newest value is a minute old, and counts how often it was asked."""
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=120)
    rows = [f"{begun + timedelta(minutes=number):%Y-%m-%d %H:%M:%S},{40 + number % 7}" for number in range(120)]
    body = "\n".join(["timestamp,value", *rows, ""]).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.asked += 1  # type: ignore[attr-defined]
            self.send_response(200)
            self.send_header("Content-Type", "text/csv")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = 0  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_feed_over_http_is_read_and_audited_through_the_boundary(ops_digest: Path, tmp_path: Path, feed_server) -> None:
    """As shipped an address on this machine is refused; a permission that names it exactly opens it, to reader and auditor alike."""
    endpoint = f"127.0.0.1:{feed_server.server_address[1]}"
    folder = tmp_path / "ops-digest"
    shutil.copytree(ops_digest, folder, ignore=shutil.ignore_patterns("__pycache__"))
    registry.apply_folder(folder, actor=SYSTEM, publish=True)
    url = f"http://{endpoint}/cpu.csv"
    refused = pipelines.run("ops-digest", input={"feed": url})
    assert (refused["outcome"], refused["failure"]["cause"], feed_server.asked) == ("failed", "denied", 0)

    file = folder / "pipeline.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace('"allow read network:*"', f'"allow read network:*", "allow read network:{endpoint}"'))
    registry.apply_folder(folder, actor=SYSTEM, publish=True)
    digested = pipelines.run("ops-digest", input={"feed": url})
    assert (digested["outcome"], feed_server.asked) == ("verified", 2), digested["failure"]
    fetched = Call.objects.filter(run=pipelines.id_of(digested), kind="tool", state="confirmed").values_list("agent", flat=True)
    assert sorted(fetched) == ["digest-auditor", "feed-reader"]
