"""Threads that want the same kind of thing written in one moment: one of them writes it for all. Used where runs are started and rung for.

A transaction costs more than one row more in it. Nobody waits in order to be joined: whoever comes while others are written for is in
the next group. Knows nothing of what is written.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from django.db import InterfaceError, OperationalError, connection

Wanted = TypeVar("Wanted")
Made = TypeVar("Made")

MOST: Final = 64
_UNDONE: Final = ("40", "55P03")
"""PostgreSQL's words for: rolled back (a deadlock, say), and no lock was to be had. Of the group nothing is written, and most may be innocent."""


@dataclass(slots=True, eq=False)
class _Member(Generic[Wanted, Made]):
    """A thread in a group. It is called when its answer is there (`made`, `error`), or when it is to write: alone, or for the next group."""

    wanted: Wanted
    called: threading.Event = field(default_factory=threading.Event)
    made: list[Made] = field(default_factory=list)
    error: Exception | None = None
    leads: bool = False
    is_alone: bool = False


class Together(Generic[Wanted, Made]):
    """`write` takes what is wanted and gives what was made of each, in its order; where it raises, nothing was made of any.

    Only what is wanted in the same `place` is written together: one whose rows are locked holds up nobody elsewhere. Where a group is
    refused, each of it is written alone and hears its own refusal. Where the connection breaks, nobody knows whether the group was
    written: each hears that, as somebody alone would, and nothing is written twice.
    """

    def __init__(self, write: Callable[[Sequence[Wanted]], Sequence[Made]], place: Callable[[Wanted], Hashable] | None = None) -> None:
        self._write, self._place = write, place
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, list[_Member[Wanted, Made]]] = {}
        """By place, as long as somebody writes there."""
        self._leaders: set[int] = set()

    def do(self, wanted: Wanted) -> Made:
        """What was made of it, by this thread or by another. In a transaction of the caller's it is part of that one.

        A thread that comes again while it writes for others would wait for itself: it writes alone.
        """
        if connection.in_atomic_block or threading.get_ident() in self._leaders:
            return self._write([wanted])[0]
        member, place = _Member[Wanted, Made](wanted), None if self._place is None else self._place(wanted)
        try:
            self._join(member, place)
            if not member.leads:
                member.called.wait()
            if member.leads:
                self._lead(place)
        except BaseException:
            self._leave(member, place)
            raise
        if member.error is not None:
            raise member.error
        return self._write([wanted])[0] if member.is_alone else member.made[0]

    def _join(self, member: _Member[Wanted, Made], place: Hashable) -> None:
        with self._lock:
            member.leads = place not in self._waiting
            self._waiting.setdefault(place, []).append(member)

    def _leave(self, member: _Member[Wanted, Made], place: Hashable) -> None:
        """Interrupted: whoever waits must not wait for this thread."""
        with self._lock:
            if member in self._waiting.get(place, ()):
                self._waiting[place].remove(member)
            if member.leads:
                self._call_next(place)

    def _lead(self, place: Hashable) -> None:
        with self._lock:
            group, self._waiting[place] = self._waiting[place][:MOST], self._waiting[place][MOST:]
            self._leaders.add(threading.get_ident())
        try:
            self._answer(group)
        finally:
            self._leaders.discard(threading.get_ident())
        with self._lock:
            group[0].leads = False
            self._call_next(place)

    def _call_next(self, place: Hashable) -> None:
        """To write for those who have come meanwhile. Behind the lock."""
        following = self._waiting.get(place)
        if following:
            following[0].leads = True
            following[0].called.set()
        else:
            self._waiting.pop(place, None)

    def _answer(self, group: Sequence[_Member[Wanted, Made]]) -> None:
        broken: Exception | None = OperationalError("the thread that wrote this was interrupted; nobody knows whether it was written")
        try:
            for member, made in zip(group, self._write([member.wanted for member in group]), strict=True):
                member.made.append(made)
            broken = None
        except Exception as error:  # noqa: BLE001 - somebody's own: each finds out whose. What broke instead is told below
            is_told = len(group) == 1 or _is_ambiguous(error)
            broken = error if is_told else None
            for member in group:
                member.is_alone = not is_told
        finally:
            for place, member in enumerate(group):
                member.error = broken if broken is None or not place else _again(broken)
                member.called.set()


def _is_ambiguous(error: Exception) -> bool:
    """Whether the database is out of reach or has said nothing of what became of the group."""
    said = getattr(error.__cause__, "sqlstate", None) or ""
    return isinstance(error, OperationalError | InterfaceError) and not said.startswith(_UNDONE)


def _again(error: Exception) -> Exception:
    """For another thread: what one raises is changed by raising it, and leads to values of whoever it was raised for."""
    again = type(error)(*error.args)
    again.__cause__ = error.__cause__
    return again
