"""What the site's own doors give: tokens, and who one is. Pure values."""

from __future__ import annotations

from typing import Final

from audit.api.shapes import given, ident, instant, listing, maybe, page_of, person, ref, text

TOKEN: Final = given(
    id=ident("what names it where it is revoked"),
    name=text("what it is for", example="nightly job"),
    person=person("whose it is"),
    created_at=instant(),
    expires_at=instant("from here on it is refused"),
    meaning="A token, without its text: that is shown once, when it is made.",
)
MADE: Final = given(
    TOKEN["properties"],
    token=text("the token itself, shown this once; send it as `Authorization: Bearer …`", example="orc_3f9a…"),
)
ME: Final = given(
    person=person(),
    auth=text("how we know: session or token", example="token"),
    expires_at=maybe(instant("when the token that asked ends; null for a session")),
    teams=listing(text(), "teams that you belong to, and may act for"),
    reads=listing(text(), "teams that are only shown to you"),
    permissions=listing(text(), "what you may beyond your teams"),
)
COMPONENTS: Final = {"Token": TOKEN, "MadeToken": MADE, "Me": ME, "TokenPage": page_of(ref("Token"))}
