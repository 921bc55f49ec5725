"""Notes who has put what in force, beside the ledger: nobody approves what they published or granted themselves.

Runs inside a Turn. Called by what publishes and grants; `responsible_for` is what approvals ask.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from agents.models import Agent as AgentRow
from agents.models import Granting, Publication, Release, Version
from audit.actors import Actor

from .writing import Turn


def actor_name(actor: Actor) -> str:
    return f"{actor.kind}:{actor.id}"


def note_published(turn: Turn, what: Version | Release) -> None:
    Publication.objects.get_or_create(subject=_subject(what), by=actor_name(turn.actor), defaults={"at": turn.now})


def note_granted(turn: Turn, holder: str, granted: Collection[str], withdrawn: Collection[str]) -> None:
    Granting.objects.filter(holder=holder, rule__in=[*granted, *withdrawn]).delete()
    Granting.objects.bulk_create(Granting(holder=holder, rule=rule, by=actor_name(turn.actor), at=turn.now) for rule in granted)


def _subject(what: Version | Release) -> str:
    return f"release:{what.digest}" if isinstance(what, Release) else f"version:{what.pk}"


def publishers_of(versions: Iterable[Version], release: Release) -> set[str]:
    """Everybody who wrote one of these versions or put it, or the release, in force; `person:NAME` each."""
    every = list(versions)
    wrote = {f"person:{version.author}" for version in every}
    named = [*(map(_subject, every)), _subject(release)]
    return wrote | set(Publication.objects.filter(subject__in=named).values_list("by", flat=True))


def grantors_of(agent: AgentRow, rules: Iterable[str]) -> set[str]:
    """Who granted these permissions of an agent or of its team. Of one that was granted before this was noted, everybody who wrote a version
    of the agent counts."""
    wanted = set(rules)
    rows = Granting.objects.filter(holder__in=[agent.subject, agent.team.subject], rule__in=wanted).values_list("rule", "by")
    found = {by for _, by in rows}
    if wanted - {rule for rule, _ in rows}:
        found |= {f"person:{author}" for author in Version.objects.filter(agent=agent).values_list("author", flat=True)}
    return found
