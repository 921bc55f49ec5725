"""What goes into a child interpreter and what comes back, as plain values.

Knows nothing of processes, pipes or Django.
Read by the pool, by `describe` and by whoever calls them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Tool name and arguments in, the tool's value out; raises CallError to refuse.
OnCall = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
#: Message and fraction (0..1) of one `orchestra.progress()`.
OnProgress = Callable[[str | None, float | None], None]
#: What keeps a call from being sent now, if anything does.
MayGo = Callable[[], "Broken | None"]


@dataclass(frozen=True)
class Program:
    """What runs instead of a function: its argv as the agent's file says it, and an empty folder that is its home."""

    argv: tuple[str, ...]
    scratch: Path

    @property
    def name(self) -> str:
        """For people: the script where an interpreter runs one."""
        following = [entry for entry in self.argv[1:] if not entry.startswith("-")]
        return following[0] if self.argv[0] == "python" and following else self.argv[0]


@dataclass(frozen=True)
class Job:
    """One call of a function, or of `program`. `key` is the agent version's digest: a warm child serves one key only.

    `folder` is what goes on the import path, `function` is "module:function", `context` may hold
    `as_of`, `run`, `step` and `deadline` as texts (instants in RFC 3339).
    """

    folder: Path | None
    function: str
    arguments: dict[str, Any]
    context: dict[str, Any]
    memory_bytes: int
    network: bool
    key: str
    program: Program | None = None


@dataclass(frozen=True)
class Returned:
    """The function returned `value` (plain JSON). `contained`: it ran without a network."""

    value: Any
    stderr: str
    contained: bool


@dataclass(frozen=True)
class Broken:
    """The call failed. `cause` is one of the engine's causes.

    `details` may hold `stderr` (the first and last of its output, 8 KiB at most), `contained`, `traceback`, `exit_status`, `signal`,
    `from_call` (the cause is that of a refused `orchestra.call`, not the function's own) and `waited`
    (the deadline passed before a child was free: nothing was sent).
    """

    cause: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)


class CallError(Exception):
    """What `on_call` raises to refuse a tool call; the function sees it as Denied or CallFailed."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message


class PoolClosed(Exception):
    """The pool of child interpreters was closed while the call waited or ran; nothing is known of its result."""


class NeverSent(asyncio.CancelledError):
    """The call was cancelled while it waited for a child: it has not gone out."""


@dataclass(frozen=True)
class DescribedFunction:
    """A function as its module says it.

    `problems` are fatal (no such module, no such function, not a function). A schema that the hints don't give is
    None, and its own problem says why: no matter to an agent whose file states that schema itself.
    `file` (relative to the folder), `line` and `defined_as` are those of the definition, however it was imported.
    """

    name: str
    input: dict[str, Any] | None = None
    output: dict[str, Any] | None = None
    input_problem: str | None = None
    output_problem: str | None = None
    file: str | None = None
    file_digest: str | None = None
    line: int | None = None
    defined_as: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Described:
    """Functions by name; expressions by source, with the reason where one does not compile."""

    functions: Mapping[str, DescribedFunction]
    expressions: Mapping[str, str | None]
