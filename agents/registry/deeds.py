"""Notes who has put what in force, beside the ledger: nobody approves what they published or granted themselves.

What notes runs inside a Turn and is called by what stores, publishes and grants; approvals ask the others, about many requests at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from agents.layers import PIPELINE
from agents.models import Agent as AgentRow
from agents.models import Granting, PolicyVersion, Publication, Version
from agents.models import Release as ReleaseRow
from audit.actors import Actor

from .writing import Turn

MOST_PUBLISHED: Final = 500
MADE: Final = "made:"
"""Before the subject of a version: who wrote what it was made from. Counts for what is proposed, not for calls."""


def actor_name(actor: Actor) -> str:
    return f"{actor.kind}:{actor.id}"


def note_published(turn: Turn, what: Version | ReleaseRow | PolicyVersion) -> None:
    Publication.objects.get_or_create(subject=subject_of(what), by=turn.by, defaults={"at": turn.now})


def note_made_from(turn: Turn, version: Version, before: Version) -> None:
    """Whoever wrote what it was made from, or put that in force, has a part in it too: its code is theirs."""
    for by in sorted(publishers_of([before])[subject_of(before)]):
        Publication.objects.get_or_create(subject=subject_of(version), by=by, defaults={"at": turn.now})
    _note_made(turn, version, _made(before))


def note_written(turn: Turn, version: Version, first: Version) -> None:
    """Of whoever wrote what stands in it already in an earlier version, not of who put that in force. A shell without a token is nobody to name."""
    named = {f"person:{first.author}"} if first.author != Actor.system().id else set()
    _note_made(turn, version, (named | _made(first)) - {f"person:{version.author}"})


def note_left(turn: Turn, version: Version | PolicyVersion, replaced: Version | PolicyVersion) -> None:
    """Of whoever wrote the draft that it replaces, where something of that is left."""
    _note_made(turn, version, publishers_of([replaced], made=True)[subject_of(replaced)])


def _note_made(turn: Turn, version: Version | PolicyVersion, who: Collection[str]) -> None:
    for by in sorted(who):
        Publication.objects.get_or_create(subject=MADE + subject_of(version), by=by, defaults={"at": turn.now})


def _made(version: Version) -> set[str]:
    return set(Publication.objects.filter(subject=MADE + subject_of(version)).values_list("by", flat=True))


def note_granted(turn: Turn, holder: str, granted: Collection[str], withdrawn: Collection[str]) -> None:
    Granting.objects.filter(holder=holder, rule__in=[*granted, *withdrawn]).delete()
    Granting.objects.bulk_create(Granting(holder=holder, rule=rule, by=turn.by, at=turn.now) for rule in granted)


def subject_of(what: Version | ReleaseRow | PolicyVersion) -> str:
    if isinstance(what, ReleaseRow):
        return f"release:{what.digest}"
    return f"policy:{what.pk}" if isinstance(what, PolicyVersion) else f"version:{what.pk}"


def publishers_of(what: Collection[Version | ReleaseRow | PolicyVersion], *, made: bool = False) -> dict[str, frozenset[str]]:
    """By subject everybody who wrote it or put it in force, with `made` also what it was made from; `person:NAME` each. One statement for all."""
    found: dict[str, set[str]] = defaultdict(set)
    for each in what:
        found[subject_of(each)] |= set() if isinstance(each, ReleaseRow) else {f"person:{each.author}"}
    subjects = [*found, *(MADE + subject for subject in found if made)]
    rows = Publication.objects.filter(subject__in=subjects).values_list("subject", "by") if found else ()
    for subject, by in rows:
        found[subject.removeprefix(MADE)].add(by)
    return {subject: frozenset(who) for subject, who in found.items()}


def versions_published_by(people: Collection[str]) -> dict[str, list[UUID]]:
    """By name the newest that each of these people has put in force; for leaving out early what the rules would refuse. A statement for each."""
    found = {}
    for name in people:
        rows = Publication.objects.filter(by=f"person:{name}", subject__startswith="version:").order_by("-at").values_list("subject", flat=True)
        found[name] = [UUID(subject.removeprefix("version:")) for subject in rows[:MOST_PUBLISHED]]
    return found


def grantors_of(wanted: Mapping[str, Collection[str]], *, since: datetime | None = None) -> dict[tuple[str, str], frozenset[str]]:
    """By holder and permission who granted it. `wanted`: of each agent, by its name, the permissions that it has itself or from its team, and
    of each pipeline, as pipeline:NAME, those that bound its runs.

    Of one that was granted to an agent before this was noted, everybody who wrote a version of the agent counts. Whoever granted it before `since`
    is left out. Three statements for all.
    """
    agents = list(AgentRow.objects.select_related("team").filter(name__in=wanted))
    pipelines = [holder for holder in wanted if holder.startswith(PIPELINE)]
    holders = {*pipelines, *(holder for agent in agents for holder in (agent.subject, agent.team.subject))}
    rules = {rule for asked in wanted.values() for rule in asked}
    by: dict[tuple[str, str], set[str]] = defaultdict(set)
    long_ago: dict[tuple[str, str], set[str]] = defaultdict(set)
    for holder, rule, who, at in Granting.objects.filter(holder__in=holders, rule__in=rules).values_list("holder", "rule", "by", "at"):
        (by if since is None or at >= since else long_ago)[holder, rule].add(who)
    found = {(agent.name, rule): by[agent.subject, rule] | by[agent.team.subject, rule] for agent in agents for rule in wanted[agent.name]}
    found |= {(holder, rule): by[holder, rule] for holder in pipelines for rule in wanted[holder]}
    teams = {agent.name: (agent.subject, agent.team.subject) for agent in agents}
    noted = {key for key in found if any((holder, key[1]) in long_ago for holder in teams.get(key[0], (key[0],)))}
    unnoted = {agent for (agent, rule), who in found.items() if not who and (agent, rule) not in noted}
    authors = _authors_of(unnoted) if unnoted else {}
    return {key: frozenset(who or (set() if key in noted else authors.get(key[0], set()))) for key, who in found.items()}


def _authors_of(agents: Collection[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for agent, author in Version.objects.filter(agent__name__in=agents).values_list("agent__name", "author").distinct():
        found[agent].add(f"person:{author}")
    return found
