"""The inventory's rows and what its use-cases return, as JSON. Values in, values out; no rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from agents.models import Agent, AgentNotice, ModelAlias, Pipeline, Release, Team, Version
from agents.registry import Applied, CodeChange, FieldChange, MadeRelease, Preview, Published, RolledBack, Runs
from audit import clock


def team(row: Team) -> dict[str, Any]:
    kept = ("name", "accountable", "permissions", "observe", "verbs", "resources", "notices")
    return {**{name: getattr(row, name) for name in kept}, "created_at": clock.to_text(row.created_at)}


def agent(row: Agent, today: date) -> dict[str, Any]:
    """Its notices are read with the row, where there are many."""
    kept = {name: getattr(row, name) for name in ("role", "permissions", "risk_tier", "data_classes")}
    due = {"review_by": _day(row.review_by), "review_due_in_days": (row.review_by - today).days if row.review_by else None}
    return {
        **_owned(row),
        **kept,
        "team_permissions": row.team.permissions,
        "observed": row.team.observe,
        **due,
        "notices": [_notice(each) for each in row.ahead],
    }


def _notice(row: AgentNotice) -> dict[str, Any]:
    return {"ground": row.ground, "why": row.why, "suspends_on": row.suspends_on.isoformat()}


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def runs(found: Iterable[Runs]) -> dict[str, int]:
    """The version of an agent that each pipeline runs."""
    return {each.pipeline: each.number for each in found}


def pipeline(row: Pipeline) -> dict[str, Any]:
    return {**_owned(row), "release": row.current_release.digest if row.current_release else None, "permissions": row.permissions}


def shown_pipeline(row: Pipeline, stands: dict[str, int | None]) -> dict[str, Any]:
    manifest = row.current_release.manifest if row.current_release else None
    spec = manifest["pipeline"]["spec"] if manifest else {}
    return {
        **pipeline(row),
        **stands,
        "version": manifest["pipeline"]["version"] if manifest else None,
        "agents": _pins(manifest) if manifest else {},
        "input": spec.get("input"),
        "criteria": spec.get("criteria", {}),
        "limits": spec.get("limits", {}),
    }


def version(row: Version) -> dict[str, Any]:
    return {
        "kind": "agent" if row.agent_id else "pipeline",
        "name": row.owner.name,
        "number": row.number,
        "state": row.state,
        "digest": row.digest,
        "author": row.author,
        "created_at": clock.to_text(row.created_at),
        "published_at": _instant(row.published_at),
        "code": row.artifact_id,
    }


def release(row: Release) -> dict[str, Any]:
    """Without its manifest, which is too long to be read for each row of a list."""
    return {
        "digest": row.digest,
        "pipeline": row.pipeline.name,
        "version": row.version.number,
        "created_at": clock.to_text(row.created_at),
        "published_at": _instant(row.published_at),
        "current": row.pipeline.current_release_id == row.pk,
    }


def shown_release(row: Release) -> dict[str, Any]:
    return {**release(row), "agents": _pins(row.manifest), "manifest": row.manifest}


def alias(row: ModelAlias) -> dict[str, Any]:
    return {"name": row.name, **row.live_values(), "created_at": clock.to_text(row.created_at)}


def preview(told: Preview) -> dict[str, Any]:
    agents = [{"name": pin.name, "running": pin.running, "version": pin.version, "fields": _fields(pin.fields)} for pin in told.pins]
    problems = [str(each) for each in told.problems]
    fields, kept = _fields(told.fields), {"unchanged": told.unchanged, "problems": problems, "seen": told.seen, "denied": list(told.denied)}
    kept["asks"] = told.asks
    return {**_done(told), "fields": fields, "agents": agents, **kept, "code": _code(told.code)}


def published(done: Published) -> dict[str, Any]:
    return {
        **_done(done),
        "agents": dict(done.agents),
        "releases": _releases(done.releases),
        "stay": list(done.stay),
        "stay_elsewhere": done.stay_elsewhere,
        "denied": list(done.denied),
    }


def rolled_back(done: RolledBack) -> dict[str, Any]:
    kept = {"forward": done.forward, "keep": list(done.keep), "elsewhere": done.elsewhere}
    return {**_done(done), "releases": _releases(done.releases), **kept}


def applied(done: Applied) -> dict[str, Any]:
    kept = ("kind", "name", "action", "version", "draft")
    return {
        "dry_run": done.dry_run,
        "publish": done.publish,
        "unchanged": done.unchanged,
        "changes": [
            {**{name: getattr(each, name) for name in kept}, "fields": _fields(each.fields), "notes": list(each.notes)} for each in done.changes
        ],
        "releases": _releases(done.releases),
        "pending": _releases(done.pending),
        "warnings": [str(each) for each in done.warnings],
        "denied": done.denied,
        "hints": done.hints,
        "asks": done.asks,
        "proposal": None if done.proposal is None else str(done.proposal.pk),
        "code": _code(done.code),
    }


def _owned(row: Agent | Pipeline) -> dict[str, Any]:
    kept = ("name", "accountable", "purpose", "state")
    return {**{name: getattr(row, name) for name in kept}, "team": row.team.name, "created_at": clock.to_text(row.created_at)}


def _done(done: Preview | Published | RolledBack) -> dict[str, Any]:
    return {"kind": done.kind, "name": done.name, "from_version": done.from_version, "to_version": done.to_version}


def _fields(fields: Iterable[FieldChange]) -> list[dict[str, Any]]:
    return [{"path": each.path, "old": each.old, "new": each.new} for each in fields]


def _code(changes: Iterable[CodeChange]) -> list[dict[str, Any]]:
    return [asdict(change) for change in changes]


def _releases(made: Iterable[MadeRelease]) -> list[dict[str, Any]]:
    return [
        {"pipeline": each.pipeline, "version": each.version, "digest": each.digest, "agents": dict(each.agents), "instead_of": each.instead_of}
        for each in made
    ]


def _pins(manifest: dict[str, Any]) -> dict[str, int]:
    return {name: each["version"] for name, each in sorted(manifest["agents"].items())}


def _instant(at: datetime | None) -> str | None:
    return None if at is None else clock.to_text(at)
