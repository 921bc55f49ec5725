"""Ctrl-C (and SIGTERM) while a run is being started: kept until somebody can heed it, so that no run is left that nobody has heard of."""

import signal
import sys
import threading
from types import FrameType
from typing import Any, Final, Self

HEEDED: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """A context. The second one is not kept: it ends the process where it stands."""

    def __init__(self) -> None:
        self.came = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # nobody else is told of them
            self._before = {number: signal.signal(number, self._keep) for number in HEEDED}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _keep(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - what a handler is given
        if self.came:
            sys.exit(128 + number)
        self.came = True
