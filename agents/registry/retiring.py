"""Taking pipelines and agents out of use, and bringing them back. What they did, and their versions, stay for ever.

A retired pipeline starts no runs (those at work go on); a retired agent is sent nothing. Called by the commands, the admin and the API.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from agents.models import Agent, Pipeline, Proposal, ProposalKind, Standing
from audit import clock
from audit.actors import Actor
from audit.errors import Conflict, OrchestraError
from audit.ledger import Verb
from audit.visible import named

from . import verbs
from .composing import of_other_teams, shown, users_of
from .locking import inventory_held
from .owners import owner_of_kind
from .pinning import parents_of
from .proposed import item_of_standing, reinstate_deed
from .proposing import Asked, Proposed, put
from .ruling import Ruling
from .stopping import lift_of_agent, set_of_agent
from .versions import published
from .writing import Turn, reason_given, record_refusal, require_credential, require_member

MAX_NAMED = 5
Kind = type[Agent] | type[Pipeline] | None
"""What a door may find by a name; None for either."""


def retire(name: str, *, actor: Actor, reason: str, now: datetime | None = None, kind: Kind = None) -> Agent | Pipeline:
    """Out of use from now on. UnknownPipeline, NotGranted, Invalid (the reason), Conflict (retired already, or needed); each is an entry."""

    def change(turn: Turn, owner: Agent | Pipeline) -> None:
        said = reason_given(reason, "a retirement needs a reason", "whoever misses it will ask for it")
        _refuse_needed(turn, owner)
        if not type(owner).objects.filter(pk=owner.pk).retire():
            raise Conflict(f"'{owner.name}' is retired already; `manage.py reinstate {owner.name}` brings it back")
        if isinstance(owner, Agent):
            lift_of_agent(turn, owner)
        verb = verbs.AGENT_RETIRED if isinstance(owner, Agent) else verbs.PIPELINE_RETIRED
        _note(turn, verb, owner, facts={"was": str(owner.state)}, openings={"reason": said})

    return _changed(name, actor, now, kind, "retire", change)


def reinstate(name: str, *, actor: Actor, now: datetime | None = None, kind: Kind = None) -> Agent | Pipeline:
    """Back in use: a pipeline active, an agent suspended until somebody resumes it; a draft if it was never published.

    UnknownPipeline, NotGranted, Conflict (not retired, or an agent of the pipeline is); Proposed where its team has people decide what goes on.
    """
    asked = list[Proposal]()

    def change(turn: Turn, owner: Agent | Pipeline) -> None:
        asks = Ruling.now().asks_to_resume([owner.team])
        if asks is None:
            carry_out_reinstatement(turn, owner)
            return
        _refuse_lacking(owner)
        if owner.state != Standing.RETIRED:
            raise Conflict(f"'{owner.name}' is not retired but {owner.state}, so there is nothing to bring back")
        deeds, shown = (reinstate_deed(owner),), (item_of_standing(owner),)
        asked.append(put(turn, Asked(ProposalKind.RESUME, asks, deeds, frozenset({owner.subject}), shown)))

    done = _changed(name, actor, now, kind, "reinstate", change)
    if asked:
        raise Proposed(asked[0])
    return done


def carry_out_reinstatement(turn: Turn, owner: Agent | Pipeline) -> Agent | Pipeline:
    """In the caller's transaction, with the inventory held."""
    require_member(turn.actor, owner.team.name, f"'{owner.name}'")
    _refuse_lacking(owner)
    back = Standing.SUSPENDED if isinstance(owner, Agent) else Standing.ACTIVE  # it may have been suspended when it was retired
    state = Standing.DRAFT if published(owner) is None else back
    if not type(owner).objects.filter(pk=owner.pk).reinstate(state):
        raise Conflict(f"'{owner.name}' is not retired but {owner.state}, so there is nothing to bring back")
    if isinstance(owner, Agent) and state == Standing.SUSPENDED:
        set_of_agent(turn, owner)
    verb = verbs.AGENT_REINSTATED if isinstance(owner, Agent) else verbs.PIPELINE_REINSTATED
    _note(turn, verb, owner, facts={"state": str(state)})
    return owner


def _changed(
    name: str, actor: Actor, now: datetime | None, kind: Kind, what: str, change: Callable[[Turn, Agent | Pipeline], None]
) -> Agent | Pipeline:  # fmt: skip
    subject = named("name", name)
    try:
        with inventory_held():
            require_credential(actor, now)
            owner = owner_of_kind(name, actor, kind)
            subject = owner.subject
            turn = Turn(actor, now or clock.now())
            require_member(actor, owner.team.name, f"'{owner.name}'")
            change(turn, owner)
            turn.close()
            owner.refresh_from_db(fields=["state"])
    except OrchestraError as error:
        record_refusal(actor, subject, now=now, problems=[error.message], facts={"code": error.code, "asked": what}, verb=verbs.AGENT_REFUSED)
        raise
    return owner


def _refuse_needed(turn: Turn, owner: Agent | Pipeline) -> None:
    using_it = users_of([owner.name]) if isinstance(owner, Agent) else parents_of([owner.name])
    seen, others = shown((pipeline for pipeline in using_it[owner.name] if pipeline.state != Standing.RETIRED), turn.actor)
    using = [f"'{name}'" for name in sorted(pipeline.name for pipeline in seen)]
    needing = using[:MAX_NAMED] + (["others"] if len(using) > MAX_NAMED else []) + ([of_other_teams(others)] if others else [])
    if needing:
        what, stop = ("agent", "; to stop it at once, suspend it") if isinstance(owner, Agent) else ("pipeline", "")
        message = f"{what} '{owner.name}' is needed by {' and '.join([', '.join(needing[:-1]), needing[-1]] if needing[1:] else needing)}"
        raise Conflict(f"{message}: publish without it, or retire the pipeline first{stop}")


def _refuse_lacking(owner: Agent | Pipeline) -> None:
    """A pipeline can't come back to agents or pipelines that are out of use."""
    release = owner.current_release if isinstance(owner, Pipeline) else None
    if release is None:
        return
    gone = Agent.objects.filter(name__in=release.manifest["agents"], state=Standing.RETIRED).order_by("name").values_list("name", flat=True)
    if gone:
        raise Conflict(f"'{owner.name}' needs agent {' and '.join(gone[:MAX_NAMED])}, retired meanwhile: reinstate that first")
    below = Pipeline.objects.filter(name__in=release.manifest.get("pipelines", {}), state=Standing.RETIRED).order_by("name")
    if names := list(below.values_list("name", flat=True)[:MAX_NAMED]):
        raise Conflict(f"'{owner.name}' runs pipeline {' and '.join(names)}, retired meanwhile: reinstate that first")


def _note(turn: Turn, verb: Verb, owner: Agent | Pipeline, **said: dict[str, str]) -> None:
    agent = owner.name if isinstance(owner, Agent) else None
    turn.note(verb, owner.subject, team=owner.team.name, agent=agent, facts=said.get("facts"), openings=said.get("openings"))
