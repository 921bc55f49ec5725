"""A request as every door shows it: what would be done with which arguments, on what evidence, under which policy, and what was said of it.

Everything is computed here from rows and the ledger; what an agent says of itself is shown as such and binds nobody. Reads only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from agents.models import Agent
from agents.spec.policies import Policy, Stage
from approvals import rules
from approvals.models import Decision, Kept, ProposalDecision, Request
from approvals.rules import Parts, Said
from approvals.services import inbox, parts
from audit import canonical, clock, reports
from audit.actors import Actor
from audit.clock import to_text
from audit.instants import to_the_second
from runs import services
from runs.models import Step, StepState, WaitState

MOST_EVIDENCE: Final = 20
MOST_NAMED: Final = 20
VOID: Final = "void"


def listed(requests: Collection[Request], now: datetime) -> list[dict[str, Any]]:
    """Each in short, for lists."""
    counted = inbox.counting([request for request in requests if request.wait.state == WaitState.OPEN])
    return [_short(request, now, counted.get(request.pk)) for request in requests]


def document(request: Request, *, actor: Actor) -> dict[str, Any]:
    """All of it. `shown` is the digest of what a decision is about: whoever decides may give it back, so that nothing else is decided."""
    now, asked = clock.now(), parts.asked_for(request)
    shown = _shown(request, asked)
    return {
        **listed([request], now)[0],
        **_about(request, asked, now),
        "shown": canonical.digest(shown),
        "arguments": shown["arguments"],
        "criteria": shown["criteria"],
        "evidence": _evidence(request, now),
        "decisions": said_by(request.decisions.all()),
        "comments": _comments(request),
        "alike": [str(each.pk) for each in inbox.alike(request, actor=actor)] if state_of(request, now) == WaitState.OPEN else [],
        **_yours(request, actor),
        **_who_can(request, asked, now),
    }


def _yours(request: Request, actor: Actor) -> dict[str, Any]:
    """`why_not`: why whoever looks can't decide it; `instead_of`: in whose stead they would."""
    seat = inbox.seat_now(request, actor=actor)
    if isinstance(seat, str):
        return {"why_not": seat, "instead_of": None}
    return {"why_not": None, "instead_of": None if seat.name == actor.id else seat.name}


def _who_can(request: Request, asked: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """`deciders`: who may decide it now; `stuck`: that they are too few, and what to do about it."""
    if not asked or state_of(request, now) != WaitState.OPEN:
        return {"deciders": [], "stuck": None}
    policy, stage, said = request.governing, request.stage_at(now), inbox.said_of(request)
    return who_can(policy, stage, parts.parts_of(request, asked), said, inbox.counting([request])[request.pk], now)


def who_can(policy: Policy, stage: int, had: Parts, said: Sequence[Said], counting: Sequence[Said], now: datetime) -> dict[str, Any]:
    """`deciders` and `stuck` of what is open."""
    found = inbox.deciders(policy, stage, had, said, now=now)
    lacks = rules.lacking(policy, stage, counting)
    most = inbox.most_left(policy, stage, had, said, enough=lacks, now=now) if found.free else 0
    return {"deciders": list(found.free[:MOST_NAMED]), "stuck": None if most >= lacks else _stuck(policy.stages[stage], found, lacks, most)}


def _stuck(stage: Stage, found: inbox.Deciders, lacks: int, most: int) -> str:
    few = "nobody" if not found.free else f"only {', '.join(found.free)}"
    say = f", who have {most} say{'s' if most != 1 else ''} between them" if len(found.free) > most else ""
    kept = "; ".join(f"{name}: {rules.of_others(rule.removesuffix(', so somebody else has to decide'))}" for name, rule in found.kept[:MOST_NAMED])
    why = f" (of whom it asks, {kept})" if kept else ""
    do = "Have somebody else let into the team, or change the policy and publish it: then it is asked anew"
    return f"{lacks} more must approve, and {few} of {stage.said.partition(' of ')[2]} can{say}{why}. {do}"


def shown_digest(request: Request, asked: Mapping[str, Any]) -> str:
    """The digest of what is shown of it now, whoever looks."""
    return canonical.digest(_shown(request, asked))


def _short(request: Request, now: datetime, counted: Sequence[rules.Said] | None) -> dict[str, Any]:
    """`counted`: of one that is open, what counts of what was said."""
    wait, policy = request.wait, request.governing
    stage = request.stage_at(now)
    said = inbox.said_of(request) if counted is None else counted
    return {
        "id": str(wait.id),
        "run": str(wait.run_id),
        "pipeline": wait.run.pipeline.name,
        "team": wait.run.team.name,
        "step": wait.step,
        "kind": request.kind,
        "about": request.about,
        "agent": request.agent or None,
        "risk": request.risk or None,
        "binding": request.binding,
        "state": state_of(request, now),
        "opened_at": to_text(wait.opened_at),
        "expires_at": to_text(wait.expires_at),
        "ended_at": None if wait.ended_at is None else to_text(wait.ended_at),
        "policy": {"name": policy.name or None, "version": policy.number, "said": policy.said, "reason": policy.reason, "edits": policy.edits},
        "stage": stage + 1,
        "stages": len(policy.stages),
        "asks": policy.stages[stage].said,
        "lacks": rules.lacking(policy, stage, said),
        "silence": _silence(policy, request, stage),
    }


def state_of(request: Request, now: datetime) -> str:
    """`open`, `approved`, `declined`, `changes`, `void`, `expired` or `cancelled`, as it reads at this moment."""
    wait = request.wait
    if wait.state == WaitState.OPEN:
        over = now >= wait.expires_at or wait.run.effective(now).outcome is not None
        return str(WaitState.EXPIRED) if over else str(WaitState.OPEN)
    if wait.state != WaitState.ANSWERED:
        return str(wait.state)
    if not wait.answered_by.startswith("person:"):
        return VOID  # nobody but people decides
    return next((each.decision for each in request.decisions.all() if each.decision != rules.APPROVED), rules.APPROVED)


def _silence(policy: Policy, request: Request, stage: int) -> str:
    if stage + 1 < len(policy.stages):
        at = to_the_second(policy.begins_at(request.wait.opened_at, stage + 1))
        return f"from {at} on it is put to {policy.stages[stage + 1].said}; nothing approves it"
    return f"it is denied at {to_the_second(request.wait.expires_at)}"


def _about(request: Request, asked: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    run, wait = request.wait.run, request.wait
    agent = Agent.objects.filter(name=request.agent).first()
    return {
        "uses": list(asked.get("uses", ())),
        "version": request.version or None,
        "version_digest": asked.get("version_digest"),
        "release": asked.get("release"),
        "mode": asked.get("mode"),
        "rounds_left": rounds_left(asked),
        "role": None if agent is None else str(agent.role),
        "purpose": None if agent is None else agent.purpose,
        "uncontained": services.is_uncontained(request.agent),
        "started_by": run.started_by,
        "on_behalf_of": run.person,
        "waits_since_s": round((now - wait.opened_at).total_seconds()),
        "cost_nano": {"spent": run.spent_nano, "reserved": run.reserved_nano, "this": asked.get("bound_nano", 0), "limit": run.cost_limit_nano},
    }


def as_json(said: Mapping[str, Any]) -> dict[str, Any]:
    """A document as programs get it: money as text, as everywhere."""
    return {**said, "cost_nano": {name: None if nano is None else str(nano) for name, nano in said["cost_nano"].items()}}


def rounds_left(asked: Mapping[str, Any]) -> int:
    """How often it may still be sent back to be made anew."""
    asks = asked.get("asks") or {"round": 1, "rounds": 0}
    return max(int(asks["rounds"]) - int(asks["round"]) + 1, 0)


def _shown(request: Request, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a decision is about, without what moves by itself: ages, costs, who else has said something."""
    run, given = request.wait.run, arguments_of(request)
    spec = run.release.manifest["pipeline"]["spec"]
    return {
        "request": str(request.pk),
        "asked": dict(asked),
        "arguments": given,
        "criteria": [{"name": name, **said} for name, said in sorted(spec.get("criteria", {}).items())],
        "evidence": [[step.key, step.result_digest] for step in _returned(request)],
    }


def arguments_of(request: Request) -> Any:
    """What the call would be given, as it was asked for; null where it was erased."""
    step = Step.objects.filter(run=request.wait.run_id, key=request.wait.step).only("input_entry").first()
    entry = None if step is None else step.input_entry
    return None if entry is None else reports.openings_of([entry]).get(entry, {}).get("input")


def _returned(request: Request) -> Sequence[Step]:
    """The newest steps of the run that had come back when it was asked for."""
    rows = Step.objects.filter(run=request.wait.run, state=StepState.RETURNED, finished_at__lte=request.wait.opened_at).exclude(agent="")
    return sorted(rows.order_by("-id")[:MOST_EVIDENCE], key=lambda step: step.id)


def _evidence(request: Request, now: datetime) -> list[dict[str, Any]]:
    steps = _returned(request)
    opened = reports.openings_of([step.result_entry for step in steps if step.result_entry is not None])
    return [
        {
            "step": step.key,
            "agent": step.agent,
            "result": opened.get(step.result_entry, {}).get("result") if step.result_entry is not None else None,
            "digest": step.result_digest,
            "as_of": None if step.as_of is None else to_text(step.as_of),
            "age_s": None if step.as_of is None else round((now - step.as_of).total_seconds()),
            "best_before": None if step.best_before is None else to_text(step.best_before),
        }
        for step in steps
    ]


def said_by(decisions: Iterable[Decision] | Iterable[ProposalDecision]) -> list[dict[str, Any]]:
    """Each with its reason, as far as it is kept; of a request's also what was approved."""
    every: list[Decision | ProposalDecision] = [*decisions]
    opened = _opened(every)
    return [{**_said(each, opened, "reason"), **_decided(each, opened.get(each.entry, {}))} for each in every]


def _comments(request: Request) -> list[dict[str, Any]]:
    every = list(request.comments.all())
    opened = _opened(every)
    return [_said(each, opened, "text") for each in every]


def _opened(every: Sequence[Kept]) -> dict[UUID, dict[str, Any]]:
    return reports.openings_of([each.entry for each in every]) if every else {}


def _said(each: Kept, opened: Mapping[UUID, Mapping[str, Any]], what: str) -> dict[str, Any]:
    return {"person": each.person, "at": to_text(each.at), what: opened.get(each.entry, {}).get(what)}


def _decided(each: Decision | ProposalDecision, opened: Mapping[str, Any]) -> dict[str, Any]:
    """`edits`: in which fields the arguments that were approved differ from those that were asked for; null where they don't."""
    said = {"decision": each.decision, "stage": each.stage + 1, "shown": each.shown, "instead_of": each.instead_of or None}
    if isinstance(each, ProposalDecision):
        return said
    return {**said, "binding": each.binding, "edits": opened["edits"]["changes"] if "edits" in opened else None}
