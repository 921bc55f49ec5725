"""Frames between a worker and a child: four bytes of length (big-endian), then UTF-8 JSON, an object.

Must not know what is in them; the same file serves both ends.
Called by the link (child side) and by the process (worker side).
"""

import json
import os
from typing import Any, NoReturn

MIB = 1024 * 1024
FRAME_LIMIT = 16 * MIB
RESULT_LIMIT = 10 * MIB
_HEADER = 4

Frame = dict[str, Any]


class BadFrame(Exception):
    """Bytes that are no frame: too long, not JSON, or not an object."""


def to_json(value: Any) -> bytes:
    """Compact UTF-8. Raises ValueError (NaN, lone surrogates, huge integers), TypeError, RecursionError."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def pack(body: bytes) -> bytes:
    if len(body) > FRAME_LIMIT:
        raise BadFrame(f"a frame of {len(body) / MIB:.1f} MiB; the limit is {FRAME_LIMIT // MIB} MiB")
    return len(body).to_bytes(_HEADER, "big") + body


def parse(body: bytes) -> Frame:
    try:
        frame = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"not JSON: {error}") from error
    if not isinstance(frame, dict):
        raise BadFrame(f"a frame is an object, this is {type(frame).__name__}")
    return frame


def body_length(header: bytes | bytearray) -> int:
    length = int.from_bytes(header[:_HEADER], "big")
    if length > FRAME_LIMIT:
        raise BadFrame(f"a frame of {length / MIB:.1f} MiB; the limit is {FRAME_LIMIT // MIB} MiB")
    return length


class Splitter:
    """Collects bytes as they come, gives frames as they are complete. Holds at most one frame and one read."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, chunk: bytes) -> None:
        self._bytes += chunk

    def pop(self) -> Frame | None:
        if len(self._bytes) < _HEADER:
            return None
        end = _HEADER + body_length(self._bytes[:_HEADER])
        if len(self._bytes) < end:
            return None
        body = bytes(self._bytes[_HEADER:end])
        del self._bytes[:end]
        return parse(body)


def read_frame(fd: int) -> Frame | None:
    """The next frame of a blocking pipe; None at its end."""
    header = _read_exactly(fd, _HEADER)
    if header is None:
        return None
    body = _read_exactly(fd, body_length(header))
    return None if body is None else parse(body)


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _read_exactly(fd: int, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        chunk = os.read(fd, min(count - len(parts), MIB))
        if not chunk:
            return None
        parts += chunk
    return bytes(parts)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
