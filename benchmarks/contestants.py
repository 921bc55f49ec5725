"""Contestants: processes that do rounds on demand, so that two of them can take turns on one machine, both warm.

A contestant reads one JSON line per round from stdin and answers one on stdout; the first line it writes says that it is ready.
Knows nothing of what a round is. The other half is `serve`, for contestants that are Python.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any


class Gone(Exception):
    """A contestant ended, or answered with an error."""


class Contestant:
    """A process and the line between it and us."""

    def __init__(self, name: str, process: "subprocess.Popen[str]") -> None:
        self.name, self._process = name, process
        self.first = self._answer()

    @property
    def pid(self) -> int:
        return self._process.pid

    def round(self, **asked: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Gone(f"{self.name} ended with status {self._process.wait()}; its own words are above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def started(name: str, argv: Sequence[str | Path], environment: Mapping[str, str]) -> Iterator[Contestant]:
    """Runs until the end of the block; what it says on stderr goes to ours. Our own ORCHESTRA_* don't reach it."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ORCHESTRA_", "DJANGO_", "PYTHON"))}
    process = subprocess.Popen(list(map(str, argv)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**inherited, **environment})
    with ExitStack() as stack:
        stack.callback(_end, process)
        yield Contestant(name, process)


def _end(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    try:
        process.stdin.close()
        process.wait(timeout=20)
    except (BrokenPipeError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()


def interleaved(rounds: int, tries: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """The median of each try over `rounds` turns, each turn all of them once; before that one turn that doesn't count."""
    seen: dict[str, list[float]] = {name: [] for name in tries}
    for number in range(rounds + 1):
        for name, attempt in tries.items():
            value = attempt()
            note = "warm-up" if number == 0 else f"round {number}/{rounds}"
            print(f"  {note}: {name} {value:,.2f}", file=sys.stderr)
            if number:
                seen[name].append(value)
    return {name: statistics.median(values) for name, values in seen.items()}
