"""`python -m tests.chaos [--points …] [--kinds …] [--seed N] [--database …] [--list]`: the long form (make chaos).

One process for each database, one after the other: Django has one. Progress and a table go to stderr, one JSON line to stdout.
"""

import argparse
import json
import signal
import subprocess
import sys
from typing import Any

from tests import servers
from tests.chaos import database, reporting
from tests.chaos.database import POSTGRESQL, SQLITE


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and workers end with us
    options = _options()
    if options.inside:
        return _inside(options)
    reports = [_apart(kind) for kind in (options.database if not options.list else [SQLITE])]
    print(json.dumps(reporting.merged(reports)))
    print(reporting.table(reports), file=sys.stderr)
    return 1 if any(reporting.has_problems(report) for report in reports) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--points", default="", metavar="NAMES", help="points or scenarios, separated by commas; a * may stand in each (default: all)"
    )
    parser.add_argument("--kinds", default="kill,stop,raise", help="what happens there (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another order, and another hit of each point (default: %(default)s)")
    parser.add_argument("--database", nargs="+", choices=(SQLITE, POSTGRESQL), default=[SQLITE, POSTGRESQL])
    parser.add_argument("--list", action="store_true", help="name all points and scenarios")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _inside(options: argparse.Namespace) -> int:
    (kind,) = options.database
    try:
        with database.opened(kind) as opened:
            from tests.chaos import playing  # the models want Django set up, over that database

            if options.list:
                print("\n".join(playing.described()), file=sys.stderr)
                report: dict[str, Any] = {"database": kind, "skipped": "only listed"}
            else:
                report = reporting.report(kind, options.seed, list(playing.played(options, opened)))
    except servers.Unavailable as error:
        report = {"database": kind, "skipped": str(error)}
    print(json.dumps(report))
    return 0


def _apart(kind: str) -> dict[str, Any]:
    """The same command in a process of its own, over one database."""
    kept = [word for word in sys.argv[1:] if not word.startswith("--database") and word not in (SQLITE, POSTGRESQL)]
    argv = [sys.executable, "-m", "tests.chaos", *kept, "--database", kind, "--inside"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            said, _ = process.communicate()
        finally:
            process.terminate()  # it ends what it has started; a kill would leave its servers behind
    if not said.strip():
        return {"database": kind, "problems": [f"the matrix itself ended with {process.returncode}"]}
    report: dict[str, Any] = json.loads(said.splitlines()[-1])
    return report


if __name__ == "__main__":
    sys.exit(main())
