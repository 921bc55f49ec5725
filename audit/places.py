"""Where a page ended, read back: each part as its column has it, whatever became of it on the way here and back.

Knows columns, not what they mean. Called by the pages of REST and of the admin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import DateTimeField, Model

from audit import clock


def place_read(model: type[Model], columns: Sequence[str], said: Sequence[Any]) -> list[Any] | None:
    """The place, or None for what no row of the model could have: it was never given out."""
    fields = [model._meta.get_field(name) for name in columns]  # noqa: SLF001 - Django's documented way to a model's fields
    try:
        return [_part(field, part) for field, part in zip(fields, said, strict=True)]
    except (ValueError, OverflowError, ValidationError):
        return None


def _part(field: Any, said: Any) -> Any:
    if not (isinstance(said, str) and said.isprintable()):
        raise ValueError("not a value")
    return clock.from_text(said) if isinstance(field, DateTimeField) else field.clean(said, None)
