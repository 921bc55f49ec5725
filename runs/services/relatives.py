"""The family of a run as its document shows it: the run above it, and all below it, as far as somebody may see them. Never writes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from agents import registry
from audit.actors import Actor
from runs.models import Run
from runs.models.run import integrity_of

MOST_SHOWN: Final = 200


def parent_of(run: Run, *, actor: Actor) -> dict[str, str] | None:
    """Which run and step this one belongs to; None also where that run is not shown to this person."""
    seen = run.parent_run_id is not None and Run.objects.visible_to(actor).filter(id=run.parent_run_id).exists()
    return {"run": str(run.parent_run_id), "step": run.parent_step} if seen else None


def below(run: Run, *, actor: Actor, now: datetime) -> list[dict[str, Any]]:
    """Every run below this one, each after the one above it, in the order in which they began."""
    if not registry.starts_runs(run.release.manifest):
        return []
    links = _links(run)
    rows = Run.objects.visible_to(actor).select_related("pipeline").filter(id__in=_tree(run.id, links)).defer("release")
    found = {row.id: row for row in rows}
    intact = integrity_of(found.values())
    listed = [found[id_] for id_ in _tree(run.id, links) if id_ in found]
    return [_record(each, run.depth, each.effective(now, intact[each.id])) for each in listed]


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
    """Whose children are whose, among the first of the family."""
    root = run.root_run_id or run.id
    links: dict[UUID, list[UUID]] = {}
    for child, parent in Run.objects.filter(root_run=root, depth__gt=run.depth).order_by("depth", "created_at", "id").values_list("id", "parent_run"):
        links.setdefault(UUID(str(parent)), []).append(child)
    return links


def _tree(run: UUID, links: Mapping[UUID, list[UUID]]) -> list[UUID]:
    found: list[UUID] = []
    pending = list(links.get(run, []))
    while pending and len(found) < MOST_SHOWN:
        child = pending.pop(0)
        found.append(child)
        pending = [*links.get(child, []), *pending]
    return found
