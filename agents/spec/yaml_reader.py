"""Strict YAML 1.2 (core) to plain values with the line of every part; stops nothing at the first problem it can pass.

Must not know kinds or keys. Builds from parser events without recursion, so deep input can't crash it. Used by `read`.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from agents.spec.documents import Path

MAX_FILE_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 50_000
MAX_KEYS = 1_000
MAX_TEXT_BYTES = 256 * 1024
MAX_INTEGER = 2**53 - 1

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_QUOTE_IT = "if an expression stands here, quote it: {n: '=size(a, b)'}"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Raw:
    """One YAML document: its value, the line of each path in it, and what is wrong (line, message)."""

    line: int
    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)
    broken: bool = False
    refused: set[Path] = field(default_factory=set)
    """Where a tag or an alias stands: a problem says so, and what is here instead of its value isn't what its writer meant."""


class _TooMuch(Exception):
    """The document passes a cap; reading on would only cost."""


@dataclass
class _Frame:
    """A mapping or sequence that is still open."""

    value: dict[str, Any] | list[Any]
    path: Path
    flow: bool
    key: str | None = None  # a mapping's key that waits for its value; None while a key is expected
    ignored: bool = False  # the value of a refused key: read on for its problems, then dropped
    key_line: int = 0
    keys: int = 0


def read_yaml(data: bytes) -> Iterator[Raw]:
    """Every document of a file. A document with problems still carries what could be read."""
    if len(data) > MAX_FILE_BYTES:
        yield _failed(1, f"the file has {len(data)} bytes and the limit is {MAX_FILE_BYTES}; split it")
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield _failed(data.count(b"\n", 0, error.start) + 1, "the file is not UTF-8; save it as UTF-8")
        return
    yield from _documents(text)


def _failed(line: int, message: str) -> Raw:
    return Raw(line, problems=[(line, message)], broken=True)


def _documents(text: str) -> Iterator[Raw]:
    builder: _Builder | None = None
    last_line = 1
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            last_line = _line(event)
            if isinstance(event, yaml.DocumentStartEvent):
                builder = _Builder(Raw(last_line))
            elif isinstance(event, yaml.DocumentEndEvent) and builder is not None:
                yield builder.raw
                builder = None
            elif builder is not None:
                builder.take(event)
    except _TooMuch as error:
        yield _failed(last_line, str(error))
    except yaml.YAMLError as error:
        raw = builder.raw if builder is not None else Raw(last_line)
        raw.broken = True
        raw.problems.append(_syntax_problem(error, last_line, text))
        yield raw


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark is not None else 1


def _syntax_problem(error: yaml.YAMLError, last_line: int, text: str) -> tuple[int, str]:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark is not None else last_line
    if (opened := _open_quote(error)) is not None:
        return opened, f"this is not YAML: the quote that opens here is never closed (the text would go on to line {line}); close it"
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it can't be read"
    near = text.split("\n")[max(line - 2, 0) : line]  # that line and the one before, as far as they are there
    here = near[-1] if near else ""
    if "\t" in here[: len(here) - len(here.lstrip())]:
        return line, "this is not YAML: a tab stands before the text; indent with spaces"
    return line, f"this is not YAML: {what}{f'; {_QUOTE_IT}' if '=' in ''.join(near) else ''}"


def _open_quote(error: yaml.YAMLError) -> int | None:
    """The line of a quote that nothing closes: the parser itself stops far below, where the text has to end."""
    mark, context = getattr(error, "context_mark", None), getattr(error, "context", None) or ""
    ends = (getattr(error, "problem", None) or "") in ("found unexpected end of stream", "found unexpected document indicator")
    return mark.line + 1 if ends and mark is not None and "quoted scalar" in context else None


class _Builder:
    """Turns the events of one document into values."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.open: list[_Frame] = []
        self.nodes = 0
        self.split_lines: set[int] = set()
        self.is_refused = False

    def take(self, event: yaml.Event) -> None:
        line = _line(event)
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._end()
            return
        self._count()
        self.is_refused = self._refuse_features(event, line)
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.MappingStartEvent):
            self._start({}, line, flow=bool(event.flow_style))
        elif isinstance(event, yaml.SequenceStartEvent):
            self._start([], line, flow=bool(event.flow_style))
        else:
            self._place(None, line)

    def problem(self, line: int, message: str) -> None:
        self.raw.problems.append((line, message))

    def _count(self) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _TooMuch(f"the document has more than {MAX_NODES} values; split it")

    def _refuse_features(self, event: yaml.Event, line: int) -> bool:
        """Whether the value is another one than its writer meant."""
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.AliasEvent):
            self.problem(line, f"the alias *{anchor} is not supported; write the value out")
            return True
        if anchor:
            self.problem(line, f"the anchor &{anchor} is not supported; write the value out where it is needed")
        if tag := getattr(event, "tag", None):
            self.problem(line, f"the tag {tag} is not supported; leave it out, or quote the text")
        return bool(tag)

    # Keys and values -------------------------------------------------------------------------------------------------------------

    def _expects_key(self) -> bool:
        return bool(self.open) and isinstance(self.open[-1].value, dict) and self.open[-1].key is None

    def _start(self, value: dict[str, Any] | list[Any], line: int, *, flow: bool) -> None:
        if len(self.open) >= MAX_DEPTH:
            raise _TooMuch(f"values are nested deeper than {MAX_DEPTH}; write it flatter")
        if self._expects_key():
            self.problem(line, f"a key must be a text, not a list or a mapping; {_QUOTE_IT}")
            self._key("", line, keep=False)
            self.open.append(_Frame(value, (*self.open[-1].path, ""), flow))  # read for its problems, then dropped
            return
        path = self._place(value, line)
        self.open.append(_Frame(value, path, flow))

    def _end(self) -> None:
        self.open.pop()

    def _place(self, value: Any, line: int) -> Path:
        """Puts a value where it belongs and returns its path."""
        path: Path = ()
        if not self.open:
            self.raw.value = value
        elif isinstance((frame := self.open[-1]).value, list):
            path = (*frame.path, len(frame.value))
            frame.value.append(value)
        else:
            if frame.key is None:
                self._key("", line, keep=False)
                self.problem(line, "a key must be a text; quote it")
                return (*frame.path, "")
            path = (*frame.path, frame.key)
            line = frame.key_line
            if not frame.ignored:
                frame.value[frame.key] = value
            frame.key = None
        self.raw.lines.setdefault(path, line)
        if self.is_refused:
            self.raw.refused.add(path)
        return path

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        text = event.value
        plain = not event.style
        if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
            raise _TooMuch(f"a text is longer than {MAX_TEXT_BYTES} bytes; shorten it")
        if any("\ud800" <= character <= "\udfff" for character in text):
            self.problem(line, "a text holds half of a character (a lone surrogate); write the character itself")
            text = ""
        if plain and self.open and self.open[-1].flow:
            self._check_split(text, line)
        if self._expects_key():
            self._key_text(text, line, plain=plain)
        else:
            self._place(self._value(text, line) if plain else text, line)

    def _check_split(self, text: str, line: int) -> None:
        """YAML splits {n: =size(a, b)} at the comma: the first half lacks a bracket, the second becomes a key without a value."""
        if line in self.split_lines:
            return
        frame = self.open[-1]
        if text.count("(") != text.count(")"):
            self.split_lines.add(line)
            self.problem(line, f"YAML splits {text[:80]!r} here at a comma or bracket; quote it: {{n: '=size(a, b)'}}")
        elif not text and isinstance(frame.value, dict) and frame.key is not None:
            self.split_lines.add(line)
            self.problem(line, f"the key {frame.key!r} has no value; {_QUOTE_IT}")

    def _key_text(self, text: str, line: int, *, plain: bool) -> None:
        if plain and text == "<<":
            self.problem(line, "the merge key << is not supported; write the keys out")
            self._key(text, line, keep=False)
        elif plain and not isinstance(self._value(text, line), str):
            self.problem(line, f"the key {text!r} is not a text; quote it")
            self._key(text, line, keep=False)
        else:
            self._key(text, line, keep=True)

    def _key(self, text: str, line: int, *, keep: bool) -> None:
        frame = self.open[-1]
        frame.key, frame.key_line, frame.ignored = text, line, not keep
        frame.keys += 1
        if frame.keys > MAX_KEYS:
            raise _TooMuch(f"a mapping has more than {MAX_KEYS} keys; split it")
        if keep and isinstance(frame.value, dict) and text in frame.value:
            first = self.raw.lines.get((*frame.path, text), frame.key_line)
            self.problem(line, f"the key {text!r} is here twice (first in line {first}); keep one")
            frame.ignored = True

    def _value(self, text: str, line: int) -> Any:
        if text in _NULLS:
            return None
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        if _INTEGER.fullmatch(text):
            return self._integer(text, line)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isfinite(number):
                return number
        elif not _NO_NUMBER.fullmatch(text):
            return text
        self.problem(line, f"{text[:40]} is not a number that JSON can hold; quote it if it is a text")
        return 0

    def _integer(self, text: str, line: int) -> int:
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        number = int(text, base) if len(text) <= 24 else MAX_INTEGER + 1
        if abs(number) > MAX_INTEGER:
            self.problem(line, f"the number {text[:40]} is beyond 2^53, where JSON readers disagree; quote it")
            return 0
        return number
