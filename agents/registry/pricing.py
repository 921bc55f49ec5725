"""Prices of models: looked up once in the offline list, or set by hand; each a new version with its ledger entry.

The list is only ever a source of rows: nothing is priced by it. Called by applying (an alias whose model is listed just works) and by `prices`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Any

from django.db import IntegrityError, transaction

from agents.models import ModelAlias, Price
from agents.prices import Price as PriceValue
from audit import clock
from audit.actors import Actor
from audit.errors import Conflict, Invalid, OrchestraError

from . import verbs
from .writing import Turn, record_refusal, require_administrator

NANO = 10**9
BY_HAND = "set by hand"
FREE = "recorded replies cost nothing"
MAX_NANO = 10**15  # a million dollars for a million tokens
MAX_INPUT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Priced:
    """One model and what became of its price: `new`, `changed`, `unchanged`, or `unlisted`, where nobody knows one."""

    provider: str
    model: str
    action: str
    price: Price | None = None


def ensure(turn: Turn, provider: str, model: str, *, team: str) -> Price | None:
    """The current price; the first one is taken from the list, if the list has it."""
    known = Price.objects.current([(provider, model)]).get((provider, model))
    if known is not None:
        return known
    listed = listed_price(provider, model)
    return None if listed is None else _add(turn, listed[0], source=listed[1], team=team)


def update_prices(*, actor: Actor, now: datetime | None = None) -> list[Priced]:
    """Compare the price of every model that an alias or a price names with the list; a price that was set by hand stays. Idempotent."""
    with _refusals_recorded(actor, now, "update"), transaction.atomic(durable=True):
        require_administrator(actor, "prices belong to the installation")
        aliases = ModelAlias.objects.select_for_update().order_by("name").values_list("provider", "model")
        known = {(row.provider, row.model): row for row in Price.objects.newest()}
        turn = Turn(actor, now or clock.now())
        done = [_updated(turn, named, known.get(named)) for named in sorted({*aliases, *known})]
        turn.close()
    return done


def _updated(turn: Turn, named: tuple[str, str], known: Price | None) -> Priced:
    listed = listed_price(*named)
    if known is not None and (listed is None or known.source == BY_HAND or _same(known, listed[0])):
        return Priced(*named, "unchanged", known)
    if listed is None:
        return Priced(*named, "unlisted")
    return Priced(*named, "changed" if known else "new", _add(turn, listed[0], source=listed[1]))


def set_price(wanted: PriceValue, *, actor: Actor, now: datetime | None = None) -> Priced:
    """Set a price by hand (its `version` is given here). NotGranted, Invalid (a figure is odd). The same figures again change nothing."""
    with _refusals_recorded(actor, now, "set"), transaction.atomic(durable=True):
        require_administrator(actor, "prices belong to the installation")
        _refuse_odd(wanted)
        known = Price.objects.current([(wanted.provider, wanted.model)]).get((wanted.provider, wanted.model))
        if known is not None and _same(known, wanted) and known.source == BY_HAND:
            return Priced(wanted.provider, wanted.model, "unchanged", known)
        turn = Turn(actor, now or clock.now())
        price = _add(turn, wanted, source=BY_HAND)
        turn.close()
    return Priced(wanted.provider, wanted.model, "changed" if known else "new", price)


@contextmanager
def _refusals_recorded(actor: Actor, now: datetime | None, asked: str) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise Conflict("somebody else set this price at this moment; look at it and set it again") from error
    except OrchestraError as refusal:
        facts = {"code": refusal.code, "asked": asked}
        record_refusal(actor, "price:?", now=now, problems=[refusal.message], facts=facts, verb=verbs.PRICE_REFUSED)
        raise


def prices_of(models: Iterable[tuple[str, str]]) -> dict[tuple[str, str], PriceValue]:
    """What releases made now hold."""
    return {named: row.value for named, row in Price.objects.current(models).items()}


def _add(turn: Turn, wanted: PriceValue, *, source: str, team: str | None = None) -> Price:
    last = Price.objects.current([(wanted.provider, wanted.model)]).get((wanted.provider, wanted.model))
    value = replace(wanted, version=1 + (last.version if last else 0))
    price = Price(
        provider=value.provider,
        model=value.model,
        version=value.version,
        input_nano=value.input,
        cache_read_nano=value.cache_read,
        cache_write_nano=value.cache_write,
        output_nano=value.output,
        input_limit=value.input_limit,
        source=source,
        valid_from=turn.now,
    )
    price.save(force_insert=True)
    turn.note(verbs.PRICE_SET, price.subject, team=team, facts={**value.as_record(), "source": source})
    return price


def _same(row: Price, value: PriceValue) -> bool:
    return replace(row.value, version=0) == replace(value, version=0)


def _refuse_odd(wanted: PriceValue) -> None:
    for name in ("input", "cache_read", "cache_write", "output"):
        if not 0 <= getattr(wanted, name) <= MAX_NANO:
            raise Invalid(f"the price of {name} must lie between 0 and {MAX_NANO // NANO:,} USD per million tokens")
    if wanted.input_limit is not None and not 1 <= wanted.input_limit <= MAX_INPUT:
        raise Invalid(f"the largest input that the price holds for must lie between 1 and {MAX_INPUT:,} tokens")
    for name, most in ((wanted.provider, 63), (wanted.model, 120)):
        if not (0 < len(name) <= most and name.isprintable()):
            raise Invalid(f"{name[:80]!r} names no model; write the provider and the model as the alias does")


# --- the list ------------------------------------------------------------------------------------------------------


def listed_price(provider: str, model: str) -> tuple[PriceValue, str] | None:
    """The list's price of a model (version 0) and where it is from; None where the list doesn't know it, or not all of it."""
    if provider == "scripted":
        return PriceValue(provider, model, 0, 0, 0, 0, 0), FREE
    return _looked_up(provider, model)


@lru_cache(maxsize=256)
def _looked_up(provider: str, model: str) -> tuple[PriceValue, str] | None:
    import genai_prices  # noqa: PLC0415 - a third of a second and 1.6 MB, for the rare moment in which an alias is new
    from genai_prices import data_snapshot  # noqa: PLC0415

    try:
        _, found = data_snapshot.get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    said = found.get_prices(clock.now())
    figures = {name: _figure(getattr(said, f"{name}_mtok")) for name in ("input", "cache_read", "cache_write", "output")}
    if figures["input"] is None or figures["output"] is None:
        return None
    # A provider that lists no price for its cache charges it as input; the dearest of the figures bounds a call anyway.
    filled = {name: figures["input"] if figure is None else figure for name, figure in figures.items()}
    value = PriceValue(provider, model, 0, **filled, input_limit=_limit(said))
    return value, f"genai-prices {genai_prices.__version__}, {found.id}"


def _figure(said: Any) -> int | None:
    """Nano-USD of a price per million tokens in dollars; of a tiered one its first tier, which `input_limit` keeps calls within."""
    amount = getattr(said, "base", said)
    return None if amount is None else int((Decimal(amount) * NANO).to_integral_value(ROUND_CEILING))


def _limit(said: Any) -> int | None:
    figures = (said.input_mtok, said.cache_read_mtok, said.cache_write_mtok, said.output_mtok)
    return min((tier.start for figure in figures for tier in getattr(figure, "tiers", ())), default=None)
