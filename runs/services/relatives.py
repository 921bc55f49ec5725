"""The family of a run as its document shows it: the run above it, and all below it, as far as somebody may see them. Never writes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from agents import registry
from agents.validation import DEEPEST
from audit.actors import Actor
from runs.models import Run
from runs.models.run import integrity_of
from runs.services import phrases

MOST_SHOWN: Final = 200


def parent_of(run: Run, *, actor: Actor) -> dict[str, str] | None:
    """Which run and step this one belongs to; None also where that run is not shown to this person."""
    seen = run.parent_run_id is not None and Run.objects.visible_to(actor).filter(id=run.parent_run_id).exists()
    return {"run": str(run.parent_run_id), "step": run.parent_step} if seen else None


def below(run: Run, *, actor: Actor, now: datetime) -> dict[str, Any]:
    """`children`: the runs below this one, each after the one above it, in the order in which they began, as far as a document goes;
    `more_children`: how many more there are. However large a family is, a bounded part of it is read."""
    if not registry.starts_runs(run.release.manifest):
        return {"children": [], "more_children": 0}
    tree = _tree(run.id, _links(run))
    rows = Run.objects.visible_to(actor).select_related("pipeline").filter(id__in=tree).defer("release")
    found = {row.id: row for row in rows}
    intact = integrity_of(found.values())
    readings = phrases.with_waits([(found[id_], found[id_].effective(now, intact[id_])) for id_ in tree if id_ in found])
    listed = [_record(each, run.depth, reads) for each, reads in readings]
    more = _many_below(run, actor) - len(listed) if len(tree) == MOST_SHOWN else 0
    return {"children": listed, "more_children": more}


def _record(run: Run, above: int, reads: Any) -> dict[str, Any]:
    return {
        "run": str(run.id),
        "parent": str(run.parent_run_id),
        "step": run.parent_step,
        "level": run.depth - above,
        "pipeline": run.pipeline.name,
        "state": str(reads.state),
        "outcome": None if reads.outcome is None else str(reads.outcome),
        "label": reads.label,
        "cost_nano": str(run.spent_nano),
    }


def _links(run: Run) -> Mapping[UUID, list[UUID]]:
    """Whose children are whose, among the first of each level."""
    links: dict[UUID, list[UUID]] = {}
    level = [run.id]
    for _ in range(DEEPEST):
        children = Run.objects.filter(parent_run__in=level).order_by("parent_run__created_at", "parent_run", "created_at", "id")
        pairs = list(children.values_list("id", "parent_run_id")[:MOST_SHOWN])
        for child, parent in pairs:
            links.setdefault(UUID(str(parent)), []).append(child)
        level = [child for child, _ in pairs]
        if not level:
            break
    return links


def _many_below(run: Run, actor: Actor) -> int:
    """Counted in the database: a root's by its family, another's level by level."""
    shown = Run.objects.visible_to(actor)
    if run.parent_run_id is None:
        return shown.filter(root_run=run).count()
    many, place = 0, "parent_run"
    for _ in range(DEEPEST - run.depth):
        many, place = many + shown.filter(**{place: run.id}).count(), f"{place}__parent_run"
    return many


def _tree(run: UUID, links: Mapping[UUID, list[UUID]]) -> list[UUID]:
    found: list[UUID] = []
    pending = list(links.get(run, []))
    while pending and len(found) < MOST_SHOWN:
        child = pending.pop(0)
        found.append(child)
        pending = [*links.get(child, []), *pending]
    return found
