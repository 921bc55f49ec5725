"""Splits CEL text into tokens and holds it against the static caps, before any interpreter sees it.

Must not evaluate or compile: a chain of 20,000 terms ends CEL's parser with a segmentation fault, so size comes first.
Used by references beside it.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

MAX_SOURCE_BYTES = 4096
MAX_BRACKETS = 50
MAX_COMPREHENSIONS = 2

MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})
BUILDING = frozenset({"map", "filter"})
FUNCTIONS = frozenset(
    {"all", "exists", "exists_one", "filter", "has", "map", "size", "contains", "endsWith", "matches", "startsWith"}
    | {"bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"}
    | {"getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours", "getMilliseconds"}
    | {"getMinutes", "getMonth", "getSeconds"}
)
KEYWORDS = frozenset({"true", "false", "null", "in"})

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<string>(?:[rR][bB]?|[bB][rR]?)?(?:\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
    |(?P<number>(?:0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)[uU]?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark>&&|\|\||[<>=!]=|[-+*/%<>!?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_CLOSING = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True)
class Token:
    """A piece of CEL: kind is string, number, name or mark."""

    kind: str
    text: str
    at: int

    def is_mark(self, *texts: str) -> bool:
        return self.kind == "mark" and self.text in texts


@dataclass(frozen=True)
class Scan:
    """The tokens of a source and what is lexically wrong with it."""

    tokens: tuple[Token, ...]
    problems: tuple[str, ...]


@lru_cache(maxsize=2048)
def scan(source: str) -> Scan:
    """Tokens and problems of a source; after a size problem there are no tokens."""
    refused = _size_problem(source)
    if refused:
        return Scan((), (refused,))
    tokens, problems = _tokens(source)
    problems += _bracket_problems(tokens)
    return Scan(tuple(tokens), tuple(problems))


def same_pieces(one: str, other: str) -> bool:
    """Whether two sources are the same but for the space and the comments between their tokens."""
    first, second = ([(token.kind, token.text) for token in scan(source).tokens] for source in (one, other))
    return first == second


def _size_problem(source: str) -> str | None:
    if not source.strip():
        return "the expression is empty; write a condition such as size(result.items) > 0"
    size = len(source.encode("utf-8", "surrogatepass"))
    if size > MAX_SOURCE_BYTES:
        return f"the expression has {size} bytes and the limit is {MAX_SOURCE_BYTES}; move the computation into a step"
    return None


def _tokens(source: str) -> tuple[list[Token], list[str]]:
    tokens: list[Token] = []
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            return tokens, [_lexical_problem(source, at)]
        kind = found.lastgroup or "space"
        if kind != "space":
            tokens.append(Token(kind, found.group(), at))
        at = found.end()
    return tokens, []


def _lexical_problem(source: str, at: int) -> str:
    character = source[at]
    if character in "\"'":
        return f"the text that starts at character {at + 1} has no closing quote"
    hint = {
        "=": "; to compare, write ==",
        "&": "; to join conditions, write &&",
        "|": "; to join conditions, write ||",
    }.get(character, "")
    return f"the character {character!r} at {at + 1} has no meaning in an expression{hint}"


def _bracket_problems(tokens: list[Token]) -> list[str]:
    open_marks: list[Token] = []
    deepest = 0
    for token in tokens:
        if token.is_mark("(", "[", "{"):
            open_marks.append(token)
            deepest = max(deepest, len(open_marks))
        elif token.is_mark(")", "]", "}") and (not open_marks or open_marks.pop().text != _CLOSING[token.text]):
            return [f"the {token.text!r} at character {token.at + 1} closes nothing"]
    if open_marks:
        return [f"the {open_marks[-1].text!r} at character {open_marks[-1].at + 1} is never closed"]
    if deepest > MAX_BRACKETS:
        return [f"brackets are nested {deepest} deep and the limit is {MAX_BRACKETS}; move the computation into a step"]
    return []
