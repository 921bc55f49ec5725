"""Whatever a function does, its own call fails, in time and with its cause, and nothing of it stays."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.children import Broken, Job, Pool, Returned, process, processes
from audit import canonical

MIB = 1024 * 1024
ROOT = Path(__file__).resolve().parents[2]
LINUX = sys.platform == "linux"
Outcome = Returned | Broken
Run = Callable[..., Awaitable[Outcome]]


async def _nothing(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {}


@pytest.fixture(params=["full", "net", "none"])
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param not in process._LEVELS:
        pytest.skip("this system has no namespaces")
    monkeypatch.setattr(process, "_given", {"level": request.param})
    return str(request.param)


@pytest.fixture
async def pool(level: str) -> AsyncIterator[Pool]:
    pool = Pool(2)
    yield pool
    await pool.close()


@pytest.fixture
def run(pool: Pool, tmp_path: Path) -> Run:
    async def call(source: str, *, timeout_s: float = 20.0, network: bool = False, memory_mib: int = 256) -> Outcome:
        (tmp_path / "team.py").write_text(f"import os, signal, subprocess, sys, threading, time\n{source}")
        job = Job(tmp_path, "team:work", {}, {}, memory_mib * MIB, network, "k")
        return await pool.call(job, timeout_s=timeout_s, progress_timeout_s=None, on_call=_nothing, on_progress=lambda *_: None)

    return call


@pytest.fixture
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """Every stray carries the test's folder in its arguments; afterwards nobody does."""
    yield
    _gone(str(tmp_path))


def _gone(mark: str, within_s: float = 3.0) -> None:
    until = time.monotonic() + within_s
    while (left := _carrying(mark)) and time.monotonic() < until:
        time.sleep(0.01)
    assert left == []


def _carrying(mark: str) -> list[str]:
    listed = subprocess.run(["ps", "-axwwo", "pid=", "-o", "args="], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in listed if mark in line and str(os.getpid()) not in line.split()[:1]]


def crashed(outcome: Outcome) -> Broken:
    assert isinstance(outcome, Broken), outcome
    assert outcome.cause == "crashed", outcome
    return outcome


async def _late(run: Run, source: str) -> Broken:
    started = time.monotonic()
    outcome = await run(source, timeout_s=1.2)  # a child that starts has its time within this
    assert time.monotonic() - started < 2.2
    assert isinstance(outcome, Broken), outcome
    assert (outcome.cause, outcome.message) == ("deadline", "did not return within 1.2 s")
    return outcome


STRAY = (
    "def stray():\n    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)', os.path.dirname(__file__)], start_new_session=True)\n"
)
DAEMON = f"{STRAY}def daemon():\n    if os.fork() == 0:\n        os.setsid()\n        stray()\n        os._exit(0)\n    os.wait()\n"


async def test_a_loop_ends_at_the_deadline(run: Run) -> None:
    await _late(run, "def work():\n    while True: pass")


async def test_a_loop_in_native_code_ends_at_the_deadline(run: Run) -> None:
    await _late(run, "def work():\n    return sum(range(10**12))")


async def test_a_block_ends_at_the_deadline(run: Run) -> None:
    await _late(run, "def work():\n    threading.Event().wait()")


async def test_a_module_that_hangs_at_import_ends_at_the_deadline(run: Run) -> None:
    await _late(run, "time.sleep(60)\ndef work(): pass")


async def test_ignoring_signals_does_not_help(run: Run) -> None:
    await _late(run, "def work():\n    for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)\n    time.sleep(60)")


async def test_the_output_of_a_late_function_is_evidence(run: Run) -> None:
    late = await _late(run, "def work():\n    print('so far')\n    time.sleep(60)")
    assert late.details["stderr"] == "so far\n"


async def test_daemons_of_a_late_function_end_with_it(run: Run, nothing_left: None) -> None:
    await _late(run, f"{DAEMON}def work():\n    daemon()\n    time.sleep(60)")


async def test_daemons_of_a_function_that_returned_end_with_it(run: Run, nothing_left: None) -> None:
    outcome = await run(f"{DAEMON}def work():\n    daemon()\n    return 1")
    assert isinstance(outcome, Returned), outcome


async def test_daemons_of_a_function_that_crashed_end_with_it(run: Run, nothing_left: None) -> None:
    crashed(await run(f"{DAEMON}def work():\n    daemon()\n    os._exit(0)"))


async def test_a_forked_copy_that_returns_too_is_mute(run: Run) -> None:
    outcome = await run(
        "import orchestra\ndef work():\n    pid = os.fork()\n    orchestra.progress('x')\n    time.sleep(0.05 if pid else 0)\n    return pid > 0"
    )
    assert isinstance(outcome, Returned), outcome
    assert outcome.value is True


async def test_a_forked_copy_that_holds_the_pipes_holds_nobody_up(run: Run) -> None:
    started = time.monotonic()
    crashed(await run("def work():\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(60)\n    os._exit(4)"))
    assert time.monotonic() - started < 3


async def test_a_fork_bomb_is_stopped(run: Run) -> None:
    outcome = await run("def work():\n    while True:\n        try: os.fork()\n        except OSError: pass\n        time.sleep(0.01)", timeout_s=10)
    assert isinstance(outcome, Broken), outcome
    assert outcome.cause in {"crashed", "deadline"}


@pytest.mark.parametrize(("exit_by", "status"), [("os._exit(3)", 3), ("os._exit(0)", 0)])
async def test_an_exit_is_a_crash_with_its_status(run: Run, exit_by: str, status: int) -> None:
    failure = crashed(await run(f"def work():\n    {exit_by}"))
    assert (failure.message, failure.details["exit_status"]) == (f"its process ended with exit status {status}", status)


async def test_sys_exit_is_a_crash(run: Run) -> None:
    failure = crashed(await run("def work():\n    sys.exit(3)"))
    assert failure.message == "the function ended its process with sys.exit(3)"


async def test_a_kill_of_itself_is_a_crash_with_its_signal(run: Run) -> None:
    failure = crashed(await run("def work():\n    os.kill(os.getpid(), signal.SIGKILL)"))
    assert (failure.message, failure.details["signal"]) == ("its process was killed by SIGKILL", "SIGKILL")


async def test_a_kill_of_its_group_is_its_own(run: Run) -> None:
    assert crashed(await run("def work():\n    os.killpg(0, signal.SIGKILL)")).details["signal"] == "SIGKILL"


async def test_a_segfault_is_a_crash_with_its_signal_and_trace(run: Run) -> None:
    failure = crashed(await run("import ctypes\ndef work():\n    ctypes.string_at(0)"))
    assert failure.details["signal"] == "SIGSEGV"
    assert "Segmentation fault" in failure.details["stderr"]


@pytest.mark.skipif(not LINUX, reason="RLIMIT_AS is kept on Linux only")
@pytest.mark.parametrize("eater", ["b'x' * (1 << 40)", "[bytearray(1 << 20) for _ in range(1 << 20)]"])
async def test_eating_memory_is_a_crash_that_names_the_limit(run: Run, eater: str) -> None:
    failure = crashed(await run(f"def work():\n    return len({eater})", memory_mib=128))
    assert failure.message.startswith("ran out of its 128 MiB of memory")


async def test_a_flood_of_output_neither_blocks_nor_grows(run: Run) -> None:
    outcome = await run("def work():\n    line = 'x' * 1023\n    for _ in range(50_000): print(line)\n    print('end')\n    return 1")
    assert isinstance(outcome, Returned), outcome
    assert outcome.stderr.startswith("xxx")
    assert outcome.stderr.endswith("xxx\nend\n")
    assert "bytes left out" in outcome.stderr
    assert len(outcome.stderr.encode()) <= 8192


async def test_an_endless_flood_ends_at_the_deadline(run: Run) -> None:
    await _late(run, "def work():\n    while True: os.write(1, b'x' * 65536)")


async def test_closing_every_file_is_a_crash(run: Run) -> None:
    assert crashed(await run("def work():\n    os.closerange(0, 1000)\n    return 1")).details["exit_status"] == 70


async def test_rubbish_in_the_channel_is_a_crash(run: Run) -> None:
    failure = crashed(
        await run(
            "def work():\n    for fd in range(3, 200):\n        try: os.write(fd, b'\\xff' * 64)\n        except OSError: pass\n    time.sleep(60)"
        )
    )
    assert "wrote into the channel" in failure.message


async def test_a_deep_frame_in_the_channel_is_a_crash(run: Run) -> None:
    body = "    body = b'[' * 60_000\n"
    write = "        try: os.write(fd, len(body).to_bytes(4, 'big') + body)\n        except OSError: pass\n"
    source = f"def work():\n{body}    for fd in range(3, 200):\n{write}    time.sleep(60)"
    crashed(await run(source))


FORGERY = """
def work():
    import json
    link = sys.modules["_orchestra_child.link"]
    said = {"cause": "exception", "message": MESSAGE, "details": {"n": 2**60, "stderr": 1, "traceback": ["x" * 9_000] * 99}}
    link.send_packed(link.frames.pack(json.dumps({"broken": said}).encode()))
    time.sleep(60)
"""


@pytest.mark.parametrize("message", ["'x' * 3_000_000", "chr(0xD800)", "2**60"])
async def test_a_forged_failure_is_cut_to_what_a_ledger_can_hold(run: Run, message: str) -> None:
    outcome = await run(FORGERY.replace("MESSAGE", message))
    assert isinstance(outcome, Broken)
    assert len(canonical.canonical_bytes([outcome.message, outcome.details])) < 20_000


async def test_killing_its_keeper_fails_only_itself(run: Run, level: str, nothing_left: None) -> None:
    outcome = await run(f"{DAEMON}def work():\n    daemon()\n    os.kill(os.getppid(), signal.SIGKILL)\n    time.sleep(0.2)\n    return 1")
    if level == "full":  # its keeper is its init, which it can't kill
        assert isinstance(outcome, Returned), outcome
    else:
        crashed(outcome)


async def test_stopping_its_keeper_does_not_outlast_the_deadline(run: Run, nothing_left: None) -> None:
    await _late(run, f"{DAEMON}def work():\n    daemon()\n    os.kill(os.getppid(), signal.SIGSTOP)\n    time.sleep(60)")


async def test_the_pool_serves_on_after_every_failure(run: Run) -> None:
    for _ in range(3):
        crashed(await run("def work():\n    os._exit(1)"))
    assert isinstance(await run("def work():\n    return 1"), Returned)


CONNECT = "import socket\ndef work():\n    with socket.create_connection(('127.0.0.1', {port}), timeout=5): return 'out'"


@pytest.mark.skipif(not LINUX, reason="network namespaces are Linux's")
async def test_no_network_without_a_grant(run: Run, level: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        outcome = await run(CONNECT.format(port=server.getsockname()[1]))
    if level == "none":
        assert isinstance(outcome, Returned)
        assert not outcome.contained
    else:
        assert isinstance(outcome, Broken)
        assert (outcome.cause, outcome.details["contained"]) == ("exception", True)


async def test_a_network_with_a_grant(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        outcome = await run(CONNECT.format(port=server.getsockname()[1]), network=True)
    assert isinstance(outcome, Returned), outcome
    assert not outcome.contained


@pytest.mark.skipif(not LINUX, reason="reads /proc")
async def test_a_contained_child_sees_no_process_but_its_own(run: Run, level: str) -> None:
    outcome = await run("def work():\n    return [p for p in os.listdir('/proc') if p.isdigit()]")
    assert isinstance(outcome, Returned)
    assert (len(outcome.value) <= 3) == (level == "full")


@pytest.mark.skipif(not LINUX, reason="namespaces are Linux's")
async def test_a_refused_level_is_tried_once_and_then_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_given", {"level": "full"})
    monkeypatch.setattr(process, "_BOOTSTRAP", _bootstrap_where_unshare_fails(tmp_path))
    (tmp_path / "team.py").write_text("def work():\n    return 1")
    pool = Pool(1)
    job = Job(tmp_path, "team:work", {}, {}, 256 * MIB, False, "k")
    outcome = await pool.call(job, timeout_s=20, progress_timeout_s=None, on_call=_nothing, on_progress=lambda *_: None)
    await pool.close()
    assert isinstance(outcome, Returned), outcome
    assert (outcome.value, outcome.contained, process._given["level"]) == (1, False, "none")


def _bootstrap_where_unshare_fails(folder: Path) -> Path:
    source = (ROOT / "agents/children/bootstrap.py").read_text()
    here = ROOT / "agents/children"
    patched = source.replace('__file__.rpartition("/")[0]', repr(str(here))).replace(
        "    importlib.import_module(",
        "    def refuse(flags): raise PermissionError(1, 'no')\n"
        '    importlib.import_module("_orchestra_child.linux")._unshare = refuse\n'
        "    importlib.import_module(",
    )
    bootstrap = folder / "bootstrap_refused.py"
    bootstrap.write_text(patched)
    return bootstrap


WORKER = """
import asyncio, signal, sys
from pathlib import Path
from agents.children import Job, Pool, process
async def main(folder, level):
    process._given["level"] = level
    pool = Pool(2)
    job = Job(Path(folder), "team:work", {}, {}, 256 << 20, False, "k")
    await pool.call(job, timeout_s=60, progress_timeout_s=None, on_call=None, on_progress=lambda *_: print("started", flush=True))
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the suite may have had it ignored (nohup, some CI)
asyncio.run(main(*sys.argv[1:]))
"""


@contextmanager
def _worker(folder: Path, level: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A worker whose function runs; killed at the end, so that a test that fails doesn't wait for the function's own."""
    work = "def work():\n    daemon()\n    time.sleep(0.06)\n    orchestra.progress()\n    time.sleep(60)"
    source = f"import os, subprocess, sys, time, orchestra\n{DAEMON}{work}"
    (folder / "team.py").write_text(source)
    with subprocess.Popen([sys.executable, "-c", WORKER, str(folder), level], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True) as worker:
        try:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"started\n"
            assert len(_carrying(str(folder))) == 2  # the worker and the stray of its function
            yield worker
        finally:
            worker.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_worker_leaves_no_descendant(level: str, tmp_path: Path, number: int) -> None:
    with _worker(tmp_path, level) as worker:
        worker.send_signal(number)
        worker.wait(5)
        _gone(str(tmp_path))


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["heard", "ignored"])
def interrupts(request: pytest.FixtureRequest) -> Iterator[None]:
    """The suite's own way with SIGINT, which what it starts inherits."""
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_at_the_terminal_reaches_the_worker_alone(level: str, tmp_path: Path, interrupts: None) -> None:
    with _worker(tmp_path, level) as worker:
        members = processes.below(worker.pid) if LINUX else set()
        assert all(os.getpgid(pid) != worker.pid for pid in members)
        os.killpg(worker.pid, signal.SIGINT)
        worker.wait(5)
        _gone(str(tmp_path))


RAW = "def raw(body):\n    link = sys.modules['_orchestra_child.link']\n    os.write(link._pipes['up'], len(body).to_bytes(4, 'big') + body)\n"
UNREADABLE = {
    "surrogate-tool": rb'{"call":{"tool":"\ud800","arguments":{}}}',
    "surrogate-value": rb'{"call":{"tool":"fetch","arguments":{"a":"\ud800"}}}',
    "surrogate-key": rb'{"call":{"tool":"fetch","arguments":{"\udfff":1}}}',
    "infinite": b'{"call":{"tool":"fetch","arguments":{"a":1e999}}}',
    "nan-in-call": b'{"call":{"tool":"fetch","arguments":{"a":NaN}}}',
    "nan-in-progress": b'{"progress":{"fraction":NaN}}',
    "huge-integer": b'{"call":{"tool":"fetch","arguments":{"a":1' + b"0" * 5000 + b"}}}",
    "deep": b'{"progress":' + b'{"a":' * 10000 + b"1" + b"}" * 10001,
    "number-as-key": b"{1:2}",
    "not-utf-8": b"\xff\xfe{}",
    "no-object": b"[]",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_frame_that_nobody_could_hand_on_is_its_functions_own_failure(run: Run, body: bytes) -> None:
    crashed(await run(f"{RAW}def work():\n    raw({body!r})\n    time.sleep(10)\n"))


@pytest.mark.parametrize("fraction", ["1" + "0" * 400, "-1" + "0" * 400, "1e999", "-1e999", "true"])
async def test_progress_of_any_size_is_cut_to_between_nothing_and_all(run: Run, fraction: str) -> None:
    body = b'{"progress":{"fraction":' + fraction.encode() + b"}}"
    outcome = await run(f"{RAW}def work():\n    raw({body!r})\n    return {{'a': 1}}")
    assert isinstance(outcome, Returned), outcome
