"""The read side of the ledger: a run's entries, single bodies with their integrity, openings, sums, filtered streams.

Reads only, and takes stored bytes for what they prove: an entry whose columns contradict its bytes is no evidence.
Called by other apps' read paths, by exports and by the doors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, Sum

from audit import bulk
from audit.actors import Actor
from audit.canonical import digest_bytes, value_of
from audit.clock import to_text
from audit.lanes import lanes_of
from audit.models import Blob, Charge, Entry, Opening
from audit.models.entry import EntryQuerySet


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entries; all that are given must hold. `person` finds what they did and what was done on their behalf.

    `since` is inclusive, `until` exclusive, so that months laid end to end hold every entry once.
    """

    run: UUID | None = None
    agent: str | None = None
    person: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def as_record(self) -> dict[str, str]:
        """The filters that were given, as text; what the entry about an export says of it (the person goes apart)."""
        given: dict[str, str | None] = {
            "run": None if self.run is None else str(self.run),
            "agent": self.agent,
            "since": None if self.since is None else to_text(self.since),
            "until": None if self.until is None else to_text(self.until),
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Spent:
    """What was charged, corrections included; of that the estimated part, and the number of charges."""

    amount_nano: int = 0
    estimated_nano: int = 0
    charges: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0


def matching(filters: Filters, *, actor: Actor) -> EntryQuerySet:
    """The entries that match and that the actor may see, oldest first; not evaluated yet."""
    wanted = {"run": filters.run, "agent": filters.agent, "at__gte": filters.since, "at__lt": filters.until}
    found = Entry.objects.visible_to(actor).filter(**{name: value for name, value in wanted.items() if value is not None})
    if filters.person is not None:
        found = found.of_person(filters.person)
    return found.in_order()


def lanes_of_entries(filters: Filters, *, actor: Actor) -> list[Q]:
    """Conditions that part what matches into lists of which an index has each in order."""
    if filters.person is not None:
        return EntryQuerySet.ways_of_person(filters.person)
    return [Q()] if filters.agent is not None or filters.run is not None else lanes_of(actor)


def entries_of(run: UUID, *, limit: int | None = None) -> list[dict[str, Any]]:
    """The envelopes of a run, or the first of them: first by seq, then the facts that arrived after its end, oldest first.

    What is no evidence is left out, as in bodies_at; chain_problems says where.
    """
    entries = list(Entry.objects.filter(run=run, seq__isnull=False).order_by("seq")[:limit])  # apart from the late ones, along the index
    left = None if limit is None else limit - len(entries)
    entries += Entry.objects.filter(run=run, seq__isnull=True).order_by("at", "id")[:left]
    return [envelope for entry in entries if (envelope := entry.trusted_envelope()) is not None]


def shown(entry: Entry) -> dict[str, Any]:
    """An entry as doors show it: its envelope with its digest; where its bytes are no evidence, only what the columns say."""
    envelope = entry.trusted_envelope()
    if envelope is not None:
        return {**{name: value for name, value in envelope.items() if name != "v"}, "digest": entry.digest, "intact": True}
    columns = {name: getattr(entry, name) for name in ("verb", "on_behalf_of", "team", "agent", "subject", "seq")}
    who = {"kind": entry.actor_kind, "id": entry.actor, "auth": "unknown"}
    nothing: dict[str, Any] = {"prev": None, "facts": {}, "commitments": {}}
    ids = {"id": str(entry.id), "at": to_text(entry.at), "run": None if entry.run is None else str(entry.run)}
    return {**columns, **ids, "actor": who, **nothing, "digest": entry.digest, "intact": False}


def events_of(run: UUID, *, after: int, limit: int) -> list[dict[str, Any]]:
    """A run's sequenced entries beyond a seq, in order, as doors show them."""
    return [shown(entry) for entry in Entry.objects.filter(run=run, seq__gt=after).order_by("seq")[:limit]]


def last_run_of(agent: str, *, actor: Actor) -> tuple[UUID, datetime] | None:
    """The newest run in which an agent did something that the actor may see, and when."""
    found = Entry.objects.visible_to(actor).filter(agent=agent, run__isnull=False).order_by("-at").values_list("run", "at").first()
    return None if found is None or found[0] is None else (found[0], found[1])


def is_said_of(subject: str, verb: str, *, run: UUID) -> bool:
    """Whether a run has an entry of this kind about this subject."""
    return Entry.objects.filter(run=run, verb=verb, subject=subject).exists()


def said_between(verb: str, subjects: Sequence[str], *, runs: Iterable[UUID], since: datetime, until: datetime) -> list[str]:
    """About which of these subjects these runs have entries of this kind, after one instant and before another."""
    found = Entry.objects.filter(run__in=list(runs), verb=verb, subject__in=subjects, at__gt=since, at__lt=until)
    return list(found.order_by("at", "id").values_list("subject", flat=True))


def bodies_at(pairs: Sequence[tuple[UUID, int]]) -> dict[UUID, dict[str, Any]]:
    """The envelope at exactly (run, seq) of each pair, by run; a run appears in one pair.

    Left out is what is no evidence: no such entry, bytes that are not canonical, columns that contradict them. Whoever
    asks treats that as broken.
    """
    return {run: envelope for (run, _), envelope in envelopes_at(pairs).items()}


def envelopes_at(pairs: Sequence[tuple[UUID, int]]) -> dict[tuple[UUID, int], dict[str, Any]]:
    """The same by (run, seq), where several of a run are wanted."""
    found: dict[tuple[UUID, int], dict[str, Any]] = {}
    for entry in bulk.read(Entry, match=["run", "seq"], rows=pairs):
        envelope = entry.trusted_envelope()
        if envelope is not None and entry.run is not None and entry.seq is not None:
            found[entry.run, entry.seq] = envelope
    return found


def said_in(
    runs: Collection[UUID], *, verbs: Collection[str], subjects: Collection[str] | None = None
) -> Iterator[tuple[UUID, dict[str, Any] | None]]:
    """The sequenced entries of these kinds, of each run in order; about these subjects only, where some are given.

    None stands for one that is no evidence.
    """
    entries = Entry.objects.filter(run__in=list(runs), seq__isnull=False, verb__in=list(verbs)).order_by("run", "seq")
    wanted = entries if subjects is None else entries.filter(subject__in=list(subjects))
    for entry in wanted.iterator():
        if entry.run is not None:
            yield entry.run, entry.trusted_envelope()


def openings_of(entries: Iterable[UUID]) -> dict[UUID, dict[str, Any]]:
    """The values behind the commitments of entries, by entry and path; erased ones and ones that don't match are absent."""
    return told_openings_of(entries).values


@dataclass(frozen=True, slots=True)
class Openings:
    """Values by entry and path; `contradicted` are the entries of which a value stands there that they have not committed to."""

    values: dict[UUID, dict[str, Any]]
    contradicted: frozenset[UUID]


def told_openings_of(entries: Iterable[UUID]) -> Openings:
    """As `openings_of`, and where something else was put in the place of a value: what was erased is gone, and contradicts nothing."""
    ids = list(entries)
    opened: dict[UUID, dict[str, Any]] = {entry_id: {} for entry_id in ids}
    proven, other = _proven(["entry"], [[entry] for entry in ids])
    for opening in proven:
        opened[opening.entry][opening.path] = value_of(opening.held)
    # A value that is kept once for several entries may be erased between the two looks: then nothing stands there.
    return Openings(opened, frozenset(opening.entry for opening in other if opening.held))


def opened_digests(envelopes: Iterable[dict[str, Any]], path: str) -> dict[UUID, str]:
    """SHA-256 of the stored value behind one commitment of each entry; erased ones and ones that don't match are absent.

    Of entries whose envelopes were read as evidence already (`bodies_at`): looking at a thousand of them twice is what a page would wait for.
    """
    said = {UUID(envelope["id"]): envelope["commitments"].get(path) for envelope in envelopes}
    found = bulk.read(Opening, match=["entry", "path"], rows=[[entry, path] for entry in said])
    _fill_in_blobs([opening for opening in found if opening.blob_id is not None])
    return {opening.entry: digest_bytes(opening.held) for opening in found if said[opening.entry] == opening.commitment}


def _proven(match: list[str], rows: bulk.Rows) -> tuple[list[Opening], list[Opening]]:
    """The openings that their entry has committed to, and those that it has not."""
    held = bulk.read_pairs(Opening, Entry, on=("entry", "id"), match=match, rows=rows)
    _fill_in_blobs([opening for opening, _ in held if opening.blob_id is not None])
    entries = {entry.id: entry for _, entry in held}
    commitments = {key: (entry.trusted_envelope() or {"commitments": {}})["commitments"] for key, entry in entries.items()}
    proven: tuple[list[Opening], list[Opening]] = ([], [])
    for opening, _ in held:
        proven[commitments[opening.entry].get(opening.path) != opening.commitment].append(opening)
    return proven


def _fill_in_blobs(openings: Sequence[Opening]) -> None:
    """Values that are stored by their digest; whatever stands there is held against the commitment like any other."""
    wanted = [[opening.blob_id] for opening in openings]
    blobs = {blob.digest: blob.value for blob in bulk.read(Blob, match=["digest"], rows=wanted)} if wanted else {}
    for opening in openings:
        opening.value = blobs.get(str(opening.blob_id), b"")


def chain_problems(run: UUID) -> list[str]:
    """What is wrong with a run's sequence, in words; empty if it runs 1, 2, 3… and each entry holds the one before."""
    problems: list[str] = []
    expected, prev = 1, None
    for entry in Entry.objects.filter(run=run, seq__isnull=False).order_by("seq").iterator():
        envelope = entry.trusted_envelope()
        if entry.seq != expected:
            problems.append(f"seq {expected} is missing: the next is {entry.seq}")
        if envelope is None:
            problems.append(f"seq {entry.seq}: the bytes are not canonical or the columns contradict them")
        elif envelope.get("prev") != prev:
            problems.append(f"seq {entry.seq}: prev is {envelope.get('prev')}, the entry before has {prev}")
        expected, prev = (entry.seq or 0) + 1, entry.digest
    return problems


def usage_of(run: UUID) -> dict[UUID, dict[str, Any]]:
    """What a run's calls of models were charged for, by call; corrections are not among it."""
    names = ("provider", "model", "price_version", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "estimated")
    rows = Charge.objects.filter(run=run, call__isnull=False, corrects__isnull=True).exclude(provider="").values("call", *names)
    return {row["call"]: {name: row[name] for name in names} for row in rows}


def charges_of(run: UUID) -> Spent:
    """What a run has cost so far."""
    tokens = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
    sums = Charge.objects.filter(run=run).aggregate(
        number=Count("id"),
        amount=Sum("amount_nano", default=0),
        estimated=Sum("amount_nano", default=0, filter=Q(estimated=True)),
        **{f"sum_{name}": Sum(name, default=0) for name in tokens},
    )
    counts = {name: int(sums[f"sum_{name}"]) for name in tokens}
    return Spent(int(sums["amount"]), int(sums["estimated"]), sums["number"], **counts)
