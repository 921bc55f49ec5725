"""Whether the code of agents was kept from the network, as far as their calls say. Reads only; called by doors and by approvals."""

from collections.abc import Iterable

from django.db.models import OuterRef, Subquery

from agents.models import Agent, Team
from runs.models import Call


def is_uncontained(agent: str) -> bool:
    """Whether nothing kept the code of its newest call from the network: a permission gave it that, or the worker's system contains nothing."""
    newest = Call.objects.filter(agent=agent, contained__isnull=False).order_by("-dispatched_at").values_list("contained", flat=True).first()
    return newest is False


def uncontained_among(agents: Iterable[str]) -> set[str]:
    """Those of these agents of which `is_uncontained` says so; one statement."""
    newest = Call.objects.filter(agent=OuterRef("name"), contained__isnull=False).order_by("-dispatched_at").values("contained")[:1]
    rows = Agent.objects.filter(name__in=list(agents)).annotate(contained=Subquery(newest)).filter(contained=False)
    return set(rows.values_list("name", flat=True))


def observing(agents: Iterable[str]) -> list[str]:
    """Of these agents' teams those whose agents are refused nothing for want of a permission, as it is now."""
    return list(Team.objects.filter(observe=True, agents__name__in=set(agents)).order_by("name").values_list("name", flat=True).distinct())
