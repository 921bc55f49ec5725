"""What differs between two versions, for whoever decides about it: what governs comes first and whole, and what isn't shown is counted.

Pure. Must not leave out a change in silence: whoever writes a draft chooses its names and lengths. Used by the pages of versions and of publishing,
and wherever a proposal is shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from audit.visible import visible

from .changes import FieldChange

MOST_OF_CONTRACTS: Final = 300
LONG: Final = 2_000
AROUND: Final = 200
_FIRST: Final = ("role", "permissions", "run", "executable", "limits", "uses")
_CONTRACTS: Final = ("input", "output")
_LONGEST_GLYPH: Final = len("<U+10FFFF>")


@dataclass(frozen=True, slots=True)
class Difference:
    """One field as text for people; None where there was or is none."""

    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Differences:
    """In the order in which they matter; `more` fields of the contracts are not among them."""

    rows: Sequence[Difference]
    more: int


def differences(fields: Iterable[FieldChange]) -> Differences:
    """Only the fields of input and output are cut, in number and in length, for a contract may list thousands; both are said."""
    ordered = sorted(fields, key=lambda field: (_rank(field.path), field.path))
    governing = [field for field in ordered if _top(field.path) not in _CONTRACTS]
    contracts = ordered[len(governing) :]
    rows = [_difference(field, whole=True) for field in governing]
    rows += [_difference(field, whole=False) for field in contracts[:MOST_OF_CONTRACTS]]
    return Differences(rows, max(len(contracts) - MOST_OF_CONTRACTS, 0))


def _top(path: str) -> str:
    return path.split(".", 1)[0].split("[", 1)[0]


def _rank(path: str) -> int:
    top = _top(path)
    if top in _FIRST:
        return _FIRST.index(top)
    return len(_FIRST) + (top in _CONTRACTS)


def _difference(field: FieldChange, *, whole: bool) -> Difference:
    old, new = _text(field.old), _text(field.new)
    before = _alike(old or "", new or "")
    after = _alike((old or "")[before:][::-1], (new or "")[before:][::-1])
    said = [None if text is None else _shown(text, before, after, whole=whole) for text in (old, new)]
    return Difference(field.path, said[0], said[1])


def _alike(one: str, other: str) -> int:
    """How many characters are the same at the beginning of both."""
    return next((index for index, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), min(len(one), len(other)))


def _text(value: Any) -> str | None:
    """A long text as its lines, anything else as JSON; of a text of several lines each stands on its own, and still says how it ends."""
    if value is None:
        return None
    if isinstance(value, str) and len(value) > LONG:
        return value
    said = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return said if not isinstance(value, str) or len(broken := _broken(value)) > LONG else broken


def _broken(text: str) -> str:
    lines = [json.dumps(line, ensure_ascii=False)[1:-1] for line in text.removesuffix("\n").split("\n")]
    return '"' + "\\n\n".join(lines) + ("\\n" if text.endswith("\n") else "") + '"'


def _shown(text: str, before: int, after: int, *, whole: bool) -> str:
    """What is the same at both ends of a long text gives way to its length; what differs stays, and the digest stands for all of it."""
    if len(text) <= LONG:
        return _visible(text)
    begin, end = max(before - AROUND, 0), min(len(text) - after + AROUND, len(text))
    last = end if whole else min(end, begin + LONG)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    parts = [f"({len(text):,} characters, SHA-256 {digest})"]
    parts += [f"(… {begin:,} characters that are the same)"] if begin else []
    parts.append(_visible(text[begin:last]))
    parts += [f"(… and {end - last:,} more characters that are not shown here)"] if last < end else []
    parts += [f"(… {len(text) - end:,} characters that are the same)"] if end < len(text) else []
    return "\n".join(parts)


def _visible(text: str) -> str:
    return "\n".join(visible(line, len(line) * _LONGEST_GLYPH) for line in text.split("\n"))
