"""Who had a part in what is to be approved: read from the run, its family, its release and the deeds behind its permissions.

Reads only; what a part means is for `approvals.rules`. Called by the inbox and by deciding.
"""

from collections.abc import Iterable
from typing import Any

from django.db.models import Q

from agents import registry
from agents.models import Agent, Version
from agents.validation import DEEPEST
from approvals.models import Request
from approvals.rules import Parts
from audit import reports
from runs.models import Run, Wait, WaitKind, WaitState


def asked_for(request: Request) -> dict[str, Any]:
    """What the run's own entry says of it; empty where that was erased or doesn't match, and then nobody can decide."""
    entry = request.wait.failure_entry
    said = None if entry is None else reports.openings_of([entry]).get(entry, {}).get("approval")
    return said if isinstance(said, dict) and said.get("binding") == request.wait.subject else {}


def parts_of(request: Request, asked: dict[str, Any]) -> Parts:
    family = _family(request.wait.run)
    started = {run.started_by for run in family}
    signals = Wait.objects.filter(run__in=[run.id for run in family], kind=WaitKind.SIGNAL, state=WaitState.ANSWERED)
    return Parts(
        started=frozenset(started),
        signalled=frozenset(signals.values_list("answered_by", flat=True)),
        published=frozenset(_published(request, family)),
        granted=frozenset(_granted(request, asked)),
    )


def _family(run: Run) -> list[Run]:
    """The run and those above it; one that judges another again, with that one."""
    found, todo = [run], [run]
    for _ in range(2 * DEEPEST):
        above = {each for one in todo for each in (one.parent_run_id, one.reverifies_id) if each is not None} - {one.id for one in found}
        if not above:
            break
        todo = list(Run.objects.filter(id__in=above).select_related("release"))
        found += todo
    return found


def _published(request: Request, family: Iterable[Run]) -> set[str]:
    """Of the agent's version, and of the pipelines' and the releases of the run and those above it."""
    named = Q(agent__name=request.agent, number=request.version)
    releases = {run.release.digest: run.release for run in family}
    for release in releases.values():
        pipeline = release.manifest["pipeline"]
        named |= Q(pipeline__name=pipeline["name"], number=pipeline["version"])
    versions = list(Version.objects.filter(named))
    return {who for release in releases.values() for who in registry.publishers_of(versions, release)}


def _granted(request: Request, asked: dict[str, Any]) -> set[str]:
    agent = Agent.objects.select_related("team").filter(name=request.agent).first()
    rules = {use["permission"] for use in asked.get("uses", ())}
    return set() if agent is None else registry.grantors_of(agent, rules)
