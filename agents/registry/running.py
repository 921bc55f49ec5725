"""Which version of an agent each published pipeline runs: not always its published one, for a pipeline that was rolled back pins an older.

Reads only. Called by doors that show an agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import F, Func, IntegerField

from agents.models import Pipeline, Standing
from audit.actors import Actor


@dataclass(frozen=True, slots=True)
class Runs:
    """A pipeline, and the number of the version that its runs start with."""

    pipeline: str
    id: UUID
    number: int


class _Pinned(Func):
    """The number of an agent's version in a release's manifest, read where it lies: manifests are long."""

    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        path = """json_extract(%(expressions)s || '".version')"""
        return self.as_sql(compiler, connection, template=path, arg_joiner=""", '$.agents."' || """, **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        path = "(%(expressions)s, 'version'])::integer"
        return self.as_sql(compiler, connection, template=path, arg_joiner=" #>> ARRAY['agents', ", **context)


def versions_run(names: Iterable[str], *, actor: Actor) -> dict[str, list[Runs]]:
    """Of each of these agents, by the pipeline's name; only pipelines that the actor may see, and none that is retired. One statement."""
    rows = Pipeline.objects.visible_to(actor).exclude(state=Standing.RETIRED).filter(current_release__uses__agent__in=list(names))
    agent = F("current_release__uses__agent")
    found: dict[str, list[Runs]] = {}
    for name, pipeline, pk, number in (
        rows.annotate(agent=agent, number=_Pinned("current_release__manifest", agent)).order_by("name").values_list("agent", "name", "pk", "number")
    ):
        found.setdefault(name, []).append(Runs(pipeline, pk, number))
    return found
