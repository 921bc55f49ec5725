"""What an expression names: paths, functions, comprehensions; read from its tokens, never by running it.

Must not know which names exist: that is the caller's scope. Used by evaluation, values, publishing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache

from agents.expressions.paths import Reference, as_reference, bare_path
from agents.expressions.scanning import BUILDING, FUNCTIONS, KEYWORDS, MACROS, MAX_COMPREHENSIONS, Token, scan


@dataclass(frozen=True)
class Shape:
    """What was read from an expression's tokens."""

    references: frozenset[Reference]
    asked_for: frozenset[Reference]  # paths inside has(…)
    depth: int  # how deep comprehensions nest
    builds: bool  # uses map or filter, which copy their list at every item
    carried: frozenset[Reference]  # paths from outside that the body of a map or filter uses: they may be copied at every item
    problems: tuple[str, ...]


@dataclass
class _Open:
    """A bracket that is open while reading; a comprehension's binds a name."""

    variable: str | None = None
    macro: str | None = None
    has: bool = False


@dataclass
class _Reading:
    open: list[_Open] = field(default_factory=list)
    references: set[Reference] = field(default_factory=set)
    asked_for: set[Reference] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    depth: int = 0
    builds: bool = False
    carried: set[Reference] = field(default_factory=set)

    def binds(self, name: str) -> bool:
        return any(bracket.variable == name for bracket in self.open)


def problems(source: str) -> list[str]:
    """What is wrong with an expression as far as its text shows; an empty list is no promise that it compiles."""
    if bare_path(source) is not None:
        return list(scan(source).problems)
    return list(shape(source).problems)


def references(source: str) -> frozenset[Reference]:
    """The paths an expression uses, root first: {("steps", "read", "series")}. Bound loop names are left out."""
    return shape(source).references


@lru_cache(maxsize=2048)
def shape(source: str) -> Shape:
    """Everything the tokens of an expression say."""
    path = bare_path(source)
    if path is not None:
        return Shape(frozenset({as_reference(path)}), frozenset(), 0, False, frozenset(), scan(source).problems)
    scanned = scan(source)
    reading = _Reading(problems=list(scanned.problems))
    if not scanned.problems:
        _read(scanned.tokens, reading)
    if reading.depth > MAX_COMPREHENSIONS:
        reading.problems.append(
            f"all/exists/map/filter are nested {reading.depth} deep and the limit is {MAX_COMPREHENSIONS}; move the computation into a step"
        )
    return Shape(
        frozenset(reading.references),
        frozenset(reading.asked_for),
        reading.depth,
        reading.builds,
        frozenset(reading.carried),
        tuple(dict.fromkeys(reading.problems)),
    )


def _read(tokens: Sequence[Token], reading: _Reading) -> None:
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.is_mark("[", "{"):
            reading.open.append(_Open())
        elif token.is_mark("("):
            reading.open.append(_opened_by(tokens, at, reading))
        elif token.is_mark(")", "]", "}"):
            reading.open.pop()
        elif token.kind == "name" and token.text not in KEYWORDS:
            at = _name(tokens, at, reading)
            continue
        at += 1


def _opened_by(tokens: Sequence[Token], at: int, reading: _Reading) -> _Open:
    before = tokens[at - 1] if at else None
    if before is None or before.kind != "name" or before.text in KEYWORDS:
        return _Open()
    is_method = at >= 2 and tokens[at - 2].is_mark(".")
    if before.text in MACROS and is_method:
        return _comprehension(tokens, at, before.text, reading)
    return _Open(has=before.text == "has" and not is_method)


def _comprehension(tokens: Sequence[Token], at: int, macro: str, reading: _Reading) -> _Open:
    if at + 2 >= len(tokens) or tokens[at + 1].kind != "name" or not tokens[at + 2].is_mark(","):
        reading.problems.append(f".{macro}( needs a name and a condition, as in .{macro}(item, item.value > 0)")
        return _Open()
    nested = 1 + sum(bracket.macro is not None for bracket in reading.open)
    reading.depth = max(reading.depth, nested)
    reading.builds = reading.builds or macro in BUILDING
    return _Open(variable=tokens[at + 1].text, macro=macro)


def _name(tokens: Sequence[Token], at: int, reading: _Reading) -> int:
    """Reads the name at `at` and the path that hangs on it; returns the place after it."""
    before = tokens[at - 1] if at else None
    after = tokens[at + 1] if at + 1 < len(tokens) else None
    if after is not None and after.is_mark("("):
        _function(tokens[at], reading)
        return at + 1
    if before is not None and before.is_mark("."):
        if at < 2 or not _ends_a_value(tokens[at - 2]):
            reading.problems.append(f"the name {tokens[at].text!r} starts with a dot; leave the dot out")
        return at + 1
    path, end = _path(tokens, at)
    if not reading.binds(path[0]):
        reading.references.add(path)
        if reading.open and reading.open[-1].has:
            reading.asked_for.add(path)
        if any(bracket.macro in BUILDING for bracket in reading.open):
            reading.carried.add(path)
    return end


def _function(token: Token, reading: _Reading) -> None:
    if token.text in FUNCTIONS:
        return
    near = get_close_matches(token.text, FUNCTIONS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(sorted(FUNCTIONS))}"
    reading.problems.append(f"there is no function {token.text!r}; {hint}")


def _ends_a_value(token: Token) -> bool:
    return token.kind in {"name", "string", "number"} or token.is_mark(")", "]", "}")


def _path(tokens: Sequence[Token], at: int) -> tuple[Reference, int]:
    names = [tokens[at].text]
    at += 1
    while at + 1 < len(tokens):
        if tokens[at].is_mark(".") and tokens[at + 1].kind == "name":
            if at + 2 < len(tokens) and tokens[at + 2].is_mark("("):
                break
            names.append(tokens[at + 1].text)
            at += 2
        elif _is_key(tokens, at):
            names.append(tokens[at + 1].text[1:-1])
            at += 3
        else:
            break
    return tuple(names), at


def _is_key(tokens: Sequence[Token], at: int) -> bool:
    return (
        at + 2 < len(tokens)
        and tokens[at].is_mark("[")
        and tokens[at + 1].kind == "string"
        and tokens[at + 1].text[0] in "\"'"
        and not tokens[at + 1].text.startswith(('"""', "'''"))
        and "\\" not in tokens[at + 1].text
        and tokens[at + 2].is_mark("]")
    )
