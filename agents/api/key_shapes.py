"""What the doors of agents' keys take and give, as JSON Schema. Pure values."""

from __future__ import annotations

from typing import Final

from agents.registry.keys import LASTS, MOST_NAME, MOST_SCOPES, SCOPE_PATTERN
from audit.api.shapes import flag, given, instant, listing, maybe, page_of, person, ref, text

_SCOPES: Final = listing(text("read, can, start:PIPELINE or start:*", pattern=f"^{SCOPE_PATTERN}$", example="start:ops-digest"), most=MOST_SCOPES)
KEY: Final = given(
    id=text("the part of it that may be shown; names it where it is revoked", example="3f9aK2mQ7xZ1"),
    agent=text(),
    name=text("what it is for", example="the digest's own server"),
    owner=person("whose it is: who made it"),
    scopes=_SCOPES,
    opens={**_SCOPES, "description": "of these, what it opens at this moment: its owner may not start runs any more, or it doesn't work at all"},
    works=flag("whether it works at this moment"),
    why_not=maybe(text("why it doesn't; null where it does", example="agent 'reader' is suspended")),
    created_at=instant(),
    expires_at=instant("from here on it is refused"),
    used_at=maybe(instant("when it was used last, to the minute; null for never")),
    revoked_at=maybe(instant()),
    meaning="A key of an agent, without its text: that is shown once, when it is made.",
)
MADE_KEY: Final = given(
    KEY["properties"],
    key=text("the key itself, shown this once; the agent sends it as `Authorization: Bearer …`", example="orck_live_3f9aK2mQ7xZ1_…"),
)
KEY_ASKED: Final = given(
    scopes={**_SCOPES, "minItems": 1, "uniqueItems": True, "description": "what it opens; nothing is there by itself"},
    expires=text(f"after how long it ends, by default {LASTS}", pattern="^[0-9]{1,12}(ms|s|m|h|d)$", example="30d"),
    name=text("what it is for", most=MOST_NAME, example="the digest's own server"),
    optional=("expires", "name"),
    examples=[{"scopes": ["read", "can"], "expires": "30d"}, {"scopes": ["start:ops-digest"], "name": "the digest's own server"}],
)
COMPONENTS: Final = {"AgentKey": KEY, "AgentKeyPage": page_of(ref("AgentKey")), "MadeAgentKey": MADE_KEY}
