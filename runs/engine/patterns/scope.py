"""What an expression may name at one place of a run, and where those values come from.

Built from the open frames, innermost first. Used by the walk and the machine.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from runs.engine.limits import combined
from runs.engine.values import BlockFrame, FanFrame, Frame, Held, RunView, Snapshot, instant_text

STEPS: Final = "steps."


def enclosing(frames: Mapping[str, Frame], prefix: str) -> list[BlockFrame]:
    """The block at `prefix` and the blocks around it, innermost first."""
    chain: list[BlockFrame] = []
    at: str | None = prefix
    while at is not None:
        frame = frames[at]
        if isinstance(frame, BlockFrame):
            chain.append(frame)
        at = frame.parent
    return chain


def run_record(run: RunView) -> dict[str, Any]:
    return {"id": run.id, "as_of": instant_text(run.as_of), "draft": run.draft}


def scope_at(run: RunView, frames: Mapping[str, Frame], prefix: str, last: str) -> dict[str, Any]:
    """The names of DESIGN §4: `input`, `run`, `steps.<id>`, loop names and `result`."""
    scope: dict[str, Any] = {"input": run.input, "run": run_record(run)}
    steps: dict[str, Any] = {}
    for frame in reversed(enclosing(frames, prefix)):
        steps.update({name: held.value for name, held in frame.held.items()})
        scope.update({name: held.value for name, held in frame.local.items()})
    scope["steps"] = steps
    root = frames[""]
    if isinstance(root, BlockFrame) and last in root.held:
        scope["result"] = root.held[last].value
    return scope


def provenance(frames: Mapping[str, Frame], prefix: str, names: Iterable[str]) -> Held:
    """The age of everything that `names` (`steps.<id>` and loop names) refer to at this place."""
    chain = enclosing(frames, prefix)
    return combined((named(chain, name) for name in names), None)


def named(chain: Sequence[BlockFrame], name: str) -> Held | None:
    """Inner names hide outer ones. A loop may have the name of a step: they are told apart by the prefix."""
    step = name.removeprefix(STEPS) if name.startswith(STEPS) else None
    for frame in chain:
        if step is not None and step in frame.held:
            return frame.held[step]
        if step is None and name in frame.local:
            return frame.local[name]
    return None


def result_of(snapshot: Snapshot) -> Held | None:
    """What the run's work has given, once its last node is done."""
    root = snapshot.frames.get("")
    if isinstance(root, FanFrame) or root is None:
        return None
    return root.held.get(snapshot.plan.last)
