"""What a child prints: its beginning and its end are kept, whatever is in between is counted.

Must not know pipes. Used by the process.
"""

LIMIT = 8 * 1024
HEAD = 2 * 1024
_NOTE = 64  # bytes, for the line that says what is left out
_TAIL = LIMIT - HEAD - _NOTE


class Output:
    """At most `LIMIT` bytes of a stream."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._passed = 0

    def add(self, chunk: bytes) -> int:
        """Returns how many bytes the chunk has, so that an end (none) can be told."""
        room = HEAD - len(self._head)
        self._head += chunk[:room]
        rest = chunk[room:]
        self._passed += len(rest)
        self._tail += rest[-(LIMIT - HEAD) :]
        del self._tail[: -(LIMIT - HEAD)]
        return len(chunk)

    def take(self) -> str:
        """The text, then forgotten. Bytes that aren't UTF-8 appear as replacement characters."""
        head, tail, left_out = bytes(self._head), bytes(self._tail), 0
        if self._passed > LIMIT - HEAD:
            tail = tail[-_TAIL:]
            left_out = self._passed - len(tail)
        self._head.clear()
        self._tail.clear()
        self._passed = 0
        note = f"\n… {left_out:,} bytes left out …\n".encode() if left_out else b""
        return (head + note + tail).decode("utf-8", "replace")
