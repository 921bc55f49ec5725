"""A program in a child: what it is given, what it may answer, and whatever it does, it ends at its bound with its cause."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agents.children import Broken, Job, Pool, Program, Returned, process
from agents.children.output import HEAD, LIMIT, Output

MIB = 1024 * 1024
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
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    async def call(*argv: str, given: Any = None, timeout_s: float = 20.0, progress_timeout_s: float | None = None, **context: str) -> Outcome:
        job = Job(tmp_path, "", given or {}, context, 256 * MIB, False, "k", Program(argv, scratch))
        return await pool.call(job, timeout_s=timeout_s, progress_timeout_s=progress_timeout_s, on_call=_nothing, on_progress=lambda *_: None)

    return call


def value_of(outcome: Outcome) -> Any:
    assert isinstance(outcome, Returned), outcome
    return outcome.value


def failed(outcome: Outcome, cause: str) -> Broken:
    assert isinstance(outcome, Broken), outcome
    assert outcome.cause == cause, outcome
    return outcome


def left(mark: str) -> list[str]:
    listed = subprocess.run(["ps", "-axwwo", "args="], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in listed if mark in line]


# --- what a program is given ----------------------------------------------------------------------------------------------------------


async def test_the_input_is_on_stdin_and_stdout_is_the_result(run: Run) -> None:
    assert value_of(await run("cat", given={"n": 1, "text": "ä", "f": 1.5})) == {"n": 1, "text": "ä", "f": 1.5}


async def test_a_file_of_the_folder_is_passed_by_its_place_and_other_words_as_they_are(run: Run, tmp_path: Path) -> None:
    (tmp_path / "say.py").write_text("import json, sys\nprint(json.dumps(sys.argv))")
    (tmp_path / "conf").write_text("")
    here = os.fspath(tmp_path)
    words = ["./conf", "conf", "../conf", "other", "*", "$HOME"]
    assert value_of(await run("python", "say.py", *words)) == [f"{here}/say.py", f"{here}/conf", f"{here}/conf", "../conf", "other", "*", "$HOME"]


async def test_python_is_the_interpreter_of_orchestra_without_the_working_directory_on_its_path(run: Run) -> None:
    source = "import json, sys; print(json.dumps([sys.prefix, '' in sys.path]))"
    assert value_of(await run("python", "-c", source)) == [sys.prefix, False]


async def test_a_script_of_the_folder_finds_its_neighbours(run: Run, tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("here = 1")
    (tmp_path / "script.py").write_text("import neighbour; print(neighbour.here)")
    assert value_of(await run("python", "script.py")) == 1
    assert not (tmp_path / "__pycache__").exists()


async def test_a_program_sees_no_variable_of_ours_but_what_its_call_belongs_to(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ORCHESTRA_SECRET_KEY", "DJANGO_SETTINGS_MODULE", "ANTHROPIC_API_KEY", "PGPASSWORD", "PYTHONPATH"):
        monkeypatch.setenv(name, "secret")
    source = "import json, os; print(json.dumps(dict(os.environ)))"
    seen = value_of(await run("python", "-c", source, run="r1", step="scan", idempotency_key="k1", deadline="d"))
    assert "secret" not in seen.values()
    ours = {name: value for name, value in seen.items() if name.startswith("ORCHESTRA")}
    assert ours == {"ORCHESTRA_RUN": "r1", "ORCHESTRA_STEP": "scan", "ORCHESTRA_IDEMPOTENCY_KEY": "k1", "ORCHESTRA_DEADLINE": "d"}
    assert {seen["HOME"], seen["TMPDIR"]} == {str(tmp_path / "scratch")}


async def test_relative_paths_are_those_of_the_worker(run: Run) -> None:
    assert value_of(await run("python", "-c", "import os; print('\"' + os.getcwd() + '\"')")) == str(Path.cwd())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has network namespaces")
async def test_a_program_has_no_network(run: Run, level: str) -> None:
    outcome = await run("python", "-c", "print(open('/proc/net/dev').read().count(':'))")
    assert isinstance(outcome, Returned)
    assert outcome.contained is (level != "none")
    assert level == "none" or outcome.value == 1  # the loopback alone


# --- what it may answer ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("", "wrote nothing to stdout"),
        ("   \\n", "wrote nothing to stdout"),
        ("hello", "isn't JSON"),
        ("1 2", "isn't JSON: Extra data"),
        ("\\377", "isn't JSON: 'utf-8'"),
        ("NaN", "NaN is not JSON"),
        ("[1e999]", "isn't JSON"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
        ('"\\\\ud800"', "surrogates"),
    ],
)
async def test_what_is_no_json_breaks_the_contract(run: Run, printed: str, said: str) -> None:
    assert said in failed(await run("sh", "-c", f"printf '{printed}'"), "contract").message


async def test_deeply_nested_json_breaks_the_contract(run: Run) -> None:
    failed(await run("python", "-c", "print('[' * 100000 + ']' * 100000)"), "contract")


async def test_a_flood_of_stdout_is_cut_at_the_limit_of_a_result(run: Run) -> None:
    assert "more than 10 MiB" in failed(await run("yes"), "contract").message


async def test_a_value_is_the_result_though_the_input_was_never_read(run: Run) -> None:
    assert value_of(await run("sh", "-c", "exec <&-; echo 1", given={"text": "x" * (4 * MIB)})) == 1
    assert value_of(await run("echo", "1", given={"text": "x" * (4 * MIB)})) == 1


async def test_a_program_that_fills_stdout_while_its_input_is_still_sent_does_not_block(run: Run) -> None:
    assert len(value_of(await run("cat", given={"text": "x" * (6 * MIB)}))["text"]) == 6 * MIB


async def test_stderr_is_evidence_and_no_part_of_the_result(run: Run) -> None:
    outcome = await run("sh", "-c", "echo looking >&2; echo 1")
    assert isinstance(outcome, Returned)
    assert (outcome.value, outcome.stderr) == (1, "looking\n")


# --- how it may end -------------------------------------------------------------------------------------------------------------------


async def test_an_exit_status_is_an_exception_with_the_last_line_of_stderr(run: Run) -> None:
    failure = failed(await run("sh", "-c", "echo first >&2; echo 'no such feed' >&2; echo '{}'; exit 3"), "exception")
    assert failure.message == "sh ended with exit status 3: no such feed"
    assert (failure.details["exit_status"], failure.details["stderr"]) == (3, "first\nno such feed\n")


async def test_the_script_is_named_not_its_interpreter(run: Run, tmp_path: Path) -> None:
    (tmp_path / "scan.py").write_text("raise SystemExit(4)")
    assert failed(await run("python", "scan.py"), "exception").message == "scan.py ended with exit status 4, and wrote nothing to stderr"


async def test_a_signal_is_a_crash(run: Run) -> None:
    assert failed(await run("sh", "-c", "kill -SEGV $$"), "crashed").message == "its process was killed by SIGSEGV"


async def test_running_out_of_memory_is_a_crash_that_names_the_limit(run: Run) -> None:
    assert failed(await run("python", "-c", "bytearray(1 << 40)"), "crashed").message.startswith("ran out of its 256 MiB of memory")


async def test_a_program_that_ends_its_parent_is_a_crash(run: Run) -> None:
    failed(await run("sh", "-c", "kill -9 $PPID; sleep 5"), "crashed")
    assert value_of(await run("echo", "1")) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the keeper counts processes on Linux only")
async def test_too_many_processes_are_a_crash(run: Run, tmp_path: Path) -> None:
    (tmp_path / "many.py").write_text("import os, time\nwhile True:\n    if os.fork() == 0:\n        time.sleep(60)\n        os._exit(0)\n")
    assert "more than 64 processes at once" in failed(await run("python", "many.py"), "crashed").message


async def test_a_program_that_ignores_being_asked_ends_at_its_deadline(run: Run, tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    failure = failed(await run("sh", "-c", "trap '' TERM INT HUP; echo begun >&2; sleep 60; sleep 60", mark, timeout_s=0.7), "deadline")
    assert failure.details["stderr"] == "begun\n"
    assert left(mark) == []


async def test_silence_is_a_stall_and_a_byte_on_stderr_is_progress(run: Run) -> None:
    failed(await run("sleep", "30", progress_timeout_s=0.4), "stalled")
    failed(await run("sh", "-c", "while true; do echo working; sleep 0.1; done", progress_timeout_s=0.4), "stalled")
    talks = "for n in 1 2 3 4 5 6; do sleep 0.15; printf . >&2; done; echo 1"
    assert value_of(await run("sh", "-c", talks, progress_timeout_s=0.6)) == 1


async def test_a_flood_of_stderr_costs_nobody_anything(run: Run) -> None:
    failure = failed(await run("sh", "-c", "echo begun >&2; yes >&2", timeout_s=1.0), "deadline")
    assert failure.details["stderr"].startswith("begun\ny\n")
    assert len(failure.details["stderr"].encode()) <= LIMIT


async def test_a_program_that_closes_stdout_and_goes_on_ends_at_its_deadline(run: Run) -> None:
    failed(await run("sh", "-c", "echo 1; exec >&-; sleep 30", timeout_s=0.5), "deadline")
    assert value_of(await run("sh", "-c", "echo 1; exec >&-; sleep 0.2")) == 1


async def test_a_daemon_holds_nothing_up_and_does_not_outlive_the_call(run: Run, tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    assert value_of(await run("sh", "-c", 'setsid sh -c "sleep 60; :" "$0" & setsid setsid sh -c "sleep 60; :" "$0" & echo 1', mark)) == 1
    assert left(mark) == []


@pytest.mark.parametrize("program", ["no-such-program", "./no-such-file"])
async def test_a_program_that_is_not_there_is_said(run: Run, program: str) -> None:
    assert f"there is no program '{program}' on this worker" in failed(await run(program), "exception").message


async def test_a_script_without_a_first_line_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "scan").write_text("echo 1")
    (tmp_path / "scan").chmod(0o555)
    assert "can't be started" in failed(await run("./scan"), "exception").message


async def test_a_nul_in_the_context_is_no_way_around(run: Run) -> None:
    assert "can't be started" in failed(await run("echo", "1", idempotency_key="a\0b"), "exception").message


# --- what is kept of its output -------------------------------------------------------------------------------------------------------


def test_a_short_output_is_kept_whole() -> None:
    output = Output()
    for chunk in (b"one ", b"two ", b"x" * (LIMIT - 8)):
        output.add(chunk)
    assert output.take() == "one two " + "x" * (LIMIT - 8)
    assert output.take() == ""


def test_of_a_long_output_beginning_and_end_are_kept_and_the_rest_is_counted() -> None:
    output = Output()
    output.add(b"a" * HEAD + b"b" * 1_000_000 + b"end")
    text = output.take()
    assert len(text.encode()) <= LIMIT
    assert text.startswith("a" * HEAD + "\n… 99")
    assert text.endswith("bbbend")
