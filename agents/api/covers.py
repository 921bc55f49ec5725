"""`/api/v1/covers/…`: who decides approvals in whose stead while they are away."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.response import Response

from agents import registry
from agents.api.cover_shapes import COVER_ASKED, FILTERS
from agents.api.teams import TAG
from agents.errors import NotGranted, UnknownCover, UnknownPerson
from agents.models import Cover
from audit import clock
from audit.api.doors import Asked, Door, operation
from audit.api.pages import PAGING, Order, page
from audit.api.shapes import ref
from audit.errors import Conflict, Invalid

NEWEST = Order("created_at", "id", newest_first=True)


def rendered(row: Cover) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "person": row.person.username,
        "deputy": row.deputy.username,
        "since": clock.to_text(row.since),
        "until": clock.to_text(row.until),
        "stands": row.stands(clock.now()),
        "made_by": row.made_by,
        "created_at": clock.to_text(row.created_at),
        "ended_at": None if row.ended_at is None else clock.to_text(row.ended_at),
    }


class CoversView(Door):
    @operation(
        id="list_covers",
        tag=TAG,
        summary="List who stands in for whom",
        does="Newest first. You see your own, and those in which you stand in; whoever sees everything or manages people sees all.",
        query={**FILTERS, **PAGING},
        gives=ref("CoverPage"),
    )
    def get(self, asked: Asked) -> Response:
        rows = registry.covers_visible_to(asked.actor)
        return Response(page(rows.ahead(clock.now()) if asked.query.get("ahead") else rows, NEWEST, asked, rendered))

    @operation(
        id="arrange_cover",
        tag=TAG,
        summary="Have somebody decide in your stead",
        does=(
            "While it lasts, the deputy finds what a policy asks the person, is told of it, and decides it in their stead. The person may still "
            "decide; whoever is first has had that say. The deputy decides nothing that either of the two had a part in, and hands nothing on. It "
            "holds while both are active and in a team together. For yourself; for others, and never with yourself as deputy, with the permission "
            "manage-people."
        ),
        takes=COVER_ASKED,
        gives=ref("Cover"),
        status=201,
        refuses=(NotGranted, UnknownPerson, Invalid, Conflict),
    )
    def post(self, asked: Asked) -> Response:
        said = asked.body
        away = said.get("person", asked.actor.id)
        made = registry.arrange_cover(away, said["deputy"], until=said["until"], since=said.get("since", ""), actor=asked.actor)
        return Response(rendered(made), status=201)


class CoverView(Door):
    @operation(
        id="show_cover",
        tag=TAG,
        summary="Show a cover",
        does="Also one that is over.",
        gives=ref("Cover"),
        refuses=(UnknownCover,),
    )
    def get(self, asked: Asked, cover: UUID) -> Response:
        return Response(rendered(registry.cover_shown(str(cover), actor=asked.actor)))

    @operation(
        id="end_cover",
        tag=TAG,
        summary="End a cover before its time",
        does="What the deputy has decided until then stays so. For either of the two, and for whoever manages people.",
        gives=ref("Cover"),
        refuses=(UnknownCover, NotGranted, Conflict),
    )
    def delete(self, asked: Asked, cover: UUID) -> Response:
        return Response(rendered(registry.end_cover(str(cover), actor=asked.actor)))
