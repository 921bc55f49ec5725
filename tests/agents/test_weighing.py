"""What the processes of a child hold together: never counted too low, and what they share counted once."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from agents.children import weighing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="weighs in /proc")
MIB = 1 << 20


@pytest.fixture
def forked() -> Iterator[Callable[[int], list[int]]]:
    """Copies of this process that do nothing."""
    pids: list[int] = []

    def fork(count: int) -> list[int]:
        for _ in range(count):
            if (pid := os.fork()) == 0:
                signal.pause()
                os._exit(0)
            pids.append(pid)
        return pids

    yield fork
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def asked(scale: weighing.Scale, pids: list[int], times: int = 20) -> list[int | None]:
    """As the keeper asks: again and again, and the rests are over."""
    said = []
    for _ in range(times):
        scale._rests_until = 0.0
        said.append(scale.too_much(pids))
    return said


def test_one_process_alone_is_not_weighed(forked: Callable[[int], list[int]]) -> None:
    assert asked(weighing.Scale(1), forked(1), 1) == [None]


def test_processes_that_share_all_hold_about_one_of_them(forked: Callable[[int], list[int]]) -> None:
    kept = bytearray(os.urandom(1) * (64 * MIB))
    pids = forked(6)
    resident, held = (sum(map(weigh, pids)) for weigh in (weighing._resident, weighing._proportional))
    assert resident > 6 * 64 * MIB
    assert 32 * MIB < held < resident / 3  # their parent, these tests, shares with them too
    del kept


def test_what_is_beyond_the_limit_is_said_though_it_takes_many_stretches(forked: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weighing, "_STRETCH_S", 0.0)  # one process at a time
    monkeypatch.setattr(weighing, "_resident", lambda _: 10 * MIB)
    monkeypatch.setattr(weighing, "_proportional", lambda _: 3 * MIB)
    pids = forked(6)
    assert asked(weighing.Scale(17 * MIB), pids, 6) == [*[None] * 5, 18 * MIB]
    assert asked(weighing.Scale(18 * MIB), pids, 12) == [None] * 12


def test_a_process_that_ended_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weighing, "_STRETCH_S", 0.0)
    monkeypatch.setattr(weighing, "_resident", lambda _: 10 * MIB)
    monkeypatch.setattr(weighing, "_proportional", lambda _: 3 * MIB)
    scale = weighing.Scale(8 * MIB)
    assert [asked(scale, pids, 1)[0] for pids in ([1, 2, 3], [1, 2, 3], [2, 3, 4], [3, 4])] == [None, None, None, None]
    assert asked(weighing.Scale(8 * MIB), [1, 2, 3], 3)[-1] == 9 * MIB


def test_a_process_that_may_not_be_looked_into_counts_with_all_that_is_resident() -> None:
    assert weighing._sum_of("/proc/self/nothing", ("Pss:",)) is None
    assert weighing._proportional(2**22 + 1) == 0  # nobody there
    mine = weighing._resident(os.getpid())
    assert 0 < weighing._proportional(os.getpid()) <= mine * 1.1


def test_it_rests_after_it_has_weighed(forked: Callable[[int], list[int]]) -> None:
    scale, pids = weighing.Scale(1), forked(2)
    assert scale.too_much(pids) is not None
    scale._rests_until = time.monotonic() + 60
    assert scale.too_much(pids) is None
