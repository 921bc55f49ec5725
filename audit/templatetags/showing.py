"""What templates of the admin show values with: hostile text made visible, JSON for reading, instants, durations, badges.

Every filter returns plain text that the template escapes; nothing here marks anything as safe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django import template
from django.contrib import admin
from django.utils.text import capfirst

from audit import clock, wording
from audit.visible import visible as made_visible

register = template.Library()

LONGEST: Final = 40_000
SHORT_ID: Final = 18
MOST_LINES: Final = 2_000
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

# A word and a sign for everything that has a colour, so that nobody needs to see the colour.
_TONES: Final[Mapping[str, tuple[str, str]]] = {
    **dict.fromkeys(
        ("verified", "returned", "pass", "active", "published", "confirmed", "done", "answered", "resolved_done", "allow", "approved", "enacted"),
        ("good", "✓"),
    ),
    **dict.fromkeys(("rejected", "failed", "fail", "refused", "deny", "declined"), ("bad", "✗")),
    **dict.fromkeys(("broken",), ("broken", "⚠")),
    **dict.fromkeys(
        ("degraded", "unverified", "inconclusive", "suspended", "unresolved", "proposed", "expired", "resolved_not_done", "require_approval"),
        ("wary", "!"),
    ),
    "changes": ("wary", "!"),
    **dict.fromkeys(("live", "running", "queued", "retrying", "dispatched", "waiting", "open"), ("live", "…")),
    **dict.fromkeys(("cancelled", "skipped", "retired", "draft", "expected", "withdrawn", "void"), ("mute", "–")),
}


@register.filter
def visible(value: Any, limit: int = 200) -> str:
    """Text from anywhere, on one line, cut; empty for None."""
    return "" if value is None else made_visible(value, limit)


@register.filter
def pretty(value: Any) -> str:
    """A value as indented JSON, each line made visible, cut at forty thousand characters."""
    lines = json.dumps(_beginning(value), ensure_ascii=False, indent=2, default=str).split("\n")
    text = "\n".join(made_visible(line, 2_000) for line in lines[:MOST_LINES])
    return text if len(text) <= LONGEST and len(lines) <= MOST_LINES else text[:LONGEST] + "\n… cut here; the command showrun --json has all of it"


def _beginning(value: Any) -> Any:
    """As much of a value as can have a line: each item takes one at least."""
    if isinstance(value, list):
        return [_beginning(one) for one in value[: MOST_LINES + 1]]
    if isinstance(value, dict):
        return {name: _beginning(one) for name, one in islice(value.items(), MOST_LINES + 1)}
    return value


@register.filter
def lines(value: Any) -> str:
    """Text of several lines, or a list of such texts, each made visible; anything else as JSON."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = "\n".join(value)
    if not isinstance(value, str):
        return pretty(value)
    return "\n".join(made_visible(line, 2_000) for line in str(value).split("\n")[:MOST_LINES])[:LONGEST]


@register.filter
def instant(value: datetime | str | None) -> str:
    """For a column whose heading says (UTC)."""
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return wording.instant(value)
    return value[:19].replace("T", " ") if len(value) == 27 and value.endswith("Z") else made_visible(value, 40)


@register.filter
def moment(value: datetime | str | None) -> str:
    """For a sentence or a fact: it says its zone itself."""
    return instant(value) + (" UTC" if value else "")


@register.filter
def span(begin: datetime | str | None, end: datetime | str | None) -> str:
    """From when to when, the day once where it is one; without an end, or within one second, only when it began."""
    first, last = instant(begin), moment(end)
    if not end or moment(begin) == last:
        return moment(begin)
    return f"{first} – {last[11:] if last.startswith(first[:10]) else last}"


@register.filter
def ago(value: datetime | None, now: datetime) -> str:
    """`now` is read once for a page: its rows agree, and none of them asks a database for the time."""
    return "never" if value is None else wording.ago(value, now)


@register.filter
def until(value: str) -> str:
    """How far off an instant of a document is: `in 2 d`."""
    return wording.ago(clock.from_text(value), clock.now())


@register.filter
def lasting(seconds: float | str | None) -> str:
    return "–" if seconds is None else wording.lasting(float(seconds))


@register.filter
def thousandth(milliseconds: int) -> float:
    """Seconds."""
    return milliseconds / 1_000


@register.filter
def money(nano: int | str | None) -> str:
    return "–" if nano is None else wording.money(int(nano))


@register.filter
def facts(given: Mapping[str, Any]) -> str:
    """An entry's facts on one line: what is there, digests by their beginning."""
    told = [(name, value) for name, value in given.items() if value not in (None, "", [], {}, False)]
    return " · ".join(f"{made_visible(name, 40)}: {_brief(value)}" for name, value in told)


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:12] if _DIGEST.fullmatch(text) else made_visible(text, 80)


@register.filter
def get(mapping: Mapping[str, Any], name: str) -> Any:
    """A value by a name that is itself a value."""
    return mapping.get(name)


@register.filter
def said(value: Any) -> str:
    """A value of a row in a history: a list as its texts, each on a line of its own."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return "\n".join(made_visible(one, 1_000) for one in value[:MOST_LINES])
    return made_visible(value, 500)


@register.filter
def beginning(run: Any) -> str:
    """Of a run's id as much as names one among millions; the command line, the search and REST take it."""
    return str(run)[:SHORT_ID]


@register.filter
def number(value: int) -> str:
    return f"{value:,}"


@register.filter
def who(reference: str | None) -> str:
    """`person alice` of `person:alice`, `agent reader` of `agent:reader`; `system` of `system:system`."""
    if not reference:
        return "–"
    kind, _, name = reference.partition(":")
    return made_visible(name if kind == name else f"{kind} {name}".strip())


@register.filter
def heading(title: Any) -> str:
    """What people call a list, by the name that its model has."""
    found = (each for each in admin.site._registry.values() if str(each.opts.verbose_name_plural).lower() == str(title).lower())  # noqa: SLF001 - Django has no other way
    return str(getattr(next(found, None), "list_title", None) or capfirst(str(title)))


@register.filter
def tone(word: Any) -> str:
    """The name of the colour of a state or outcome."""
    return _TONES.get(str(word), ("mute", "·"))[0]


@register.filter
def sign(word: Any) -> str:
    """The sign of a state or outcome, for whoever doesn't see its colour."""
    return _TONES.get(str(word), ("mute", "·"))[1]


@register.inclusion_tag("admin/audit/badge.html")
def badge(word: Any, label: Any = None) -> dict[str, str]:
    """A state or outcome as a coloured word with a sign; `label` is what it says where that is more than the word."""
    colour, sign = _TONES.get(str(word), ("mute", "·"))
    return {"tone": colour, "sign": sign, "label": made_visible(word if label is None else label, 80)}
