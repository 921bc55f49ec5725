"""What an expression gives as far as its text shows: a condition that can only give a number or a text is a mistake.

Must not run anything, and claims nothing that it can't see: None is "it may be true or false". Used by publishing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from agents.expressions.paths import bare_path
from agents.expressions.scanning import Token, scan

NUMBER, TEXT, LIST, OBJECT = "a number", "a text", "a list", "an object"
GIVES: Final = {
    **dict.fromkeys(("size", "int", "uint", "double"), NUMBER),
    **dict.fromkeys(("getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours"), NUMBER),
    **dict.fromkeys(("getMilliseconds", "getMinutes", "getMonth", "getSeconds"), NUMBER),
    **dict.fromkeys(("string", "type"), TEXT),
    **dict.fromkeys(("map", "filter"), LIST),
    "bytes": "bytes",
    "timestamp": "an instant",
    "duration": "a duration",
}
_COMPARING: Final = ("==", "!=", "<", "<=", ">", ">=")
_ADDING: Final = ("+", "-")
_MULTIPLYING: Final = ("*", "/", "%")
_OPENING, _CLOSING = ("(", "[", "{"), (")", "]", "}")


def never_true_or_false(source: str) -> str | None:
    """What an expression gives where that is certainly neither true nor false; None where it may be, or can't be told."""
    scanned = scan(source)
    if scanned.problems or bare_path(source) is not None:
        return None
    return _gives(scanned.tokens)


def _gives(tokens: Sequence[Token]) -> str | None:
    """By the operator that binds least: what it makes of its sides is what the whole gives."""
    outer = dict(_outer(tokens))
    question = next((at for at, token in outer.items() if token.is_mark("?")), None)
    if question is not None:
        return _of_both(tokens, outer, question)
    if any(token.is_mark("||", "&&", *_COMPARING) or (token.kind == "name" and token.text == "in") for token in outer.values()):
        return None
    calculating = [token for at, token in outer.items() if at and token.is_mark(*_ADDING, *_MULTIPLYING)]
    if calculating:
        return _sum_of(tokens, outer) if all(token.is_mark("+") for token in calculating) else "the outcome of a calculation"
    return _of_one(tokens)


def _outer(tokens: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """The tokens that stand in no bracket, with their places."""
    depth = 0
    for at, token in enumerate(tokens):
        depth -= token.is_mark(*_CLOSING)
        if depth == 0 and not token.is_mark(*_CLOSING):
            yield at, token
        depth += token.is_mark(*_OPENING)


def _of_both(tokens: Sequence[Token], outer: dict[int, Token], question: int) -> str | None:
    """Of `a ? b : c`: only where neither side may be true or false. A choice within a choice is left alone."""
    colons = [at for at, token in outer.items() if token.is_mark(":")]
    if len(colons) != 1:
        return None
    first, second = _gives(tokens[question + 1 : colons[0]]), _gives(tokens[colons[0] + 1 :])
    return first if first is not None and second is not None else None


def _sum_of(tokens: Sequence[Token], outer: dict[int, Token]) -> str:
    end = next(at for at, token in outer.items() if at and token.is_mark("+"))
    return _gives(tokens[:end]) or "a sum"


def _of_one(tokens: Sequence[Token]) -> str | None:
    """A value with what hangs on it: brackets around all of it, a literal, or the last call."""
    if not tokens or tokens[0].is_mark("!"):
        return None
    if tokens[0].is_mark("-"):
        return NUMBER if _of_one(tokens[1:]) == NUMBER else None
    opened = _opening_of(tokens) if tokens[-1].is_mark(")") else None
    if opened == 0:
        return _gives(tokens[1:-1])
    if opened is not None:
        return GIVES.get(tokens[opened - 1].text) if tokens[opened - 1].kind == "name" else None
    if tokens[-1].is_mark("]", "}") and _opening_of(tokens) == 0:
        return LIST if tokens[-1].is_mark("]") else OBJECT
    return _literal(tokens[0]) if len(tokens) == 1 else None


def _opening_of(tokens: Sequence[Token]) -> int:
    """Where the bracket opens that the last token closes."""
    depth = 0
    for at in range(len(tokens) - 1, -1, -1):
        depth += tokens[at].is_mark(*_CLOSING) - tokens[at].is_mark(*_OPENING)
        if depth == 0:
            return at
    return 0


def _literal(token: Token) -> str | None:
    if token.kind in ("number", "string"):
        return NUMBER if token.kind == "number" else TEXT
    return "null" if token.text == "null" else None
