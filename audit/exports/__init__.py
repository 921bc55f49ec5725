"""Exports of the ledger: the use-case that writes one and records that it was made.

The forms beside it turn stored bytes into lines. Knows no file name and no terminal; the command and the API publish
what is written here, and only after the entry about it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from typing import BinaryIO, Protocol

from django.db import transaction

from audit import bulk, clock, ledger
from audit.actors import Actor
from audit.errors import Invalid
from audit.exports.jsonl import JsonLines
from audit.exports.spreadsheet import Spreadsheet
from audit.reports import Filters, matching

EXPORT_MADE = ledger.Verb("audit.export.made", openings=frozenset({"person"}))
VERBS = (EXPORT_MADE,)

_CHUNK = 2000  # rows held at once, whatever the size of the ledger


class Form(Protocol):
    """How entries are written down; one value per export, used by one thread."""

    def head(self) -> bytes: ...

    def lines(self, bodies: list[bytes]) -> bytes: ...


FORMS: dict[str, type[Form]] = {"jsonl": JsonLines, "csv": Spreadsheet}


@dataclass(frozen=True, slots=True)
class Export:
    """What was written: entries, bytes, and the SHA-256 of all of it, as the ledger has it too."""

    count: int
    size: int
    sha256: str


def make_export(
    *,
    form: str,
    filters: Filters,
    into: BinaryIO,
    actor: Actor,
    on_progress: Callable[[int], None] = lambda count: None,  # noqa: ARG005 - nobody watches
) -> Export:
    """Write the matching entries that the actor may see into a file nobody else reads yet, then record it.

    The entry commits in a transaction of its own before this returns, so an export that can't be recorded is never
    published. The entry about itself is not in it. Raises Invalid for an unknown form.
    """
    if form not in FORMS:
        raise Invalid(f"there is no export format {form!r}; use one of {', '.join(sorted(FORMS))}")
    made = _write(FORMS[form](), filters, into, actor, on_progress)
    with transaction.atomic(durable=True):
        ledger.record([_draft(form, filters, made, actor)], now=clock.now())
    return made


def _write(form: Form, filters: Filters, into: BinaryIO, actor: Actor, on_progress: Callable[[int], None]) -> Export:
    count, size, seen = 0, 0, sha256()
    with closing(bulk.portions(matching(filters, actor=actor).values_list("body"), _CHUNK)) as portions:  # it holds a transaction
        pieces = ((len(bodies), form.lines(bodies)) for bodies in portions)
        for more, piece in chain([(0, form.head())], pieces):
            into.write(piece)
            seen.update(piece)
            count, size = count + more, size + len(piece)
            on_progress(count)
    return Export(count, size, seen.hexdigest())


def _draft(form: str, filters: Filters, made: Export, actor: Actor) -> ledger.Draft:
    facts = {"format": form, "filters": filters.as_record(), "count": made.count, "sha256": made.sha256}
    person = {} if filters.person is None else {"person": filters.person}
    return ledger.Draft(EXPORT_MADE.name, actor, "audit:export", facts=facts, openings=person)
