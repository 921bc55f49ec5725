"""Writing: many runs' transitions in one transaction, each conditional on the revision and fence it was decided over.

The run rows come first, in id order; a stale one is left out and never fails its neighbours. Called by committer threads,
use-cases and sweeps; decides nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from agents import stops
from audit import bulk, canonical, clock, ledger, reports
from audit.actors import Actor
from audit.identity import new_id
from audit.ledger import Draft, Head
from runs.engine.commands import Fact
from runs.engine.states import UNFORESEEN_WAITS, CallState, RunState, Verb, WaitState
from runs.engine.values import Failure, Waiting
from runs.engine.values import Step as StepValue
from runs.models import Call, Run, Step, Wait
from runs.store import beginnings, conditions, family, settling
from runs.store.conditions import Withheld
from runs.store.transitions import CallOpened, CallRecord, CallSettled, Committed, Seen, Stale, Transition, Written

_RUN_CHANGES = (
    "revision state outcome started_at finished_at checked_at deadline_at wake_at remaining_ms seq attempt calls_used spent_nano reserved_nano "
    "result_digest failure_cause failure_owner failure_team"
).split()
_STEP_CHANGES = (
    "agent version state attempt fell_back deadline_at not_before finished_at as_of best_before best_before_step "
    "approval result_digest result_fence result_entry failure_entry failure_cause failure_owner failure_team"
).split()
_STEP_COLUMNS = ("run", "key", "node", "judges", "started_at", "input_entry", *_STEP_CHANGES)
_WAIT_COLUMNS = ("id", "run", "step", "kind", "subject", "state", "opened_at", "expires_at", "look_at", "goes_on", "failure_entry", "answered_by")
_CALL_COLUMNS = ("run", "dispatched_at", *CallRecord.__slots__, "cost_nano", "observed_entry")
_NOT_DONE = sorted({CallState.REFUSED, CallState.UNRESOLVED, CallState.RESOLVED_NOT_DONE})
_CALL_CHANGES = ["state", "settled_at", "cause", "contained", "cost_nano", "reserved_nano", "response_entry"]

# A call is reserved only within the run's own limits; what was spent is recorded whatever the limit says.
_MAY_ADVANCE = (
    "t.state <> 'finished' AND (v.reserved_nano <= t.reserved_nano AND v.calls_used <= t.calls_used OR "
    "(t.calls_limit IS NULL OR v.calls_used <= t.calls_limit) AND "
    "(t.cost_limit_nano IS NULL OR v.spent_nano + v.reserved_nano <= t.cost_limit_nano))"
)


def commit(batch: Sequence[Transition]) -> list[Written]:
    """Write what can be written; the answer to each transition, in the order given.

    What was decided in time and would be written past a deadline is stale too: it is decided anew. So is what would exceed a permission's
    rate, and what would be sent under other stops than it was decided under.
    """
    try:
        return _committed(batch)
    except Withheld as withheld:
        return _without(batch, withheld.stale)


def _without(batch: Sequence[Transition], stale: Mapping[UUID, Stale]) -> list[Written]:
    others = [each for each in batch if each.run not in stale]
    answers: dict[UUID, Written] = dict(zip((each.run for each in others), commit(others) if others else [], strict=True))
    return [answers.get(each.run) or stale[each.run] for each in batch]


def _committed(batch: Sequence[Transition]) -> list[Written]:
    ordered = sorted(batch, key=lambda each: each.run)
    notes = {each.run: _Notes(each) for each in ordered}
    concerning = family.concerning(ordered)
    sending = [each for each in ordered if each.sends]
    with bulk.atomic():
        if sending:
            stops.hold_off()
        if concerning:
            family.lock(each.run for each in ordered)
        _lock_in_order([each.run for each in ordered])
        rows = [_run_row(each, notes[each.run]) for each in ordered]
        updated = bulk.updating(Run, match=["id", "revision", "fence"], change=_RUN_CHANGES, rows=rows, also=_MAY_ADVANCE)
        generation = stops.asked_generation() if sending else None
        now = clock.now()  # behind them, and answered with them
        alive = updated()
        written = [each for each in ordered if each.run in alive]
        if generation is not None:
            conditions.refuse_restopped(sending, generation())
        conditions.refuse_late(written, now)
        conditions.refuse_outdated(written)
        conditions.make_use(written, now)
        children, first = beginnings.children_of(written, now)
        heads = _write(written, notes, now, children, first) if written else {}
        _tell([each for each in concerning if each.run in alive], now)
    fences = _fences(each.run for each in ordered if each.run not in alive)
    answers: dict[UUID, Written] = {each.run: Stale(lost=fences.get(each.run) != each.seen.fence) for each in ordered if each.run not in alive}
    for each in written:
        answers[each.run] = Committed(_seen_next(each, heads[each.run]), now, notes[each.run].entries, _made_ready(each, children))
    return [answers[each.run] for each in batch]


def _lock_in_order(runs: Sequence[UUID]) -> None:
    """An UPDATE takes its rows in whatever order its plan reads them, and two that differ wait for each other. Nobody waits for this answer."""
    if len(runs) > 1 and connection.vendor == "postgresql":
        bulk.statement("SELECT id FROM runs_run WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [list(runs)], answers=False)


def _write(
    written: Sequence[Transition], notes: dict[UUID, "_Notes"], now: datetime, children: Sequence[Run], first: Sequence[Draft]
) -> dict[UUID, Head]:
    moved = [_step_row(each, step, notes[each.run]) for each in written for step in each.move.moved]
    bulk.update_where(Step, match=["run", "key"], change=_STEP_CHANGES, rows=moved, answers=False)
    _close_waits(written, now)
    _resolve_calls(written, now)
    _let_go(written)
    settled = [_call_row(call, notes[each.run].of([Verb.CALL_CONFIRMED], call.fact.subject), now) for each in written for call in each.settled]
    bulk.update_where(Call, match=["key", "state"], change=_CALL_CHANGES, rows=settled, answers=False)
    again = [[call.key, CallState.DISPATCHED, call.not_after] for each in written for call in each.resent]
    bulk.update_where(Call, match=["key", "state"], change=["not_after"], rows=again, answers=False)
    steps = [_new_step(each, step, notes[each.run]) for each in written for step in each.move.opened]
    calls = [_new_call(each.run, opened, notes[each.run], now) for each in written for opened in each.opened]
    waits = _new_waits(written, notes)
    _need_engines(written)
    heads = ledger.record(
        [*(draft for each in written for draft in notes[each.run].drafts), *first],
        now=now,
        heads={each.run: each.seen.head for each in written} | {child.id: Head() for child in children},
        beside=[(Step, _STEP_COLUMNS, steps), (Call, _CALL_COLUMNS, calls), (Wait, _WAIT_COLUMNS, waits), beginnings.rows_of(children)],
    )
    charges = [call.charge for each in written for call in each.settled if call.charge is not None]
    if charges:
        ledger.charge(charges, now=now)
    return heads


def _tell(concerning: Sequence[Transition], now: datetime) -> None:
    """What the runs above must know of these, in the same transaction: an ended child always brings its parent back."""
    unpaid = {each.run for each in concerning if each.move.finish is not None}
    for actor in dict.fromkeys(each.actor for each in concerning):
        family.tell([family.news_of(each) for each in concerning if each.actor == actor], actor=actor, now=now, unpaid=unpaid)


def _made_ready(each: Transition, children: Sequence[Run]) -> tuple[UUID, ...]:
    above = each.move.snapshot.run.parent
    ended = () if above is None or each.move.finish is None else (UUID(above),)
    return (*(child.id for child in children if child.parent_run_id == each.run), *ended)


def _fences(runs: Iterable[UUID]) -> dict[UUID, int]:
    ids = list(runs)
    return dict(Run.objects.filter(id__in=ids).values_list("id", "fence")) if ids else {}


def _seen_next(each: Transition, head: Head) -> Seen:
    return Seen(each.seen.revision + 1, each.seen.fence, head)


class _Notes:
    """The ledger drafts of one transition, and where the rows find the openings of each."""

    def __init__(self, each: Transition) -> None:
        opened = [fact for call in each.opened for fact in call.facts]
        facts = [*(call.fact for call in each.settled), *_before_finish(each), *opened, *_finishing(each)]
        self.drafts = [_draft(each, fact) for fact in facts]
        self.entries = {(draft.verb, draft.subject): draft.id for draft in self.drafts if draft.openings}

    def of(self, verbs: Iterable[Verb], subject: str) -> UUID | None:
        return next((self.entries[verb, subject] for verb in verbs if (verb, subject) in self.entries), None)


def _before_finish(each: Transition) -> list[Fact]:
    return [*map(settling.resent, each.resent), *(fact for fact in each.move.facts if fact.verb is not Verb.RUN_FINISHED)]


def _finishing(each: Transition) -> list[Fact]:
    return [fact for fact in each.move.facts if fact.verb is Verb.RUN_FINISHED]


def _draft(each: Transition, fact: Fact) -> Draft:
    return Draft(
        verb=str(fact.verb),
        actor=each.actor,
        subject=fact.subject,
        team=each.team,
        agent=fact.agent or None,  # nobody takes the turn of a wait
        run=each.run,
        facts=fact.facts,
        openings=fact.openings,
        sequenced=True,
    )


# --- rows ----------------------------------------------------------------------------------------------------------


def _run_row(each: Transition, notes: _Notes) -> list[Any]:
    run, finish = each.move.snapshot.run, each.move.finish
    return [
        *(each.run, each.seen.revision, each.seen.fence),
        *(each.seen.revision + 1, run.state, None if finish is None else finish.outcome, run.started_at, run.finished_at, run.finished_at),
        *(run.deadline_at, run.wake_at, run.remaining_ms),
        *(each.seen.head.seq + len(notes.drafts), 0 if each.is_progress else each.attempt),
        *(run.calls, run.spent, run.reserved),
        *("" if finish is None else finish.result_digest or "", *_failed(None if finish is None else finish.failure)),
    ]


def _failed(failure: Failure | None) -> tuple[str, str, str]:
    return ("", "", "") if failure is None else (str(failure.cause), failure.owner, failure.team or "")


def _new_step(each: Transition, step: StepValue, notes: _Notes) -> list[Any]:
    entry = notes.of([Verb.STEP_STARTED], f"step:{step.key}")
    return [each.run, step.key, step.node.id, step.node.judges, step.started_at, entry, *_step_changes(each, step, notes)]


def _step_row(each: Transition, step: StepValue, notes: _Notes) -> list[Any]:
    return [each.run, step.key, *_step_changes(each, step, notes)]


def _step_changes(each: Transition, step: StepValue, notes: _Notes) -> list[Any]:
    subject, held = f"step:{step.key}", step.held
    fresh = None if held is None else held.best_before
    return [
        *(step.agent, each.move.snapshot.plan.agents[step.agent].version if step.agent else 0, step.state, step.attempt, step.fell_back),
        *(step.deadline_at, step.not_before, step.finished_at),
        *(None if held is None else held.as_of, None if fresh is None else fresh.at, "" if fresh is None else fresh.step),
        None if step.approved is None else UUID(step.approved.wait),
        *("" if held is None else canonical.digest(held.value), None if held is None else each.seen.fence),
        notes.of([Verb.STEP_RETURNED, Verb.STEP_JUDGED], subject),
        *(notes.of([Verb.STEP_FAILED, Verb.STEP_RETRIED], subject), *_failed(step.failure)),
    ]


def _new_waits(written: Sequence[Transition], notes: dict[UUID, _Notes]) -> list[list[Any]]:
    return [_new_wait(each.run, step, step.wait, notes[each.run]) for each in written for step in each.move.now_waiting if step.wait is not None]


def _need_engines(written: Sequence[Transition]) -> None:
    """Older engines leave alone what waits for something that they don't know."""
    needed = defaultdict[int, list[UUID]](list)
    for each in written:
        abis = [UNFORESEEN_WAITS[step.wait.kind] for step in each.move.now_waiting if step.wait is not None and step.wait.kind in UNFORESEEN_WAITS]
        if abis:
            needed[max(abis)].append(each.run)
    for abi, runs in needed.items():
        Run.objects.filter(id__in=runs, engine_abi__lt=abi).update(engine_abi=abi)


def _new_wait(run: UUID, step: StepValue, wait: Waiting, notes: _Notes) -> list[Any]:
    failure = notes.of([Verb.STEP_WAITING], f"step:{step.key}")
    return [new_id(), run, step.key, wait.kind, wait.subject, WaitState.OPEN, wait.opened_at, wait.until, wait.look_at, wait.goes_on, failure, ""]


def _resolve_calls(written: Sequence[Transition], now: datetime) -> None:
    rows = [[key, CallState.UNRESOLVED, state, now] for each in written for key, state in each.move.resolved.items()]
    if rows:
        bulk.update_where(Call, match=["key", "state"], change=["state", "settled_at"], rows=rows, answers=False)


def _close_waits(written: Sequence[Transition], now: datetime) -> None:
    """Nobody has answered them, and nobody can any more. Those that somebody answered say so already."""
    closed = [[each.run, key, WaitState.OPEN, state, now] for each in written for key, state in each.move.closed.items()]
    unbegun = [each for each in written if each.move.finish is not None and each.move.snapshot.run.started_at is None]
    for each in unbegun:  # it may have waited as a whole
        state = WaitState.EXPIRED if now >= each.move.snapshot.run.deadline_at else WaitState.CANCELLED
        closed.append([each.run, "", WaitState.OPEN, state, now])
    if closed:
        bulk.update_where(Wait, match=["run", "step", "state"], change=["state", "ended_at"], rows=closed, answers=False)


def _let_go(written: Sequence[Transition]) -> None:
    """A run that parks is nobody's: whoever takes it up when its time comes must be the only one."""
    parked = [each.run for each in written if each.move.snapshot.run.state is RunState.WAITING]
    if parked:
        Run.objects.filter(id__in=parked).update(lease_owner=None, lease_until=None)


def _new_call(run: UUID, opened: CallOpened, notes: _Notes, now: datetime) -> list[Any]:
    entry = notes.of([Verb.CALL_DISPATCHED], opened.fact.subject) if "observed" in opened.fact.openings else None
    return [run, now, *(getattr(opened.call, name) for name in CallRecord.__slots__), 0, entry]


def _call_row(settled: CallSettled, entry: UUID | None, now: datetime) -> list[Any]:
    return [settled.call.key, CallState.DISPATCHED, settled.call.state, now, settled.call.cause, settled.contained, settled.cost_nano, 0, entry]


# --- what arrives when the authority is gone -----------------------------------------------------------------------


def settle_late(run: UUID, team: str, settled: Sequence[CallSettled], actor: Actor) -> int:
    """Write the calls' own truth for a run that somebody else holds or that has finished; returns how many were written.

    Money and evidence are never dropped: conditional on the call being dispatched, entries with the run and no seq. That it was refused, at no
    cost, is no end of a call that another worker has sent since: that one's is.
    """
    with transaction.atomic(durable=True):
        family.lock([run])
        Run.objects.filter(id=run).update(revision=F("revision") + 1)
        now = clock.now()
        ends = [each for each in settled if not (_is_for_nothing(each) and _is_sent_again(run, each))]
        drafts = {each.call.key: _late_draft(run, team, _with_answer(each), actor) for each in ends}
        rows = [_call_row(each, drafts[each.call.key].id if "response" in drafts[each.call.key].openings else None, now) for each in ends]
        done = bulk.update_where(Call, match=["key", "state"], change=_CALL_CHANGES, rows=rows)
        mine = [each for each in ends if each.call.key in done]
        _return_reservations(run, mine)
        ledger.record([drafts[each.call.key] for each in mine], now=now)
        ledger.charge([each.charge for each in mine if each.charge is not None], now=now)
    return len(mine)


def take_back(run: UUID, team: str, ends: Sequence[CallSettled], actor: Actor) -> None:
    """Of calls that were paid for when they were given up and are known since to have cost nothing: their money comes back, with an entry each.

    A call that another worker has sent again may cost in spite of what the first one knows, and so does one that was done.
    """
    with transaction.atomic(durable=True):
        family.lock([run])
        Run.objects.filter(id=run).update(revision=F("revision") + 1)
        now = clock.now()
        given_up = Call.objects.filter(key__in=[each.call.key for each in ends], state__in=_NOT_DONE, cost_nano__gt=0)
        mine = [each for each in ends if each.call.key in set(given_up.values_list("key", flat=True))]
        unsent = {each.call.id: each for each in mine if not _is_sent_again(run, each)}
        back = ledger.take_back(unsent, now=now)
        Call.objects.filter(id__in=back).update(cost_nano=0)
        Run.objects.filter(id=run).update(spent_nano=F("spent_nano") - sum(back.values()))
        family.pay_late(run, -sum(back.values()))
        ledger.record([_late_draft(run, team, _corrected(unsent[call], amount), actor) for call, amount in back.items()], now=now)


def _is_for_nothing(end: CallSettled) -> bool:
    return end.call.state == CallState.REFUSED and end.costs_nothing


def _is_sent_again(run: UUID, end: CallSettled) -> bool:
    return reports.is_said_of(f"call:{end.call.key}", Verb.CALL_RESENT, run=run)


def _corrected(end: CallSettled, back_nano: int) -> Fact:
    facts = {name: end.fact.facts[name] for name in ("step", "attempt", "ordinal", "kind", "name", "mode")}
    facts |= {"cost_nano": "0", "back_nano": str(back_nano), "cause": end.call.cause or None}
    return Fact(Verb.CALL_CORRECTED, end.fact.subject, end.fact.agent, facts)


def _with_answer(settled: CallSettled) -> Fact:
    """What can't be written as JSON is no result that anybody could use, and must not keep the rest from being written."""
    if settled.late is None:
        return settled.fact
    try:
        canonical.canonical_bytes(settled.late)
    except canonical.NotCanonical:
        return settled.fact
    return replace(settled.fact, openings={**settled.fact.openings, "response": settled.late})


def _late_draft(run: UUID, team: str, fact: Fact, actor: Actor) -> Draft:
    return Draft(
        verb=str(fact.verb),
        actor=actor,
        subject=fact.subject,
        team=team,
        agent=fact.agent or None,
        run=run,
        facts=fact.facts,
        openings=fact.openings,
    )


def _return_reservations(run: UUID, settled: Sequence[CallSettled]) -> None:
    held = sum(each.call.reserved_nano for each in settled)
    spent = sum(each.cost_nano for each in settled)
    Run.objects.filter(id=run).update(reserved_nano=F("reserved_nano") - held, spent_nano=F("spent_nano") + spent)
    family.pay_late(run, spent)
