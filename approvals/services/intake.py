"""What runs wait for becomes a request that people find: read from the waits themselves, so that nothing has to be told and nothing is lost.

Also notes what time has done to them (the next stage of a policy), and voids those whose policy is another one by now, or whose call has been
stopped. Idempotent, and quick where there is nothing new: every door calls it before it looks, and every sweep does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef

from agents import registry
from agents.models import Agent
from agents.spec.policies import Policy
from approvals.models import ESCALATED, VOIDED, Approver, Request
from approvals.services import stopping
from audit import clock, reports
from audit.actors import Actor
from audit.errors import Conflict
from audit.ledger import Draft
from runs import services as runs
from runs.models import Approval, Wait, WaitKind

MOST: Final = 200
CHANGED: Final = "the policy that it was asked under is not in force any more"
_BESIDE: Final = ("wait", "wait__run", "wait__run__team", "wait__run__pipeline", "wait__run__release")
_SELF: Final = Actor.system("approvals")


def tend() -> None:
    """Take in what is new, and what time or a changed policy has done to what is open. What it does not reach, the next call does."""
    now = clock.now()
    _take_in(now)
    waiting = Request.objects.open(now).select_related(*_BESIDE)
    for request in _outdated(waiting.order_by("wait__expires_at", "pk")[:MOST]):
        void(request, CHANGED)
    for request, stop in stopping.stopped(waiting):
        void(request, stop.said)
    for request in waiting.filter(next_stage_at__lte=now).order_by("next_stage_at")[:MOST]:
        _escalate(request)


def _take_in(now: datetime) -> None:
    known = Request.objects.filter(wait=OuterRef("pk"))
    new = list(Wait.objects.filter(kind=WaitKind.APPROVAL).open(now).filter(~Exists(known)).order_by("opened_at")[:MOST])
    if not new:
        return
    said = reports.openings_of([wait.failure_entry for wait in new if wait.failure_entry is not None])
    risks = _risks(said.values())
    with transaction.atomic(durable=True):
        for wait in new:
            asked = said.get(wait.failure_entry, {}).get("approval") if wait.failure_entry else None
            if asked is not None and asked["binding"] == wait.subject:
                _put(wait, asked, risks.get(asked["agent"], ""))


def _risks(openings: object) -> dict[str, str]:
    names = {each["approval"]["agent"] for each in openings if "approval" in each}  # type: ignore[attr-defined]
    return dict(Agent.objects.filter(name__in=names).values_list("name", "risk_tier"))


def _put(wait: Wait, asked: dict[str, object], risk: str) -> None:
    policy = Policy.from_record(asked["policy"])  # type: ignore[arg-type]
    values = {"agent": asked["agent"], "version": asked["version"], "binding": asked["binding"], "risk": risk, "policy": asked["policy"]}
    values["next_stage_at"] = _next_stage_at(policy, wait, 0)
    request, created = Request.objects.get_or_create(wait=wait, defaults=values)
    if created:
        Approver.objects.bulk_create(_approvers(request, policy), ignore_conflicts=True)


def _approvers(request: Request, policy: Policy) -> Iterator[Approver]:
    for index, stage in enumerate(policy.stages):
        for kind, names in ((Approver.PERSON, stage.people), (Approver.TEAM, stage.teams)):
            yield from (Approver(request=request, stage=index, kind=kind, name=name) for name in names)


def _next_stage_at(policy: Policy, wait: Wait, stage: int) -> datetime | None:
    return policy.begins_at(wait.opened_at, stage + 1) if stage + 1 < len(policy.stages) else None


def why_outdated(request: Request) -> str | None:
    """Why nobody can decide it as it stands, though nobody has ended it yet."""
    stop = stopping.stop_over(request)
    if stop is not None:
        return stop.said
    return CHANGED if _outdated([request]) else None


def _outdated(requests: Iterable[Request]) -> list[Request]:
    named = [(request, request.governing) for request in requests]
    in_force = registry.policies_in_force({policy.name for _, policy in named if policy.name})
    numbers = {name: policy.number for name, policy in in_force.items()}
    return [request for request, policy in named if policy.name and numbers.get(policy.name) != policy.number]


def void(request: Request, why: str, *, actor: Actor = _SELF) -> bool:
    """End the wait without a decision: its step asks anew, for what it is now. False where it has ended meanwhile."""
    try:
        with transaction.atomic(durable=True):
            held = runs.hold_wait(request.pk)
            draft = _draft(VOIDED.name, request, held, actor, {"binding": request.binding}, {"reason": why})
            runs.answer_held(held, {"decision": str(Approval.VOID), "reason": why}, actor=actor, beside=[draft])
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
            later = _next_stage_at(request.governing, held.wait, stage)
            if Request.objects.filter(pk=request.pk, escalated_to__lt=stage).update(escalated_to=stage, next_stage_at=later):
                facts = {"binding": request.binding, "stage": stage}
                runs.note_held(held, [_draft(ESCALATED.name, request, held, _SELF, facts, {})])
    except Conflict:
        return


def _draft(verb: str, request: Request, held: runs.HeldWait, actor: Actor, facts: dict[str, object], openings: dict[str, object]) -> Draft:
    return Draft(
        verb, actor, request.subject, held.run.team.name, agent=request.agent, run=held.run.id,
        facts={"step": held.wait.step, **facts}, openings=openings, sequenced=True,
    )  # fmt: skip
