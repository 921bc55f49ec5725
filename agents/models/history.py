"""The field-by-field history of what has no versions: teams, agents, pipelines, aliases. A view for people; the ledger is the record.

Rows are written as a row is saved; a conditional update goes through `moved`, since the library does not see it.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from simple_history.models import HistoricalRecords


def recorded() -> Any:
    """The manager `history` of a model."""
    return HistoricalRecords()


def moved(rows: models.QuerySet[Any], **values: Any) -> int:
    """Update these rows and write into their history what they are then; returns how many moved. The caller holds their locks."""
    keys = list(rows.values_list("pk", flat=True))
    count = rows.update(**values)
    if count:
        model: Any = rows.model
        model.history.bulk_history_create(model.objects.filter(pk__in=keys), update=True)
    return count
