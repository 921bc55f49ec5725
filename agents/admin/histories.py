"""The history of a row as differences: who changed which field from what to what. A view; the audit log is the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from agents.models import Team
from audit.actors import Actor

MOST: Final = 30
_KINDS: Final = {"+": "created", "~": "changed", "-": "deleted"}
_DULL: Final = frozenset({"id", "created_at"})


@dataclass(frozen=True, slots=True)
class Step:
    """One change; `by` is None where no person was signed in (the command line, a worker)."""

    at: datetime
    by: str | None
    kind: str
    fields: Sequence[tuple[str, Any, Any]]


def history_of(row: Any, actor: Actor) -> Sequence[Step]:
    """Newest first, at most thirty; two statements."""
    found = list(type(row).history.filter(id=row.pk).select_related("history_user").order_by("-history_date", "-history_id")[: MOST + 1])
    teams = dict(Team.objects.visible_to(actor).values_list("pk", "name"))
    before: list[Any] = [*found[1:], None]
    return [_step(newer, older, teams) for newer, older in zip(found, before, strict=True)][:MOST]


def _step(newer: Any, older: Any, teams: Mapping[UUID, str]) -> Step:
    fields = [] if older is None else _changes(newer, older, teams)
    by = None if newer.history_user is None else newer.history_user.username
    return Step(newer.history_date, by, _KINDS.get(newer.history_type, "changed"), fields)


def _changes(newer: Any, older: Any, teams: Mapping[UUID, str]) -> list[tuple[str, Any, Any]]:
    names = [field.attname for field in newer.tracked_fields if field.name not in _DULL]
    pairs = [(name, getattr(older, name), getattr(newer, name)) for name in names]
    return [(name.removesuffix("_id"), _said(name, old, teams), _said(name, new, teams)) for name, old, new in pairs if old != new]


def _said(name: str, value: Any, teams: Mapping[UUID, str]) -> Any:
    return teams.get(value, "another team") if name == "team_id" else value
