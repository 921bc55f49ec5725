"""Reads the keys of one mapping, one typed accessor each; what nobody asked for is unknown, with the nearest known name.

Must not know any kind of document. Used by the readers of agents, pipelines, nodes, teams and models.
"""

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from typing import Any

from agents.spec.documents import Path, Problem, Unread
from agents.spec.measures import duration_ms, memory_mb, money_nano

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")

_NAME_RULE = "small letters, digits and hyphens, a letter first, at most 63"
_IDENTIFIER_RULE = "small letters, digits and underscores, a letter first, at most 63"


@dataclass
class Page:
    """One document while it is read: where its raw parts stand, and what was found wrong."""

    file: str
    raw_lines: Mapping[Path, int]
    refused: Set[Path] = frozenset()
    """Whose values were refused as the YAML was read, so that nothing more is said of them."""
    problems: list[Problem] = field(default_factory=list)
    lines: dict[Path, int] = field(default_factory=dict)
    places: dict[Path, Path] = field(default_factory=dict)
    unread: set[Path] = field(default_factory=set)
    unread_names: set[str] = field(default_factory=set)
    marked: list[Path] = field(default_factory=list)
    lost: list[Path] = field(default_factory=list)
    """Every path that was marked, or found unread, in that order: what is new since a moment is found without a look at all of them."""

    def line(self, raw: Path) -> int:
        for length in range(len(raw), -1, -1):
            if raw[:length] in self.raw_lines:
                return self.raw_lines[raw[:length]]
        return 1

    def problem(self, raw: Path, message: str) -> None:
        """What is wrong at `raw`, so that its value, or the nearest one around it that is known, isn't read."""
        if raw not in self.refused:
            self.note(raw, message)
        length = next((length for length in range(len(raw), 0, -1) if raw[:length] in self.places), 0)
        self.lose(self.places.get(raw[:length], ()))

    def lose(self, spec: Path) -> None:
        """Remembers that what stands at `spec` isn't what its writer meant."""
        self.unread.add(spec)
        self.lost.append(spec)

    def note(self, raw: Path, message: str) -> None:
        """What is wrong at `raw`, although all that it says is read."""
        self.problems.append(Problem(self.file, self.line(raw), message))

    def rest(self) -> Unread:
        return Unread(frozenset(self.unread), frozenset(self.unread_names))

    def mark(self, raw: Path, spec: Path) -> None:
        """Remembers that `spec`, a path in the normal form, came from `raw`."""
        self.lines[spec] = self.line(raw)
        self.marked.append(spec)
        self.places[raw] = spec

    def mark_all(self, value: Any, raw: Path, spec: Path) -> None:
        """The same for a value that the normal form takes over as it is, and for everything in it."""
        self.mark(raw, spec)
        if isinstance(value, Mapping):
            for key, inner in value.items():
                self.mark_all(inner, (*raw, key), (*spec, key))
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                self.mark_all(inner, (*raw, index), (*spec, index))


class Fields:
    """The keys of a mapping. Every accessor returns None (or its default) where the key is absent or wrong."""

    def __init__(self, page: Page, value: Any, *, raw: Path, spec: Path, what: str) -> None:
        self.page, self.raw, self.spec, self.what = page, raw, spec, what
        self.asked: set[str] = set()
        self.known: set[str] = set()
        self.since = (len(page.marked), len(page.lost))
        self.placed: dict[str, str] = {}
        self.missing: dict[str, str] = {}
        self.meant: set[str] = set()
        self.readable = isinstance(value, Mapping)
        self.value: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        page.mark(raw, spec)
        if not self.readable:
            page.problem(raw, f"{what} must be a mapping (key: value), not {described(value)}")

    def says(self, key: str) -> bool:
        """Whether the key is there or, once all is read, a misspelt one that means it."""
        return key in self.value or key in self.meant

    def has(self, key: str) -> bool:
        self.known.add(key)
        return key in self.value

    def get(self, key: str, *, spec_key: str | None = None, required: str = "") -> Any:
        """The raw value; `required` is what to write where it is missing."""
        self.asked.add(key)
        self.placed[key] = spec_key or key
        if key not in self.value or (self.value[key] is None and not required):
            if required:
                self.missing[key] = f"{self.what} has no {key!r}; write {required}"
            return None
        self.page.mark((*self.raw, key), (*self.spec, spec_key or key))
        if self.value[key] is None:
            self.wrong(key, f"is empty; write {required}")
        return self.value[key]

    def wrong(self, key: str, message: str) -> None:
        self.page.problem((*self.raw, key), f"{key!r} of {self.what} {message}")

    def text(self, key: str, *, required: str = "", spec_key: str | None = None) -> str | None:
        value = self.get(key, required=required, spec_key=spec_key)
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        self.wrong(key, f"must be a text, not {described(value)}; quote it if it is one")
        return None

    def text_or_empty(self, key: str) -> str | None:
        """As `text`, where an empty text says that there is none any more; None where nothing is said."""
        return "" if self.value.get(key) == "" and self.get(key) == "" else self.text(key)

    def name(self, key: str, *, required: str = "", pattern: re.Pattern[str] = NAME) -> str | None:
        value = self.text(key, required=required)
        if value is None or pattern.fullmatch(value):
            return value
        self.wrong(key, f"is {value[:80]!r}; allowed are {_NAME_RULE if pattern is NAME else _IDENTIFIER_RULE}")
        return None

    def choice(self, key: str, options: tuple[str, ...], *, default: str | None = None, required: str = "") -> str | None:
        value = self.get(key, required=required)
        if value is None:
            return default
        if isinstance(value, str) and value in options:
            return value
        near = get_close_matches(str(value), options, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        self.wrong(key, f"is {described(value)}; it must be one of {', '.join(options)}{hint}")
        return default

    def boolean(self, key: str) -> bool:
        value = self.get(key)
        if value is not None and not isinstance(value, bool):
            self.wrong(key, f"is {described(value)}; write true or false")
        return value is True

    def integer(self, key: str, *, least: int, most: int, default: int | None = None) -> int | None:
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.wrong(key, f"is {described(value)}; write a whole number from {least} to {most}")
        return default

    def duration(self, key: str, *, default: int | None = None) -> int | None:
        hint = "write a duration such as 500ms, 10s, 15m or 2h, more than zero and at most 366d"
        return self._measure(key, f"{key}_ms", lambda text: duration_ms(text) or None, hint, default)

    def money(self, key: str, *, default: int | None = None) -> int | None:
        return self._measure(key, f"{key}_nano", money_nano, "write an amount such as 0.50 USD", default)

    def memory(self, key: str, *, default: int) -> int:
        hint = "write a size from 64MB to 64GB"
        return self._measure(key, f"{key}_mb", lambda text: _within(memory_mb(text), 64, 65_536), hint, default) or default

    def _measure(self, key: str, spec_key: str, read: Callable[[str], int | None], hint: str, default: int | None) -> int | None:
        value = self.get(key, spec_key=spec_key)
        if value is None:
            return default
        number = read(value.strip()) if isinstance(value, str) else None
        if number is None:
            self.wrong(key, f"is {described(value)}; {hint}")
            return default
        return number

    def day(self, key: str) -> str | None:
        value = self.text(key)
        if value is None:
            return None
        try:
            if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
                return date.fromisoformat(value).isoformat()
        except ValueError:
            pass
        self.wrong(key, f"is {value[:40]!r}; write a day such as 2027-06-30")
        return None

    def texts(self, key: str) -> list[str]:
        value = self.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(key, f"must be a list ([a, b]), not {described(value)}")
            return []
        kept = 0
        for index, item in enumerate(value):
            if isinstance(item, str) and item.strip():
                self.page.mark((*self.raw, key, index), (*self.spec, key, kept))
                kept += 1
            else:
                self.page.problem((*self.raw, key, index), f"an entry of {key!r} must be a text, not {described(item)}; quote it")
        return [item for item in value if isinstance(item, str) and item.strip()]

    def mapping(self, key: str, *, spec_key: str | None = None) -> dict[str, Any] | None:
        """A mapping that the normal form takes over as it is."""
        value = self.get(key, spec_key=spec_key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong(key, f"must be a mapping (key: value), not {described(value)}")
            return None
        self.page.mark_all(value, (*self.raw, key), (*self.spec, spec_key or key))
        return value

    def inner(self, key: str, *, spec_key: str | None = None) -> "Fields":
        """The fields of a mapping under `key`."""
        self.asked.add(key)
        self.placed[key] = spec_key or key
        return Fields(
            self.page,
            self.value.get(key),
            raw=(*self.raw, key),
            spec=(*self.spec, spec_key or key),
            what=f"{key!r} of {self.what}",
        )

    def finish(self, unsupported: Mapping[str, str] = {}, elsewhere: Mapping[str, str] = {}) -> None:
        """Every key nobody asked for is a problem: a key that nothing enforces is refused, never ignored."""
        said = {**{key: f"is not supported by this version; {why}" for key, why in unsupported.items()}, **elsewhere}
        for key in self.value:
            if key in self.asked:
                continue
            if key in said:
                self.page.note((*self.raw, key), f"{key!r} {said[key]}")
                continue
            near = get_close_matches(key, known := self.asked | self.known, n=1)
            self.meant |= set(near) - self.value.keys()
            hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(sorted(known))}"
            self.page.note((*self.raw, key), f"{self.what} has no key {key[:80]!r}; {hint}")
        self._miss()

    def _miss(self) -> None:
        """What has to be there and isn't, and what a misspelt key stands for: neither is read."""
        for message in self.missing.values() if self.readable else ():
            self.page.note(self.raw, message)
        for key in self.meant | self.missing.keys():
            self.page.lose((*self.spec, self.placed.get(key, key)))


def _within(value: int | None, least: int, most: int) -> int | None:
    return value if value is not None and least <= value <= most else None


def described(value: Any) -> str:
    """A raw value for a message."""
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value if not isinstance(value, str) or len(value) <= 80 else value[:79] + "…")
