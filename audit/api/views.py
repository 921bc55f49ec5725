"""`/api/v1/entries/…` and `/api/v1/charges/`: what happened and what it cost, for looking only."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from rest_framework.response import Response

from audit import clock, reports, sums
from audit.api.doors import Asked, Door, operation
from audit.api.pages import PAGING, Order, page
from audit.api.shapes import PRINTABLE, Shape, ident, instant, one_of, person, ref, text
from audit.clock import to_text
from audit.errors import NotFound
from audit.lanes import lanes_of
from audit.models import Charge, Entry
from audit.reports import Filters

TAG = "ledger"
OLDEST = Order("at", "id")  # not the order in which entries come to be seen: a long transaction's appear behind a place that was read already
FILTERS: dict[str, Shape] = {
    "run": ident("only this run's"),
    "agent": text("only about this agent", pattern=PRINTABLE, example="feed-reader"),
    "person": person("only what this person did, or what was done on their behalf"),
    "since": instant("from this instant on"),
    "until": instant("before this instant"),
}
CHARGED: dict[str, Shape] = {name: FILTERS[name] for name in ("run", "agent", "since", "until")}
CHARGED["pipeline"] = text("only of this pipeline", pattern=PRINTABLE, example="ops-digest")


class UnknownEntry(NotFound):
    """There is no entry with this id that you may see."""

    code = "unknown-entry"


class EntriesView(Door):
    @operation(
        id="list_entries",
        tag=TAG,
        summary="List entries of the ledger",
        does=(
            "Entries of the teams that you belong to or that are shown to you, oldest first. Filters add up. What may be erased (inputs, results, "
            "names) is only committed to. An entry whose bytes contradict their columns has `intact` false and proves nothing. To follow the "
            "ledger, begin each time some minutes before the newest `at` you have, and leave out the ids you have: `at` is when something happened, "
            "and an entry can be seen only once its transaction ends, after younger ones. A run's entries are followed without that, by seq: "
            "`/api/v1/runs/{run}/events/`."
        ),
        query={**FILTERS, **PAGING},
        gives=ref("EntryPage"),
    )
    def get(self, asked: Asked) -> Response:
        said: dict[str, Any] = {name: asked.query.get(name) for name in FILTERS}
        filters = Filters(**{**said, "run": UUID(said["run"]) if said["run"] else None})
        return Response(
            page(
                reports.matching(filters, actor=asked.actor), OLDEST, asked, reports.shown, lanes=reports.lanes_of_entries(filters, actor=asked.actor)
            )
        )


class EntryView(Door):
    @operation(
        id="show_entry",
        tag=TAG,
        summary="Show an entry",
        does="One line of the ledger.",
        gives=ref("Entry"),
        refuses=(UnknownEntry,),
    )
    def get(self, asked: Asked, entry: UUID) -> Response:
        found = Entry.objects.visible_to(asked.actor).filter(id=entry).first()
        if found is None:
            raise UnknownEntry
        return Response(reports.shown(found))


class ChargesView(Door):
    @operation(
        id="list_charges",
        tag=TAG,
        summary="List charges",
        does="Money facts of the teams that you belong to or that are shown to you, oldest first; a correction is a charge of its own.",
        query={**CHARGED, **PAGING},
        gives=ref("ChargePage"),
    )
    def get(self, asked: Asked) -> Response:
        columns = {"run": "run", "agent": "agent", "pipeline": "pipeline", "since": "at__gte", "until": "at__lt"}
        wanted = {columns[name]: value for name, value in asked.query.items() if name in columns}
        rows = Charge.objects.visible_to(asked.actor).filter(**wanted)
        return Response(page(rows, OLDEST, asked, charged, lanes=lanes_of(asked.actor)))


class ChargesSummaryView(Door):
    @operation(
        id="sum_charges",
        tag=TAG,
        summary="Sum charges",
        does=(
            "What charges come to, in all and by team, agent, pipeline, model or day (in UTC): those of the last "
            f"{sums.PERIOD.days} days unless `since` and `until` say otherwise. At most {sums.MOST_CHARGES:,} charges are looked at, the "
            f"newest of the period; `complete` and `since` say whether that was all. The {sums.MOST_GROUPS} largest groups are listed, or the "
            "newest days. What others than your teams spent is in no sum."
        ),
        query={"by": one_of(*sums.DIMENSIONS, meaning="what to sum by; by default team"), **CHARGED},
        gives=ref("ChargeSummary"),
    )
    def get(self, asked: Asked) -> Response:
        said = dict(asked.query)
        by, until = said.pop("by", "team"), said.get("until", clock.now())
        given = {**said, "until": until, "since": said.get("since", until - sums.PERIOD), "run": UUID(said["run"]) if "run" in said else None}
        found = sums.summary(sums.Wanted(**given), by, actor=asked.actor)
        items = [{**summed(group), "name": group.name} for group in found.groups]
        period = {"since": to_text(found.since), "until": to_text(found.until), "complete": found.complete}
        return Response({**period, "total": summed(found.total), "items": items, "more": found.more})


def summed(group: sums.Group) -> dict[str, Any]:
    counted = {name: value for name, value in asdict(group).items() if name != "name"}
    return {**counted, "amount_nano": str(group.amount_nano), "estimated_nano": str(group.estimated_nano)}


def charged(row: Charge) -> dict[str, Any]:
    same = ("step", "agent", "version", "pipeline", "team", "cost_centre", "tags", "provider", "model", "price_version", "estimated")
    counted = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
    ids = {name: None if getattr(row, name) is None else str(getattr(row, name)) for name in ("run", "call", "corrects")}
    kept = {name: getattr(row, name) for name in (*same, *counted)}
    return {"id": str(row.id), "at": to_text(row.at), "amount_nano": str(row.amount_nano), **ids, **kept}
