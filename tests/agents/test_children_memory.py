"""The memory of an agent is that of all processes of its function together, where the system says what each holds."""

import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from agents.children import Broken, Job, Pool, Returned, process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MIB = 1024 * 1024
Run = Callable[[str], Coroutine[Any, Any, Returned | Broken]]

# Each fork tells by a pipe that it holds what it should; the function returns if nobody ends it within `patience_s`.
FORKS = """
import os, time
def forks(number, patience_s, before=0, each=0):
    shared = b"x" * before
    r, w = os.pipe()
    for _ in range(number):
        if os.fork() == 0:
            own = b"y" * each
            os.write(w, b".")
            time.sleep(60)
    for _ in range(number):
        os.read(r, 1)
    time.sleep(patience_s)
    return len(shared)
"""


@pytest.fixture(params=["full", "net", "none"])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `work` with 256 MiB."""
    monkeypatch.setattr(process, "_given", {"level": request.param})

    async def call(body: str) -> Returned | Broken:
        (tmp_path / "team.py").write_text(f"{FORKS}def work():\n    return {body}")
        pool = Pool(1)
        job = Job(tmp_path, "team:work", {}, {}, 256 * MIB, False, "k")
        try:
            return await pool.call(job, timeout_s=20, progress_timeout_s=None, on_call=_never, on_progress=lambda *_: None)
        finally:
            await pool.close()

    return call


async def _never(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    raise AssertionError(tool)


async def test_forks_that_exceed_the_memory_together_are_ended(run: Run) -> None:
    outcome = await run("forks(6, 15, each=64 << 20)")
    assert isinstance(outcome, Broken), outcome
    assert (outcome.cause, outcome.message.partition(";")[0]) == ("crashed", "ran out of its 256 MiB of memory")


async def test_forks_that_stay_below_the_memory_together_go_on(run: Run) -> None:
    outcome = await run("forks(4, 0.8, each=16 << 20)")
    assert isinstance(outcome, Returned), outcome


async def test_what_forks_share_counts_once(run: Run) -> None:
    outcome = await run("forks(6, 0.8, before=96 << 20)")
    assert isinstance(outcome, Returned), outcome
