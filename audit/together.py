"""Threads that want the same kind of thing from the database in one moment: one of them asks for all.

A transaction costs more than one row more in it. Nobody waits in order to be joined: whoever comes while a group is under way is in the
next one. Knows nothing of what is asked for.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from django.db import InterfaceError, OperationalError, connection

Wanted = TypeVar("Wanted")
Made = TypeVar("Made")

MOST = 64


@dataclass(slots=True, eq=False)
class _Place(Generic[Wanted, Made]):
    """One thread's place in a group. It is called when its answer is there (`made`, `error`), when it is to ask alone, or to lead."""

    wanted: Wanted
    called: threading.Event = field(default_factory=threading.Event)
    made: list[Made] = field(default_factory=list)
    error: Exception | None = None
    leads: bool = False
    alone: bool = False


class Together(Generic[Wanted, Made]):
    """`ask` takes what is wanted and gives what came of each, in its order; where it raises, nothing came of any.

    Where a group is refused, each asks alone and hears its own refusal. Where the connection breaks, nobody knows what came of the group:
    each hears that, as somebody alone would.
    """

    def __init__(self, ask: Callable[[Sequence[Wanted]], Sequence[Made]]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._waiting: list[_Place[Wanted, Made]] = []
        self._is_led = False
        self._leader: int | None = None

    def of(self, wanted: Wanted) -> Made:
        """What came of it, asked for by this thread or by another. In a transaction of the caller's it is part of that one.

        A thread that comes again while it asks for others would wait for itself: it asks alone.
        """
        if connection.in_atomic_block or self._leader == threading.get_ident():
            return self._ask([wanted])[0]
        place: _Place[Wanted, Made] = _Place(wanted)
        with self._lock:
            self._waiting.append(place)
            place.leads, self._is_led = not self._is_led, True
        if not place.leads:
            self._wait(place)
        if place.leads:
            self._lead()
        if place.error is not None:
            raise place.error
        return self._ask([wanted])[0] if place.alone else place.made[0]

    def _wait(self, place: _Place[Wanted, Made]) -> None:
        try:
            place.called.wait()
        except BaseException:
            with self._lock:
                if place in self._waiting:
                    self._waiting.remove(place)
                if place.leads:
                    self._call_next()
            raise

    def _lead(self) -> None:
        with self._lock:
            group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            self._leader = threading.get_ident()
        try:
            self._answer(group)
        finally:
            with self._lock:
                self._leader = None
                self._call_next()

    def _call_next(self) -> None:
        """To lead those who have come meanwhile. Behind the lock."""
        self._is_led = bool(self._waiting)
        if self._waiting:
            self._waiting[0].leads = True
            self._waiting[0].called.set()

    def _answer(self, group: Sequence[_Place[Wanted, Made]]) -> None:
        error: Exception | None = InterfaceError("the thread that asked for this was interrupted: nobody knows what came of it")
        try:
            for place, made in zip(group, self._ask([place.wanted for place in group]), strict=True):
                place.made.append(made)
            error = None
        except (OperationalError, InterfaceError) as broken:
            error = broken
        except Exception as refusal:  # noqa: BLE001 - somebody's own: each finds out whose
            error = refusal if len(group) == 1 else None
            for place in group:
                place.alone = len(group) > 1
        finally:
            for place in group:
                place.error = error
                place.called.set()
