"""The bounds of a child as a whole: how many processes it has, and what they hold together."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agents.children import Broken, Job, Pool, Returned, process, processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts and weighs in /proc")
Outcome = Returned | Broken
Run = Callable[..., Awaitable[Outcome]]


async def _nothing(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {}


@pytest.fixture(params=["full", "net", "none"])
async def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    monkeypatch.setattr(process, "_given", {"level": request.param})
    pool = Pool(1)

    async def call(source: str, *, memory_mib: int) -> Outcome:
        (tmp_path / "team.py").write_text(f"import os, time\n{source}")
        job = Job(tmp_path, "team:work", {}, {}, memory_mib << 20, False, "k")
        return await pool.call(job, timeout_s=60, progress_timeout_s=None, on_call=_nothing, on_progress=lambda *_: None)

    yield call
    await pool.close()


def crashed(outcome: Outcome) -> Broken:
    assert isinstance(outcome, Broken), outcome
    assert outcome.cause == "crashed", outcome
    return outcome


FORKS = """
def work():
    for _ in range(COUNT):
        if os.fork() == 0:
            kept = b"x" * (MEBIBYTES << 20)
            time.sleep(60)
    time.sleep(REST)
    return 1
"""


def forking(*, count: int, mebibytes: int, rest: float, before: str = "") -> str:
    return f"{before}{FORKS.replace('COUNT', str(count)).replace('MEBIBYTES', str(mebibytes)).replace('REST', str(rest))}"


async def test_more_processes_than_a_child_may_have_are_a_crash_with_the_number(run: Run) -> None:
    failure = crashed(await run(forking(count=processes.PROCESS_LIMIT, mebibytes=0, rest=60), memory_mib=512))
    assert failure.message.startswith(f"it had more than {processes.PROCESS_LIMIT} processes at once")


async def test_processes_that_hold_too_much_together_are_a_crash_with_the_numbers(run: Run) -> None:
    failure = crashed(await run(forking(count=4, mebibytes=60, rest=60), memory_mib=200))
    found = re.fullmatch(
        r"its (\d) processes together held (\d+) MiB, more than the 200 MiB of its `memory`; raise `memory` or start fewer", failure.message
    )
    assert found is not None, failure
    assert int(found[1]) <= 5 and int(found[2]) > 200


async def test_processes_within_the_memory_together_are_left_alone(run: Run) -> None:
    outcome = await run(forking(count=4, mebibytes=20, rest=0.5), memory_mib=200)
    assert isinstance(outcome, Returned), outcome


async def test_what_forked_processes_share_counts_once(run: Run) -> None:
    """Six of them see 60 MiB each, which none of them writes to: one copy, within 200 MiB."""
    outcome = await run(forking(count=5, mebibytes=1, rest=0.5, before="many = b'x' * (60 << 20)\n"), memory_mib=200)
    assert isinstance(outcome, Returned), outcome


async def test_a_child_whose_pipes_are_closed_before_its_keeper_has_gone_has_ended_for_whoever_listens() -> None:
    child = await process.start(memory_bytes=256 * 1024 * 1024, network=False)
    listening = asyncio.create_task(child.receive())
    await asyncio.sleep(0)
    child._close()
    with pytest.raises(process.Ended):
        await listening
    child._popen.kill()
    child._popen.wait()
