"""Which steps of a run its page shows: all of a short run; of a long one what failed, what is at work and the ends of every group.

Pure: steps in short in, ids and counts out. What is left out is counted where it lies, and each count leads to it. Used by the page of a run.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from runs.models import StepState
from runs.services import StepInShort

MOST: Final = 100
"""As many steps stand on one page."""
MOST_FAILED: Final = 40
MOST_AT_WORK: Final = 40
FIRST: Final = 3
LAST: Final = 2
_AT_WORK: Final = frozenset({StepState.RUNNING, StepState.RETRYING})


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a long run: steps within a place (`scan/code`), of one state, from a number on. Empty for the page as it opens."""

    under: str = ""
    state: str = ""
    at: int = 0

    @property
    def everything(self) -> bool:
        return not (self.under or self.state or self.at)

    def query(self, *, at: int = 0) -> str:
        given = {"under": self.under, "state": self.state, "at": at or ""}
        return "?" + urlencode({name: value for name, value in given.items() if value})


@dataclass(frozen=True, slots=True)
class Fold:
    """Steps of one place that are not shown: how many, and of each state how many with the address of a page that lists them."""

    total: int
    states: Sequence[tuple[str, int, str]]


@dataclass(frozen=True, slots=True)
class Outline:
    """`shown` in the order of the steps; `folds` by the place in which they lie, "" for the run itself."""

    shown: Sequence[int]
    total: int
    folds: Mapping[str, Fold] = field(default_factory=dict)
    part: str = ""
    before: str | None = None
    after: str | None = None


def asked_of(given: Mapping[str, str]) -> Asked:
    """From an address; what makes no sense in it is left aside."""
    at, state = given.get("at", ""), given.get("state", "")
    number = int(at) if at.isdecimal() and len(at) < 9 else 0
    return Asked(given.get("under", "")[:400], state if state in set(StepState) else "", number)


def outline(steps: Sequence[StepInShort], asked: Asked) -> Outline:
    if not asked.everything:
        return _part(steps, asked)
    if len(steps) <= MOST:
        return Outline([step.id for step in steps], len(steps))
    groups: dict[str, list[StepInShort]] = {}
    for step in steps:
        groups.setdefault(_place(step), []).append(step)
    kept = _kept(steps, groups)
    left = {place: Counter(step.state for step in group if step.id not in kept) for place, group in groups.items()}
    folds = {place: _fold(place, states) for place, states in left.items() if states}
    return Outline([step.id for step in steps if step.id in kept], len(steps), folds)


def _part(steps: Sequence[StepInShort], asked: Asked) -> Outline:
    """One page of what was asked for."""
    inside = asked.under + "/"
    found = [step for step in steps if (not asked.under or step.key.startswith(inside)) and asked.state in ("", step.state)]
    page = found[asked.at : asked.at + MOST]
    part = f"{asked.at + 1:,}–{asked.at + len(page):,} of {len(found):,}" if page else "none"
    before = asked.query(at=max(asked.at - MOST, 0)) if asked.at else None
    after = asked.query(at=asked.at + MOST) if asked.at + MOST < len(found) else None
    return Outline([step.id for step in page], len(steps), {}, part, before, after)


def _kept(steps: Sequence[StepInShort], groups: Mapping[str, Sequence[StepInShort]]) -> set[int]:
    """What somebody looks for first, as long as there is room: the end of the run, failures, what is at work; then the ends of each group."""
    wanted = [*_ends(groups.get("", ()), MOST // 3)]
    wanted += [step for step in steps if step.state == StepState.FAILED][:MOST_FAILED]
    wanted += sorted((step for step in steps if step.state in _AT_WORK), key=lambda step: step.key)[:MOST_AT_WORK]
    wanted += [step for group in groups.values() for step in _ends(group, FIRST + LAST)]
    return set(list(dict.fromkeys(step.id for step in wanted))[:MOST])


def _ends(steps: Sequence[StepInShort], most: int) -> Iterable[StepInShort]:
    return steps if len(steps) <= most else [*steps[: most - LAST], *steps[-LAST:]]


def _place(step: StepInShort) -> str:
    """The outermost composite that a step lies in."""
    return step.key.partition("/")[0] if "/" in step.key else ""


def _fold(place: str, states: Counter[str]) -> Fold:
    return Fold(states.total(), [(state, number, Asked(place, state).query()) for state, number in states.most_common()])
