"""Teams, aliases, agents and pipelines as rows: creates them, and moves the values that are live and never pinned.

Runs inside a Turn; every row that is written has its entry. Knows nothing of versions' content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from agents.errors import NotGranted
from agents.models import Agent, ModelAlias, Pipeline, Team
from agents.spec import Document
from audit.actors import Actor
from audit.ledger import Verb

from . import pricing, verbs, versions
from .changes import Change, FieldChange, compare
from .enforcing import bound_runs, described_by, observe_team, permit_team, put_in_force
from .writing import Turn, require_member

RULED: Final = ("publishing", "resuming")
"""By which policies people decide what a team does."""
_LIVE_OF_TEAM: Final = ("verbs", "resources", "notices")
Owned = TypeVar("Owned", Agent, Pipeline, ModelAlias)


def write_team(turn: Turn, document: Document, *, publish: bool) -> Change:
    """Create or change a team; who belongs to it is not said in files. What it grants to its agents, and by which policies people decide, moves
    only with `publish`: with what makes these be in force."""
    require_member(turn.actor, document.name, f"team '{document.name}'")
    live = (*_LIVE_OF_TEAM, *(RULED if publish else ()))
    words: dict[str, Any] = {key: document.spec[key] for key in live if key in document.spec}
    values: dict[str, Any] = {"accountable": document.spec["accountable"] or "", **words}
    team, created = Team.objects.get_or_create(name=document.name, defaults={**values, "created_at": turn.now})
    _require_trusted_notices(turn.actor, document, [] if created else team.notices)
    standing = {key: getattr(team, key) for key in RULED} if not created else {}
    _require_trusted_rules(turn.actor, document.name, standing, {key: words[key] for key in RULED if key in words})
    if created:
        turn.note(verbs.TEAM_CREATED, team.subject, team=team.name, openings={"changes": values})
    fields = () if created else compare({key: getattr(team, key) for key in values}, values)
    if fields:
        for key, value in values.items():
            setattr(team, key, value)
        team.save(update_fields=list(values))
        turn.note_changes(verbs.TEAM_CHANGED, team.subject, team=team.name, agent=None, fields=fields)
    if publish and "permissions" in document.spec:
        fields += permit_team(turn, team, document.spec["permissions"])
    if publish and "observe" in document.spec:
        fields += observe_team(turn, team, observe=document.spec["observe"])
    return Change("team", document.name, "created" if created else "changed" if fields else "unchanged", fields=() if created else fields)


def rule_team(turn: Turn, team: Team, rules: Mapping[str, str]) -> None:
    """By which policies people decide what it does, from now on. NotGranted."""
    before = {key: getattr(team, key) for key in rules}
    _require_trusted_rules(turn.actor, team.name, before, rules)
    for key, name in rules.items():
        setattr(team, key, name)
    team.save(update_fields=list(rules))
    turn.note_changes(verbs.TEAM_CHANGED, team.subject, team=team.name, agent=None, fields=compare(before, rules))


def write_alias(turn: Turn, document: Document, team: Team) -> Change:
    """Create or change a model alias; a secret is only ever named."""
    said = document.spec
    values = {
        "provider": said["provider"],
        "model": said["model"],
        "endpoint": said["endpoint"] or "",
        "secret_ref": said["secret_ref"] or "",
    }
    row = ModelAlias.objects.select_related("team").filter(name=document.name).first()
    if row is None or {**row.live_values(), **values} != row.live_values():
        _require_trusted(turn.actor, document)
    _, fields, created = _write(turn, ModelAlias, row, document, team, values, (verbs.ALIAS_CREATED, verbs.ALIAS_CHANGED))
    pricing.ensure(turn, said["provider"], said["model"], team=team.name)
    action = "created" if created else "changed" if fields else "unchanged"
    return Change("model", document.name, action, fields=fields)


def _require_trusted(actor: Actor, document: Document) -> None:
    """An alias says which secret of the installation is sent to which server: a team's people could have any of them sent to their own."""
    if actor.administers or (document.spec["provider"] == "scripted" and not document.spec["secret_ref"]):
        return
    message = f"model alias '{document.name}' says where a secret of this installation is sent, so only an administrator may write or change it"
    raise NotGranted(f"{message}: ask one to apply it, or use provider: scripted", team=document.spec["team"])


def _require_trusted_notices(actor: Actor, document: Document, standing: Sequence[Any]) -> None:
    """As with an alias: a webhook says which secret of the installation is used towards which server. To take one out is the team's own."""
    if actor.administers or all(webhook in standing for webhook in document.spec.get("notices", ())):
        return
    message = f"a webhook of team '{document.name}' says which secret of this installation is used, and where, so only an administrator may write one"
    raise NotGranted(f"{message}: ask one to apply it, or leave `notices` as it is", team=document.name)


def _require_trusted_rules(actor: Actor, team: str, before: Mapping[str, str], said: Mapping[str, str]) -> None:
    """By which policy people decide is set by a team itself, and changed or taken out by a person who administers: else it would hold nobody."""
    moved = [key for key, name in said.items() if before.get(key) and before[key] != name]
    if moved and not (actor.administers and actor.kind == "person"):
        who = "only an administrator, as a person, changes it"
        raise NotGranted(f"`{moved[0]}` of team '{team}' says who decides what it may do, so {who}", team=team)


def write_agent(turn: Turn, document: Document, team: Team) -> tuple[Agent, bool, tuple[FieldChange, ...]]:
    """Create or change an agent's live values. Team, role, permissions and pace are its version's: a publication moves those of a published one.

    Where people decide what is published, so is all that is said of it, and one that never was published is granted nothing.
    """
    said = document.spec
    row = Agent.objects.select_related("team").filter(name=document.name).first()
    in_force = row is not None and versions.published(row) is not None
    values = {**described_by(said), "role": row.role if row is not None else said["role"]}
    if row is not None and in_force:
        require_member(turn.actor, team.name, f"agent '{document.name}'")
        values = {} if row.team.publishing or team.publishing else values
        team = row.team
    agent, fields, created = _write(turn, Agent, row, document, team, values, (verbs.AGENT_CREATED, verbs.AGENT_CHANGED))
    if in_force:
        return agent, created, fields
    return agent, created, fields + put_in_force(turn, agent, {**said, "permissions": []} if team.publishing else said)


def write_pipeline(turn: Turn, document: Document, team: Team) -> tuple[Pipeline, bool, tuple[FieldChange, ...]]:
    """Create or change a pipeline's live values. Its team, and what it lets its runs do, are its version's, as an agent's permissions are."""
    values = {"accountable": document.spec.get("accountable") or "", "purpose": document.spec.get("purpose") or ""}
    row = Pipeline.objects.select_related("team").filter(name=document.name).first()
    in_force = row is not None and versions.published(row) is not None
    if row is not None and in_force:
        require_member(turn.actor, team.name, f"pipeline '{document.name}'")
        team = row.team
    pipeline, fields, created = _write(turn, Pipeline, row, document, team, values, (verbs.PIPELINE_CREATED, verbs.PIPELINE_CHANGED))
    return pipeline, created, fields if in_force else fields + bound_runs(turn, pipeline, document.spec)


def refuse_taken(actor: Actor, document: Document, team: str) -> None:
    """NotGranted for the name of something of a team that isn't shown to the actor: neither what it is nor whose is said."""
    if not (actor.sees_everything or actor.may_change(team) or team in actor.sees):
        raise NotGranted(f"{document.file}: {document.kind} '{document.name}': this name is taken; choose another")


def _write(
    turn: Turn,
    model: type[Owned],
    row: Owned | None,
    document: Document,
    team: Team,
    values: Mapping[str, Any],
    told: tuple[Verb, Verb],
) -> tuple[Owned, tuple[FieldChange, ...], bool]:
    what = f"{document.kind} '{document.name}'"
    require_member(turn.actor, team.name, what)
    agent = document.name if document.kind == "agent" else None
    if row is None:
        row = model(name=document.name, team=team, created_at=turn.now, **values)
        row.save(force_insert=True)
        turn.note(told[0], row.subject, team=team.name, agent=agent, openings={"changes": row.live_values()})
        return row, (), True
    before = row.live_values()
    refuse_taken(turn.actor, document, before["team"])
    require_member(turn.actor, before["team"], what)  # nobody takes over what another team owns
    for name, value in {**values, "team": team}.items():
        setattr(row, name, value)
    fields = compare(before, row.live_values())
    if fields:
        row.save(update_fields=[*values, "team"])
        turn.note_changes(told[1], row.subject, team=team.name, agent=agent, fields=fields)
    return row, fields, False
