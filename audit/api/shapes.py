"""JSON Schemas said shortly: what a door takes and gives is written once, published as it is and enforced as it is.

Pure values. Used by every app's `api`; the site collects COMPONENTS into the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Shape = dict[str, Any]

MOST_PER_PAGE: Final = 200
PER_PAGE: Final = 50


def text(meaning: str = "", *, most: int | None = None, least: int | None = None, pattern: str | None = None, example: str | None = None) -> Shape:
    """A string; `pattern` is anchored by whoever writes it."""
    limits = {"maxLength": most, "minLength": least, "pattern": pattern}
    return {"type": "string", **{key: value for key, value in limits.items() if value is not None}, **_told(meaning, example)}


def whole(meaning: str = "", *, least: int | None = None, most: int | None = None, example: int | None = None) -> Shape:
    limits = {"minimum": least, "maximum": most}
    return {"type": "integer", **{key: value for key, value in limits.items() if value is not None}, **_told(meaning, example)}


def flag(meaning: str = "") -> Shape:
    return {"type": "boolean", **_told(meaning)}


def instant(meaning: str = "", example: str | None = None) -> Shape:
    """An RFC 3339 text with its offset."""
    return {"type": "string", "format": "date-time", **_told(meaning, example)}


def ident(meaning: str = "") -> Shape:
    return {"type": "string", "format": "uuid", **_told(meaning, "0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10")}


def one_of(*words: object, meaning: str = "") -> Shape:
    return {"type": "string", "enum": [str(word) for word in words], **_told(meaning)}


def anything(meaning: str = "") -> Shape:
    """Any JSON value."""
    return _told(meaning)


def mapping(meaning: str = "", values: Shape | None = None) -> Shape:
    """An object whose keys are not fixed."""
    return {"type": "object", "additionalProperties": True if values is None else values, **_told(meaning)}


def listing(items: Shape, meaning: str = "", *, most: int | None = None) -> Shape:
    return {"type": "array", "items": items, **({} if most is None else {"maxItems": most}), **_told(meaning)}


def maybe(shape: Shape) -> Shape:
    """The shape, or null."""
    if "$ref" in shape:
        return {"oneOf": [shape, {"type": "null"}]}
    named = {**shape, "type": [shape["type"], "null"]} if "type" in shape else shape
    return {**named, "enum": [*named["enum"], None]} if "enum" in named else named


def ref(name: str) -> Shape:
    return {"$ref": f"#/components/schemas/{name}"}


def given(
    shared: Mapping[str, Shape] | None = None, *, optional: tuple[str, ...] = (), examples: list[Any] | None = None, meaning: str = "", **own: Shape
) -> Shape:
    """An object with exactly these members, shared ones and its own; an unknown one is refused."""
    properties = {**(shared or {}), **own}
    required = [name for name in properties if name not in optional]
    shape: Shape = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**shape, **({"required": required} if required else {}), **({"examples": examples} if examples else {}), **_told(meaning)}


def page_of(items: Shape) -> Shape:
    """One page of a list: `next` leads on, null at the end. There is no count."""
    following = maybe(text("path of the next page, with the same filters; null at the end", example="/api/v1/runs/?cursor=WyIyMDI2…"))
    return given(items=listing(items), next=following)


def _told(meaning: str, example: Any = None) -> Shape:
    return {**({"description": meaning} if meaning else {}), **({} if example is None else {"examples": [example]})}


NAME_PATTERN: Final = "^[a-z][a-z0-9-]{0,62}$"
PERSON_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9@.+_-]{0,149}$"
PRINTABLE: Final = "^[^\\x00-\\x1f\\x7f-\\x9f]{1,200}$"
NANO: Final = text("nano-USD, billionths of a dollar, as text", pattern="^-?[0-9]+$", example="1250000")


def named(meaning: str, example: str = "ops-digest") -> Shape:
    """The name of a team, an agent, a pipeline or an alias."""
    return text(meaning, pattern=NAME_PATTERN, example=example)


def person(meaning: str = "who, by the name they sign in with") -> Shape:
    return text(meaning, pattern=PERSON_PATTERN, example="alice")


PROBLEM: Final = given(
    type=text("which kind of problem; stable", example="urn:orchestra:problem:bad-input"),
    title=text("the kind, for people", example="Bad input"),
    status=whole("the HTTP status again", example=422),
    detail=text(
        "what happened here, with the numbers, and what to do", example="the input of 'ops-digest' breaks its contract: /feed: 3 is not a string"
    ),
    code=text("the kind, for programs", example="bad-input"),
    instance=text("the path that was asked", example="/api/v1/runs/"),
    problems=listing(text(), "where several things are wrong: each of them"),
    optional=("problems",),
    meaning="What was refused, by RFC 9457.",
)

ENTRY: Final = given(
    id=ident(),
    at=instant("when it was true"),
    verb=text("what happened", example="audit.export.made"),
    actor=given(
        kind=text("person, agent or system"),
        id=text(),
        auth=text("how we know: shell, session, token, worker, sweep and their like"),
        meaning="who did it",
    ),
    on_behalf_of=maybe(text()),
    team=maybe(text()),
    agent=maybe(text()),
    subject=text("what it is about", example="run:0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10"),
    run=maybe(ident()),
    seq=maybe(whole("its place in its run, gapless from 1")),
    prev=maybe(text("digest of the run's entry before")),
    facts=mapping("what is not personal and stays for ever"),
    commitments=mapping("SHA-256(salt ‖ value) of what may be erased", text()),
    digest=text("SHA-256 of the stored bytes"),
    intact=flag("false: the stored bytes contradict their columns, so facts, commitments and prev are empty and it proves nothing"),
    meaning="One line of the ledger.",
)

_COUNTED: Final = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
CHARGE: Final = given(
    {
        **{name: text() for name in ("step", "agent", "pipeline", "team", "cost_centre", "provider", "model", "price_version")},
        **{name: maybe(ident()) for name in ("run", "call")},
        **{name: whole() for name in _COUNTED},
    },
    id=ident(),
    at=instant(),
    amount_nano=NANO,
    estimated=flag("no usage was reported, so this is the bound"),
    corrects=maybe(ident("the charge that this one corrects")),
    version=maybe(whole()),
    tags=mapping(),
    meaning="A money fact. Corrections are charges of their own.",
)

_SPENT: Final[dict[str, Shape]] = {
    "amount_nano": NANO,
    "estimated_nano": {**NANO, "description": "of that, what nobody reported and is the bound; nano-USD as text"},
    "charges": whole("how many, corrections included"),
    **{name: whole() for name in _COUNTED},
}
CHARGE_SUMMARY: Final = given(
    since=instant("from here on; later than asked where `complete` is false"),
    until=instant("up to here"),
    complete=flag("false: there are more charges in the period than are looked at, so this is the newest part of it"),
    total=given(_SPENT, meaning="What all of them come to."),
    items=listing(given(_SPENT, name=text("of the team, agent, pipeline, provider/model or day; empty where a charge has none", example="platform"))),
    more=flag("there are more groups than these"),
    meaning="What charges come to, in USD.",
)
PROPOSED: Final = given(
    proposal=ident("of what waits for people: `/api/v1/proposals/{proposal}/` shows it"),
    detail=text("who must say yes to it first, by which policy"),
    meaning="Not done, and not refused: people of the team have to say yes first, and are asked.",
)
COMPONENTS: Final = {
    "Problem": PROBLEM,
    "Proposed": PROPOSED,
    "Entry": ENTRY,
    "Charge": CHARGE,
    "ChargeSummary": CHARGE_SUMMARY,
    "EntryPage": page_of(ref("Entry")),
    "ChargePage": page_of(ref("Charge")),
}
