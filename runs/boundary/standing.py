"""What calls are judged by, read as it stands now: agents, the pipelines above their runs, the people on whose behalf these are made.

Reads only, a few statements for many runs. Called in committer threads; what is read is kept by the boundary until the next look.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from agents import registry, stops
from agents.models import Agent as AgentRow
from agents.models import Team
from agents.registry import Behalf
from agents.spec.policies import Policy
from agents.stops import Stops
from audit import bulk, clock
from runs import store
from runs.boundary.values import Bound, Standing
from runs.engine.asides import POLICY

ACTIVE: Final = "active"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What some runs may need to know: the agents that they have, the pipelines that bound them, and on whose behalf they are made."""

    agents: Collection[str] = ()
    pipelines: Collection[str] = ()
    people: Collection[Behalf] = ()


@dataclass(frozen=True, slots=True)
class Stands:
    """What may be sent at one moment: what some agents may do, what bounds it, and the stops in force, where they were looked at.

    `lost`: why somebody may not any more.
    """

    stops: Stops | None = None
    standings: Mapping[str, Standing] = field(default_factory=dict)
    bounds: Mapping[str, Bound] = field(default_factory=dict)
    lost: Mapping[Behalf, str | None] = field(default_factory=dict)


def standings(names: Sequence[str]) -> dict[str, Standing]:
    """The live standing of agents, by name."""
    return dict(stands(Wanted(names)).standings)


def as_it_stands(wanted: Wanted, known: Stops) -> Stands:
    """The stops first: an agent is suspended together with its stop, so that one that reads as suspended is at most not yet known to be stopped."""
    stopped = stops.news(known)
    return replace(stands(wanted), stops=stopped)


def stands(wanted: Wanted) -> Stands:
    """One indexed read for agents, and those of `store.pace_of` for agents with a rate or a breaker; one for pipelines; those of people.

    Of people whose turn it is, by the name that they take it under: the policy that says who they are, as it is in force.
    """
    turns = {name: {name.removeprefix(POLICY)} - {""} for name in wanted.agents if name.startswith(POLICY)}
    names = [[name] for name in sorted(wanted.agents) if name not in turns]
    rows, now = bulk.read_pairs(AgentRow, Team, on=("team", "id"), match=["name"], rows=names), clock.now()
    bounds = registry.bounds_in_force(wanted.pipelines)
    named = {f"agent:{agent.name}": registry.policies_named([*agent.permissions, *team.permissions]) for agent, team in rows} | turns
    named |= {f"pipeline:{name}": registry.policies_named(lines) for name, lines in bounds.items() if lines}
    every = set().union(*named.values())
    policies = registry.policies_in_force(every) if every else {}

    def those_of(holder: str) -> dict[str, Policy]:
        return {name: policies[name] for name in named.get(holder, set()) & policies.keys()}

    return Stands(
        None,
        {agent.name: _standing(agent, team, now, those_of(f"agent:{agent.name}")) for agent, team in rows}
        | {name: Standing(ACTIVE, (), policies=those_of(name)) for name in turns},
        {name: Bound(None if lines is None else tuple(lines), those_of(f"pipeline:{name}")) for name, lines in bounds.items()},
        registry.why_lost(wanted.people),
    )


def _standing(agent: AgentRow, team: Team, now: datetime, policies: Mapping[str, Policy]) -> Standing:
    pace = store.pace_of(agent.name, agent.pace, now) if agent.pace else None
    return Standing(
        agent.state,
        (*agent.permissions, *team.permissions),
        pace,
        team.vocabulary,
        team.name,
        policies,
        observe=team.observe,
        role=agent.role,
        risk=agent.risk_tier,
    )
