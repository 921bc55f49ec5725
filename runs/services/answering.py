"""Answers: a signal that a run waits for, and what a person says of a call whose fate nobody knows.

Each answer, the end of its wait and the run's way back to work are one transaction. At most one answer counts, and whoever comes
later is told so. Called by doors; what approvals do to their waits is in `deciding`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F

from agents.errors import NotGranted
from agents.models import Agent, SamePerson
from audit import canonical, clock, ledger
from audit.actors import Actor
from audit.errors import OrchestraError
from audit.ledger import Draft
from audit.visible import visible
from runs import queue
from runs.engine.looking import RESOLVED, ZOMBIE
from runs.engine.states import LIVE_RUN, CallState, Resolution, Verb, WaitKind, WaitState
from runs.engine.values import instant_text
from runs.errors import AlreadyAnswered, BadAnswer, NotWaiting, TooEarly, UnknownCall
from runs.models import Call, Run, Wait, WaitQuerySet
from runs.services import phrases
from runs.services.reading import find_run, require_member
from runs.services.refusals import record_refusal, refused_lookups
from runs.services.waits import contract_of, find_call
from runs.store import family

MOST_REASON: Final = 2_000
_BY_ITSELF: Final[Mapping[str, str]] = {
    WaitKind.STOPPED: "nobody answers this: it ends when somebody lifts the stop",
    WaitKind.APPROVAL: "this is decided as an approval: look at what waits for you",
}


# --- signals ---------------------------------------------------------------------------------------------------------


def send_signal(*, run: str, signal: str, payload: Any, actor: Actor) -> Wait:
    """Answer the wait of a run for a signal, with a payload that satisfies what the wait says of it. Every wait of that name at this moment
    takes it; returns the first.

    NotWaiting where the run waits for no such signal (any more), BadAnswer with every violation: the wait then stays open.
    """
    with refused_lookups(Verb.ANSWER_REFUSED, run=run, actor=actor):
        found = find_run(run, actor=actor)
    with _refusals(found, actor):
        require_member(found, actor)
        waits = list(_waits_for(found, signal)) if signal.isprintable() else []
        now = clock.now()
        due = [wait for wait in waits if wait.state == WaitState.OPEN and now < wait.expires_at]
        if not due:
            raise _not_waiting(found, signal, waits)
        for wait in due:
            _refuse_misfit(wait, payload)
        answered = _answered(due, payload, actor=actor)
    queue.ring(found.id)
    return answered[0]


def _waits_for(run: Run, signal: str) -> WaitQuerySet:
    return Wait.objects.filter(run=run, kind=WaitKind.SIGNAL, subject=signal).order_by("opened_at", "id")


def _not_waiting(run: Run, signal: str, ended: Sequence[Wait]) -> OrchestraError:
    name = visible(signal, 80)
    if ended:
        return too_late(ended[-1])
    open_now = sorted(set(Wait.objects.filter(run=run, kind=WaitKind.SIGNAL, state=WaitState.OPEN).values_list("subject", flat=True)))
    known = f"it waits for {', '.join(open_now)}" if open_now else f"it waits for no signal now ({_reads(run)})"
    return NotWaiting(f"run {run.id} does not wait for the signal '{name}': {known}. Send it again once the run has come to its wait")


def _reads(run: Run) -> str:
    [(_, reads)] = phrases.with_waits([(run, run.effective(clock.now()))])
    return reads.label


def _refuse_misfit(wait: Wait, payload: Any) -> None:
    contract = contract_of(wait)
    wrong = unwritable(payload) or ([] if contract is None else list(contract.violations(payload)))
    if wrong:
        said = f"the payload of signal '{wait.subject}' is not what step '{wait.step}' takes: {'; '.join(wrong)}"
        raise BadAnswer(f"{said}. The wait is still open; send it again", problems=wrong)


def unwritable(value: Any) -> list[str]:
    """Why this value can't stand in the ledger, where it can't."""
    try:
        canonical.canonical_bytes(value, depth=canonical.MAX_DEPTH)
    except canonical.NotCanonical as error:
        return [f"it can't be written as JSON: {error}"]
    return []


# --- calls whose fate nobody knows -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a person says of a call: done (with what it gave), not done (it is made anew), or that nobody can say (its step fails)."""

    decision: Resolution
    result: Any = None
    reason: str = ""


def settle_call(*, call: str, settlement: Settlement, actor: Actor) -> Call:
    """Say what became of an unresolved call. Its run goes on from there; of a run that has finished, only the record is put right.

    NotGranted for whoever started the run, owns the agent, or is nobody in particular (a shell); TooEarly while the call may still be
    carried out; AlreadyAnswered; BadAnswer where the result breaks the agent's output contract.
    """
    try:
        found = find_call(call, actor=actor)
    except UnknownCall as refusal:
        record_refusal(Verb.ANSWER_REFUSED, "call:unknown", refusal, actor)
        raise
    run = found.run
    with _refusals(run, actor):
        require_member(run, actor)
        _require_independent(found, actor, _Owners([found], actor))
        _refuse_settled(found)
        _refuse_early(found)
        _refuse_unfit(found, settlement)
        wait = Wait.objects.filter(run=run, kind=WaitKind.UNRESOLVED, subject=found.key, state=WaitState.OPEN).first()
        said = {"decision": str(settlement.decision), "result": settlement.result, "reason": settlement.reason}
        if wait is not None:
            answer(wait, said, actor=actor, call=found)
        elif run.effective(clock.now()).outcome is None:
            raise NotWaiting(f"run {run.id} does not wait for an answer about call {found.id}; its worker has yet to come to it")
        else:
            put_right(found, said, actor)
    queue.ring(run.id)
    found.refresh_from_db()
    return found


def why_not(what: Wait | Call, *, actor: Actor) -> str | None:
    """Why this actor can't answer at this moment, as the refusal would say it; None where they can. Records nothing: nobody has tried."""
    call = Call.objects.select_related("run", "run__team").filter(key=what.subject).first() if isinstance(what, Wait) else what
    try:
        _refuse_any(what, call, _Owners([call] if call else [], actor), actor)
        if isinstance(what, Wait) and not Wait.objects.open(clock.now()).filter(id=what.id).exists():
            raise too_late(what)
    except OrchestraError as refusal:
        return refusal.message
    return None


def answerable(waits: Collection[Wait], *, actor: Actor) -> list[Wait]:
    """Of waits that are open, those of which `why_not` has nothing to say; as many statements for many as for one."""
    keys = [wait.subject for wait in waits if wait.kind == WaitKind.UNRESOLVED]
    calls = {call.key: call for call in Call.objects.select_related("run", "run__team").filter(key__in=keys)} if keys else {}
    owners = _Owners(calls.values(), actor)

    def free(wait: Wait) -> bool:
        try:
            _refuse_any(wait, calls.get(wait.subject), owners, actor)
        except OrchestraError:
            return False
        return True

    return [wait for wait in waits if free(wait)]


class _Owners:
    """Who answers for the agents of these calls, and the names that this actor goes by, with all their accounts; read once for all of them."""

    def __init__(self, calls: Collection[Call], actor: Actor) -> None:
        names = {call.agent for call in calls}
        self._accountable = dict(Agent.objects.filter(name__in=names).values_list("name", "accountable")) if names else {}
        self.names = {actor.id, *SamePerson.objects.others_of([actor.id]).get(actor.id, ())} if names and actor.kind == "person" else {actor.id}
        emails = User.objects.filter(username__in=self.names).exclude(email="").values_list("email", flat=True) if names else ()
        self._mine = {name.casefold() for name in (*self.names, *emails)}

    def is_owner_of(self, call: Call) -> bool:
        return (self._accountable.get(call.agent) or "").casefold() in self._mine


def _refuse_any(what: Wait | Call, call: Call | None, owners: _Owners, actor: Actor) -> None:
    """What stands between this actor and an answer, whether or not the wait is still open."""
    require_member(what.run, actor)
    if isinstance(what, Wait) and what.kind not in (WaitKind.SIGNAL, WaitKind.UNRESOLVED):
        raise NotWaiting(_BY_ITSELF.get(what.kind, "nobody answers this: it ends by itself"))
    if call is not None:
        _require_independent(call, actor, owners)
        _refuse_settled(call)
        _refuse_early(call)


def _require_independent(call: Call, actor: Actor, owners: _Owners) -> None:
    """Whoever started the run or owns the agent must not be the one who says that its work was done."""
    run = call.run
    if actor.kind != "person":
        raise NotGranted(
            f"what became of call {call.id} is for a person to say: sign in, or give a token of yours (a command takes it from ORCHESTRA_TOKEN)",
            call=str(call.id),
        )
    if (run.person or "").removeprefix("person:") in owners.names:
        how = "an agent started run" if run.on_behalf_of else "you started run"
        whose = " on your behalf" if run.on_behalf_of else ""
        raise NotGranted(f"{how} {run.id}{whose}, so somebody else has to say what became of its call", call=str(call.id))
    if owners.is_owner_of(call):
        raise NotGranted(f"you answer for agent '{call.agent}', so somebody else has to say what became of its call", call=str(call.id))


def _refuse_settled(call: Call) -> None:
    if call.state != CallState.UNRESOLVED:
        raise AlreadyAnswered(f"call {call.id} is {call.state}; there is nothing to be said of it any more")


def _refuse_early(call: Call) -> None:
    free_at = call.not_after + ZOMBIE
    if clock.now() < free_at:
        raise TooEarly(f"call {call.id} may still be carried out until {instant_text(free_at)}; look again after that and say what became of it")


def _refuse_unfit(call: Call, settlement: Settlement) -> None:
    if not settlement.reason.strip() or len(settlement.reason) > MOST_REASON:
        raise BadAnswer(f"say how you know, in 1 to {MOST_REASON} characters (reason)")
    if unwritable(settlement.reason):
        raise BadAnswer("the reason can't be written: it holds what is no text")
    if settlement.decision is not Resolution.DONE:
        if settlement.result is not None:
            raise BadAnswer("a result belongs to a call that was done; leave it out")
        return
    contract = contract_of(call)
    wrong = unwritable(settlement.result) or ([] if contract is None else list(contract.violations(settlement.result)))
    if wrong:
        said = f"the result breaks the contract of '{call.agent}': {'; '.join(wrong)}"
        raise BadAnswer(f"{said}. A call that was done has given something: say what, as its agent would have", problems=wrong)


def put_right(call: Call, said: Mapping[str, Any], actor: Actor) -> None:
    """Say of a call whose run has ended what became of it: only the record changes."""
    with transaction.atomic(durable=True):
        Run.objects.filter(id=call.run_id).update(revision=F("revision") + 1)
        now = clock.now()
        _resolve(call, said, now)
        ledger.record([_resolved(call, said, actor, sequenced=False)], now=now)


def _resolve(call: Call, said: Mapping[str, Any], now: datetime) -> None:
    state = RESOLVED.get(Resolution(said["decision"]))
    open_still = Call.objects.filter(key=call.key, state=CallState.UNRESOLVED)
    said_first = open_still.exists() if state is None else open_still.update(state=state, settled_at=now)  # nobody can say: it stays what it is
    if not said_first:
        raise AlreadyAnswered(f"somebody else has just said what became of call {call.id}")


def _resolved(call: Call, said: Mapping[str, Any], actor: Actor, *, sequenced: bool) -> Draft:
    facts = {"decision": said["decision"], "result": canonical.digest(said["result"])}
    openings = {"reason": said["reason"], "response": said["result"]}
    return said_of(call, Verb.CALL_RESOLVED, actor, facts, openings, sequenced=sequenced)


def said_of(call: Call, verb: Verb, actor: Actor, facts: Mapping[str, Any], openings: Mapping[str, Any], *, sequenced: bool) -> Draft:
    """The entry of what somebody says of a call after it has ended or was given up."""
    return Draft(
        verb=verb,
        actor=actor,
        subject=f"call:{call.key}",
        team=call.run.team.name,
        agent=call.agent,
        run=call.run_id,
        facts={"step": call.step, "attempt": call.attempt, "ordinal": call.ordinal, **facts},
        openings=openings,
        sequenced=sequenced,
    )


# --- any wait --------------------------------------------------------------------------------------------------------


def answer(wait: Wait, value: Any, *, actor: Actor, call: Call | None = None) -> Wait:
    """End an open wait with an answer: the run's row first, then the wait, on the condition that it is open and in time, then the entries.

    A waiting run is at work again, with the time that was left to it. AlreadyAnswered, or NotWaiting where time or a cancel was quicker.
    """
    return _answered([wait], value, actor=actor, call=call)[0]


def _answered(waits: Sequence[Wait], value: Any, *, actor: Actor, call: Call | None = None) -> list[Wait]:
    """All of one run's waits with one answer, in one transaction; those that were still open, or the error of the first where none was."""
    of = waits[0].run_id
    with transaction.atomic(durable=True):
        family.lock([of])
        locked = Run.objects.filter(id=of, state__in=LIVE_RUN, cancel_requested_at__isnull=True).update(revision=F("revision") + 1)
        now = clock.now()
        run = Run.objects.select_related("team").get(id=of)
        drafts = {wait: _drafts(wait, run, value, actor, call) for wait in waits} if locked and now < run.deadline_at else {}
        taken = [wait for wait, said in drafts.items() if end(wait, said[0], actor, now)]
        if not taken:
            waits[0].refresh_from_db()
            raise too_late(waits[0])
        if call is not None:
            _resolve(call, value, now)
        head = ledger.head_of(run.id)
        entries = [draft for wait in taken for draft in drafts[wait]]
        Run.objects.filter(id=run.id).update(seq=F("seq") + len(entries), **family.back_at_work(run, now))
        ledger.record(entries, now=now, heads={run.id: head})
        family.tell([family.News(run.id)], actor=actor, now=now)
    for wait in taken:
        wait.refresh_from_db()
    return taken


def end(wait: Wait, said: Draft, actor: Actor, now: datetime) -> bool:
    ended = {"state": WaitState.ANSWERED, "ended_at": now, "answered_by": f"{actor.kind}:{actor.id}", "answer_entry": said.id}
    return bool(Wait.objects.open(now).filter(id=wait.id).update(**ended))


def _drafts(wait: Wait, run: Run, value: Any, actor: Actor, call: Call | None) -> list[Draft]:
    said = answer_draft(wait, run, value, actor)
    return [said] if call is None else [said, _resolved(call, value, actor, sequenced=True)]


def answer_draft(wait: Wait, run: Run, value: Any, actor: Actor) -> Draft:
    facts = {"step": wait.step, "kind": str(wait.kind), "subject": wait.subject, "answer": canonical.digest(value)}
    opened = {"answer": value}
    return Draft(Verb.WAIT_ANSWERED, actor, wait.reference, run.team.name, run=run.id, facts=facts, openings=opened, sequenced=True)


def too_late(wait: Wait) -> OrchestraError:
    about = "an approval" if wait.kind == WaitKind.APPROVAL else wait.subject or wait.kind
    what = f"the wait for {about} of run {wait.run_id}"
    if wait.state == WaitState.ANSWERED:
        return AlreadyAnswered(f"{what} was answered by {wait.answered_by} at {instant_text(wait.ended_at)}; the first answer counts")
    if wait.state == WaitState.OPEN and clock.now() < wait.expires_at:
        return NotWaiting(f"run {wait.run_id} is ending, and {what} with it; the answer came too late")
    if wait.state == WaitState.CANCELLED:
        return NotWaiting(f"{what} ended without an answer when its run or its part of it did, at {instant_text(wait.ended_at)}")
    return NotWaiting(f"{what} ended at {instant_text(min(wait.ended_at or wait.expires_at, wait.expires_at))}; the answer came too late")


@contextmanager
def _refusals(run: Run, actor: Actor) -> Iterator[None]:
    """A refused answer is an entry of its own, after the rollback."""
    try:
        yield
    except OrchestraError as refusal:
        record_refusal(Verb.ANSWER_REFUSED, run.subject, refusal, actor, run=run)
        raise
