"""`/api/v1/stops/…`: what is stopped, since when and why; stopping, lifting, and the proof that it has come to rest."""

from __future__ import annotations

from uuid import UUID

from rest_framework.response import Response

from agents import registry
from agents.errors import NoSuchVersion, NotGranted, UnknownAgent, UnknownAlias, UnknownPipeline, UnknownStop, UnknownTeam, UnknownTool
from audit import clock
from audit.api.doors import Asked, Door, operation
from audit.api.pages import PAGING, Order, cut
from audit.api.shapes import flag, ref
from audit.errors import Conflict, Invalid
from runs import services
from runs.api.shapes import STOP_ASKED
from runs.errors import UnknownRun

TAG = "stops"
NEWEST = Order("stopped_at", "id", newest_first=True)
MAY = (
    "What belongs to a team is stopped, and let go on, by its members; everything and tools by who administers the installation. "
    "Whoever has the role compliance stops all of it, and lifts nothing."
)
UNKNOWN = (UnknownTeam, UnknownPipeline, UnknownAgent, UnknownAlias, UnknownTool, UnknownRun, NoSuchVersion)


class StopsView(Door):
    @operation(
        id="list_stops",
        tag=TAG,
        summary="List stops",
        does="The stops in force of the teams that you belong to or that are shown to you, and those of everything and of tools, newest first.",
        query={"lifted": flag("also those that were lifted"), **PAGING},
        gives=ref("StopPage"),
    )
    def get(self, asked: Asked) -> Response:
        rows = services.stops_visible_to(asked.actor, in_force=not asked.query.get("lifted", False))
        found, following = cut(rows, NEWEST, asked)
        return Response({"items": services.stop_records(found), "next": following})

    @operation(
        id="stop",
        tag=TAG,
        summary="Stop something",
        does=(
            "From now on no call in its scope is sent: workers feel it within a second, and cut short what is in flight. What may be made anew waits "
            "for the end of the stop; what acts at most once waits for somebody who says whether it was done. Queued runs wait, none is started, "
            f"and the clock of what waits stands still. {MAY}"
        ),
        takes=STOP_ASKED,
        gives=ref("Stop"),
        status=201,
        refuses=(*UNKNOWN, NotGranted, Invalid, Conflict),
    )
    def post(self, asked: Asked) -> Response:
        said = asked.body
        row = services.set_stop(scope=said["scope"], name=said.get("name") or "", reason=said["reason"], actor=asked.actor)
        return Response(services.stop_document(row, actor=asked.actor, now=clock.now()), status=201, headers={"Location": f"/api/v1/stops/{row.id}/"})


class StopView(Door):
    @operation(
        id="show_stop",
        tag=TAG,
        summary="Show a stop",
        does=(
            "One stop, also one that was lifted, with the proof that it has come to rest, counted anew from the calls' own rows: the last call that "
            "was sent before it, those that were sent after it (there should be none), and what has become of those that were out."
        ),
        gives=ref("Stop"),
        refuses=(UnknownStop,),
    )
    def get(self, asked: Asked, stop: UUID) -> Response:
        row = registry.stop_shown(str(stop), actor=asked.actor)
        return Response(services.stop_document(row, actor=asked.actor, now=clock.now()))


class LiftView(Door):
    @operation(
        id="lift_stop",
        tag=TAG,
        summary="Lift a stop",
        does=f"What waited for its end goes on, as far as it is under no other stop. {MAY}",
        gives=ref("Stop"),
        refuses=(UnknownStop, UnknownAgent, NotGranted, Conflict),
        proposes=True,
    )
    def post(self, asked: Asked, stop: UUID) -> Response:
        row = services.lift_stop(stop=str(stop), actor=asked.actor)
        return Response(services.stop_document(row, actor=asked.actor, now=clock.now()))
