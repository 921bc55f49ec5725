"""Hostile text made safe to look at: what would hide, move or colour other text is shown as a glyph instead.

Pure. Every door that prints text from a model, a tool or a file passes it through here (a web page escapes it too).
"""

from __future__ import annotations

import unicodedata

ELLIPSIS = "…"

# Blank although Unicode calls them letters or symbols.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: object, limit: int = 200) -> str:
    """At most `limit` characters of the text on one line; control, bidi and zero-width characters appear as glyphs.

    C0 controls become their pictures (␀ … ␡), others `<U+202E>`. Nothing is left out: of a terminal sequence the introducer becomes a
    glyph, so that no terminal obeys it, and the rest stays. What takes a sequence out whole lets its writer hide the words that follow.
    """
    # Cut first: no text is so long that looking at it costs much. No glyph is shorter than what it shows.
    raw = str(text)[: limit + 1]
    shown = raw if raw.isprintable() and not _BLANK & set(raw) else "".join(map(_glyph, raw))
    return shown[: max(limit - 1, 0)] + ELLIPSIS if len(shown) > limit else shown


def named(kind: str, typed: str) -> str:
    """`kind:typed`, as an entry's subject names something that was asked for and perhaps isn't there; `kind:?` where it can't be a name."""
    return f"{kind}:{typed[:100]}" if typed and typed.isprintable() else f"{kind}:?"


def _glyph(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if character in _BLANK or unicodedata.category(character) in _HIDDEN:
        return f"<U+{code:04X}>"
    return " " if unicodedata.category(character) == "Zs" else character
