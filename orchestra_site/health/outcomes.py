"""`/health/outcomes`: whether pipelines give verified results. 503 where one that the asker may see does not: an alarm can hang on the status."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from audit import clock
from audit.visible import visible
from orchestra_site.health.readers import NOBODY, reader_of, refusal, with_database
from runs.services.health import PipelineHealth, pipelines_health


@require_safe
@with_database
def outcomes(request: HttpRequest) -> HttpResponse:
    actor, now = reader_of(request), clock.now()
    if actor is None:
        return refusal(401, NOBODY)
    if actor.is_agent:
        return refusal(403, "a key of an agent opens what its scopes name, and this is none of it: ask with a person's token, or the monitor's")
    pipelines = [_rendered(each, now) for each in pipelines_health(actor=actor, now=now)]
    healthy = all(each["healthy"] for each in pipelines)
    body = {"healthy": healthy, "at": clock.to_text(now), "pipelines": pipelines}
    return JsonResponse(body, status=200 if healthy else 503, headers={"Cache-Control": "no-store"})


def _rendered(one: PipelineHealth, now: datetime) -> dict[str, Any]:
    faults = one.faults(now)
    return {
        "pipeline": visible(one.pipeline, 80),
        "team": visible(one.team, 80),
        "healthy": not faults,
        "why": faults,
        "last_outcome": one.last_outcome,
        "last_ended_at": _text(one.last_ended_at),
        "verified_at": _text(one.verified_at),
        "verified_age_s": None if one.verified_at is None else round((now - one.verified_at).total_seconds(), 3),
        "failing_in_a_row": one.failing,
        "overdue": one.overdue,
        "waiting_since": _text(one.waiting_since),
        "queued": one.queued,
        "most_queued": one.most_queued,
    }


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else clock.to_text(instant)
