"""Prices of models in the admin: versions in dollars, and, for administrators, setting one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from agents import registry
from agents.models import Price
from agents.prices import Price as PriceValue
from agents.prices import nano_of_usd
from audit.actors import Actor
from audit.admin import Deed, LongListAdmin, act, shown, text_field
from audit.requests import actor_of
from audit.wording import instant, money

_DONE: Final = {"new": "has a price now", "changed": "has a new price", "unchanged": "has this price already"}


def _column(name: str, called: str) -> Any:
    @admin.display(description=called)
    def column(row: Price) -> str:
        return money(getattr(row, name))

    column.__name__ = name
    return column


class UsdField(forms.CharField):
    """Dollars as somebody writes them, as whole nano-USD; None where it may stay empty."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        nano = nano_of_usd(text)
        if text and nano is None:
            raise forms.ValidationError("Write dollars per million tokens, such as 3 or 0.25.")
        return nano


def _usd(label: str, *, required: bool = True, help_text: str = "") -> forms.CharField:
    return UsdField(label=label, required=required, help_text=help_text, max_length=20, widget=text_field("").widget)


class PriceForm(forms.Form):
    provider = text_field("Provider", longest=63, help_text="As the model alias says it.")
    model = text_field("Model", longest=120, help_text="As the model alias says it.")
    input = _usd("Tokens that go in", help_text="USD per million.")
    output = _usd("Tokens that come out", help_text="USD per million.")
    cache_read = _usd("Tokens read from the provider's cache", required=False, help_text="Empty: as those that go in.")
    cache_write = _usd("Tokens written to it", required=False, help_text="Empty: as those that go in.")
    input_limit = forms.IntegerField(
        label="Known up to so many tokens going in",
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="A larger call is refused. Empty: a call of any size.",
    )


@admin.register(Price)
class PriceAdmin(LongListAdmin):
    """Each row is a version; the newest of a model is what releases made now hold."""

    nothing = "A model without a price is never asked. Applying a folder with a model alias, or an administrator, sets one."
    list_display = (
        shown("provider"), shown("model"), "version", _column("input_nano", "in, per million"), _column("cache_read_nano", "cache read"),
        _column("cache_write_nano", "cache write"), _column("output_nano", "out, per million"), "limit", shown("source"), "since",
    )  # fmt: skip
    fields = list_display
    search_fields = ("model",)
    search_help_text = "a part of the model's name"
    change_list_template = "admin/agents/prices.html"
    keyset = ("valid_from", "id")

    @admin.display(description="up to, tokens in", empty_value="any size")
    def limit(self, price: Price) -> str | None:
        return None if price.input_limit is None else f"{price.input_limit:,}"

    @admin.display(description="valid from (UTC)")
    def since(self, price: Price) -> str:
        return instant(price.valid_from)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"may_set": actor_of(request).administers, **(extra_context or {})})

    def own_urls(self) -> Iterable[tuple[str, Callable[..., HttpResponse], str]]:
        return [("set/", self.set, "set"), ("update/", self.update, "update")]

    def set(self, request: HttpRequest) -> HttpResponse:
        actor = actor_of(request)

        def perform(said: Mapping[str, Any]) -> str:
            figures = {name: said[name] if said[name] is not None else said["input"] for name in ("input", "cache_read", "cache_write", "output")}
            wanted = PriceValue(said["provider"], said["model"], 0, **figures, input_limit=said["input_limit"])
            done = registry.set_price(wanted, actor=actor)
            return f"{done.provider}/{done.model} {_DONE[done.action]}."

        says = [
            "A new version of the price of one model, in USD per million tokens. A model without a price is never asked.",
            "A pipeline keeps the price that it was published with until it is published again.",
        ]
        deed = Deed("Set a price", "Set the price", self.url("changelist"), perform, says, PriceForm, forbidden=_forbidden(actor))
        return act(self, request, deed)

    def update(self, request: HttpRequest) -> HttpResponse:
        actor = actor_of(request)

        def perform(_: Mapping[str, Any]) -> str:
            done = registry.update_prices(actor=actor)
            moved = [f"{each.provider}/{each.model} {_DONE[each.action]}" for each in done if each.action in ("new", "changed")]
            unlisted = [f"{each.provider}/{each.model}" for each in done if each.action == "unlisted"]
            said = [*moved, f"no price is known of {', '.join(unlisted)}" if unlisted else "", "" if moved or unlisted else "nothing has changed"]
            return f"{'; '.join(part for part in said if part)}."

        says = [
            "Every model that an alias or a price names is looked up in the list that comes with Orchestra.",
            "What is new or has changed becomes a new version; what was set by hand stays.",
            "A pipeline keeps the price that it was published with until it is published again.",
        ]
        deed = Deed("Compare with the list", "Compare", self.url("changelist"), perform, says, forbidden=_forbidden(actor))
        return act(self, request, deed)


def _forbidden(actor: Actor) -> str | None:
    return None if actor.administers else "Prices belong to the installation; ask an administrator."
