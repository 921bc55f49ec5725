"""Places for child interpreters: first come, first served, but who finds a child warm may go first, a bounded number of times."""

import asyncio

import pytest

from runs.adapters.children import MOST_PASSED_OVER, Children


async def waiting(children: Children, key: str, served: list[str]) -> "asyncio.Task[None]":
    async def take() -> None:
        await children.take(key)
        served.append(key)

    task = asyncio.create_task(take())
    await asyncio.sleep(0)
    return task


async def freed(children: Children, key: str) -> None:
    children.give_back(key)
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_place_goes_to_the_call_that_finds_its_child_warm() -> None:
    children, served = Children(1), []
    assert children.take_now()
    for key in ("cold", "warm"):
        await waiting(children, key, served)
    await freed(children, "warm")
    assert served == ["warm"]
    await freed(children, "warm")
    assert served == ["warm", "cold"]


async def test_the_longest_waiting_call_is_passed_over_only_so_often() -> None:
    children, served = Children(1), []
    assert children.take_now()
    await waiting(children, "cold", served)
    for _ in range(MOST_PASSED_OVER + 5):
        await waiting(children, "warm", served)
    while "cold" not in served:
        await freed(children, "warm")
    assert served == ["warm"] * MOST_PASSED_OVER + ["cold"]


@pytest.mark.parametrize("given", [False, True])
async def test_a_cancelled_waiter_leaves_no_place_behind_and_takes_none_along(given: bool) -> None:
    children, served = Children(1), []
    assert children.take_now()
    task = await waiting(children, "a", served)
    if given:
        children.give_back("a")  # its turn has come and it hasn't noticed yet
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if not given:
        children.give_back("a")
    assert children.take_now() is True
    assert children.take_now() is False


async def test_a_place_freed_while_a_cancelled_waiter_has_not_noticed_goes_to_the_next() -> None:
    children, served = Children(1), []
    assert children.take_now()
    cancelled = await waiting(children, "a", served)
    await waiting(children, "b", served)
    cancelled.cancel()
    await freed(children, "a")
    await asyncio.gather(cancelled, return_exceptions=True)
    assert served == ["b"]
