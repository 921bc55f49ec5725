"""Granting and withdrawing permissions of what is stored already: of an agent, which gets a version for it, or of a team.

The same rules as for files that are applied, held against rows. They hold from now on, also for runs at work. Called by the permit command,
the admin and the API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from agents.errors import NotPublishable
from agents.models import Agent, Proposal, ProposalKind, Team, Version, VersionState
from agents.spec import Document, Problem
from agents.spec.fields import Fields, Page
from agents.spec.permissions import MAX_PERMISSIONS, conditions_of, read_permissions
from audit import clock
from audit.actors import Actor
from audit.errors import Conflict, Invalid, OrchestraError
from audit.visible import named, visible

from . import policies, publishing, versions, withdrawing
from .deeds import note_made_from
from .enforcing import permit_team, put_in_force
from .locking import inventory_held
from .owners import owner_of_kind, require_in_use
from .people import team_named
from .preparing import prepare_stored, uncompiled
from .proposed import item_of_grants, permit_deed, publish_deed
from .proposing import Asked, Proposed, put
from .registered import unregistered
from .ruling import Asks, Ruling, done_or_asked
from .writing import Turn, record_refusal, require_credential, require_member

FILE: Final = "permissions"
"""What problems name in the place of a file; its lines are those that were given."""
MOST_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Permitted:
    """What moved. `version` is the agent's new one; `denied` are sentences for what runs and is refused from now on; `now` is all that it has."""

    holder: str
    granted: tuple[str, ...]
    withdrawn: tuple[str, ...]
    version: int | None
    denied: tuple[str, ...]
    now: tuple[str, ...]
    asks: str | None = None
    """Of a dry run: the policy by which people would have to say yes to it first."""

    def as_record(self) -> dict[str, Any]:
        said = {"granted": list(self.granted), "withdrawn": list(self.withdrawn), "denied": list(self.denied), "permissions": list(self.now)}
        return {"holder": self.holder, "version": self.version, "asks": self.asks, **said}


class _Undo(Exception):
    """A dry run ends here."""


def permit(
    kind: type[Agent] | type[Team], name: str, *, grant: Sequence[str] = (), withdraw: Sequence[str] = (), actor: Actor,
    now: datetime | None = None, dry_run: bool = False,
) -> Permitted:  # fmt: skip
    """Permissions as files write them, `allow read feed:metrics`; those that are withdrawn as they stand, first.

    UnknownAgent, UnknownTeam, NotGranted, Retired, Invalid (nothing, or too much, is asked for), NotPublishable with every problem, Conflict (it
    holds already, or isn't there, or is said twice; or people decide what an agent is granted that was never published). Each is an entry. A draft
    that waits stays as it is, and says its own permissions. With `dry_run` nothing is written, and what would be is returned. Proposed where the
    team has people decide what it grants.
    """
    said: list[Permitted | Proposal] = []
    try:
        withdraw = [text.strip() for text in withdraw]
        _refuse_odd(grant, withdraw)
        _refuse_strangers(kind, name, actor)
        new = _read(grant, name)
        with inventory_held():
            require_credential(actor, now)
            turn = Turn(actor, now or clock.now())
            if kind is Agent:
                agent = owner_of_kind(name, actor, Agent)
                assert isinstance(agent, Agent)
                said.append(_of_agent(turn, agent, new, withdraw, ask=not dry_run))
            else:
                team = team_named(name, Team.objects.select_for_update(no_key=True).visible_to(actor))
                said.append(_of_team(turn, team, new, withdraw, ask=not dry_run))
            turn.close()
            if dry_run:
                raise _Undo
    except _Undo:
        pass
    except OrchestraError as error:
        problems = error.details.get("problems") or [error.message]
        if not dry_run:
            subject = named("agent" if kind is Agent else "team", name)
            record_refusal(actor, subject, now=now, problems=problems, facts={"code": error.code, "publish": True})
        raise
    if isinstance(said[0], Proposal):
        raise Proposed(said[0])
    return said[0]


def _refuse_odd(grant: Sequence[str], withdraw: Sequence[str]) -> None:
    if not 0 < len(grant) + len(withdraw) <= MOST_AT_ONCE:
        raise Invalid(f"say what to grant or to withdraw: 1 to {MOST_AT_ONCE} permissions at once ({len(grant) + len(withdraw)} given)")


def _refuse_strangers(kind: type[Agent] | type[Team], name: str, actor: Actor) -> None:
    """Before a child looks at what is granted. It is looked at again under the lock."""
    if kind is Agent:
        agent = owner_of_kind(name, actor, Agent, lock=False)
        require_member(actor, agent.team.name, f"agent '{agent.name}'")
    else:
        require_member(actor, team_named(name, Team.objects.visible_to(actor)).name, f"team '{name}'")


def why_not_permitted(agent: Agent) -> str | None:
    """Why nothing is granted to an agent, nor withdrawn from it, but by its file."""
    if not agent.team.publishing or versions.published(agent) is not None:
        return None
    asks = f"agent '{agent.name}' was never published, and people of team '{agent.team.name}' say yes to what its agents are granted"
    return f"{asks}: publish it first, or write its permissions in its file, which are granted as it is published"


def _of_agent(turn: Turn, agent: Agent, new: Sequence[str], withdraw: Sequence[str], *, ask: bool) -> Permitted | Proposal:
    require_member(turn.actor, agent.team.name, f"agent '{agent.name}'")
    require_in_use(agent)
    before = versions.published(agent) or versions.newest(agent)
    assert before is not None  # an agent is created together with its first version
    if why := why_not_permitted(agent):
        raise Conflict(why)
    spec = {**before.spec, "permissions": _moved(before.spec["permissions"], new, withdraw, f"agent '{agent.name}'", agent.team)}
    denied = _judged("agent", agent.name, spec, new, turn)
    if before.state != VersionState.PUBLISHED:
        version, _, _ = versions.draft(turn, agent, spec, code=before.artifact)
        put_in_force(turn, agent, spec)
        note_made_from(turn, version, before)
        return Permitted(agent.subject, tuple(new), tuple(withdraw), version.number, denied, tuple(spec["permissions"]))
    version = versions.beside(turn, agent, spec, code=before.artifact)
    note_made_from(turn, version, before)
    done = done_or_asked(turn, Ruling.now(), lambda tried: versions.publish(tried, version))
    if isinstance(done, Asks) and ask:
        agent, version = Agent.objects.select_related("team").get(pk=agent.pk), Version.objects.select_related("agent__team").get(pk=version.pk)
        shown = (publishing.agent_item(agent, version, publishing.only_of(done.team)),)
        deed = publish_deed(agent, version.number, version.digest)
        return put(turn, Asked(ProposalKind.PUBLISH, done, (deed,), frozenset({agent.subject}), shown))
    said = done.said if isinstance(done, Asks) else None
    return Permitted(agent.subject, tuple(new), tuple(withdraw), version.number, denied, tuple(spec["permissions"]), said)


def _of_team(turn: Turn, team: Team, new: Sequence[str], withdraw: Sequence[str], *, ask: bool) -> Permitted | Proposal:
    require_member(turn.actor, team.name, f"team '{team.name}'")
    spec: dict[str, Any] = {"permissions": _moved(team.permissions, new, withdraw, f"team '{team.name}'", None)}
    denied = _judged("team", team.name, spec, new, turn)
    done = done_or_asked(turn, Ruling.now(), lambda tried: permit_team(tried, team, spec["permissions"]))
    if isinstance(done, Asks) and ask:
        team = Team.objects.get(pk=team.pk)
        told = _denied("team", team.name, spec, publishing.only_of(team), turn.now)
        shown = (item_of_grants(team, spec["permissions"], None, told),)
        deed = permit_deed(team, spec["permissions"], None)
        return put(turn, Asked(ProposalKind.PUBLISH, done, (deed,), frozenset({team.subject}), shown))
    said = done.said if isinstance(done, Asks) else None
    return Permitted(team.subject, tuple(new), tuple(withdraw), None, denied, tuple(spec["permissions"]), said)


def _read(grant: Sequence[str], holder: str) -> list[str]:
    """Each in its canonical form. NotPublishable."""
    page = Page(FILE, {("permissions", index): index + 1 for index in range(len(grant))})
    new = read_permissions(Fields(page, {"permissions": list(grant)}, raw=(), spec=(), what=f"what is granted to '{holder}'"))
    problems = page.problems or uncompiled({index + 1: when for index, when in conditions_of({"permissions": new})}, FILE)
    if problems:
        raise _refused(holder, problems)
    return new


def _moved(before: Sequence[str], new: Sequence[str], withdraw: Sequence[str], holder: str, team: Team | None) -> list[str]:
    """What is there then. Conflict, Invalid."""
    for text in withdraw:
        if text in new or withdraw.count(text) > 1:
            raise Conflict(
                f"permission {visible(text, 200)!r} is {'granted and withdrawn' if text in new else 'withdrawn twice'} at once; say it once"
            )
        if text not in before:
            of_team = f"; it is its team's: withdraw it from team '{team.name}'" if team is not None and text in team.permissions else ""
            raise Conflict(f"{holder} has no permission {visible(text, 200)!r}{of_team}")
    stay = [rule for rule in before if rule not in withdraw]
    twice = next((rule for index, rule in enumerate(new) if rule in new[:index] or rule in stay), None)
    if twice is not None:
        raise Conflict(f"{holder} has the permission {visible(twice, 200)!r} already")
    if len(stay) + len(new) > MAX_PERMISSIONS:
        raise Invalid(f"{holder} would have more than {MAX_PERMISSIONS} permissions; write a * at the end of what belongs together")
    return [*stay, *new]


def _judged(kind: str, name: str, spec: Mapping[str, Any], new: Sequence[str], turn: Turn) -> tuple[str, ...]:
    """What would be refused from now on. NotPublishable with every problem of what is new: whatever stands there may stay, and go."""
    added = Document(kind, name, FILE, 0, {**spec, "permissions": list(new)}, {("permissions", index): index + 1 for index in range(len(new))})
    prepared = prepare_stored(added)
    said = [*prepared.problems, *unregistered(prepared), *policies.policy_problems(prepared, turn.actor)] if new else []
    if found := [problem for problem in said if problem.line]:
        raise _refused(name, found)
    return _denied(kind, name, spec, turn.actor, turn.now)


def _denied(kind: str, name: str, spec: Mapping[str, Any], told: Actor, now: datetime) -> tuple[str, ...]:
    held = withdrawing.held_once_published(prepare_stored(Document(kind, name, FILE, 0, dict(spec))))
    return tuple(withdrawing.left_without(held, apart_from=(), actor=told, now=now))


def _refused(holder: str, problems: Sequence[Problem]) -> NotPublishable:
    many = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
    listed = sorted(problems, key=lambda problem: problem.line)
    return NotPublishable(f"{visible(holder, 80)}: {many} with what is granted; nothing was written", problems=listed)
