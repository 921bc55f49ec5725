"""The one way to decide: a person's word on a request, under the lock of its run, and with the last one that is needed the end of its wait.

What was asked for is held against what is in force once more; a refusal is an entry of its own. Called by doors, and by nothing else.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from agents import registry
from approvals import rules
from approvals.errors import AlreadyDecided, BadDecision, ChangedSince, NotYours, UnknownApproval, Voided
from approvals.models import COMMENTED, DECIDED, REFUSED, Comment, Decision, Request
from approvals.services import documents, inbox, intake, parts
from approvals.services.announcing import Event, announce
from approvals.services.edits import Edits, edited
from approvals.services.wording import refuse_text
from audit import clock, ledger
from audit.actors import Actor
from audit.errors import Conflict, OrchestraError
from audit.ledger import Draft
from audit.visible import named, visible
from runs import services as runs
from runs.models import Approval

MOST_COMMENTS: Final = 200
"""On one request: all of them are shown with it."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A request under the lock of its run, and everything that it is judged by."""

    request: Request
    wait: runs.HeldWait
    asked: Mapping[str, Any]
    stage: int
    instead_of: str
    """Whom the person stands in for; empty where they are asked themselves."""
    parts: rules.Parts


def decide(*, request: str, decision: str, reason: str = "", seen: str | None = None, arguments: Any = None, actor: Actor) -> Request:
    """Approve, decline or ask for changes. The last approval that the policy asks for lets the run go on; one that declines ends its step, one that
    asks for changes has the agent do it again with what is said (`reason`), as often as the pipeline allows.

    `arguments`: others than were asked for, where the policy allows edits; whoever approves after that has to approve the same.

    `seen`: the digest of what the person was shown; another one now is ChangedSince. UnknownApproval; NotYours says which rule; AlreadyDecided
    and Conflict tell what happened meanwhile; Voided where what was asked for would not be done so any more. Each refusal is an entry.
    """
    found = _found(request, actor)
    with _refusals(found, actor):
        _refuse_odd(decision, reason, found)
        why = intake.why_outdated(found)
        if why is not None and intake.void(found, why):
            raise _voided(why)
        with transaction.atomic(durable=True):
            held = _hold(found, actor)
            _refuse_other(held, seen)
            _refuse_unchangeable(held, decision)
            edits = edited(held.request, held.asked, arguments, approves=decision == rules.APPROVED)
            _say(held, decision, reason.strip(), edits, actor)
    return _again(found)


def comment(*, request: str, text: str, actor: Actor) -> Request:
    """Say something about a request that is open, without deciding it: for people of the run's team, and whom the policy asks."""
    found = _found(request, actor)
    with _refusals(found, actor):
        if actor.kind != "person":
            raise NotYours(inbox.NO_PERSON)
        if not _may_comment(found, actor):
            raise NotYours(f"this is between team '{found.wait.run.team.name}' and whom {found.governing.said} asks; you may look at it")
        refuse_text(text, needed=True, what="comment")
        with transaction.atomic(durable=True):
            held = runs.hold_wait(found.pk)
            _refuse_ended(actor, held)
            if found.comments.count() >= MOST_COMMENTS:
                raise BadDecision(f"there are {MOST_COMMENTS} comments on it, and no more are taken; say it in the reason of your decision")
            draft = intake.entry_of(COMMENTED.name, found, held, actor, {}, {"text": text.strip()})
            Comment.objects.create(request=found, person=actor.id, at=held.now, entry=draft.id)
            runs.note_held(held, [draft])
    return _again(found)


def _may_comment(found: Request, actor: Actor) -> bool:
    """Whoever does something about the team's runs or what they run, and whom the policy asks."""
    team = found.wait.run.team.name
    if actor.may_operate(team) or actor.may_change(team):
        return True
    return registry.may_be_asked(actor) and Request.objects.put_to(inbox.person_of(actor)).filter(pk=found.pk).exists()


def _found(request: str, actor: Actor) -> Request:
    try:
        return inbox.find_request(request, actor=actor)
    except UnknownApproval as refusal:
        _record(named("wait", request), refusal, actor)
        raise


def _again(found: Request) -> Request:
    return Request.objects.select_related("wait__run__team", "wait__run__pipeline", "wait__run__release").get(pk=found.pk)


# --- under the lock --------------------------------------------------------------------------------------------------


def _hold(found: Request, actor: Actor) -> _Held:
    held = runs.hold_wait(found.pk)
    _refuse_ended(actor, held)
    request = _again(found)  # as it is under the lock: whoever was quicker has said it by now
    asked, said = parts.asked_for(request), inbox.said_of(request)
    seat, stage = inbox.seat_of(request, asked, said, actor=actor, now=held.now), request.stage_at(held.now)
    if isinstance(seat, str):
        person = inbox.person_of(actor)
        twice = person is not None and any(person.names & {each.person, each.seat} and each.stage == stage for each in said)
        raise (AlreadyDecided if twice else NotYours)(f"you can't decide this: {seat}")
    inbox.refuse_gone(request.governing.stages[stage], actor, seat.name, held.now)
    return _Held(request, held, asked, stage, "" if seat.name == actor.id else seat.name, parts.parts_of(request, asked))


def _refuse_ended(actor: Actor, held: runs.HeldWait) -> None:
    """A session or a token that was ended since the request came decides nothing."""
    if actor.by is not None:
        actor.by.require_open(held.now)


def _refuse_other(held: _Held, seen: str | None) -> None:
    now = documents.shown_digest(held.request, held.asked)
    if seen not in (None, now):
        raise ChangedSince(f"what you were shown of {held.request.about} has changed since; nothing was decided: look again")


def _refuse_unchangeable(held: _Held, decision: str) -> None:
    """Only what an agent gave is made anew, by one that can be told what for, and not for ever."""
    if decision != rules.CHANGES or documents.rounds_left(held.asked):
        return
    asks = held.asked.get("asks")
    if asks is None or not asks["of"]:
        raise BadDecision(f"{held.request.about} can't be sent back, for no agent's result is put to you; decline it with your reason")
    if asks["rounds"] == 0:
        why = "it isn't of mode: read, or its input has no `changes`, or the pipeline allows no rounds"
        raise BadDecision(f"'{held.request.agent}' can't be asked for changes: {why}; decline it with your reason, or approve it with edits")
    raise BadDecision(f"it was sent back {asks['rounds']} times, as often as its pipeline allows (approve_when.rounds); decline it, or approve it")


def _say(held: _Held, decision: str, reason: str, edits: Edits | None, actor: Actor) -> None:
    request, policy = held.request, held.request.governing
    shown = documents.shown_digest(request, held.asked)
    binding = request.binding if edits is None else edits.binding
    every = inbox.counting_of({request.pk: (policy, inbox.said_of(request))})[request.pk]
    counting = inbox.without_part(every, held.parts)
    said = [*counting, rules.Said(actor.id, decision, held.stage, binding, held.instead_of)]
    outcome = rules.outcome(policy, held.stage, said)
    facts = {
        "binding": binding,
        "asked": request.binding,
        "decision": decision,
        "shown": shown,
        "policy": policy.name or None,
        "policy_version": policy.number,
        "stage": held.stage + 1,
        "lacks": 0 if outcome is not None else rules.lacking(policy, held.stage, said),
    }
    openings: dict[str, Any] = {name: words for name, words in (("reason", reason), ("instead_of", held.instead_of)) if words}
    openings |= {} if edits is None else {"edits": {"arguments": edits.arguments, "changes": list(edits.changes)}}
    draft = intake.entry_of(DECIDED.name, request, held.wait, actor, facts, openings)
    values = {"stage": held.stage, "decision": decision, "shown": shown, "binding": binding, "instead_of": held.instead_of}
    Decision.objects.create(request=request, person=actor.id, at=held.wait.now, entry=draft.id, **values)
    if outcome is None:
        runs.note_held(held.wait, [draft])
        return
    by = sorted(rules.agreeing(held.stage, said))
    changed = {} if edits is None else {"arguments": edits.arguments, "binding": edits.binding}
    runs.answer_held(held.wait, {"decision": str(Approval(outcome)), "by": by, "reason": reason, **changed}, actor=actor, beside=[draft])
    Request.objects.filter(pk=request.pk).let_go()
    announce(Event.ENDED, [request], now=held.wait.now)


# --- what is no decision ---------------------------------------------------------------------------------------------


def _refuse_odd(decision: str, reason: str, request: Request) -> None:
    if decision not in rules.DECISIONS:
        raise BadDecision(f"a decision is one of {', '.join(rules.DECISIONS)}; this is '{visible(decision, 40)}'")
    needed = request.governing.reason or decision != rules.APPROVED
    refuse_text(reason, needed=needed, what="reason")


@contextmanager
def _refusals(request: Request, actor: Actor) -> Iterator[None]:
    """A refused decision is an entry of its own, after the rollback."""
    try:
        yield
    except OrchestraError as error:
        refusal = _meanwhile(request, error)
        _record(request.subject, refusal, actor, request)
        raise refusal from None


def _meanwhile(request: Request, error: OrchestraError) -> OrchestraError:
    """In the words of this app, what happened to the wait before the decision came."""
    if not isinstance(error, Conflict) or isinstance(error, Voided | ChangedSince | AlreadyDecided):
        return error
    again = _again(request)
    is_void = documents.state_of(again, clock.now()) == documents.VOID
    return _voided(intake.why_void(again)) if is_void else AlreadyDecided(error.message)


def _voided(why: str) -> Voided:
    return Voided(f"{why}, so nothing was decided: its step asks anew")


def _record(subject: str, refusal: OrchestraError, actor: Actor, request: Request | None = None) -> None:
    run = None if request is None else request.wait.run
    team, of = (None, None) if run is None else (run.team.name, run.id)
    openings = {"message": visible(refusal.message, 4_000)}
    draft = Draft(REFUSED.name, actor, subject, team, run=of, facts={"code": refusal.code}, openings=openings)
    with transaction.atomic(durable=True):
        ledger.record([draft], now=clock.now())
