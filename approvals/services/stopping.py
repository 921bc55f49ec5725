"""Requests whose call has been stopped since: nobody decides what may not be done, and after the stop it is asked for as it is then.

Reads only. Called by the intake, which ends them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from agents import stops
from agents.models import Agent, Scope, Version
from agents.stops import InForce
from approvals.models import Request, RequestQuerySet
from runs import services as runs

_BESIDE: Final = ("wait__run__team", "wait__run__pipeline", "wait__run__release")
MOST: Final = 50
"""Of each stop at one look: each is ended in a transaction of its own, and whoever looks waits for that."""


def stopped(waiting: RequestQuerySet) -> Iterator[tuple[Request, InForce]]:
    """Those of them that a stop in force covers, each with it; one read where there is no stop."""
    for stop in stops.in_force().every:
        found = list(waiting.filter(_covered(stop)).select_related(*_BESIDE).order_by("pk")[:MOST])
        over = runs.stops_over([(request.wait.run, request.agent) for request in found]) if found else []
        yield from ((request, covering) for request, covering in zip(found, over, strict=True) if covering is not None)


def stop_over(request: Request) -> InForce | None:
    return runs.stops_over([(request.wait.run, request.agent)])[0]


def _of_versions(versions: QuerySet[Version]) -> Q:
    """Of these versions of agents; of their agents first, which is quick to find."""
    this = versions.filter(agent__name=OuterRef("agent"), number=OuterRef("version"))
    return Q(agent__in=versions.values("agent__name")) & Q(Exists(this))


def _covered(stop: InForce) -> Q:
    """What it covers, so that those it doesn't keep none of the others from being looked at."""
    match stop.scope:
        case Scope.AGENT:
            return Q(agent=stop.name)
        case Scope.ALIAS:
            return _of_versions(Version.objects.filter(spec__run__model__alias=stop.name))
        case Scope.TOOL:
            return _of_versions(Version.objects.filter(spec__run__tool=stop.name))
    of_its_runs = runs.of_runs(stop, path="wait__run__")
    if stop.scope == Scope.TEAM:
        return of_its_runs | Q(agent__in=Agent.objects.filter(team__name=stop.name).values("name"))
    if stop.scope == Scope.VERSION:
        owner, _, number = stop.name.rpartition("@")
        return of_its_runs | Q(agent=owner, version=int(number))
    return of_its_runs
