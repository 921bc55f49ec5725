"""The history of a row as differences: who changed which field from what to what. A view; the audit log is the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from agents.models import Release, Team
from audit.actors import Actor

MOST: Final = 30
_KINDS: Final = {"+": "created", "~": "changed", "-": "deleted"}
_WORDS: Final = {"team_id": "team", "current_release_id": "release"}
Known = Mapping[str, Mapping[UUID, str]]
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
    known = {"team_id": dict(Team.objects.visible_to(actor).values_list("pk", "name")), "current_release_id": _releases(found)}
    before: list[Any] = [*found[1:], None][: len(found)]  # a row that is older than its history has none
    return [_step(newer, older, known) for newer, older in zip(found, before, strict=True)][:MOST]


def _releases(found: Sequence[Any]) -> dict[UUID, str]:
    """What people call the releases that a pipeline had; its own, so whoever sees it may see them."""
    keys = {key for one in found if (key := getattr(one, "current_release_id", None)) is not None}
    rows = Release.objects.filter(pk__in=keys).values_list("pk", "version__number", "digest") if keys else ()
    return {key: f"version {number}, release {digest[:12]}" for key, number, digest in rows}


def _step(newer: Any, older: Any, known: Known) -> Step:
    fields = [] if older is None else _changes(newer, older, known)
    by = None if newer.history_user is None else newer.history_user.username
    return Step(newer.history_date, by, _KINDS.get(newer.history_type, "changed"), fields)


def _changes(newer: Any, older: Any, known: Known) -> list[tuple[str, Any, Any]]:
    names = [field.attname for field in newer.tracked_fields if field.name not in _DULL]
    pairs = [(name, getattr(older, name), getattr(newer, name)) for name in names]
    return [(_WORDS.get(name, name), _said(name, old, known), _said(name, new, known)) for name, old, new in pairs if old != new]


def _said(name: str, value: Any, known: Known) -> Any:
    """By name where it stands for another row; of what isn't shown to this person, that it is another one."""
    if name not in known or value is None:
        return value
    return known[name].get(value, f"another {_WORDS[name]}")
