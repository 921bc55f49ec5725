"""The first page: what came of the runs of the last day and week, what needs somebody, who is at work; and how to begin where nothing is.

Looks at the newest runs only, as many as it says, so that it costs the same with a hundred runs and with a million.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest

from agents import registry
from agents.models import Agent, AgentNotice, Pipeline, Standing, Stop
from approvals import services as approvals
from approvals.notify import DELIVERIES
from approvals.services import proposal_documents, proposals
from audit import clock, outbox
from audit.actors import Actor
from audit.requests import actor_of
from runs import services
from runs.admin import LISTED, Listed, listed, with_reasons
from runs.models import Engine, Run, RunState

NEWEST: Final = 500
AT_ONCE: Final = 200
"""Runs that are held against the ledger together: their results are read for that, and some are large."""
MOST: Final = 10
MOST_WAITING: Final = 1_000
ATTENTION: Final = ("broken", "failed", "rejected", "unverified")
WORDS: Final = ("verified", "degraded", "rejected", "failed", "unverified", "cancelled", "broken")


@dataclass(slots=True)
class Tally:
    """One pipeline's outcomes in the last day and in the last week; of the good ones, how many are judged as of a past time."""

    pipeline: Pipeline
    day: Counter[str] = field(default_factory=Counter)
    week: Counter[str] = field(default_factory=Counter)
    past: Counter[str] = field(default_factory=Counter)

    @property
    def cells(self) -> Sequence[tuple[str, int, int, int]]:
        return [(word, self.day[word], self.week[word], self.past[word]) for word in WORDS]

    @property
    def live(self) -> int:
        return self.week["queued"] + self.week["running"] + self.week["waiting"]


def context(request: HttpRequest, given: dict[str, Any]) -> dict[str, Any]:
    """Named in the settings; adds to what the frame of the page needs."""
    actor, now = actor_of(request), clock.now()
    runs = _newest(actor, now)
    tallies, answers = _tallies(runs, actor, now), _answers(actor, now)
    proposed = proposal_documents.listed(proposals.waiting_for(actor, most=MOST), now)
    agents = Agent.objects.visible_to(actor).exclude(state=Standing.RETIRED).select_related("team").prefetch_related("notices")
    noticed = Exists(AgentNotice.objects.filter(agent=OuterRef("pk")))
    looked_at = agents.filter(Q(state=Standing.SUSPENDED) | Q(review_by__lt=now.date()) | noticed).order_by("name")
    return {
        **given,
        "now": now,
        "tallies": tallies,
        "words": WORDS,
        "capped": NEWEST if len(runs) == NEWEST else None,
        "answers": answers[:MOST],
        "more_answers": len(answers) > MOST,
        "approvals": _approvals(actor, now),
        "proposals": proposed,
        "attention": _attention(runs),
        "more_attention": max(sum(one.word in ATTENTION for one in runs) - MOST, 0),
        "given_up": outbox.given_up(*DELIVERIES, since=now - timedelta(days=1)) if actor.sees_everything else 0,
        "agents": [(agent, agent.review_by is not None and agent.review_by < now.date()) for agent in looked_at[:MOST]],
        "stopped": registry.stops_on([row.subject for row in Stop.objects.in_force().visible_to(actor)[:MOST]], actor=actor),
        "engines": Engine.objects.serving(now).count(),
        "queued": sum(one.word == "queued" for one in runs),
        "waiting": _waiting(actor, now),
        "most_waiting": MOST_WAITING,
        "nothing": not runs and not proposed and not Pipeline.objects.visible_to(actor).exists(),
        "teamless": not actor.sees_everything and not actor.sees,
        "is_fullwidth": "1",
    }


def _newest(actor: Actor, now: datetime) -> list[Listed]:
    """Each with what it reads as: a row that somebody changed in the database counts as broken, not as what it claims."""
    newest = Run.objects.visible_to(actor).whole().filter(created_at__gte=now - timedelta(days=7)).order_by("-created_at")
    rows = list(newest.only("pipeline_id", *LISTED)[:NEWEST])
    return [one for start in range(0, len(rows), AT_ONCE) for one in listed(rows[start : start + AT_ONCE], now)]


def _waiting(actor: Actor, now: datetime) -> int:
    """However old they are: a run may wait for weeks. Looked for among the live ones, of which there is an index, not among all of a team's."""
    waiting = Run.objects.visible_to(actor).live().filter(state=RunState.WAITING, deadline_at__gt=now).order_by()
    return waiting.values("pk")[:MOST_WAITING].count()


def _answers(actor: Actor, now: datetime) -> list[dict[str, Any]]:
    """What this person may answer at this moment, what ends soonest first; one more than is shown."""
    return services.listed_waits(services.asked_of(actor, now=now, most=MOST + 1))


def _approvals(actor: Actor, now: datetime) -> list[dict[str, Any]]:
    """What this person may approve at this moment, what is theirs for the shortest time first."""
    return approvals.listed(approvals.waiting_for(actor, most=MOST), now)


def _tallies(runs: Sequence[Listed], actor: Actor, now: datetime) -> list[Tally]:
    pipelines = Pipeline.objects.visible_to(actor).filter(pk__in={one.run.pipeline_id for one in runs}).select_related("team")
    tallies = {pipeline.pk: Tally(pipeline) for pipeline in pipelines}
    day = now - timedelta(days=1)
    for one in runs:
        tally = tallies.get(one.run.pipeline_id)
        if tally is not None:
            tally.week[one.word] += 1
            tally.day[one.word] += one.run.created_at >= day
            tally.past[one.word] += one.label != one.word  # `verified as of …`
    return sorted(tallies.values(), key=lambda tally: tally.pipeline.name)


def _attention(runs: Sequence[Listed]) -> Sequence[Listed]:
    """Held against the ledger already; what is read is whose each is."""
    wanted = [one for one in runs if one.word in ATTENTION][:MOST]
    whose = Run.objects.select_related("pipeline", "team").in_bulk([one.run.id for one in wanted])
    return with_reasons([replace(one, run=whose[one.run.id]) for one in wanted])
