"""The loops of an engine by themselves: what ends them, and what must not keep one going."""

import asyncio

import pytest

from runs.worker import engine


@pytest.mark.parametrize("turns", range(4))
async def test_a_loop_that_is_ended_as_the_bell_rings_ends(turns: int) -> None:
    rung = asyncio.Event()
    waiting = asyncio.create_task(engine._first(rung, 60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rung.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    had_ended = waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled() or had_ended
