"""Hostile text made safe to look at: what would hide, move or colour other text is shown as a glyph instead.

Pure. Every door that prints text from a model, a tool or a file passes it through here (a web page escapes it too).
"""

from __future__ import annotations

import re
import unicodedata

ELLIPSIS = "…"

# Control sequences of terminals (ECMA-48): CSI, OSC and the other strings up to their end, then two-character escapes.
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)
# Blank although Unicode calls them letters or symbols.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: object, limit: int = 200) -> str:
    """At most `limit` characters of the text on one line; control, bidi and zero-width characters appear as glyphs.

    Terminal sequences are taken out, C0 controls become their pictures (␀ … ␡), others `<U+202E>`.
    """
    # Cut first: no text is so long that looking at it costs much. Glyphs are longer than what they show.
    raw = str(text)[: 4 * limit + 64]
    clean = _ANSI.sub("", raw)
    shown = clean if clean.isprintable() and not _BLANK & set(clean) else "".join(map(_glyph, clean))
    cut = len(shown) > limit or len(str(text)) > len(raw)
    return shown[: max(limit - 1, 0)] + ELLIPSIS if cut else shown


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
