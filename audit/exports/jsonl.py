"""Entries as JSON lines: each line is the exact stored bytes, so a line's SHA-256 is the entry's digest."""

from __future__ import annotations


class JsonLines:
    """Canonical JSON escapes every line break, so one entry is one line."""

    def head(self) -> bytes:
        return b""

    def lines(self, bodies: list[bytes]) -> bytes:
        return b"".join([body + b"\n" for body in bodies])
