"""`/metrics`: figures in the text format of Prometheus, read from the database when they are asked for. No process keeps any.

For whoever sees everything. Labels are pipelines and engines (a capped number of each), outcomes and states; never a run, a person or a text of a
model.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from agents.models import Pipeline
from approvals.notify import DELIVERIES
from audit import clock, outbox
from audit.actors import Actor
from audit.visible import visible
from orchestra_site.health.readers import NOBODY, reader_of, refusal, with_database
from runs.services.figures import Figures, figures
from runs.services.health import PipelineHealth, pipelines_health

MOST_PIPELINES: Final = 200
KEPT_S: Final = 5.0
OTHERS: Final = "(others)"
_SYSTEM: Final = Actor.system("metrics")
Values = Mapping[Any, float]
"""By the values of the labels, in their order."""


@require_safe
@with_database
def metrics(request: HttpRequest) -> HttpResponse:
    actor = reader_of(request)
    if actor is None:
        return refusal(401, NOBODY)
    if not actor.sees_everything:
        return refusal(403, "these are figures of the whole installation, for whoever sees everything; /health/outcomes shows your pipelines")
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(_REGISTRY), content_type=content_type, headers={"Cache-Control": "no-store"})


class Collector:
    """Reads at most every few seconds, however many ask."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._read: list[Metric] = []
        self._until = 0.0

    def collect(self) -> list[Metric]:
        with self._reading:
            if time.monotonic() >= self._until:
                self._read = list(_read(clock.now()))
                self._until = time.monotonic() + KEPT_S
            return self._read

    def forget(self) -> None:
        self._until = 0.0


def _read(now: datetime) -> Iterator[Metric]:
    found = figures(actor=_SYSTEM, now=now)
    pipelines = pipelines_health(actor=_SYSTEM, now=now, most=MOST_PIPELINES)
    yield from _of_runs(found, now, {each.pipeline for each in pipelines})
    yield from _of_pipelines(pipelines, now)
    yield from _of_processes(found, now)
    yield from _of_notices(now)


def _of_runs(found: Figures, now: datetime, named: set[str]) -> Iterator[Metric]:
    yield _gauge("orchestra_runs_live", "Runs that have not ended, by state.", ("state",), {(state,): number for state, number in found.live.items()})
    bounds = {("all",): settings.ORCHESTRA_MOST_QUEUED, ("team",): settings.ORCHESTRA_MOST_QUEUED_OF_TEAM}
    bounds |= {("pipeline",): settings.ORCHESTRA_MOST_QUEUED_OF_PIPELINE}
    yield _gauge("orchestra_queued_limit", "So many runs may wait to be begun; beyond it none is started.", ("of",), bounds)
    counted: dict[tuple[str, ...], float] = {}
    for (pipeline, outcome), number in found.outcomes.items():
        key = (visible(pipeline, 80) if pipeline in named else OTHERS, outcome)
        counted[key] = counted.get(key, 0) + number
    said = "Runs that began within the last day (the newest 50,000 where they are more), by outcome."
    yield _gauge("orchestra_runs_last_day", said, ("pipeline", "outcome"), counted)
    yield _one("orchestra_runs_overdue", "Runs past their deadline by a minute that nobody has ended.", found.overdue)
    yield _one(
        "orchestra_ready_oldest_age_seconds", "Since when the oldest run has been there that a worker could take now.", _age(found.ready_since, now)
    )
    calls = {(state,): number for state, number in found.calls.items()}
    yield _gauge("orchestra_calls", "Calls of running runs, by state; of any run those whose fate nobody knows.", ("state",), calls)
    waits = {(kind,): number for kind, (number, _) in found.waits.items()}
    yield _gauge("orchestra_waits", "What runs wait for, by kind: a person's answer, a signal, a time.", ("kind",), waits)
    ages = {(kind,): _age(since, now) for kind, (_, since) in found.waits.items() if since is not None}
    yield _gauge("orchestra_wait_oldest_age_seconds", "Since when the oldest wait of each kind is open; absent where there is none.", ("kind",), ages)


def _of_pipelines(pipelines: list[PipelineHealth], now: datetime) -> Iterator[Metric]:
    labels = ("pipeline", "team")

    def gauge(name: str, said: str, value: Values) -> Metric:
        return _gauge(f"orchestra_pipeline_{name}", said, labels, value)

    keys = {each: (visible(each.pipeline, 80), visible(each.team, 80)) for each in pipelines}
    ages = {keys[each]: _age(each.verified_at, now) for each in pipelines if each.verified_at is not None}
    yield gauge("verified_age_seconds", "Age of the last verified outcome; absent where there is none.", ages)
    yield gauge("failing", "Newest ended runs in a row without a verified result (20 at most).", {keys[each]: each.failing for each in pipelines})
    yield gauge("queued", "Runs that wait to be begun, counted up to the bound.", {keys[each]: each.queued for each in pipelines})
    yield gauge("healthy", "1 where /health/outcomes has nothing against it.", {keys[each]: float(not each.faults(now)) for each in pipelines})
    others = max(Pipeline.objects.count() - len(pipelines), 0)
    yield _one("orchestra_pipelines_unnamed", "Pipelines that are retired, or too many to be named here.", others)


def _of_processes(found: Figures, now: datetime) -> Iterator[Metric]:
    by_kind = (("alive", "Processes at work, by kind.", found.alive), ("silent", "Processes that were not heard of and have not left.", found.silent))
    for name, said, values in by_kind:
        yield _gauge(f"orchestra_processes_{name}", said, ("kind",), {(kind,): number for kind, number in values.items()})
    yield _one("orchestra_runs_driven", "Runs in the hands of engines, as they said last.", found.driving)
    if found.swept_at is not None:
        yield _one(
            "orchestra_sweep_age_seconds", "Since an engine at work last swept, as it said with its last heartbeat.", _age(found.swept_at, now)
        )
    yield from _counted(found)


def _of_notices(now: datetime) -> Iterator[Metric]:
    waiting, oldest = outbox.open_since(*DELIVERIES)
    yield _one("orchestra_notices_waiting", "Notices to people and webhooks that have not arrived yet.", waiting)
    yield _one("orchestra_notice_oldest_age_seconds", "Since when the oldest of these has been waiting.", _age(oldest, now))
    lost = outbox.given_up(*DELIVERIES, since=now - timedelta(days=1))
    yield _one("orchestra_notices_given_up_last_day", "Notices that were given up within the last day; the ledger says why.", lost)


def _counted(found: Figures) -> Iterator[Metric]:
    """What engines count since they started, each for itself: a series ends with its engine, and never falls. Bounds of batches are their own."""
    taken = CounterMetricFamily("orchestra_runs_taken", "Runs that an engine has claimed.", labels=("engine",))
    sizes = HistogramMetricFamily("orchestra_commit_transitions", "Transitions that an engine has committed together.", labels=("engine",))
    for engine, counts in found.counts.items():
        taken.add_metric([str(engine)], counts.get("runs", 0))
        buckets = _cumulative(counts.get("batches", {}))
        sizes.add_metric([str(engine)], buckets=buckets, sum_value=float(counts.get("transitions", 0)))
    yield taken
    yield sizes


def _cumulative(batches: Mapping[str, int]) -> list[tuple[str, float]]:
    sizes = {int(bound): number for bound, number in batches.items()}
    buckets, total = [], 0
    for bound in sorted(sizes):
        total += sizes[bound]
        buckets.append((str(float(bound)), float(total)))
    return [*buckets, ("+Inf", float(total))]


def _gauge(name: str, said: str, labels: tuple[str, ...], values: Values) -> Metric:
    family = GaugeMetricFamily(name, said, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(list(key), value)
    return family


def _one(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(name, said, value=value)


def _age(instant: datetime | None, now: datetime) -> float:
    return 0.0 if instant is None else max((now - instant).total_seconds(), 0.0)


COLLECTOR: Final = Collector()
_REGISTRY: Final = CollectorRegistry(auto_describe=False)
_REGISTRY.register(COLLECTOR)
