"""Composites: what a parallel, for_each or switch does when one of its parts ends.

Pure functions from a frame to a `Reaction`; the walk carries the reaction out. Knows nothing of steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, Final

from runs.engine.families import Share
from runs.engine.limits import combined
from runs.engine.values import Block, Failure, FanFrame, ForEachNode, Held, ParallelNode, SwitchNode

ALL: Final = "all"
ANY: Final = "any"


@dataclass(frozen=True, slots=True)
class Reaction:
    """What follows: slots to open, or the composite's value, or its failure."""

    frame: FanFrame
    start: tuple[int, ...] = ()
    done: Held | None = None
    failure: Failure | None = None


def needed(min_success: str | int, parts: int) -> int:
    """How many parts must succeed. `all` of none is none."""
    if min_success == ALL:
        return parts
    if min_success == ANY:
        return min(1, parts)
    return min(int(min_success), parts)


def open_parallel(node: ParallelNode, key: str, parent: str) -> Reaction:
    count = len(node.branches)
    frame = FanFrame(key, node, parent, slots=(None,) * count, need=node.need, pending=count, next_item=count)
    return Reaction(frame, start=tuple(range(count)))


def open_for_each(node: ForEachNode, key: str, parent: str, items: Sequence[Any], source: Held) -> Reaction:
    """`source` is the provenance of the list: each item's, and the result's even where the list is empty."""
    count = len(items)
    first = min(node.max_concurrency, count)
    frame = FanFrame(
        key,
        node,
        parent,
        slots=(None,) * count,
        need=needed(node.min_success, count),
        items=tuple(Held(item, source.as_of, source.best_before) for item in items),
        source=source,
        pending=count,
        next_item=first,
    )
    return _settled(frame) or Reaction(frame, start=tuple(range(first)))


def open_spread(node: ForEachNode, key: str, parent: str, items: Sequence[Any], source: Held) -> Reaction:
    """Its items are done elsewhere, all of them; nothing is opened here."""
    opened = open_for_each(node, key, parent, items, source)
    return opened if opened.done else Reaction(replace(opened.frame, next_item=len(items)))


def open_share(node: ForEachNode, key: str, parent: str, share: Share) -> Reaction:
    """Some items of a loop that spreads: as many may fail as may of the whole."""
    opened = open_for_each(replace(node, max_concurrency=share.at_once), key, parent, share.items, share.source)
    return replace(opened, frame=replace(opened.frame, need=share.need, share=share))


def open_switch(node: SwitchNode, key: str, parent: str, case: int | None) -> Reaction:
    """`case` is the index of the case taken; none taken gives null."""
    if case is None:
        return Reaction(FanFrame(key, node, parent, slots=(), need=0), done=Held(None))
    frame = FanFrame(key, node, parent, slots=(None,) * len(node.cases), need=1, pending=1, next_item=len(node.cases))
    return Reaction(frame, start=(case,))


def part_done(frame: FanFrame, slot: int, held: Held) -> Reaction:
    slots = (*frame.slots[:slot], held, *frame.slots[slot + 1 :])
    return _after(replace(frame, slots=slots, pending=frame.pending - 1))


def part_failed(frame: FanFrame, slot: int, failure: Failure) -> Reaction:
    """Fails at once when too few parts are left to reach what is needed."""
    frame = replace(frame, failures=(*frame.failures, (slot, failure)), pending=frame.pending - 1)
    parts = 1 if isinstance(frame.node, SwitchNode) else len(frame.slots)
    if parts - len(frame.failures) < frame.need:
        return Reaction(frame, failure=_short(frame))
    return _after(frame)


def share_ended(frame: FanFrame, first: int, values: Sequence[Held | None], failures: Sequence[tuple[int, Failure]]) -> Reaction:
    """The items from `first` on have been done elsewhere. Fails at once, as above."""
    slots = (*frame.slots[:first], *values, *frame.slots[first + len(values) :])
    frame = replace(frame, slots=slots, failures=(*frame.failures, *failures), pending=frame.pending - len(values))
    if len(slots) - len(frame.failures) < frame.need:
        return Reaction(frame, failure=_short(frame))
    return _after(frame)


def _after(frame: FanFrame) -> Reaction:
    settled = _settled(frame)
    if settled is not None:
        return settled
    if frame.next_item < len(frame.slots):
        return Reaction(replace(frame, next_item=frame.next_item + 1), start=(frame.next_item,))
    return Reaction(frame)


def _settled(frame: FanFrame) -> Reaction | None:
    return Reaction(frame, done=combined((*frame.slots, frame.source), gathered(frame))) if frame.pending == 0 else None


def part_at(frame: FanFrame, slot: int) -> tuple[str, Block, dict[str, Held]]:
    """A part's name in keys, what it does, and the loop's name with its item."""
    match frame.node:
        case ParallelNode(branches=branches):
            return branches[slot][0], branches[slot][1], {}
        case ForEachNode(name=name, body=body):
            return str(_number(frame, slot)), body, {name: frame.items[slot]}
        case SwitchNode(cases=cases):
            return str(slot), cases[slot][1], {}


def _number(frame: FanFrame, slot: int) -> int:
    """Which of all items of a loop it is."""
    return slot if frame.share is None else frame.share.first + slot


def gathered(frame: FanFrame) -> Any:
    """The composite's value: an object of branches, a list in input order, or the taken case's value; of a share, with what failed of it."""
    values = [None if slot is None else slot.value for slot in frame.slots]
    match frame.node:
        case ParallelNode(branches=branches):
            return {name: value for (name, _), value in zip(branches, values, strict=True)}
        case ForEachNode() if frame.share is not None:
            return {"values": values, "failed": sorted(_number(frame, slot) for slot, _ in frame.failures)}
        case ForEachNode():
            return values
        case SwitchNode():
            return next((slot.value for slot in frame.slots if slot is not None), None)


def failures_of(frame: FanFrame) -> tuple[Failure, ...]:
    """In the order of the parts, not of time: a run that is read again from its rows says the same. One of many parts is said once."""
    ordered = [failure for _, failure in sorted(frame.failures, key=itemgetter(0))]
    return tuple(failure for at, failure in enumerate(ordered) if not at or failure is not ordered[at - 1])


def _short(frame: FanFrame) -> Failure:
    """A composite short of its `min_success` carries its branches' causes; the first one's owner leads."""
    branches = failures_of(frame)
    first = branches[0]
    if isinstance(frame.node, SwitchNode):
        return first
    failed, parts = len(frame.failures), len(frame.slots)
    message = f"{failed} of {parts} parts of '{frame.node.id}' failed and at least {frame.need} must succeed: {first.message}"
    return replace(first, message=message, branches=branches)
