"""What becomes of an answer that can't be written: a reader that has seen enough is no error, a disk that is full is one.

Knows no command. Called by whoever prints an answer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Final

UNWRITTEN: Final = 1


@contextmanager
def answering(stream: IO[Any], complain: Callable[[str], object]) -> Iterator[None]:
    """Around whatever writes to `stream`. What is lost is complained of, and ends the command with 1."""
    try:
        yield
    except BrokenPipeError:
        nobody_reads(stream)
    except OSError as error:
        nobody_reads(stream)
        complain(f"the answer can't be written: {os.strerror(error.errno or 0)}")
        raise SystemExit(UNWRITTEN) from None


def nobody_reads(stream: IO[Any]) -> None:
    """Else the interpreter complains once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
