"""The only writer of entries, openings, pending rows and charges; verbs are registered here.

Called by use-cases inside the transaction of the change they record: if the entry can't be written, the change does
not happen. Knows what an entry looks like, never what a verb means.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any, cast
from uuid import UUID

from django.db import connection

from audit import bulk
from audit.actors import Actor
from audit.canonical import NotCanonical, canonical_bytes, commitment, digest_bytes, entry_bytes
from audit.clock import to_text
from audit.errors import Conflict, Invalid, NoTransaction, UnknownVerb
from audit.identity import new_id
from audit.models import Blob, Charge, Entry, Opening, Pending

MAX_BODY_BYTES = 32 * 1024
SALT_BYTES = 32

_VERB_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){2}")
_OPENING_NAME = re.compile(r"[a-z][a-z0-9_.]{0,99}")


@dataclass(frozen=True, slots=True)
class Verb:
    """A kind of entry, `runs.step.verified` (app, thing, past tense), and the names of what its entries may commit to."""

    name: str
    openings: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry to be: `facts` are non-personal and stay for ever, `openings` may be erased.

    `sequenced` gives it the run's next `seq`; a fact that arrives after the run has finished goes without one.
    `id` may be made beforehand, so that other rows of the transaction can point at the entry's openings.
    `at` is for facts that were true earlier than the transaction that records them; by default it is `now`.
    """

    verb: str
    actor: Actor
    subject: str
    team: str | None = None
    agent: str | None = None
    run: UUID | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    openings: Mapping[str, Any] = field(default_factory=dict)
    sequenced: bool = False
    at: datetime | None = None
    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class Head:
    """A run's last sequenced entry; `Head()` for a run that has none yet. `verb` is known of one that was read."""

    seq: int = 0
    digest: str | None = None
    verb: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ChargeDraft:
    """A money fact to be; amounts in integer nano-USD, only a correction may be negative. Token counts are disjoint."""

    amount_nano: int
    run: UUID | None = None
    step: str = ""
    call: UUID | None = None
    agent: str = ""
    version: int | None = None
    pipeline: str = ""
    team: str = ""
    cost_centre: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    provider: str = ""
    model: str = ""
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    price_version: str = ""
    estimated: bool = False
    corrects: UUID | None = None


_ENTRY_COLUMNS = ("id", "at", "verb", "actor_kind", "actor", "on_behalf_of", "team", "agent", "subject", "run", "seq", "body")
_NO_HEADS: Mapping[UUID, Head] = MappingProxyType({})
_CHARGE_FIELDS = tuple(each.name for each in fields(ChargeDraft))
_CHARGE_COLUMNS = ("id", "at", *_CHARGE_FIELDS)
_verbs: dict[str, Verb] = {}
LARGE = 16 * 1024
"""Opened values of at least so many bytes are stored once by their digest, and not again in every row that holds them."""


def register(*verbs: Verb) -> None:
    """Make verbs known; called from AppConfig.ready. Registering the same verb twice is nothing, another one a Conflict."""
    for verb in verbs:
        if not _VERB_NAME.fullmatch(verb.name) or not all(map(_OPENING_NAME.fullmatch, verb.openings)):
            raise Invalid(f"{verb!r} is not a verb: names look like 'runs.step.verified', openings like 'output'")
        if _verbs.setdefault(verb.name, verb) != verb:
            raise Conflict(f"the ledger verb {verb.name!r} is registered already, with other openings")


def registered() -> frozenset[Verb]:
    """Every verb that an entry may have now."""
    return frozenset(_verbs.values())


def record(drafts: Sequence[Draft], *, now: datetime, heads: Mapping[UUID, Head] = _NO_HEADS, beside: Sequence[bulk.Table] = ()) -> dict[UUID, Head]:
    """Write entries in the order given, with their openings and pending rows; return `heads` moved on.

    Rows of other tables that come into being with them (`beside`) are written first, with them where the database can do that.

    `heads` holds the last entry of each run that gets sequenced ones (one that is not given is read); two writers who
    start from the same head meet at the unique (run, seq), and the second gets an IntegrityError.
    Raises NoTransaction, UnknownVerb (also for an opening its verb doesn't name) and Invalid (floats, keys that are not
    ASCII, integers beyond 2^53, a body above 32 KiB); then nothing is written.
    """
    _require_transaction()
    moved = dict(heads)
    entries: list[tuple[Any, ...]] = []
    openings: list[tuple[Any, ...]] = []
    blobs: dict[str, bytes] = {}
    chance = os.urandom(SALT_BYTES * sum(len(draft.openings) for draft in drafts))  # at once: see audit.identity
    for draft in drafts:
        _refuse_unregistered(draft)
        first = len(openings)
        opened = [_opening(draft.id, path, value, _salt(chance, first + place)) for place, (path, value) in enumerate(draft.openings.items())]
        head = _head_for(draft, moved)
        commitments = {path: commitment(salt, value) for _, path, salt, value in opened}
        entry = _entry(draft, draft.at or now, head, commitments)
        if head is not None and draft.run is not None:
            moved[draft.run] = Head(head.seq + 1, digest_bytes(entry[-1]))
        entries.append(entry)
        openings += [_stored(*each, blobs) for each in opened]
    pending: bulk.Table = (Pending, ("entry",), [entry[:1] for entry in entries])
    if blobs:
        bulk.insert_missing(Blob, ("digest", "value"), sorted(blobs.items()))  # in order: two writers of the same ones wait, and not for each other
    bulk.insert_all([*beside, (Entry, _ENTRY_COLUMNS, entries), pending, (Opening, ("entry", "path", "salt", "value", "blob"), openings)])
    return moved


def head_of(run: UUID) -> Head:
    """The last sequenced entry of a run; only a transaction that holds the run's row may build on it."""
    last = Entry.objects.filter(run=run, seq__isnull=False).order_by("-seq").only("seq", "verb", "body").first()
    return Head() if last is None or last.seq is None else Head(last.seq, last.digest, last.verb)


def heads_at(seqs: Mapping[UUID, int]) -> dict[UUID, Head]:
    """The heads of many runs whose rows say their `seq`; a run whose ledger says otherwise (less, or more) is absent."""
    heads = {run: Head() for run, seq in seqs.items() if seq == 0}
    places = [(run, place) for run, seq in seqs.items() for place in (seq, seq + 1) if place]
    beyond = set()
    for entry in bulk.read(Entry, match=["run", "seq"], rows=places):
        if entry.run is None or entry.seq is None:
            continue
        if entry.seq > seqs[entry.run]:
            beyond.add(entry.run)
        else:
            heads[entry.run] = Head(entry.seq, entry.digest, entry.verb)
    return {run: head for run, head in heads.items() if run not in beyond}


def charge(charges: Sequence[ChargeDraft], *, now: datetime) -> list[UUID]:
    """Write charges and return their ids; a second uncorrecting charge for one call is an IntegrityError."""
    _require_transaction()
    rows = [_charge(draft, now) for draft in charges]
    bulk.insert(Charge, _CHARGE_COLUMNS, rows)
    return [row[0] for row in rows]


def take_back(calls: Collection[UUID], *, now: datetime) -> dict[UUID, int]:
    """Correct what these calls were charged to nothing, each by a charge of its own; what each gets back, of those that were charged anything."""
    _require_transaction()
    charged: dict[UUID, list[Charge]] = {}
    for row in Charge.objects.filter(call__in=calls).order_by("at", "id"):
        charged.setdefault(cast("UUID", row.call), []).append(row)
    back = {call: sum(row.amount_nano for row in rows) for call, rows in charged.items()}
    charge([_reversed(charged[call]) for call, amount in back.items() if amount], now=now)
    return {call: amount for call, amount in back.items() if amount}


def _reversed(rows: Sequence[Charge]) -> ChargeDraft:
    """The first of a call's charges with the signs of all of them turned."""
    first, summed = rows[0], ("amount_nano", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
    kept = {name: getattr(first, name) for name in _CHARGE_FIELDS if name not in (*summed, "estimated", "corrects")}
    return ChargeDraft(**kept, **{name: -sum(getattr(row, name) for row in rows) for name in summed}, corrects=first.id)


def _require_transaction() -> None:
    if not connection.in_atomic_block:
        raise NoTransaction


def _refuse_unregistered(draft: Draft) -> None:
    verb = _verbs.get(draft.verb)
    if verb is None:
        raise UnknownVerb(f"the ledger verb {draft.verb!r} is not registered; register it in the app's AppConfig.ready")
    if draft.openings and not draft.openings.keys() <= verb.openings:
        odd = ", ".join(sorted(draft.openings.keys() - verb.openings))
        raise UnknownVerb(f"the ledger verb {draft.verb!r} has no opening {odd}; register it with the verb")


def _head_for(draft: Draft, heads: Mapping[UUID, Head]) -> Head | None:
    if not draft.sequenced:
        return None
    if draft.run is None:
        raise Invalid(f"an entry {draft.verb!r} has a seq only within a run; give it a run or leave it unsequenced")
    return heads.get(draft.run) or head_of(draft.run)


def _salt(chance: bytes, place: int) -> bytes:
    return chance[place * SALT_BYTES : (place + 1) * SALT_BYTES]


def _opening(entry_id: UUID, path: str, value: Any, salt: bytes) -> tuple[UUID, str, bytes, bytes]:
    try:
        data = canonical_bytes(value)
    except NotCanonical as error:
        raise Invalid(f"the opening {path!r} can't be written as canonical JSON: {error}") from error
    return entry_id, path, salt, data


def _stored(entry: UUID, path: str, salt: bytes, value: bytes, blobs: dict[str, bytes]) -> tuple[UUID, str, bytes, bytes, str | None]:
    """The opening's row; a large value goes into a row of its own, which it may share."""
    if len(value) < LARGE:
        return entry, path, salt, value, None
    digest = digest_bytes(value)
    blobs[digest] = value
    return entry, path, salt, b"", digest


def _entry(draft: Draft, at: datetime, head: Head | None, commitments: dict[str, str]) -> tuple[Any, ...]:
    """The values of _ENTRY_COLUMNS; the last is the body."""
    who = draft.actor
    seq, prev = (None, None) if head is None else (head.seq + 1, head.digest)
    _refuse_odd_names(who.id, draft.subject, draft.team, draft.agent, who.on_behalf_of)
    body = _body(
        {
            "v": 1,
            "id": str(draft.id),
            "at": to_text(at),
            "actor": who.as_record(),
            "on_behalf_of": who.on_behalf_of,
            "team": draft.team,
            "agent": draft.agent,
            "verb": draft.verb,
            "subject": draft.subject,
            "run": None if draft.run is None else str(draft.run),
            "seq": seq,
            "prev": prev,
            "facts": dict(draft.facts),
            "commitments": commitments,
        }
    )
    columns = (who.kind, who.id, who.on_behalf_of, draft.team, draft.agent, draft.subject, draft.run, seq)
    return draft.id, at, draft.verb, *columns, body


def _body(envelope: dict[str, Any]) -> bytes:
    try:
        body = entry_bytes(envelope)
    except NotCanonical as error:
        raise Invalid(f"the entry {envelope['verb']!r} can't be written: {error}") from error
    if len(body) > MAX_BODY_BYTES:
        raise Invalid(
            f"the entry {envelope['verb']!r} would have {len(body)} bytes, above the ledger's limit of {MAX_BODY_BYTES};"
            " put large values into an opening, or keep them elsewhere and record their digest"
        )
    return body


def _refuse_odd_names(*names: str | None) -> None:
    """Names go into columns, lists and terminals: SQLite would store any length, and PostgreSQL stops at a NUL."""
    for name in names:
        if name is not None and not (0 < len(name) <= 200 and name.isprintable()):
            raise Invalid(f"{name[:80]!r} can't name anything in the ledger; use 1 to 200 printable characters")


def _charge(draft: ChargeDraft, now: datetime) -> tuple[Any, ...]:
    """The values of _CHARGE_COLUMNS."""
    values = {name: getattr(draft, name) for name in _CHARGE_FIELDS}
    for name in ("amount_nano", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens"):
        if type(values[name]) is not int:
            raise Invalid(f"the charge's {name} is {values[name]!r}; it must be an integer")
    _refuse_odd_names(*(value for value in values.values() if isinstance(value, str) and value))
    values["tags"] = dict(draft.tags)
    return new_id(), now, *values.values()
