"""Runs that monitoring is asked about, and what it answers."""

import copy
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from audit import clock, ledger
from audit.identity import new_id
from audit.ledger import Draft
from orchestra_site.health.metrics import COLLECTOR
from runs.engine.states import Verb
from runs.models import Run
from runs.services.health import GOOD
from tests.pipelines import SYSTEM

RESULT = {"n": 1}
"""What the runs here give."""
TOKEN = "only-for-monitoring-only-for-monitoring"


def shown(client: Client, path: str, token: str | None = None) -> Any:
    return client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {})


def another(run: Run, *, age_s: float, **changed: Any) -> Run:
    """A run like this one, so much older, with the entry that its row would have if it had ended like that."""
    row = copy.copy(run)
    row.pk, row._state.adding, age = new_id(), True, timedelta(seconds=age_s)
    for name in ("created_at", "started_at", "finished_at", "deadline_at"):
        at = getattr(run, name)
        setattr(row, name, None if at is None else at - age)
    for name, value in changed.items():
        setattr(row, name, value)
    row.seq, row.result_digest = 1, run.result_digest if row.outcome in GOOD else ""
    row.save(force_insert=True)
    failed = {"cause": row.failure_cause, "owner": row.failure_owner, "team": row.failure_team} if row.failure_cause else None
    facts = {"outcome": row.outcome, "as_of": None, "result": row.result_digest or None, "failure": failed}
    openings = {"result": RESULT} if row.result_digest else {}
    verb = Verb.RUN_QUEUED if row.outcome is None else Verb.RUN_FINISHED
    with transaction.atomic():
        ledger.record([Draft(verb, SYSTEM, row.subject, run=row.id, facts=facts, openings=openings, sequenced=True)], now=clock.now())
    return row


def live(run: Run, *, age_s: float, left_s: float) -> Run:
    made = clock.now() - timedelta(seconds=age_s)
    deadline = clock.now() + timedelta(seconds=left_s)
    unclaimed = {"state": "queued", "outcome": None, "started_at": None, "finished_at": None, "lease_owner": None, "lease_until": None}
    return another(run, age_s=0, created_at=made, deadline_at=deadline, **unclaimed)


def of(asks: Client, name: str = "sample") -> tuple[int, dict[str, Any]]:
    answer = shown(asks, "/health/outcomes", TOKEN)
    return answer.status_code, next(one for one in answer.json()["pipelines"] if one["pipeline"] == name)


def samples(asks: Client) -> dict[tuple[str, tuple[str, ...]], float]:
    COLLECTOR.forget()
    text = shown(asks, "/metrics", TOKEN).content.decode()
    families = text_string_to_metric_families(text)
    return {(one.name.removeprefix("orchestra_"), tuple(sorted(one.labels.values()))): one.value for family in families for one in family.samples}
