"""Entries as CSV (RFC 4180, UTF-8) that no spreadsheet takes for formulas; a view, the JSON lines are the evidence.

Every text is quoted, and one that would start a formula gets a leading apostrophe (OWASP, "CSV Injection").
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence

from audit.canonical import digest_bytes

COLUMNS = (
    *("at", "verb", "actor_kind", "actor", "auth", "on_behalf_of", "team", "agent", "subject", "run", "seq"),
    *("facts", "commitments", "id", "digest"),
)
_SAME = ("on_behalf_of", "team", "agent", "subject", "run", "seq")

# Spreadsheets look past blanks, and past characters of no width, before they decide that a cell is a formula.
_FORMULA = re.compile("[\t\r\n]|[\\s\x00-\x1f\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]*[=+\\-@＝＋－＠]")


def safe(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would run it."""
    return "'" + text if _FORMULA.match(text) else text


class Spreadsheet:
    """One row per entry; `facts` and `commitments` are JSON texts, `digest` is the SHA-256 of the stored bytes."""

    def head(self) -> bytes:
        return self._rows([COLUMNS])

    def lines(self, bodies: list[bytes]) -> bytes:
        return self._rows([_row(body) for body in bodies])

    def _rows(self, rows: Sequence[tuple[str | int | None, ...]]) -> bytes:
        buffer = io.StringIO(newline="")
        csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n").writerows(rows)
        return buffer.getvalue().encode()


def _row(body: bytes) -> tuple[str | int | None, ...]:
    entry = json.loads(body)
    actor = entry["actor"]
    cells = (
        *(entry["at"], entry["verb"], actor["kind"], actor["id"], actor["auth"]),
        *(entry[name] for name in _SAME),
        *(_compact(entry["facts"]), _compact(entry["commitments"]), entry["id"], digest_bytes(body)),
    )
    return tuple(safe(cell) if isinstance(cell, str) else cell for cell in cells)


_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
