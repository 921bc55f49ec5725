"""What applying a folder comes to where people decide what is published: the deeds, in the order in which they are done, and what is shown of them.

Looks at the drafts that were stored and at what publishing was tried to come to. Called by applying.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from agents.models import Pipeline, PolicyVersion, ProposalKind, Team, Version, VersionState
from audit.actors import Actor

from .changes import Applied
from .preparing import Prepared
from .proposed import (
    Deed,
    Item,
    Move,
    item_of_agent,
    item_of_policy,
    item_of_team,
    once,
    permit_deed,
    policy_deed,
    publish_deed,
    restore_deed,
    rule_deed,
)
from .proposing import Asked
from .publishing import agent_item, only_of
from .rows import RULED
from .ruling import Asks

_WITH_THE_YES: Final = ("permissions", "observe", *RULED)
Step = tuple[str, Deed, list[Item]]
"""Of what, what is done, and what is shown of it."""


def asked_of(prepared: Prepared, tried: Applied, moves: Sequence[Move], asks: Asks) -> Asked:
    """`moves`: what pipelines would run by it. Nothing to be done: no deeds."""
    told, drafts = only_of(asks.team), _drafts(prepared)
    granted, ruled = _teams(prepared, tried, told)
    steps = [*_policies(prepared), *granted, *_agents(drafts, told), *_restored(prepared, drafts), *_pipelines(moves), *ruled]
    subjects = frozenset(subject for subject, _, _ in steps)
    shown = once(item for _, _, items in steps for item in items)
    return Asked(ProposalKind.PUBLISH, asks, tuple(deed for _, deed, _ in steps), subjects, shown)


def _teams(prepared: Prepared, tried: Applied, told: Actor) -> tuple[list[Step], list[Step]]:
    """What they grant; and by whom it is decided from then on, which comes last: all else is done under the rule of before. What was denied is
    said of the team that is asked, and of what it sees."""
    granted, ruled = list[Step](), list[Step]()
    for document in prepared.parsed.teams:
        team = Team.objects.get(name=document.name)
        moved = {key: document.spec[key] for key in _WITH_THE_YES if document.spec.get(key, getattr(team, key)) != getattr(team, key)}
        rules: dict[str, str] = {key: moved[key] for key in RULED if key in moved}
        shown = [item_of_team(team, moved, tried.denied if team.name in told.sees else ())]
        permissions, observe = moved.get("permissions"), moved.get("observe")
        if permissions is not None or observe is not None:
            granted.append((team.subject, permit_deed(team, permissions, observe), shown))
        if rules:
            ruled.append((team.subject, rule_deed(team, rules), shown))
    return granted, ruled


def _policies(prepared: Prepared) -> Iterator[Step]:
    names = [document.name for document in prepared.parsed.policies]
    versions = PolicyVersion.objects.select_related("policy__team").filter(policy__name__in=names)
    live = {version.policy_id: version for version in versions.filter(state=VersionState.PUBLISHED)}
    for draft in versions.filter(state=VersionState.DRAFT).order_by("policy__name"):
        now = live.get(draft.policy_id)
        yield f"policy:{draft.policy.name}", policy_deed(draft, now), [item_of_policy(draft, now)]


def _drafts(prepared: Prepared) -> dict[str, Version]:
    names = [document.name for document in prepared.parsed.agents]
    rows = Version.objects.select_related("agent__team").filter(agent__name__in=names, state=VersionState.DRAFT).order_by("agent__name")
    return {version.owner.name: version for version in rows}


def _agents(drafts: Mapping[str, Version], told: Actor) -> Iterator[Step]:
    for version in drafts.values():
        agent = version.agent
        assert agent is not None
        yield agent.subject, publish_deed(agent, version.number, version.digest), [agent_item(agent, version, told)]


def _restored(prepared: Prepared, drafts: Mapping[str, Version]) -> Iterator[Step]:
    """Agents whose published version the files say, where something else of it holds by now."""
    names = [document.name for document in prepared.parsed.agents if document.name not in drafts]
    for live in Version.objects.select_related("agent__team").filter(agent__name__in=names, state=VersionState.PUBLISHED).order_by("agent__name"):
        agent = live.agent
        assert agent is not None
        item = item_of_agent(agent, live, live)
        if item["fields"] and agent.team.publishing:
            yield agent.subject, restore_deed(agent, live), [item]


def _pipelines(moves: Iterable[Move]) -> Iterator[Step]:
    """Those that would run something else, each after those that it runs: in the order in which they were tried. No drafts but the folder's."""
    for move in moves:
        pipeline = Pipeline.objects.select_related("team", "current_release").get(name=move.pipeline)
        yield pipeline.subject, publish_deed(pipeline, move.version, move.digest, move.brings), list(move.items)
