"""Finds what a name stands for, a pipeline or an agent, as far as somebody may see it.

Changes nothing. Called by the use-cases that take either kind.
"""

from __future__ import annotations

from agents.errors import Retired, UnknownAgent, UnknownPipeline
from agents.models import Agent, Pipeline, Standing
from audit.actors import Actor

from .releases import nearest


def owner_named(name: str, actor: Actor, *, lock: bool = True) -> Agent | Pipeline:
    """The pipeline or agent; locked (in an open transaction), so that two who change it at once take turns. UnknownPipeline names the nearest."""
    for model in (Pipeline, Agent) if name.isprintable() else ():
        rows = model.objects.select_for_update(of=("self",)) if lock else model.objects.all()
        found = rows.visible_to(actor).select_related("team").filter(name=name).first()
        if found is not None:
            return found
    known = [*Pipeline.objects.visible_to(actor).values_list("name", flat=True), *Agent.objects.visible_to(actor).values_list("name", flat=True)]
    raise UnknownPipeline(f"there is no pipeline or agent '{name[:80]}'{nearest(name, known)}", name=name[:80])


def require_in_use(owner: Agent | Pipeline) -> None:
    """Retired for what is out of use: it is brought back first, and changed then."""
    if owner.state == Standing.RETIRED:
        raise Retired(retired(owner))


def retired(owner: Agent | Pipeline) -> str:
    return f"'{owner.name}' is retired; `manage.py reinstate {owner.name}` brings it back"


def owner_of_kind(name: str, actor: Actor, kind: type[Agent] | type[Pipeline] | None, *, lock: bool = True) -> Agent | Pipeline:
    """As `owner_named` and locked; for a door that takes one kind only, something of the other kind isn't there. UnknownAgent, UnknownPipeline."""
    if kind is None:
        return owner_named(name, actor, lock=lock)
    try:
        owner = owner_named(name, actor, lock=lock)
    except UnknownPipeline:
        owner = None
    if isinstance(owner, kind):
        return owner
    word, error = ("agent", UnknownAgent) if kind is Agent else ("pipeline", UnknownPipeline)
    raise error(
        f"there is no {word} '{name[:80]}'{nearest(name, kind.objects.visible_to(actor).values_list('name', flat=True))}", **{word: name[:80]}
    )
