"""Several hosts, and a cable that is pulled: each worker in a network namespace of its own, PostgreSQL and Redis behind a bridge.

A network of its own needs a process of its own: `cut` does the work there.
"""

from pathlib import Path

from tests import servers
from tests.chaos import cut, network
from tests.chaos.database import Opened
from tests.chaos.results import Result

MORE = 4


def why_not() -> str | None:
    return network.why_not() or servers.why_no_postgresql() or servers.why_no_redis()


def hosts(folder: Path, opened: Opened, seed: int) -> Result:
    """One of three hosts is cut off with what was answered in its hands and comes back; then others, at any moment and for any time."""
    if opened.server is None:
        return Result("hosts", skipped="several hosts need PostgreSQL")
    if reason := why_not():
        return Result("hosts", skipped=reason)
    return cut.played_apart(seed, more=MORE)
