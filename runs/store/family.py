"""Families: what happens to a child run and concerns the run above it, written in the transaction in which it happens.

A child that ends answers its parent's wait and pays into its account; one whose clock stops or goes on moves the clocks above it.
Locks the rows of a family in id order, before anything else. Decides by the engine's words; called by whoever writes a child's row.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q

from agents.validation import DEEPEST
from audit import canonical, ledger
from audit.actors import Actor
from audit.ledger import Draft
from runs.engine.limits import later, left_ms
from runs.engine.patterns import children
from runs.engine.states import LIVE_RUN, RunState, Verb, WaitKind, WaitState
from runs.engine.values import instant_text
from runs.models import Run, RunQuerySet, Wait
from runs.store.transitions import Transition

_WORKS: Final = Q(state__in=[RunState.QUEUED, RunState.RUNNING]) | Q(state=RunState.WAITING, remaining_ms__isnull=True)


def concerning(batch: Iterable[Transition]) -> list[Transition]:
    """Those of child runs that end, stop their clock or come back from a wait."""
    return [each for each in batch if each.move.snapshot.run.parent is not None and _concerns(each)]


def _concerns(each: Transition) -> bool:
    resumed = any(fact.verb is Verb.RUN_RESUMED for fact in each.move.facts)
    return each.move.finish is not None or each.move.snapshot.run.state is RunState.WAITING or resumed


def lock(runs: Iterable[UUID]) -> None:
    """The rows of these runs and of all above them, in id order. SQLite has one writer and no rows to lock."""
    ids = level = set(runs)
    for _ in range(DEEPEST):
        above = Run.objects.children().filter(id__in=level).values_list("parent_run_id", flat=True)
        level = {UUID(str(run)) for run in above} - ids
        if not level:
            break
        ids = ids | level
    list(Run.objects.select_for_update(no_key=True).filter(id__in=ids).order_by("id").values_list("id", flat=True))


@dataclass(frozen=True, slots=True)
class News:
    """What a run says to the one above it: its end (`answer`), or that its clock stands or runs otherwise than before."""

    run: UUID
    answer: Mapping[str, Any] | None = None


def news_of(each: Transition) -> News:
    finish = each.move.finish
    return News(each.run, None if finish is None else children.answer_of(each.move.snapshot, finish))


def tell(news: Sequence[News], *, actor: Actor, now: datetime, unpaid: set[UUID] | None = None) -> None:
    """Carry news up, one level after the other, as far as it changes anything. The family is locked.

    `unpaid`: all that end in this transaction and have not paid yet, whoever tells of them; each pays all that was paid to it before.
    """
    pending = {each.run: each for each in news}
    unpaid = {each.run for each in news if each.answer is not None} if unpaid is None else unpaid
    while pending:
        runs = Run.objects.select_related("parent_run__team").defer("parent_run__release").in_bulk(list(pending))
        deepest = max(runs.values(), key=lambda run: run.depth)
        each = pending.pop(deepest.id)
        if deepest.parent_run is None:
            continue
        if each.answer is not None:
            unpaid.discard(deepest.id)
            _pay(deepest, unpaid)
        above = _told(deepest.parent_run, deepest, each, actor, now)
        if above is not None and above.run not in pending:
            pending[above.run] = above


def pay_late(run: UUID, spent_nano: int) -> None:
    """What a call of a finished child has cost after all. The family is locked."""
    row = Run.objects.select_related("parent_run").get(id=run)
    if row.state == RunState.FINISHED and row.parent_run is not None and spent_nano:
        _climb(row.parent_run, spent_nano, 0, ())


def _pay(child: Run, unpaid: Collection[UUID]) -> None:
    """An ended child's account goes into its parent's, and what was held for it is given back, but for what runs below it hold of that still."""
    assert child.parent_run is not None
    given_back = child.held_nano - min(child.reserved_nano, child.held_nano)
    _climb(child.parent_run, child.spent_nano, child.calls_used - child.held_calls, unpaid, given_back=given_back)


def _climb(run: Run, spent_nano: int, calls: int, unpaid: Collection[UUID], *, given_back: int = 0) -> None:
    """Into this account; where that run has ended, and paid what it had spent by then, into the one above it too."""
    above: Run | None = run
    while above is not None:
        changed = {"revision": F("revision") + 1, "spent_nano": F("spent_nano") + spent_nano, "calls_used": F("calls_used") + calls}
        Run.objects.filter(id=above.id).update(**changed, reserved_nano=F("reserved_nano") - given_back)
        given_back = given_back if above.held_nano else 0  # without a limit nothing was held for it
        above = above.parent_run if above.state == RunState.FINISHED and above.id not in unpaid else None


# --- the run above ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Change:
    """What becomes of a parent's row, with the entries that say so."""

    columns: dict[str, Any] = field(default_factory=dict)
    drafts: list[Draft] = field(default_factory=list)


def _told(parent: Run, child: Run, news: News, actor: Actor, now: datetime) -> News | None:
    if parent.state not in LIVE_RUN or now >= parent.deadline_at:
        return None  # it has ended, or will: nobody waits any more
    change = _Change()
    if news.answer is not None and parent.cancel_requested_at is None:
        _answer(change, parent, child, news.answer, actor, now)
    if parent.state == RunState.WAITING and not change.columns:
        _move_clock(change, parent, child, actor, now)
    head = ledger.head_of(parent.id)
    # Always a new revision: whoever drives it decides over what its children are doing.
    Run.objects.filter(id=parent.id).update(revision=F("revision") + 1, seq=F("seq") + len(change.drafts), **change.columns)
    ledger.record(change.drafts, now=now, heads={parent.id: head})
    return News(parent.id) if change.columns and parent.parent_run_id is not None else None


def _answer(change: _Change, parent: Run, child: Run, said: Mapping[str, Any], actor: Actor, now: datetime) -> None:
    wait = Wait.objects.filter(run=parent, step=child.parent_step, kind=WaitKind.REMOTE, state=WaitState.OPEN).first()
    if wait is None:
        return  # its part of the parent has ended without it
    facts = {"step": wait.step, "kind": str(wait.kind), "subject": wait.subject, "answer": canonical.digest(said), "run": str(child.id)}
    draft = _draft(parent, Verb.WAIT_ANSWERED, wait.reference, facts, actor, {"answer": said})
    ended = {"state": WaitState.ANSWERED, "ended_at": now, "answered_by": f"{actor.kind}:{actor.id}", "answer_entry": draft.id}
    Wait.objects.filter(id=wait.id).update(**ended)
    change.drafts.append(draft)
    change.columns |= back_at_work(parent, now)


def back_at_work(run: Run, now: datetime) -> dict[str, Any]:
    """The work clock of a waiting run goes on from here (R3), if it stood. A run that is at work keeps its own.

    One that waits for an engine that can carry it on stays where it is, whatever else it waited for has come.
    """
    if run.state != RunState.WAITING or _is_foreign(run):
        return {}
    left = {} if run.remaining_ms is None else {"deadline_at": _within_life(later(now, run.remaining_ms), run)}
    free = {"lease_owner": None, "lease_until": None, "attempt": 0}
    begun = RunState.QUEUED if run.started_at is None else RunState.RUNNING
    return {"state": begun, "wake_at": None, "remaining_ms": None, **left, **free}


def _within_life(instant: datetime, run: Run) -> datetime:
    """Nothing outlives `limits.max_lifetime`, however long it has waited."""
    return instant if run.lifetime_until is None else min(instant, run.lifetime_until)


def _move_clock(change: _Change, parent: Run, child: Run, actor: Actor, now: datetime) -> None:
    """A waiting run's clock runs as long as a child that it waits for is at work, and stands where that one's does."""
    works = _at_work(parent)
    if works == (parent.remaining_ms is None) or _is_foreign(parent):
        return
    assert parent.wake_at is not None
    if works:
        change.columns |= {"remaining_ms": None, "deadline_at": _within_life(later(now, parent.remaining_ms or 0), parent)}
    else:
        left = left_ms(parent.deadline_at, now)
        change.columns |= {"remaining_ms": left, "deadline_at": _within_life(later(parent.wake_at, left), parent)}
    facts = {
        "clock": "runs" if works else "stands",
        "because_of": str(child.id),
        "remaining_ms": change.columns["remaining_ms"],
        "wake_at": instant_text(parent.wake_at),
        "deadline_at": instant_text(change.columns["deadline_at"]),
    }
    change.drafts.append(_draft(parent, Verb.RUN_WAITING, parent.subject, facts, actor, {}))


def _is_foreign(run: Run) -> bool:
    return Wait.objects.filter(run=run, kind=WaitKind.INCOMPATIBLE, state=WaitState.OPEN).exists()


def _at_work(parent: Run) -> bool:
    return waited_for(Run.objects.filter(_WORKS, parent_run=parent)).exists()


def at_work_below(parents: Collection[UUID]) -> Iterable[tuple[UUID, str]]:
    """Run and step of every child at work of these runs."""
    return Run.objects.filter(_WORKS, parent_run__in=parents).values_list("parent_run_id", "parent_step")


def waited_for(runs: RunQuerySet) -> RunQuerySet:
    """Those of these child runs whose parent still waits for them."""
    return runs.filter(Exists(_open_waits()))


def orphans(parents: Collection[UUID] | None = None) -> RunQuerySet:
    """Live child runs that nobody waits for any more, and that nobody has told so: their parent has ended or is to, or went on without them."""
    runs = Run.objects.live().children().filter(cancel_requested_at__isnull=True)
    runs = runs if parents is None else runs.filter(parent_run__in=parents)
    gone = Q(parent_run__state=RunState.FINISHED) | Q(parent_run__cancel_requested_at__isnull=False)
    return runs.filter(gone | ~Exists(_open_waits())).order_by("id")


def _open_waits() -> Any:
    return Wait.objects.filter(run=OuterRef("parent_run"), step=OuterRef("parent_step"), state=WaitState.OPEN)


def _draft(run: Run, verb: Verb, subject: str, facts: Mapping[str, Any], actor: Actor, openings: Mapping[str, Any]) -> Draft:
    return Draft(verb=verb, actor=actor, subject=subject, team=run.team.name, run=run.id, facts=dict(facts), openings=dict(openings), sequenced=True)
