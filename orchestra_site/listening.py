"""What gunicorn does at its own moments, as its configuration: `--config python:orchestra_site.listening`. `make serve` starts it so.

Knows nothing of the site.
"""

import sys
from typing import Any

control_socket_disable = True
"""Nobody steers it by a socket, and that would lie in the home of whoever starts it."""


def when_ready(server: Any) -> None:
    """The address as it is listened on, from then on: whoever opens it earlier is turned away by their browser."""
    for listener in server.LISTENERS:
        sys.stdout.write(f"Orchestra is at {listener}/admin/ (Ctrl-C ends it)\n")
    sys.stdout.flush()
