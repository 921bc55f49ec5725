"""What runs wait for becomes a request that people find: read from the waits themselves, so that nothing has to be told and nothing is lost.

Also notes what time has done to them (the next stage of a policy, half of a stage), and voids those whose policy is another one by now, or whose
call has been stopped; and announces each of these. Idempotent, and quick where there is nothing new: every door calls it before it looks, and
every sweep does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef

from agents import registry
from agents.models import Agent
from agents.spec.policies import Policy
from approvals.models import ESCALATED, VOIDED, Approver, Kind, Request, RequestQuerySet
from approvals.services import stopping
from approvals.services.announcing import Event, announce
from audit import clock, reports
from audit.actors import Actor
from audit.errors import Conflict
from audit.ledger import Draft
from runs import services as runs
from runs.models import Approval, Wait, WaitKind, WaitState

MOST: Final = 200
SLACK: Final = timedelta(minutes=10)
"""What was opened so much before the newest request has been taken in before it: no transaction lasts so long."""
CHANGED: Final = "the policy that it was asked under is not in force any more"
_SELF: Final = Actor.system("approvals")


def tend() -> None:
    """Take in what is new, and what time or a changed policy has done to what is open. What it does not reach, the next call does."""
    now = clock.now()
    _take_in(now)
    for request in chain.from_iterable(map(_some, Request.objects.under_older(registry.policy_numbers()))):
        if not void(request, CHANGED):
            _let_go([request], now)
    for request, stop in stopping.stopped(Request.objects.watched().open(now)):
        void(request, stop.said)
    _let_go(_cancelled(now), now)
    due = _some(Request.objects.watched().filter(look_at__lte=now).order_by("look_at"))
    _let_go([request for request in due if not _is_open(request, now)], now)
    for request in due:
        if _is_open(request, now):
            _escalate(request)
    _remind(now)


def _some(requests: RequestQuerySet) -> list[Request]:
    """The first of them, found by an index and then read with what belongs to them."""
    found = list(requests.values_list("pk", flat=True)[:MOST])
    return list(Request.objects.select_related("wait__run__team").filter(pk__in=found).order_by("look_at")) if found else []


def _cancelled(now: datetime) -> list[Request]:
    """Whose run was cancelled just now, or the part of it that asked; what is not seen within these minutes is seen at the end of its stage."""
    watched = Request.objects.watched().filter(pk=OuterRef("pk"))
    waits = Wait.objects.filter(kind=WaitKind.APPROVAL).cancelled_since(now - SLACK).filter(Exists(watched)).order_by("ended_at")
    ids = list(waits.values_list("pk", flat=True)[:MOST])
    return _some(Request.objects.filter(pk__in=ids)) if ids else []


def _is_open(request: Request, now: datetime) -> bool:
    return request.wait.state == WaitState.OPEN and now < request.wait.expires_at and request.wait.run.cancel_requested_at is None


def _let_go(requests: Sequence[Request], now: datetime) -> None:
    """Over: nobody needs to look at them any more."""
    if requests:
        with transaction.atomic():
            Request.objects.filter(pk__in=[request.pk for request in requests]).let_go()
            announce(Event.ENDED, requests, now=now)


def _take_in(now: datetime) -> None:
    known = Request.objects.filter(wait=OuterRef("pk"))
    waits = Wait.objects.filter(kind=WaitKind.APPROVAL).open(now).filter(~Exists(known))
    newest = Wait.objects.filter(pk__in=Request.objects.order_by("-pk").values("pk")[:1]).values_list("opened_at", flat=True).first()
    since = waits if newest is None else waits.filter(opened_at__gte=newest - SLACK)
    new = list(since.select_related("run__team").order_by("opened_at")[:MOST])
    if not new:
        return
    said = reports.openings_of([wait.failure_entry for wait in new if wait.failure_entry is not None])
    risks = _risks(said.values())
    with transaction.atomic(durable=True):
        taken = []
        for wait in new:
            asked = said.get(wait.failure_entry, {}).get("approval") if wait.failure_entry else None
            if asked is not None and asked["binding"] == wait.subject:
                taken.append(_put(wait, asked, risks.get(asked["agent"], "")))
        announce(Event.REQUESTED, taken, now=now)


def _risks(openings: object) -> dict[str, str]:
    names = {each["approval"]["agent"] for each in openings if "approval" in each}  # type: ignore[attr-defined]
    return dict(Agent.objects.filter(name__in=names).values_list("name", "risk_tier"))


def _put(wait: Wait, asked: Mapping[str, Any], risk: str) -> Request:
    policy = Policy.from_record(asked["policy"])
    values = {"agent": asked["agent"], "version": asked["version"], "binding": asked["binding"], "risk": risk, "policy": asked["policy"]}
    first = min(wait.opened_at + timedelta(milliseconds=policy.stages[0].within_ms), wait.expires_at)
    values |= {"team": wait.run.team.name, "policy_name": policy.name, "policy_number": policy.number, "kind": _kind(asked)}
    values |= {"look_at": first, "remind_at": wait.opened_at + (first - wait.opened_at) / 2}
    request, created = Request.objects.get_or_create(wait=wait, defaults=values)
    if created:
        Approver.objects.bulk_create(_approvers(request, policy), ignore_conflicts=True)
    return request


def _kind(asked: Mapping[str, Any]) -> Kind:
    asks = asked.get("asks")
    return Kind.CALL if asks is None else Kind.RESULT if asks["of"] else Kind.SUBJECT


def _approvers(request: Request, policy: Policy) -> Iterator[Approver]:
    for index, stage in enumerate(policy.stages):
        for kind, names in ((Approver.PERSON, stage.people), (Approver.TEAM, stage.teams)):
            yield from (Approver(request=request, stage=index, kind=kind, name=name) for name in names)


def why_outdated(request: Request) -> str | None:
    """Why nobody can decide it as it stands, though nobody has ended it yet."""
    stop = stopping.stop_over(request)
    if stop is not None:
        return stop.said
    policy = request.governing
    in_force = registry.policies_in_force([policy.name]).get(policy.name) if policy.name else policy
    return CHANGED if in_force is None or in_force.number != policy.number else None


def void(request: Request, why: str, *, actor: Actor = _SELF) -> bool:
    """End the wait without a decision: its step asks anew, for what it is now. False where it has ended meanwhile."""
    try:
        with transaction.atomic(durable=True):
            held = runs.hold_wait(request.pk)
            draft = entry_of(VOIDED.name, request, held, actor, {"binding": request.binding}, {"reason": why})
            runs.answer_held(held, {"decision": str(Approval.VOID), "reason": why}, actor=actor, beside=[draft])
            _let_go([request], held.now)
    except Conflict:
        return False
    return True


def why_void(request: Request) -> str:
    """What whoever ended it without a decision has said."""
    entry = request.wait.answer_entry
    said = {} if entry is None else reports.openings_of([entry]).get(entry, {}).get("answer", {})
    return str(said.get("reason") or CHANGED)


def _escalate(request: Request) -> None:
    """Once for each stage, whoever looks first."""
    try:
        with transaction.atomic(durable=True):
            held = runs.hold_wait(request.pk)
            stage = request.stage_at(held.now)
            values = {"escalated_to": stage, "look_at": request.next_look(stage), "remind_at": request.next_reminder(stage)}
            if Request.objects.filter(pk=request.pk, escalated_to__lt=stage).update(**values):
                request.escalated_to = stage
                announce(Event.ESCALATED, [request], now=held.now)
                facts = {"binding": request.binding, "stage": stage}
                runs.note_held(held, [entry_of(ESCALATED.name, request, held, _SELF, facts, {})])
    except Conflict:
        return


def _remind(now: datetime) -> None:
    """Once in each stage. Whether anybody still has to be told is seen when it is sent."""
    due = Request.objects.watched().filter(remind_at__lte=now)
    ids = list(due.order_by("remind_at").values_list("pk", flat=True)[:MOST])
    if not ids:
        return
    with transaction.atomic(durable=True):
        held = list(due.filter(pk__in=ids).select_for_update(no_key=True, skip_locked=True).order_by("pk"))
        Request.objects.filter(pk__in=[request.pk for request in held]).update(remind_at=None)
        announce(Event.REMINDER, held, now=now)


def entry_of(verb: str, request: Request, held: runs.HeldWait, actor: Actor, facts: Mapping[str, Any], openings: Mapping[str, Any]) -> Draft:
    """What happened to a request, as an entry in the sequence of the run that waits for it; with its agent, where there is one."""
    return Draft(
        verb, actor, request.subject, held.run.team.name, agent=request.agent or None, run=held.run.id,
        facts={"step": held.wait.step, **facts}, openings=openings, sequenced=True,
    )  # fmt: skip
