"""What the doors of cover take and give, as JSON Schema. Pure values."""

from __future__ import annotations

from typing import Final

from agents.registry.covering import LONGEST
from audit.api.shapes import Shape, flag, given, ident, instant, maybe, one_of, page_of, person, ref, text

STANDS: Final = ("ahead", "in force", "over", "ended")
FILTERS: Final[dict[str, Shape]] = {"ahead": flag("true: only those that hold, or will")}
COVER: Final = given(
    id=ident(),
    person=person("who is away"),
    deputy=person("who decides in their stead"),
    since=instant(),
    until=instant("from here on it is over"),
    stands=one_of(*STANDS, meaning="at this moment; ended: before its time"),
    made_by=text("who arranged it", example="person:alice"),
    created_at=instant(),
    ended_at=maybe(instant()),
    meaning="Who decides approvals in whose stead.",
)
_TIME: Final = "a day, which begins at midnight UTC, or an instant"
COVER_ASKED: Final = given(
    deputy=person("who decides: a member of a team of the person's"),
    until=text(f"when it ends, at most {LONGEST.days} days after it begins: {_TIME}", most=40, example="2026-12-28"),
    since=text(f"when it begins, by default now: {_TIME}", most=40, example="2026-12-19"),
    person=person("who is away, by default you"),
    optional=("since", "person"),
    examples=[{"deputy": "bob", "until": "2026-12-28"}, {"person": "alice", "deputy": "bob", "since": "2026-12-19", "until": "2026-12-28T12:00:00Z"}],
)
COMPONENTS: Final = {"Cover": COVER, "CoverPage": page_of(ref("Cover"))}
