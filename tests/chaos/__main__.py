"""`python -m tests.chaos [--points …] [--kinds …] [--seed N] [--database …] [--jobs N] [--list]`: the long form (make chaos).

A process for each database, since Django has one, and where several jobs are asked for as many as that, each with a database of its
own. Progress and a table go to stderr, one JSON line to stdout.
"""

import argparse
import dataclasses
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import IO, Any

from tests import servers
from tests.chaos import database, reporting
from tests.chaos.database import POSTGRESQL, SQLITE
from tests.chaos.results import Result


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and workers end with us
    options = _options()
    if options.inside:
        return _inside(options)
    reports = [_report(kind, options.seed, said) for kind, said in _said_apart(options).items()]
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
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="so many cases at once, each with a database of its own (default: %(default)s)"
    )
    parser.add_argument("--list", action="store_true", help="name all points and scenarios")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--share", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def _inside(options: argparse.Namespace) -> int:
    """A share of the cases over one database: a line for each result as it comes, or why there are none."""
    (kind,) = options.database
    try:
        with database.opened(kind) as opened:
            from tests.chaos import playing  # the models want Django set up, over that database

            if options.list:
                print("\n".join(playing.described()), file=sys.stderr)
                _say({"skipped": "only listed"})
                return 0
            for result in playing.played(options, opened):
                _say({"result": dataclasses.asdict(result)})
    except servers.Unavailable as error:
        _say({"skipped": str(error)})
    return 0


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def _said_apart(options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """The same command in processes of their own, `jobs` at a time: what all shares have said, by database. Whoever ends it hears what there is."""
    jobs = 1 if options.list else max(options.jobs, 1)
    left = [(kind, share) for kind in ([SQLITE] if options.list else options.database) for share in range(jobs)]
    said: dict[str, list[dict[str, Any]]] = {kind: [] for kind, _ in left}
    at_work: dict[subprocess.Popen[bytes], tuple[str, IO[bytes]]] = {}
    try:
        while left or at_work:
            while left and len(at_work) < jobs:
                at_work.update([_started(*left.pop(0))])
            for process in [each for each in at_work if each.poll() is not None]:
                kind, file = at_work.pop(process)
                said[kind] += _read(file, process.returncode)
            time.sleep(0.1)
    except (SystemExit, KeyboardInterrupt):
        print("asked to end: what has been played so far", file=sys.stderr)
    finally:
        for process in at_work:
            process.terminate()  # it ends what it has started; a kill would leave its servers behind
        for process, (kind, file) in at_work.items():
            said[kind] += _read(file, process.wait())
    return said


def _started(kind: str, share: int) -> "tuple[subprocess.Popen[bytes], tuple[str, IO[bytes]]]":
    kept = [word for word in sys.argv[1:] if not word.startswith("--database") and word not in (SQLITE, POSTGRESQL)]
    argv = [sys.executable, "-m", "tests.chaos", *kept, "--database", kind, "--inside", "--share", str(share)]
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever reads it, when the process has ended
    return subprocess.Popen(argv, stdout=file), (kind, file)


def _read(file: IO[bytes], status: int) -> list[dict[str, Any]]:
    with file:
        file.seek(0)
        said: list[dict[str, Any]] = [json.loads(line) for line in file.read().splitlines()]
    return said if status == 0 else [*said, {"problem": f"the matrix itself ended with {status}"}]


def _report(kind: str, seed: int, said: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of all shares of a database. One that has failed says so beside what was found."""
    if skipped := next((each["skipped"] for each in said if "skipped" in each), ""):
        return {"database": kind, "skipped": skipped}
    report = reporting.report(kind, seed, [Result(**each["result"]) for each in said if "result" in each])
    report["problems"] += [each["problem"] for each in said if "problem" in each]
    return report


if __name__ == "__main__":
    sys.exit(main())
