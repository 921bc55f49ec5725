"""`/api/v1/waits/…`, `/calls/…` and signals: what runs wait for, and the answers that people and programs give."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q
from rest_framework.response import Response

from agents.errors import NotGranted
from agents.models import Team
from audit import clock
from audit.actors import Actor
from audit.api.doors import Asked, Door, operation
from audit.api.pages import PAGING, Order, cut
from audit.api.shapes import ref
from audit.lanes import teams_apart
from runs import services
from runs.api.shapes import SETTLEMENT, SIGNAL, WAIT_FILTERS
from runs.errors import AlreadyAnswered, BadAnswer, NotWaiting, TooEarly, UnknownCall, UnknownRun, UnknownWait
from runs.models import Call, Resolution, Wait
from runs.services import Settlement, WantedWaits

TAG = "waits"
SOONEST = Order("expires_at", "id")
OLDEST = Order("settled_at", "id")


def lanes(actor: Actor) -> list[Q]:
    """Team by team, as lists of runs are read: neither a wait nor a call has a team of its own."""
    apart = teams_apart(actor)
    return [Q(run__team=key) for key in Team.objects.filter(name__in=apart).values_list("pk", flat=True)] if apart else [Q()]


def waiting(wait: Wait, asked: Asked) -> dict[str, Any]:
    return {**services.wait_document(wait, clock.now()), "why_not": services.why_not(wait, actor=asked.actor)}


def settling(call: Call, asked: Asked) -> dict[str, Any]:
    return {**services.call_document(call), "why_not": services.why_not(call, actor=asked.actor)}


class WaitsView(Door):
    @operation(
        id="list_waits",
        tag=TAG,
        summary="List what runs wait for",
        does=(
            "Open waits of the teams that you belong to or that are shown to you, those that end soonest first: what each waits for, until when, "
            "who can end it and what silence means. Filters add up."
        ),
        query={**WAIT_FILTERS, **PAGING},
        gives=ref("WaitPage"),
    )
    def get(self, asked: Asked) -> Response:
        said = {name: asked.query.get(name) for name in WAIT_FILTERS}
        wanted = WantedWaits(said["kind"], said["pipeline"], UUID(said["run"]) if said["run"] else None)
        found, following = cut(services.waits_wanted(wanted, actor=asked.actor, now=clock.now()), SOONEST, asked, lanes=lanes(asked.actor))
        return Response({"items": services.listed_waits(found), "next": following})


class WaitView(Door):
    @operation(
        id="show_wait",
        tag=TAG,
        summary="Show a wait",
        does="One wait, also one that has ended: who answered it, what an answer must satisfy, and whether you could give it.",
        gives=ref("Wait"),
        refuses=(UnknownWait,),
    )
    def get(self, asked: Asked, wait: UUID) -> Response:
        return Response(waiting(services.find_wait(str(wait), actor=asked.actor), asked))


class SignalView(Door):
    @operation(
        id="send_signal",
        tag=TAG,
        summary="Send a signal to a run",
        does=(
            "Answer the wait of a run for this signal: the payload becomes the result of the step that waits, and the run goes on with the "
            "time that was left to it. Where several of its steps wait for it at this moment, each takes it; the answer shows the first. The "
            "first signal counts. You must be a member of the run's team."
        ),
        takes=SIGNAL,
        gives=ref("Wait"),
        refuses=(UnknownRun, NotGranted, NotWaiting, AlreadyAnswered, BadAnswer),
    )
    def post(self, asked: Asked, run: str, signal: str) -> Response:
        answered = services.send_signal(run=run, signal=signal, payload=asked.body.get("payload"), actor=asked.actor)
        return Response(waiting(services.find_wait(str(answered.id), actor=asked.actor), asked))


class UnresolvedView(Door):
    @operation(
        id="list_unresolved_calls",
        tag=TAG,
        summary="List calls whose fate nobody knows",
        does=(
            "Calls that act at most once and got no answer: they may or may not have been carried out, and are never sent again by themselves. Those "
            "that have stood so longest first, those of runs that have ended too."
        ),
        query=PAGING,
        gives=ref("UnresolvedPage"),
    )
    def get(self, asked: Asked) -> Response:
        found, following = cut(services.unresolved_calls(actor=asked.actor), OLDEST, asked, lanes=lanes(asked.actor))
        return Response({"items": services.call_records(found), "next": following})


class CallView(Door):
    @operation(
        id="show_call",
        tag=TAG,
        summary="Show a call that may have to be settled",
        does="One call: its state, what its result must satisfy, and whether you could say what became of it.",
        gives=ref("CallToSettle"),
        refuses=(UnknownCall,),
    )
    def get(self, asked: Asked, call: UUID) -> Response:
        return Response(settling(services.find_call(str(call), actor=asked.actor), asked))


class SettleView(Door):
    @operation(
        id="settle_call",
        tag=TAG,
        summary="Say what became of a call",
        does=(
            "Look at the system that the call acts on, then say it. `done` with the result that it would have given: its step returns that. "
            "`not_done`: it is made anew, once. `unknown`: its step fails as unresolved; whoever finds out later may still put the record "
            "right. You must be a member of the team, and neither the one who started the run nor the one who answers for the agent."
        ),
        takes=SETTLEMENT,
        gives=ref("CallToSettle"),
        refuses=(UnknownCall, NotGranted, TooEarly, AlreadyAnswered, NotWaiting, BadAnswer),
    )
    def post(self, asked: Asked, call: UUID) -> Response:
        said = asked.body
        settlement = Settlement(Resolution(said["decision"]), said.get("result"), said["reason"])
        services.settle_call(call=str(call), settlement=settlement, actor=asked.actor)
        return Response(settling(services.find_call(str(call), actor=asked.actor), asked))
