"""How durations, money, instants and states read in a terminal, and in which colour. Pure; used by everything beside it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from audit.instants import to_the_second
from audit.visible import visible
from audit.wording import lasting

STYLES: Final = {
    "verified": "bold green",
    "degraded": "bold yellow",
    "rejected": "bold red",
    "failed": "bold red",
    "cancelled": "bold yellow",
    "unverified": "bold yellow",
    "broken": "bold white on red",
    "queued": "bold cyan",
    "running": "bold cyan",
    "waiting": "bold cyan",
}
_MARKS: Final = {
    **dict.fromkeys(("returned", "pass", "verified"), ("✓", "green")),
    **dict.fromkeys(("failed", "fail", "rejected", "broken"), ("✗", "red")),
    **dict.fromkeys(("inconclusive", "unverified", "degraded"), ("?", "yellow")),
    **dict.fromkeys(("cancelled", "skipped"), ("–", "dim")),
    **dict.fromkeys(("running", "retrying", "queued", "waiting"), ("…", "cyan")),
}


LEAST_WAITED_S: Final = 0.005
"""Less reads as 0.00 s."""


def word_of(document: Mapping[str, Any]) -> str:
    """The one word that colours and filters go by: broken before the outcome, the state while there is none."""
    return "broken" if document["integrity"] == "broken" else str(document["outcome"] or document["state"])


def mark(state: str) -> Text:
    """A sign for a state, never the only thing that says it."""
    sign, style = _MARKS.get(state, ("·", "dim"))
    return Text(sign, style=style)


def styled(word: str, text: str) -> Text:
    return Text(text, style=STYLES.get(word, "bold"))


def instant(text: str | None) -> str:
    """An RFC 3339 instant to the second; whatever a verifier wrote instead is shown as it is."""
    if text is None:
        return "–"
    return text[:19] + "Z" if len(text) == 27 and text.endswith("Z") else visible(text, 40)


def instant_of(at: datetime) -> str:
    return to_the_second(at)


def waited(seconds: float) -> str:
    """Behind a step's time, how much of it nothing was done: it waited for people, a signal or its time."""
    return f"waited {lasting(seconds)}" if seconds >= LEAST_WAITED_S else ""


def whose(owner: Any, team: Any) -> str:
    """`agent:feed-reader` and its team, as people say it."""
    kind, _, name = visible(owner or "?", 120).partition(":")
    said = f"{kind} {name}".strip()
    return f"{said}, team {visible(team, 80)}" if team else said
