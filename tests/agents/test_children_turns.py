"""Who gets which child: versions that answer quickly wait for their own, and none is without one while another has several."""

import asyncio
from typing import Any, cast

import pytest

from agents.children import turns
from agents.children.process import Process
from agents.children.turns import Child, Turns


def child_of(turn: Turns, version: str, took_s: float) -> Child:
    """One that is busy, and has just had a call that took so long. Turns start and end no process themselves."""
    child = Child(cast(Process, None), (version,), calls=2)
    turn.timed(child, took_s)
    return child


async def full(*children: tuple[str, float]) -> tuple[Turns, list[Child]]:
    turn = Turns(len(children))
    for version, _ in children:
        assert await turn.take((version,)) is None
    return turn, [child_of(turn, version, took_s) for version, took_s in children]


async def waiting(turn: Turns, version: str) -> "asyncio.Task[Child | None]":
    task = asyncio.create_task(turn.take((version,)))
    await asyncio.sleep(0)
    return task


async def given(turn: Turns, child: Child, *waiters: "asyncio.Task[Any]") -> list[bool]:
    """Which of the waiters have their turn after that."""
    turn.give(child)
    await asyncio.sleep(0)
    return [waiter.done() for waiter in waiters]


async def test_a_child_goes_to_whom_it_is_warm() -> None:
    turn, (mine, _) = await full(("mine", 0.001), ("other", 0.001))
    waiters = [await waiting(turn, version) for version in ("other", "mine")]
    assert await given(turn, mine, *waiters) == [False, True]
    waiters[0].cancel()


async def test_a_call_waits_for_the_quick_child_of_its_own_version_and_ends_nobody_elses() -> None:
    turn, (mine, other) = await full(("mine", 0.001), ("other", 0.001))
    turn.give(other)
    other.since += 60  # it has only just begun to rest, however long this test takes
    waiter = await waiting(turn, "mine")
    assert not waiter.done() and turn.idle == [other]
    assert await given(turn, mine, waiter) == [True]
    assert await waiter is mine


async def test_a_call_whose_own_children_are_slow_takes_anothers_that_has_nothing_to_do() -> None:
    turn, (_, other) = await full(("mine", 10.0), ("other", 0.001))
    turn.give(other)
    assert await turn.take(("mine",)) is other


async def test_a_call_does_not_wait_for_its_quick_child_while_another_is_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "AT_REST_S", 0.0)
    turn, (_, other) = await full(("mine", 0.001), ("other", 0.001))
    turn.give(other)
    assert await turn.take(("mine",)) is other


async def test_a_version_without_a_child_gets_one_of_those_who_have_several() -> None:
    turn, (spare, _) = await full(("many", 0.001), ("many", 0.001))
    waiters = [await waiting(turn, version) for version in ("many", "none")]
    assert await given(turn, spare, *waiters) == [False, True]
    waiters[0].cancel()


async def test_a_version_whose_first_child_is_being_started_is_not_without_one() -> None:
    turn, (first, second) = await full(("many", 0.001), ("many", 0.001))
    begun, waiter = await waiting(turn, "new"), await waiting(turn, "new")
    assert await given(turn, first, begun, waiter) == [True, False]
    assert await given(turn, second, waiter) == [False]
    waiter.cancel()


async def test_the_last_child_of_a_version_stays_with_it_while_its_own_calls_wait() -> None:
    turn, (only, _) = await full(("one", 0.001), ("another", 0.001))
    waiters = [await waiting(turn, version) for version in ("none", "one")]
    assert await given(turn, only, *waiters) == [False, True]
    waiters[0].cancel()


async def test_of_several_idle_children_one_of_the_version_with_most_of_them_is_replaced() -> None:
    turn, (lonely, first, second) = await full(("one", 0.001), ("two", 0.001), ("two", 0.001))
    for child in (lonely, first, second):
        turn.give(child)
    assert await turn.take(("new",)) is first


async def test_a_call_that_has_waited_for_its_quick_child_takes_another_once_that_is_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    turn, (_, other) = await full(("mine", 0.001), ("other", 0.001))
    monkeypatch.setattr(turns, "AT_REST_S", 0.001)
    turn.give(other)
    other.since += 60
    waiter = await waiting(turn, "mine")
    assert not waiter.done()
    other.since = 0.0
    assert await waiter is other


async def test_a_call_that_has_waited_long_takes_whichever_child_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST_S", 0.0)
    turn, (_, other) = await full(("mine", 0.001), ("other", 0.001))
    waiters = [await waiting(turn, version) for version in ("mine", "other")]
    assert await given(turn, other, *waiters) == [True, False]
    waiters[1].cancel()


async def test_a_new_child_is_not_slow_because_its_first_call_imported_something() -> None:
    turn = Turns(1)
    assert await turn.take(("mine",)) is None
    child = Child(cast(Process, None), ("mine",), calls=1)
    turn.timed(child, 3.0)
    assert child.is_quick and turn.ahead("mine") == 0


async def test_a_cancelled_call_hands_on_the_child_that_came_in_the_same_moment() -> None:
    turn, (mine,) = await full(("mine", 0.001))
    waiter = await waiting(turn, "mine")
    turn.give(mine)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    assert turn.idle == [mine]


async def test_quickness_is_believed_at_once_and_doubted_slowly() -> None:
    turn, (child,) = await full(("mine", 3.0))
    assert turn.ahead("mine") == 0
    turn.timed(child, 0.001)
    assert turn.ahead("mine") == turns.MOST_AHEAD
    turn.timed(child, 0.1)
    assert 0 < turn.ahead("mine") < turns.MOST_AHEAD
    turn.forget(child)
    assert (turn.ahead("mine"), turn.living("mine")) == (0, 0)
