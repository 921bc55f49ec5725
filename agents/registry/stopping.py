"""Stops: setting one and lifting it, for anything that has a name. Live, so each holds for runs at work and for every release, old or new.

Suspending an agent is the stop of that agent. Whoever may change a thing lifts its stop; more people may set one. Nothing here looks at runs.
Called by doors and by runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from agents import stops
from agents.errors import NoSuchVersion, UnknownAgent, UnknownAlias, UnknownPipeline, UnknownStop, UnknownTeam, UnknownTool
from agents.models import Agent, ModelAlias, Pipeline, Proposal, ProposalKind, Scope, Standing, Stop, StopChange, Team
from agents.spec.inventory import TOOLS
from audit import clock, reports
from audit.actors import Actor
from audit.errors import Conflict, Invalid, OrchestraError
from audit.visible import named, visible

from . import verbs
from .lapses import refuse_lapsed
from .locking import inventory_held
from .owners import owner_named
from .proposed import item_of_stop, resume_deed
from .proposing import Asked, Proposed, put
from .releases import nearest
from .ruling import Ruling
from .versions import published
from .writing import Turn, reason_given, record_refusal, require, require_administrator, require_credential

NOBODYS: Final = frozenset({Scope.EVERYTHING, Scope.TOOL})
"""What is no team's own: who administers the installation lets it go on, and whoever stops things of every team may stop it too."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be stopped or let go on: a scope, the name in it, whose it is, and the agent's row, locked, where it is one."""

    scope: Scope
    name: str
    team: Team | None = None
    agent: Agent | None = None

    @property
    def subject(self) -> str:
        return f"{self.scope}:{self.name}" if self.name else str(self.scope)

    @property
    def what(self) -> str:
        return stops.what(self.subject)


class AnotherNow(Exception):
    """An agent is another one than it was judged as; nothing is done, and nothing has been refused."""


def stop(
    scope: str,
    name: str = "",
    *,
    actor: Actor,
    reason: str,
    now: datetime | None = None,
    team_of_run: str | None = None,
    only_if: Callable[[Agent], bool] | None = None,
) -> Stop:
    """From now on nothing in its scope is sent, and nothing of it begins. `team_of_run`: whose a run is, for whoever found it.

    Invalid (the scope, the reason), Unknown… where nothing has that name, NotGranted, Conflict (stopped already, or an agent that is retired).
    AnotherNow where `only_if`, which looks at an agent once more under its lock, says no.
    """
    with refused_stops(scope, name, actor=actor, now=now, asked="stop"), transaction.atomic(durable=True):
        target = found(scope, name, actor=actor, team_of_run=team_of_run)
        turn = _turn(target, actor, now, sets=True)
        if only_if is not None and target.agent is not None and not only_if(target.agent):
            raise AnotherNow
        made = _set(turn, target, reason)
        turn.close()
    return made


def lift(of: str, *, actor: Actor, now: datetime | None = None) -> Stop:
    """The stop with this id is over. UnknownStop, NotGranted, Conflict (lifted already); Proposed where its team has people decide."""
    with refused_stops("stop", of, actor=actor, now=now, asked="lift"), inventory_held():
        require_credential(actor, now)
        row = stop_shown(of, actor=actor)
        target = _target_of(row, actor)
        turn = _turn(target, actor, now)
        row.refresh_from_db()
        if row.lifted_at is not None:
            raise Conflict(f"the stop of {target.what} was lifted by {row.lifted_by} at {clock.to_text(row.lifted_at)}; nothing is left to lift")
        proposal = _lift_or_ask(turn, target, row)
        turn.close()
    if proposal is not None:
        raise Proposed(proposal)
    return row


def lift_named(scope: str, name: str = "", *, actor: Actor, now: datetime | None = None) -> Stop | None:
    """The same for the stop that something is under. Conflict where it is under none of its own. None: an agent's, of before there were stops."""
    with refused_stops(scope, name, actor=actor, now=now, asked="lift"), inventory_held():
        require_credential(actor, now)
        target, row = _stopped(scope, name, actor)
        turn = _turn(target, actor, now)
        proposal = _lift_or_ask(turn, target, row)
        turn.close()
    if proposal is not None:
        raise Proposed(proposal)
    return row


def _stopped(scope: str, name: str, actor: Actor) -> tuple[Target, Stop | None]:
    target = found(scope, name, actor=actor) if scope != Scope.RUN else _target_of(_of_run(name, actor), actor)
    row = Stop.objects.in_force().select_related("team").filter(scope=target.scope, name=target.name).first()
    if row is None and target.agent is None:
        raise Conflict(f"there is no stop of {target.what} in force, so there is nothing to lift; `manage.py stops` names those that are")
    return target, row


def _lift_or_ask(turn: Turn, target: Target, row: Stop | None) -> Proposal | None:
    """Where a team has people decide whether what was stopped goes on, they are asked instead: the one whose it was then, and the one whose it is."""
    asks = Ruling.now().asks_to_resume(_whose(target, row))
    if asks is None:
        _lift(turn, target, row)
        return None
    if target.agent is not None and target.agent.state != Standing.SUSPENDED:
        raise Conflict(f"agent '{target.name}' is not suspended but {target.agent.state}, so there is nothing to resume")
    deeds = (resume_deed(row, str(target.scope), target.name, target.what),)
    return put(turn, Asked(ProposalKind.RESUME, asks, deeds, frozenset({target.subject}), (item_of_stop(target.subject, target.team),)))


def teams_of_stop(row: Stop) -> list[Team]:
    """Those that may have people decide whether what was stopped goes on."""
    return [team for team in _whose(Target(Scope(row.scope), row.name), row) if team is not None]


def _whose(target: Target, row: Stop | None) -> list[Team | None]:
    return [target.team, *_owners(target), None if row is None else row.team]


def _owners(target: Target) -> list[Team]:
    """Of what may have moved since it was stopped."""
    name = target.name.rpartition("@")[0] if target.scope == Scope.VERSION else target.name
    models: Mapping[str, Sequence[type[Agent] | type[Pipeline] | type[ModelAlias]]] = {
        Scope.AGENT: (Agent,), Scope.PIPELINE: (Pipeline,), Scope.VERSION: (Agent, Pipeline), Scope.ALIAS: (ModelAlias,),
    }  # fmt: skip
    teams = [pk for model in models.get(target.scope, ()) for pk in model.objects.filter(name=name).values_list("team", flat=True)]
    return list(Team.objects.filter(pk__in=teams))


def carry_out_lift(turn: Turn, scope: str, name: str, of: str | None) -> list[Team | None]:
    """In the caller's transaction, with the inventory held: what people have said yes to. Whose it is. Conflict where it is lifted already."""
    target, row = _stopped(scope, name, turn.actor)
    if row is not None and str(row.pk) != of:
        raise Conflict(f"{target.what} was stopped once more since this was proposed")
    if row is None and of is not None:
        raise Conflict(f"the stop of {target.what} is lifted already")
    if target.team is not None:
        require(turn.actor.may_change(target.team.name), turn.actor, target.team.name, target.what)
    stops.hold()
    _lift(turn, target, row)
    return _whose(target, row)


def stop_shown(of: str, *, actor: Actor) -> Stop:
    """A stop by its id, also one that was lifted. UnknownStop."""
    try:
        return Stop.objects.visible_to(actor).select_related("team").get(id=UUID(of))
    except (ValueError, Stop.DoesNotExist):
        raise UnknownStop(f"there is no stop '{visible(of, 60)}' that you may see; `manage.py stops` lists them") from None


def _of_run(run: str, actor: Actor) -> Stop:
    row = Stop.objects.in_force().visible_to(actor).filter(scope=Scope.RUN, name=run if run.isprintable() else "").first()
    if row is None:
        raise UnknownStop(f"no stop of run '{visible(run, 60)}' is in force; `manage.py stops` names those that are")
    return row


def stops_on(subjects: Collection[str], *, actor: Actor) -> list[tuple[Stop, str]]:
    """The stops in force, as far as this actor may see them, of what these subjects name and of everything, each with its reason."""
    rows = [row for row in Stop.objects.in_force().visible_to(actor).order_by("stopped_at", "id") if row.subject in {*subjects, Scope.EVERYTHING}]
    reasons = reasons_of(rows)
    return [(row, reasons.get(row.id, "")) for row in rows]


def reasons_of(rows: Sequence[Stop]) -> dict[UUID, str]:
    """Why each was set; those are left out of which nobody said, or whose reason was erased."""
    entries = {row.reason_entry: row.id for row in rows if row.reason_entry is not None}
    opened = reports.openings_of(entries) if entries else {}
    return {entries[entry]: str(values["reason"]) for entry, values in opened.items() if "reason" in values}


# --- what is in a scope ----------------------------------------------------------------------------------------------------------------


def found(scope: str, name: str, *, actor: Actor, team_of_run: str | None = None) -> Target:
    """What somebody names, if they may see it. Invalid for what is no scope."""
    if scope not in Scope.values:
        raise Invalid(f"'{visible(scope, 40)}' is nothing that can be stopped; stop one of {', '.join(Scope.values)}")
    wanted = Scope(scope)
    if wanted is Scope.EVERYTHING:
        if name:
            raise Invalid("everything has no name; leave it out, or say what to stop by that name")
        return Target(wanted, "")
    if not name and wanted is not Scope.AGENT:
        raise Invalid(f"name the {stops.WORDS[wanted]} to be stopped")
    return _named(wanted, name, actor, team_of_run)


def _named(scope: Scope, name: str, actor: Actor, team_of_run: str | None) -> Target:
    match scope:
        case Scope.TOOL:
            if name not in TOOLS:
                raise UnknownTool(f"there is no tool '{visible(name, 80)}'; there is {', '.join(TOOLS)}")
            return Target(scope, name)
        case Scope.TEAM:
            return Target(scope, name, _row(Team, name, actor, UnknownTeam))
        case Scope.PIPELINE:
            return Target(scope, name, _row(Pipeline, name, actor, UnknownPipeline).team)
        case Scope.ALIAS:
            return Target(scope, name, _row(ModelAlias, name, actor, UnknownAlias).team)
        case Scope.VERSION:
            return _version(name, actor)
        case Scope.RUN:
            return Target(scope, name, None if team_of_run is None else Team.objects.get(name=team_of_run))
    agent = _agent(name, actor)
    return Target(scope, name, agent.team, agent)


def _row(model: Any, name: str, actor: Actor, unknown: type[OrchestraError]) -> Any:
    rows = model.objects.visible_to(actor)
    row = rows.filter(name=name).first() if name.isprintable() else None
    if row is None:
        word = model._meta.verbose_name  # noqa: SLF001 - Django's documented way to it
        raise unknown(f"there is no {word} '{visible(name, 80)}'{nearest(name, rows.values_list('name', flat=True))}", name=name[:80])
    return row


def _agent(name: str, actor: Actor) -> Agent:
    """Locked, so that a publication at this moment comes before or after."""
    visible_agents = Agent.objects.visible_to(actor)
    rows = visible_agents.select_for_update(of=("self",)).select_related("team").filter(name=name)
    agent = rows.first() if name.isprintable() else None  # a database refuses some of what a terminal lets through
    if agent is None:
        raise UnknownAgent(f"there is no agent '{name[:80]}'{nearest(name, visible_agents.values_list('name', flat=True))}", agent=name[:80])
    return agent


def _version(name: str, actor: Actor) -> Target:
    owner, _, number = name.rpartition("@")
    if not owner or not number.isascii() or not number.isdigit() or len(number) > 9:
        raise Invalid(f"'{visible(name, 80)}' names no version; write it as NAME@NUMBER, such as reader@3")
    row = owner_named(owner, actor, lock=False)
    if not row.versions.filter(number=int(number)).exists():
        raise NoSuchVersion(f"'{row.name}' has no version {int(number)}")
    return Target(Scope.VERSION, f"{row.name}@{int(number)}", row.team)


def _target_of(row: Stop, actor: Actor) -> Target:
    agent = _agent(row.name, actor) if row.scope == Scope.AGENT else None
    return Target(Scope(row.scope), row.name, row.team if agent is None else agent.team, agent)


# --- in one transaction ----------------------------------------------------------------------------------------------------------------


def set_of_agent(turn: Turn, agent: Agent) -> None:
    """An agent that comes back from retirement is stopped until somebody lets it work. Its state says so already; its row is locked."""
    stops.hold()
    _write(turn, Target(Scope.AGENT, agent.name, agent.team, agent), reason_entry=None)


def lift_of_agent(turn: Turn, agent: Agent) -> None:
    """Retired, it does nothing any more: a stop of it has nothing to hold. Its row is locked."""
    for row in Stop.objects.in_force().filter(scope=Scope.AGENT, name=agent.name):
        stops.hold()
        _end(turn, row)


def _turn(target: Target, actor: Actor, now: datetime | None, *, sets: bool = False) -> Turn:
    """Whoever writes just now that something is sent has written it; the instant comes after that. NotGranted."""
    if target.team is not None:
        team = target.team.name
        require(actor.may_suspend(team) if sets else actor.may_change(team), actor, team, target.what)
    elif not (sets and target.scope in NOBODYS and actor.stops_everything):
        who = "only who administers the installation lets it go on, and whoever has the role compliance may also stop it"
        require_administrator(actor, f"{target.what} is no team's own: {who}")
    stops.hold()
    return Turn(actor, now or clock.now())


def _set(turn: Turn, target: Target, reason: str) -> Stop:
    said = reason_given(reason, f"a {'suspension' if target.agent else 'stop'} needs a reason", "whoever finds it stopped will ask for it")
    openings = {"reason": said}
    if target.agent is not None:
        if not Agent.objects.filter(pk=target.agent.pk).suspend():
            raise Conflict(_why_not_suspended(target.agent))
        turn.note(
            verbs.AGENT_SUSPENDED, target.subject, team=_team(target), agent=target.name, facts={"was": str(target.agent.state)}, openings=openings
        )
    else:
        _refuse_twice(target)
        turn.note(verbs.STOP_SET, target.subject, team=_team(target), facts={"scope": str(target.scope)}, openings=openings)
    return _write(turn, target, reason_entry=turn.drafts[-1].id)


def _write(turn: Turn, target: Target, *, reason_entry: UUID | None) -> Stop:
    """The row, and the next generation. The lock is held."""
    by = f"{turn.actor.kind}:{turn.actor.id}"
    made = Stop.objects.create(scope=target.scope, name=target.name, team=target.team, stopped_at=turn.now, stopped_by=by, reason_entry=reason_entry)
    StopChange.objects.create(stop=made)
    return made


def _lift(turn: Turn, target: Target, row: Stop | None) -> None:
    if target.agent is not None:
        _resume(turn, target.agent)
    elif row is not None:
        facts = {"scope": str(target.scope), "since": clock.to_text(row.stopped_at)}
        turn.note(verbs.STOP_LIFTED, target.subject, team=_team(target), facts=facts)
    if row is not None:
        _end(turn, row)


def _end(turn: Turn, row: Stop) -> None:
    """The row says so, and the next generation. The lock is held."""
    row.lifted_at, row.lifted_by = turn.now, f"{turn.actor.kind}:{turn.actor.id}"
    row.save(update_fields=["lifted_at", "lifted_by"])
    StopChange.objects.create(stop=row)


def _resume(turn: Turn, agent: Agent) -> None:
    refuse_lapsed(agent, turn.now)
    state = Standing.DRAFT if published(agent) is None else Standing.ACTIVE
    if not Agent.objects.filter(pk=agent.pk).resume(state):
        raise Conflict(f"agent '{agent.name}' is not suspended but {agent.state}, so there is nothing to resume")
    turn.note(verbs.AGENT_RESUMED, agent.subject, team=agent.team.name, agent=agent.name, facts={"state": str(state)})


def _refuse_twice(target: Target) -> None:
    row = Stop.objects.in_force().filter(scope=target.scope, name=target.name).first()
    if row is not None:
        raise Conflict(f"{target.what} has been stopped since {clock.to_text(row.stopped_at)} by {row.stopped_by} (stop {row.id})")


def _why_not_suspended(agent: Agent) -> str:
    if agent.state == Standing.SUSPENDED:
        return f"agent '{agent.name}' is suspended already; `manage.py resume {agent.name}` lets it work again"
    return f"agent '{agent.name}' is {agent.state} and doesn't work anyway"


def _team(target: Target) -> str | None:
    return None if target.team is None else target.team.name


@contextmanager
def refused_stops(scope: str, name: str, *, actor: Actor, now: datetime | None = None, asked: str = "stop") -> Iterator[None]:
    """Whatever is refused is an entry too, after the rollback. For others only around finding what is to be stopped: `stop` records its own."""
    try:
        yield
    except OrchestraError as error:
        of_agent = scope == Scope.AGENT
        verb, asked = (verbs.AGENT_REFUSED, {"stop": "suspend", "lift": "resume"}[asked]) if of_agent else (verbs.STOP_REFUSED, asked)
        subject = str(scope) if scope == Scope.EVERYTHING else named(scope if scope in (*Scope.values, "stop") else "stop", name)
        record_refusal(actor, subject, now=now, problems=[error.message], facts={"code": error.code, "asked": asked}, verb=verb)
        raise
