"""What of a version is live and judged at run time: team, role, permissions, rate and breaker. Putting a version in force makes them so.

Runs inside a Turn, with an entry for each that moves. Called by publishing, and by applying for what was never published.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from agents.models import Agent, Pipeline, Standing, Team
from audit.canonical import digest
from audit.errors import Conflict
from audit.ledger import Verb

from . import deeds, verbs
from .changes import FieldChange, compare
from .writing import Turn, require_member


def put_in_force(turn: Turn, agent: Agent, spec: dict[str, Any]) -> tuple[FieldChange, ...]:
    """The spec's team, role, permissions and pace hold from now on, also for runs at work; returns what that changed."""
    ruled = bool(agent.team.publishing)
    moved = _move(turn, agent, spec["team"])
    pace = {key: spec[key] for key in ("rate", "breaker") if spec.get(key) is not None}
    if ruled or agent.team.publishing:  # elsewhere they are live
        moved += _describe(turn, agent, spec)
    return moved + _cast(turn, agent, spec["role"]) + _permit(turn, agent, list(spec["permissions"])) + _set_pace(turn, agent, pace)


def _move(turn: Turn, owner: Agent | Pipeline, team: str) -> tuple[FieldChange, ...]:
    """From one team's permissions to another's: for members of both. NotGranted."""
    fields = compare({"team": owner.team.name}, {"team": team})
    if fields:
        if owner.state == Standing.RETIRED:  # else what its team has people decide, whether it goes on, would be another's to say
            raise Conflict(f"'{owner.name}' is retired and stays in team '{owner.team.name}'; reinstate it first, then move it")
        agent = owner.name if isinstance(owner, Agent) else None
        for name in (owner.team.name, team):
            require_member(turn.actor, name, f"'{owner.name}'")
        owner.team = Team.objects.get(name=team)
        owner.save(update_fields=["team"])
        turn.note_changes(verbs.PIPELINE_CHANGED if agent is None else verbs.AGENT_CHANGED, owner.subject, team=team, agent=agent, fields=fields)
    return fields


def described_by(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What an agent's document says of it for people, and what is judged by that: as its row holds it."""
    day = spec.get("review_by")
    return {
        "accountable": spec.get("accountable") or "",
        "purpose": spec.get("purpose") or "",
        "risk_tier": spec.get("risk_tier") or "",
        "data_classes": list(spec.get("data_classes") or []),
        "review_by": date.fromisoformat(day) if day else None,
    }


def before_it(agent: Agent, live: Mapping[str, Any], target: Mapping[str, Any]) -> Mapping[str, Any]:
    """What putting the target in force is held against: the published spec; where people decide, what holds of the agent."""
    ruled = agent.team.publishing or Team.objects.filter(name=target["team"]).exclude(publishing="").exists()
    return as_it_holds(agent, live) if ruled else live


def as_it_holds(agent: Agent, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The published spec with what was said of the agent since, where that held at once."""
    said = {**described_by(spec), "review_by": spec.get("review_by"), "team": spec["team"], "role": spec["role"]}
    return {**spec, **{key: value for key, value in agent.live_values().items() if value != said[key]}}


def _describe(turn: Turn, agent: Agent, spec: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Where people decide what is published, these too are the published version's."""
    values = described_by(spec)
    before = agent.live_values()
    for name, value in values.items():
        setattr(agent, name, value)
    fields = compare(before, agent.live_values())
    if fields:
        agent.save(update_fields=list(values))
        turn.note_changes(verbs.AGENT_CHANGED, agent.subject, team=agent.team.name, agent=agent.name, fields=fields)
    return fields


def _cast(turn: Turn, agent: Agent, role: str) -> tuple[FieldChange, ...]:
    fields = compare({"role": str(agent.role)}, {"role": role})
    if fields:
        agent.role = role
        agent.save(update_fields=["role"])
        turn.note_changes(verbs.AGENT_CHANGED, agent.subject, team=agent.team.name, agent=agent.name, fields=fields)
    return fields


def _set_pace(turn: Turn, agent: Agent, pace: dict[str, Any]) -> tuple[FieldChange, ...]:
    before = agent.pace
    if before == pace:
        return ()
    agent.pace = pace
    agent.save(update_fields=["pace"])
    turn.note(verbs.AGENT_PACED, agent.subject, team=agent.team.name, agent=agent.name, facts={"before": before, "now": pace})
    return compare(before, pace)


def permit_team(turn: Turn, team: Team, permissions: list[str]) -> tuple[FieldChange, ...]:
    """What every agent of the team may, from now on; returns what that changed."""
    fields = _granted(turn, verbs.TEAM_PERMITTED, team, permissions, team=team.name)
    if fields:
        turn.touched.add(team.name)
    return fields


def observe_team(turn: Turn, team: Team, *, observe: bool) -> tuple[FieldChange, ...]:
    """Whether what its agents would be refused for want of a permission is only recorded, from now on; returns what that changed."""
    fields = compare({"observe": team.observe}, {"observe": observe})
    if fields:
        team.observe = observe
        team.save(update_fields=["observe"])
        turn.touched.add(team.name)
        turn.note(verbs.TEAM_OBSERVED, team.subject, team=team.name, facts={"observe": observe})
    return fields


def bound_runs(turn: Turn, pipeline: Pipeline, spec: dict[str, Any]) -> tuple[FieldChange, ...]:
    """Whose the pipeline is, and what its runs may do at all, from now on, also those at work; None where its version says nothing of that."""
    said = spec.get("permissions")
    moved = _move(turn, pipeline, spec["team"])
    return moved + _granted(turn, verbs.PIPELINE_PERMITTED, pipeline, None if said is None else list(said), team=pipeline.team.name)


def _permit(turn: Turn, agent: Agent, permissions: list[str]) -> tuple[FieldChange, ...]:
    return _granted(turn, verbs.AGENT_PERMITTED, agent, permissions, team=agent.team.name, agent=agent.name)


def _granted(
    turn: Turn, verb: Verb, row: Agent | Team | Pipeline, permissions: list[str] | None, **whose: str
) -> tuple[FieldChange, ...]:  # fmt: skip
    before = None if row.permissions is None else list(row.permissions)
    if before == permissions:
        return ()
    row.permissions = permissions
    row.save(update_fields=["permissions"])
    had, has = set(before or ()), set(permissions or ())
    moved = {"granted": [rule for rule in permissions or () if rule not in had], "withdrawn": [rule for rule in before or () if rule not in has]}
    facts = {**{what: len(rules) for what, rules in moved.items()}, "digest": digest(permissions)}
    deeds.note_granted(turn, row.subject, moved["granted"], moved["withdrawn"])
    turn.note(verb, row.subject, facts=facts, openings={"permissions": moved}, **whose)
    return (FieldChange("permissions", before, permissions),)
