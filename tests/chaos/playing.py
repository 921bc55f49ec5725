"""The long form over one database: every case and scenario that was asked for, one after the other, and the report of them.

Django is set up over it. Says what it does on stderr.
"""

import argparse
import random
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch

from tests.chaos import matrix, reporting, workload
from tests.chaos.database import Opened
from tests.chaos.matrix import Case
from tests.chaos.points import FAILING, POINTS
from tests.chaos.results import Result
from tests.chaos.scenarios import SCENARIOS

MOST_HITS = 4
"""A point that a worker comes to often is met at one of its first times, by the seed."""
_OFTEN = frozenset({"intent", "settle", "send", "spawn", "hand-over", "heartbeat", "look", "claim"})


def described() -> Iterator[str]:
    yield from (f"{name:<22} {POINTS[name].scene}" for name in FAILING)
    yield from (f"{name:<22} {(scenario.__doc__ or '').splitlines()[0]}" for name, scenario in SCENARIOS.items())


def played(options: argparse.Namespace, opened: Opened) -> Iterator[Result]:
    workload.publish(opened.folder / "pipelines")
    asked = list(_asked(options, opened))
    for number, (name, ask) in enumerate(asked, start=1):
        _say(f"[{options.database[0]} {number}/{len(asked)}] {name} …")
        result = ask(opened.folder / f"case{number}")
        _say(f"    {reporting.line(result)}")
        if result.problems:
            _say("\n".join((*result.problems, result.log)))
        yield result


def _asked(options: argparse.Namespace, opened: Opened) -> Iterator[tuple[str, Callable[..., Result]]]:
    wanted = [pattern for pattern in options.points.split(",") if pattern]
    chance = random.Random(options.seed)
    cases = [_case(point, kind, chance) for point in FAILING for kind in options.kinds.split(",") if _is_wanted(point, wanted)]
    if options.seed:
        chance.shuffle(cases)
    for case in cases:
        yield f"{case.name} (hit {case.hit})", lambda folder, case=case: matrix.run(case, folder, opened.environment)
    for name, scenario in SCENARIOS.items():
        if _is_wanted(name, wanted):
            yield name, lambda folder, scenario=scenario: scenario(folder, opened, options.seed)


def _case(point: str, kind: str, chance: random.Random) -> Case:
    hit = chance.randint(1, MOST_HITS) if point.partition(".")[0] in _OFTEN and POINTS[point].scene == "work" else 1
    return Case(point, kind, hit)


def _is_wanted(name: str, patterns: list[str]) -> bool:
    return not patterns or any(fnmatch(name, pattern) for pattern in patterns)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
