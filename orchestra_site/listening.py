"""What gunicorn does at its own moments, as its configuration: `--config python:orchestra_site.listening`. `make serve` starts it so.

Knows nothing of the site.
"""

import sys
from typing import Any


def when_ready(server: Any) -> None:
    """The address as it is listened on, from then on: whoever opens it earlier is turned away by their browser."""
    for listener in server.LISTENERS:
        sys.stdout.write(f"Orchestra is at {listener}/admin/ (Ctrl-C ends it)\n")
    sys.stdout.flush()
