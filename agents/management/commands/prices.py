"""`manage.py prices`: parse, show the rows or call agents.registry.update_prices or set_price, say what became of each. No rule lives here."""

from typing import Any

from django.core.management.base import CommandParser

from agents import registry
from agents.management.showing import Shown, refusals_shown
from agents.models import Price
from agents.prices import Price as PriceValue
from agents.prices import nano_of_usd
from audit.actors import Actor
from audit.errors import Invalid
from audit.management.persons import PersonsCommand, none_seen
from audit.management.typed import manage
from audit.visible import visible
from audit.wording import money

_WORDS = {"new": "priced", "changed": "changed", "unchanged": "unchanged", "unlisted": f"no price is known; `{manage()} prices set` says one"}
_STYLES = {"new": "created", "changed": "changed", "unchanged": "unchanged", "unlisted": "warning"}


EPILOG = """\
what they are:
  Four figures in USD per million tokens: going in, read from the provider's cache, written to it, coming out. A version of a price
  never changes. A pipeline holds the version that it was published with, so a changed price takes effect when it is applied with
  --publish again. A model without a price is never asked.

examples:
  manage.py prices
  manage.py prices update
  manage.py prices set anthropic some-model --input 3 --output 15 --cache-read 0.30 --cache-write 3.75

exit status: 0 done, 2 refused (an odd figure), 75 the database is busy or out of reach
"""


class Command(PersonsCommand):
    help = "Show the prices of models; `update` compares them with the offline list, `set PROVIDER MODEL` says one by hand."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="update | set", parser_class=type(parser))
        actions.add_parser("update", help="take the price of every model that an alias names from the list; what was set by hand stays")
        one = actions.add_parser("set", help="set a price by hand, in USD per million tokens")
        one.add_argument("provider", help="as the alias says it")
        one.add_argument("model", help="as the alias says it")
        one.add_argument("--input", required=True, metavar="USD", help="tokens that go in")
        one.add_argument("--output", required=True, metavar="USD", help="tokens that come out")
        one.add_argument("--cache-read", metavar="USD", help="tokens read from the provider's cache; by default as --input")
        one.add_argument("--cache-write", metavar="USD", help="tokens written to it; by default as --input")
        one.add_argument("--input-limit", type=int, metavar="N", help="the price is known up to N tokens going in; a larger call is refused")

    def handle(self, *args: Any, **options: Any) -> None:
        shown = Shown(self.stdout)
        with refusals_shown(self.stderr):
            actor = self.actor()
            done = _done(options, actor)
            if done is None:
                _show_all(shown, actor)
        for each in done or []:
            version = f" (version {each.price.version}: {_figures(each.price.value)})" if each.price is not None else ""
            shown.line(visible(f"{each.provider}/{each.model}: {_WORDS[each.action]}{version}", 400), _STYLES[each.action])
        if any(each.action in {"new", "changed"} for each in done or []):
            shown.line("a pipeline keeps the price that it was published with until it is applied with --publish again", "hint")


def _done(options: dict[str, Any], actor: Actor) -> list[registry.Priced] | None:
    if options["action"] == "update":
        return registry.update_prices(actor=actor)
    return [registry.set_price(_said(options), actor=actor)] if options["action"] == "set" else None


def _show_all(shown: Shown, actor: Actor) -> None:
    rows = list(Price.objects.visible_to(actor).newest())
    for row in rows:
        shown.line(visible(f"{row.provider}/{row.model}: version {row.version}, {_figures(row.value)} ({row.source})", 400))
    if not rows:
        none = none_seen("no prices yet", actor)
        shown.line(f"{none}: an alias gets its model's when it is applied, `{manage()} prices set` says one by hand", "hint")


def _said(options: dict[str, Any]) -> PriceValue:
    given = {name: options[name] if options[name] is not None else options["input"] for name in ("input", "cache_read", "cache_write", "output")}
    figures = {name: _nano(name, text) for name, text in given.items()}
    limit = options["input_limit"]
    if limit is not None and not 1 <= limit <= 10**9:
        raise Invalid(f"--input-limit is {limit}; it must be from 1 to 1,000,000,000 tokens")
    return PriceValue(options["provider"], options["model"], 0, **figures, input_limit=limit)


def _nano(name: str, text: str) -> int:
    nano = nano_of_usd(text)
    if nano is None:
        raise Invalid(f"--{name.replace('_', '-')} is {text[:40]!r}; write dollars per million tokens, such as 3 or 0.25")
    return nano


def _figures(price: PriceValue) -> str:
    parts = [("input", price.input), ("cache read", price.cache_read), ("cache write", price.cache_write), ("output", price.output)]
    limit = f", up to {price.input_limit:,} tokens in" if price.input_limit is not None else ""
    return ", ".join(f"{name} {money(nano)}" for name, nano in parts) + " per million tokens" + limit
