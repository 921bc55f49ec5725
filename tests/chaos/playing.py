"""The long form over one database: a share of the cases and scenarios that were asked for, one after the other.

Django is set up over it. Says what it does on stderr.
"""

import argparse
import random
import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch

from tests.chaos import matrix, reporting, workload
from tests.chaos.database import Opened
from tests.chaos.matrix import Case
from tests.chaos.points import FAILING, POINTS
from tests.chaos.results import Result
from tests.chaos.scenarios import SCENARIOS

MOST_HITS = 4
"""A point that a worker comes to often is met at one of its first times, by the seed."""
_OFTEN = frozenset({"intent", "settle", "send", "spawn", "hand-over"})


def described() -> Iterator[str]:
    yield from (f"{name:<22} {POINTS[name].scene}" for name in FAILING)
    yield from (f"{name:<22} {(scenario.__doc__ or '').splitlines()[0]}" for name, scenario in SCENARIOS.items())


def played(options: argparse.Namespace, opened: Opened) -> Iterator[Result]:
    workload.publish(opened.folder / "pipelines")
    cases = _cases(options)
    for number, case in enumerate(cases, start=1):
        _say(f"[{_where(options, opened)} {number}/{len(cases)}] {case.name} (hit {case.hit}) …")
        yield _said(matrix.run(case, opened.folder / f"case{number}", opened.environment))
    workload.publish(opened.folder / "patient pipelines", tell_s=30)  # who is away for longer than a lease must not make acts too late
    for name in _shared(SCENARIOS, options):
        _say(f"[{_where(options, opened)}] {name} …")
        yield _said(SCENARIOS[name](opened.folder / name.replace(" ", "-"), opened, options.seed))


def _where(options: argparse.Namespace, opened: Opened) -> str:
    return opened.kind if options.jobs <= 1 else f"{opened.kind} {options.share + 1}:"


def _said(result: Result) -> Result:
    _say(f"    {result.name}: {reporting.line(result)}")
    if result.problems:
        _say("\n".join((*result.problems, result.log)))
    return result


def _cases(options: argparse.Namespace) -> list[Case]:
    chance = random.Random(options.seed)
    cases = [_case(point, kind, chance) for point in _shared(FAILING, options) for kind in options.kinds.split(",")]
    if options.seed:
        chance.shuffle(cases)
    return cases


def _case(point: str, kind: str, chance: random.Random) -> Case:
    hit = chance.randint(1, MOST_HITS) if point.partition(".")[0] in _OFTEN and POINTS[point].scene == "work" else 1
    return Case(point, kind, hit)


def _shared(names: Iterable[str], options: argparse.Namespace) -> list[str]:
    """Those that were asked for, dealt out to as many as play at once: all kinds of a point to the same."""
    return [name for name in names if _is_wanted(name, options)][options.share :: max(options.jobs, 1)]


def _is_wanted(name: str, options: argparse.Namespace) -> bool:
    patterns = [pattern for pattern in options.points.split(",") if pattern]
    return not patterns or any(fnmatch(name, pattern) for pattern in patterns)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
