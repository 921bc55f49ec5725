"""Threads that ask for one: who asks for whom, and who hears which refusal."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, transaction

from audit.together import Together
from tests.workers import until

PATIENCE_S = 30


class Asked:
    """Asks for squares. The first group stops until `go`, so that whoever comes meanwhile waits."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.under_way, self.go = threading.Event(), threading.Event()
        self.error: Callable[[Sequence[int]], BaseException | None] = lambda wanted: None
        self.together: Together[int, int] = Together(self.ask)

    def ask(self, wanted: Sequence[int]) -> list[int]:
        self.groups.append(list(wanted))
        if len(self.groups) == 1:
            self.under_way.set()
            assert self.go.wait(PATIENCE_S)
        error = self.error(wanted)
        if error is not None:
            raise error
        return [each * each for each in wanted]

    def of(self, *numbers: int) -> list[Any]:
        """What each heard: the first by itself, the others while it is under way."""
        first, *others = numbers
        with ThreadPoolExecutor(len(numbers)) as threads:
            futures: list[Future[int]] = [threads.submit(self.together.do, first)]
            assert self.under_way.wait(PATIENCE_S)
            for place, number in enumerate(others, 1):
                futures.append(threads.submit(self.together.do, number))
                until(lambda place=place: len(self.together._waiting[None]) == place, "its waiting")  # type: ignore[misc]
            self.go.set()
            return [future.exception(PATIENCE_S) or future.result() for future in futures]


def test_whoever_comes_while_a_group_is_under_way_is_in_the_next_one() -> None:
    asked = Asked()
    assert asked.of(1, 2, 3, 4) == [1, 4, 9, 16]
    assert asked.groups == [[1], [2, 3, 4]]


def test_nobody_waits_in_order_to_be_joined() -> None:
    asked = Asked()
    asked.go.set()
    assert [asked.together.do(number) for number in (1, 2)] == [1, 4]
    assert asked.groups == [[1], [2]]


def test_a_group_is_bounded_and_the_rest_is_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.together.MOST", 2)
    asked = Asked()
    assert asked.of(1, 2, 3, 4) == [1, 4, 9, 16]
    assert asked.groups == [[1], [2, 3], [4]]


def test_where_a_group_is_refused_each_hears_its_own() -> None:
    asked = Asked()
    asked.error = lambda wanted: ValueError("no threes") if 3 in wanted else None
    one, two, three, four = asked.of(1, 2, 3, 4)
    assert (one, two, four, str(three)) == (1, 4, 16, "no threes")
    assert asked.groups[:2] == [[1], [2, 3, 4]] and sorted(asked.groups[2:]) == [[2], [3], [4]]


def test_what_one_alone_is_refused_is_not_asked_for_twice() -> None:
    asked = Asked()
    asked.go.set()
    asked.error = lambda wanted: ValueError("no")
    with pytest.raises(ValueError, match="no"):
        asked.together.do(1)
    assert asked.groups == [[1]]


def test_where_the_connection_breaks_each_hears_it_and_nobody_asks_again() -> None:
    """Nobody knows whether the group was written; a second try could do it twice."""
    asked = Asked()
    asked.error = lambda wanted: OperationalError("gone") if len(wanted) > 1 else None
    one, *others = asked.of(1, 2, 3)
    assert one == 1 and [(type(each), str(each)) for each in others] == [(OperationalError, "gone")] * 2
    assert others[0] is not others[1]
    assert asked.groups == [[1], [2, 3]]


@pytest.mark.parametrize("state", ["40P01", "40001", "55P03"])
def test_what_the_database_says_it_has_undone_each_asks_for_alone(state: str) -> None:
    def undone(wanted: Sequence[int]) -> OperationalError | None:
        error, cause = OperationalError("deadlock detected"), Exception()
        cause.sqlstate = state  # type: ignore[attr-defined]
        error.__cause__ = cause
        return error if len(wanted) > 1 else None

    asked = Asked()
    asked.error = undone
    assert asked.of(1, 2, 3) == [1, 4, 9]
    assert asked.groups[:2] == [[1], [2, 3]] and sorted(asked.groups[2:]) == [[2], [3]]


def test_another_place_is_another_group() -> None:
    """Whoever stands still in one holds nobody up in another, and of a place that nobody is at nothing is kept."""
    under_way, go = threading.Event(), threading.Event()

    def write(wanted: Sequence[int]) -> list[int]:
        if wanted[0] % 2:
            under_way.set()
            assert go.wait(PATIENCE_S)
        return [each * each for each in wanted]

    together = Together(write, place=lambda number: number % 2)
    with ThreadPoolExecutor(1) as threads:
        odd = threads.submit(together.do, 3)
        assert under_way.wait(PATIENCE_S)
        assert together.do(4) == 16 and not odd.done()
        go.set()
        assert odd.result(PATIENCE_S) == 9
    assert together._waiting == {} and together._leaders == set()


def test_whoever_asks_for_others_and_is_interrupted_tells_them() -> None:
    asked = Asked()
    asked.error = lambda wanted: SystemExit(3) if len(wanted) > 1 else None
    one, two, three = asked.of(1, 2, 3)
    assert one == 1 and isinstance(two, SystemExit) and "interrupted" in str(three)
    assert asked.together.do(4) == 16


def test_whoever_is_interrupted_while_it_waits_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is called to lead in the very moment in which it is interrupted calls the next."""
    asked, real = Asked(), threading.Event.wait

    def interrupted(event: threading.Event, timeout: float | None = None) -> bool:
        came = real(event, timeout)
        if timeout is None and threading.current_thread().name == "two":
            raise KeyboardInterrupt
        return came

    monkeypatch.setattr(threading.Event, "wait", interrupted)
    heard: dict[str, Any] = {}

    def ask(name: str, number: int) -> None:
        try:
            heard[name] = asked.together.do(number)
        except KeyboardInterrupt as interrupt:
            heard[name] = interrupt

    threads = [threading.Thread(target=ask, args=(name, number), name=name) for number, name in enumerate(("one", "two", "three"), 1)]
    for place, thread in enumerate(threads):
        thread.start()
        assert asked.under_way.wait(PATIENCE_S)
        until(lambda place=place: len(asked.together._waiting[None]) == place, "its waiting")  # type: ignore[misc]
    asked.go.set()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert (heard["one"], type(heard["two"]), heard["three"]) == (1, KeyboardInterrupt, 9)
    assert asked.groups == [[1], [3]]


def test_a_thread_that_comes_again_while_it_asks_does_not_wait_for_itself() -> None:
    def ask(wanted: Sequence[int]) -> list[int]:
        return [each * each if each < 10 else together.do(each - 10) for each in wanted]

    together = Together(ask)
    assert together.do(13) == 9


@pytest.mark.django_db
def test_in_a_transaction_everybody_asks_alone() -> None:
    asked = Asked()
    asked.go.set()
    asked.together._waiting[None] = []  # somebody else is under way
    with transaction.atomic():
        assert asked.together.do(2) == 4
    assert asked.groups == [[2]]
