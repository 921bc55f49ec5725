"""What the site's own doors give: tokens, passwords, locks, and who one is. Pure values."""

from __future__ import annotations

from typing import Final

from agents.api.shapes import AGENT
from audit.api.shapes import flag, given, ident, instant, listing, mapping, maybe, one_of, page_of, person, ref, text, whole

TOKEN: Final = given(
    id=ident("what names it where it is revoked"),
    name=text("what it is for", example="nightly job"),
    person=person("whose it is"),
    created_at=instant(),
    expires_at=instant("from here on it is refused"),
    used_at=maybe(instant("when it was used last, to the hour: it was used then, and perhaps again within the hour after; null for never")),
    meaning="A token, without its text: that is shown once, when it is made.",
)
MADE: Final = given(
    TOKEN["properties"],
    token=text("the token itself, shown this once; send it as `Authorization: Bearer …`", example="orc_3f9a…"),
)
ME: Final = given(
    person=person("you, by the name you sign in with; with an agent's key its owner"),
    agent=maybe(text("with an agent's key: the agent")),
    auth=text("how we know: session, token, or key and its id", example="token"),
    expires_at=maybe(instant("when the token or key that asked ends; null for a session")),
    scopes=listing(text(), "with an agent's key: what it opens at this moment"),
    teams=listing(text(), "teams that you belong to, and may act for"),
    reads=listing(text(), "teams that are only shown to you"),
    permissions=listing(text(), "what you may beyond your teams"),
    roles=listing(text(), "your roles; without any you act for your teams as every member does"),
    does=listing(text(), "what you may do for the teams that you belong to"),
)
REVOKED: Final = given(revoked=whole("how many tokens"), meaning="Tokens that are refused from now on.")
PASSWORD_ASKED: Final = given(
    old=text("your present password", most=1_000),
    new=text("the new one; the rules are said where it breaks one", most=1_000),
    examples=[{"old": "the present one", "new": "a new one that is long"}],
)
PASSWORD_CHANGED: Final = given(tokens_ended=whole("how many tokens of yours ended with the old password"))
LOCK: Final = given(
    id=ident("what names it where it is lifted"),
    scope=one_of(
        "name",
        "address",
        "elsewhere",
        "change",
        meaning="a user name from one address, one address with any name, a user name from wherever it has not signed in lately, or somebody "
        "changing their own password",
    ),
    person=maybe(person("whose account it is about; null for a name that nobody has, and for an address")),
    address=text("an IPv4 address or an IPv6 network; empty where it is not known, and where there are many", example="203.0.113.7"),
    ends_at=instant("from here on it is over by itself"),
    meaning="Somebody, or somewhere, from where no password is looked at after too many wrong ones.",
)
INDEX: Final = given(
    version=text("of Orchestra", example="0.3.0"),
    schema=text("the OpenAPI document; needs no credential", example="/api/v1/schema/"),
    docs=text("the document as a page; needs no credential", example="/api/v1/docs/"),
    addresses=mapping("what can be read without knowing a name, by its path", text(example="/api/v1/runs/")),
    meaning="Where everything is.",
)
STOCKED: Final = given(
    AGENT["properties"],
    published=maybe(whole("number of the version that is published")),
    draft=maybe(whole("number of the version that waits to be published")),
    runs=mapping("pipelines that are shown to you and run it, each with the version that it runs", whole()),
    last_run=maybe(given(run=ident(), at=instant(), reads_as=text("its outcome, or how it stands", example="verified"), meaning="its newest run")),
    last_verified_at=maybe(instant("when the newest verified run ended in which it took part; null: none of its newest ones was")),
    uncontained=flag("nothing kept its code from the network when it was last called"),
    meaning="An agent with what it did last.",
)
COMPONENTS: Final = {
    "InventoryPage": page_of(STOCKED),
    "Index": INDEX,
    "Token": TOKEN,
    "MadeToken": MADE,
    "Me": ME,
    "TokenPage": page_of(ref("Token")),
    "Revoked": REVOKED,
    "PasswordChanged": PASSWORD_CHANGED,
    "SignInLock": LOCK,
    "SignInLockPage": page_of(ref("SignInLock")),
}
