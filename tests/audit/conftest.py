"""What the audit tests share: a verb that only they know, and instants that lie still."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from audit import ledger
from audit.actors import Actor
from audit.ledger import Draft

HAPPENED = ledger.Verb("audit.test.happened", openings=frozenset({"output", "prompt"}))
NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _verb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered for one test: whoever asks for all verbs elsewhere never meets it."""
    monkeypatch.setattr(ledger, "_verbs", {**ledger._verbs, HAPPENED.name: HAPPENED})


@pytest.fixture
def now() -> datetime:
    return NOON


@pytest.fixture
def draft() -> Callable[..., Draft]:
    def make(run: UUID | None = None, **given: Any) -> Draft:
        of = {"actor": Actor.system("test"), "subject": "thing:one", "run": run, "sequenced": run is not None}
        return Draft(HAPPENED.name, **{**of, **given})

    return make
