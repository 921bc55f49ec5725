"""Processes beside a worker: their ends are seen, what they forked goes with them, and nobody else's process is touched."""

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from runs.worker import spawn
from runs.worker.spawn import Started
from tests.workers import until

FORKS = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, file=open(sys.argv[1], 'w')); sys.exit(int(sys.argv[2]))"


def lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def forked(path: Path) -> int:
    until(lambda: path.exists() and path.read_text().strip() != "", "what it forked")
    return int(path.read_text())


def test_what_a_dead_process_has_forked_is_killed_with_it(tmp_path: Path) -> None:
    one = Started([sys.executable, "-c", FORKS, str(tmp_path / "pid"), "3"])
    left = forked(tmp_path / "pid")
    until(lambda: one.has_ended, "its end")
    assert (one.fault(), lives(left)) == ("has ended with status 3", True)
    one.kill()
    until(lambda: not lives(left), "the end of what it forked")
    assert one.fault() == "has ended with status 3"


def test_a_number_is_nobody_elses_as_long_as_it_may_be_killed() -> None:
    one = Started([sys.executable, "-c", ""])
    until(lambda: one.has_ended, "its end")
    assert one.fault() == "has ended with status 0"
    assert psutil.Process(one.process.pid).status() == psutil.STATUS_ZOMBIE  # it is looked at and not taken
    one.kill()
    assert not psutil.pid_exists(one.process.pid)


def test_a_group_whose_number_may_be_a_strangers_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Started([sys.executable, "-c", ""])
    one.process.wait()
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, number: killed.append(group))
    one.kill()
    one.ask_to_end()
    assert killed == []


def test_one_that_is_asked_to_end_says_by_which_signal_it_did() -> None:
    one = Started(["sleep", "60"])
    one.ask_to_end()
    until(lambda: one.has_ended, "its end")
    assert one.fault() == f"has ended with status {-signal.SIGTERM}"
    one.kill()


def test_a_process_that_does_not_even_end_when_it_is_killed_is_left_and_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(spawn, "REAP_S", 0.05)
    one = Started(["sleep", "60"])
    with monkeypatch.context() as patch:
        patch.setattr(os, "killpg", lambda group, number: None)  # as one in whose middle the kernel stands still
        one.kill()
    assert f"process {one.process.pid}) has not ended 0.05 s after SIGKILL" in caplog.text
    os.killpg(one.process.pid, signal.SIGKILL)
    one.process.wait()
