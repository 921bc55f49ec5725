"""The named points: which function of the product each wraps, before or after it, and what brings a worker there.

A table. Knows functions by name only, so that a renamed one fails the test that looks them all up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import OperationalError

Match = Callable[[Any, Any, Any], bool]

COMMIT, WITHIN = "runs.store.committer:commit", "runs.store.writing:_write"
SWEPT, SEND = "runs.services:end_unattended", "runs.boundary.sending:Boundary.call_function"


def _always(args: Any, kwargs: Any, result: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Point:
    """`scene` is how a worker is brought there: see `matrix`. `error` is what fails there."""

    name: str
    target: str
    after: bool
    matches: Match = _always
    scene: str = "work"
    error: type[Exception] = OperationalError


def _batch(wanted: Callable[[Any], bool]) -> Match:
    """A group of transitions with one of this kind in it: the first argument of `commit` and of what writes within it."""
    return lambda args, kwargs, result: any(wanted(each) for each in args[0])


def _says(verb: str, begins: str = "") -> Callable[[Any], bool]:
    """A transition that records a fact of this verb about a subject that begins so."""
    return lambda each: any(str(fact.verb) == verb and fact.subject.startswith(begins) for fact in each.move.facts)


TRANSITIONS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "begin": (_says("runs.run.started"), "work"),
    "intent": (lambda each: bool(each.opened), "work"),
    "settle": (lambda each: any(str(call.fact.verb) == "runs.call.confirmed" for call in each.settled), "work"),
    "retry": (_says("runs.step.retried"), "work"),
    "park": (_says("runs.run.waiting"), "work"),
    "undo": (_says("runs.step.started", "step:undo:"), "work"),
    "finish": (lambda each: each.move.finish is not None, "work"),
    "resume": (_says("runs.run.resumed"), "taken over"),
    "resend": (lambda each: bool(each.resent), "sent before"),
    "unresolved": (lambda each: any(str(call.fact.verb) == "runs.call.unresolved" for call in each.settled), "told before"),
    "look-up": (_says("runs.step.started", "step:look:"), "told before"),
    "resolve": (lambda each: bool(each.move.resolved), "told before"),
}
"""What a worker's transition does, and its scene. Each has four points: before it, within it with the rows of the runs taken, within it with
everything written, and after it is committed and before anybody here knows."""


def _transition_points() -> list[Point]:
    points = []
    for name, (wanted, scene) in TRANSITIONS.items():
        points += [
            Point(f"{name}.before", COMMIT, after=False, matches=_batch(wanted), scene=scene),
            Point(f"{name}.within", WITHIN, after=False, matches=_batch(wanted), scene=scene),
            Point(f"{name}.written", WITHIN, after=True, matches=_batch(wanted), scene=scene),
            Point(f"{name}.after", COMMIT, after=True, matches=_batch(wanted), scene=scene),
        ]
    return points


def _some(args: Any, kwargs: Any, result: Any) -> bool:
    return bool(result)


def _holds(args: Any, kwargs: Any, result: Any) -> bool:
    return bool(kwargs["runs"])


def _tells(args: Any, kwargs: Any, result: Any) -> bool:
    return str(args[1].mode) == "at_most_once"


def _is_job(args: Any, kwargs: Any, result: Any) -> bool:
    return b'"function":' in args[1][:2000]


def _swept(args: Any, kwargs: Any, result: Any) -> bool:
    return any(each.actor.auth == "sweep" for each in args[0])


def _both(name: str, target: str, *, matches: Match = _always, scene: str = "work", error: type[Exception] = OperationalError) -> list[Point]:
    return [Point(f"{name}.{'after' if after else 'before'}", target, after, matches, scene, error) for after in (False, True)]


_ALL: Final = [
    *_transition_points(),
    Point("claim.before", "runs.store:claim", after=False),
    Point("claim.after", "runs.store:claim", after=True, matches=_some),
    *_both("heartbeat", "runs.store:heartbeat", matches=_holds, scene="beating"),
    *_both("look", "runs.store:look"),
    *_both("spawn", "agents.children.pool:start", error=OSError),
    *_both("hand-over", "agents.children.process:Process.send_packed", matches=_is_job, error=RuntimeError),
    *_both("send", SEND, error=RuntimeError),
    *_both("tell", SEND, matches=_tells, error=RuntimeError),
    *_both("late", "runs.store:settle_late", scene="late"),
    Point("late.within", "runs.store.writing:_return_reservations", after=False, scene="late"),
    *_both("release", "runs.store:release_lease", matches=_holds, scene="asked to leave"),
    *_both("sweep", SWEPT, scene="overdue"),
    Point("sweep.within", WITHIN, after=False, matches=_swept, scene="overdue"),
    Point("sweep.written", WITHIN, after=True, matches=_swept, scene="overdue"),
    *_both("start", "runs.services.starting:_insert", scene="start"),
    Point("start.done", "runs.services:start_run", after=True, scene="start"),
    *_both("answer", "runs.services.answering:_answered", scene="answer"),
    Point("answer.within", "runs.store.family:back_at_work", after=False, scene="answer"),
    *_both("cancel", "runs.services:cancel_run", scene="cancel"),
    Point("cancel.within", "audit.ledger:head_of", after=False, scene="cancel"),
    # Left out, not failed at: a worker that is slow to see that its lease has run out.
    Point("notice", "runs.worker.engine:Engine._drop", after=False),
]

POINTS: Final[Mapping[str, Point]] = {point.name: point for point in _ALL}
FAILING: Final = tuple(name for name in POINTS if name != "notice")
"""The points of the matrix."""
