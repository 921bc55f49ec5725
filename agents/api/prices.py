"""`/api/v1/prices/…`: what models cost, and saying it."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response

from agents import registry
from agents.api.shapes import PRICE_ASKED
from agents.errors import NotGranted
from agents.models import Price
from agents.prices import Price as PriceValue
from audit import clock
from audit.api.doors import Asked, Door, operation
from audit.api.pages import PAGING, Order, page
from audit.api.shapes import PRINTABLE, Shape, flag, given, listing, ref, text
from audit.errors import Conflict, Invalid

TAG = "prices"
ADMINISTERS = "For administrators: prices belong to the installation."
NEWEST = Order("valid_from", "id", newest_first=True)
FILTERS: dict[str, Shape] = {
    "provider": text("only of this provider", pattern=PRINTABLE, example="anthropic"),
    "model": text("only of this model", pattern=PRINTABLE, example="claude-haiku-4-5"),
    "current": flag("true: only the version of each model that releases made now hold"),
}
FIGURES = ("input_nano", "cache_read_nano", "cache_write_nano", "output_nano")


def rendered(row: Price) -> dict[str, Any]:
    return {
        "provider": row.provider,
        "model": row.model,
        "version": row.version,
        **{name: str(getattr(row, name)) for name in FIGURES},
        "input_limit": row.input_limit,
        "source": row.source,
        "valid_from": clock.to_text(row.valid_from),
    }


def priced(done: registry.Priced) -> dict[str, Any]:
    price = None if done.price is None else rendered(done.price)
    return {"provider": done.provider, "model": done.model, "action": done.action, "price": price}


class PricesView(Door):
    @operation(
        id="list_prices",
        tag=TAG,
        summary="List prices",
        does=(
            "Versions of prices, newest first. You see those of models that a model alias of a team that you see names; whoever sees everything "
            "sees all. `?provider=…&model=…&current=true` is the price of one model now."
        ),
        query={**FILTERS, **PAGING},
        gives=ref("PricePage"),
    )
    def get(self, asked: Asked) -> Response:
        rows = Price.objects.visible_to(asked.actor)
        if asked.query.get("current"):
            rows = rows.newest()
        wanted = {name: asked.query[name] for name in ("provider", "model") if name in asked.query}
        return Response(page(rows.filter(**wanted), NEWEST, asked, rendered))

    @operation(
        id="set_price",
        tag=TAG,
        summary="Set the price of a model",
        does=(
            "A new version of its price, by hand; the same figures again change nothing. A pipeline keeps the price that it was published with until "
            f"it is published again. {ADMINISTERS}"
        ),
        takes=PRICE_ASKED,
        gives=ref("Priced"),
        refuses=(NotGranted, Invalid, Conflict),
    )
    def post(self, asked: Asked) -> Response:
        said = {name: int(asked.body.get(name, asked.body["input_nano"])) for name in FIGURES}
        figures = {name.removesuffix("_nano"): nano for name, nano in said.items()}
        wanted = PriceValue(asked.body["provider"], asked.body["model"], 0, **figures, input_limit=asked.body.get("input_limit"))
        return Response(priced(registry.set_price(wanted, actor=asked.actor)))


class UpdateView(Door):
    @operation(
        id="update_prices",
        tag=TAG,
        summary="Compare prices with the offline list",
        does=(
            "Every model that an alias or a price names is looked up in the list that comes with Orchestra; what is new or has changed becomes a new "
            f"version. What was set by hand stays. {ADMINISTERS}"
        ),
        gives=given(items=listing(ref("Priced"), "each model")),
        refuses=(NotGranted, Conflict),
    )
    def post(self, asked: Asked) -> Response:
        return Response({"items": [priced(each) for each in registry.update_prices(actor=asked.actor)]})
