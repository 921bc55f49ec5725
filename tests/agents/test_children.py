"""A function in a child interpreter: what it is given, what it may do, what its worker hears of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from agents.children import Broken, CallError, Job, Pool, PoolClosed, Returned, process

MIB = 1024 * 1024
Outcome = Returned | Broken
Run = Callable[..., Coroutine[Any, Any, Outcome]]


async def _nothing(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    raise CallError("denied", f"no {tool} here")


@pytest.fixture(params=["full", "none"])
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The best containment of this system, and what is left where the system gives none."""
    if request.param == "full" and "full" not in process._LEVELS:
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
    """Writes `source` as module `team` and calls its function `work`."""

    async def call(source: str = "", *, folder: Path | None = None, **given: Any) -> Outcome:
        where = folder or tmp_path
        if source:
            (where / "team.py").write_text(source)
        made = Job(
            folder=where,
            function=given.get("function", "team:work"),
            arguments=given.get("arguments", {}),
            context=given.get("context", {}),
            memory_bytes=given.get("memory_bytes", 256 * MIB),
            network=given.get("network", False),
            key=given.get("key", "k"),
        )
        return await pool.call(
            made,
            timeout_s=given.get("timeout_s", 20.0),
            progress_timeout_s=given.get("progress_timeout_s"),
            on_call=given.get("on_call", _nothing),
            on_progress=given.get("on_progress", lambda *_: None),
        )

    return call


def value_of(outcome: Outcome) -> Any:
    assert isinstance(outcome, Returned), outcome
    return outcome.value


def broken(outcome: Outcome) -> Broken:
    assert isinstance(outcome, Broken), outcome
    return outcome


# --- what a function is given ---------------------------------------------------------------------------------------------------------


async def test_a_function_returns_its_result(run: Run) -> None:
    assert value_of(await run("def work(n: int) -> dict:\n    return {'n': n + 1}", arguments={"n": 4})) == {"n": 5}


async def test_an_async_function_returns_its_result(run: Run) -> None:
    source = "import asyncio\nasync def work():\n    await asyncio.sleep(0)\n    return [1]"
    assert value_of(await run(source)) == [1]


async def test_a_child_sees_no_variable_of_ours(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORCHESTRA_SECRET_KEY", "DJANGO_SETTINGS_MODULE", "ANTHROPIC_API_KEY", "PGPASSWORD"):
        monkeypatch.setenv(name, "secret")
    seen = value_of(await run("import os\ndef work():\n    return dict(os.environ)"))
    assert "secret" not in seen.values()
    assert not [name for name in seen if name.startswith(("ORCHESTRA", "DJANGO"))]


async def test_a_team_may_import_agents_and_mean_its_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text("whose = 'theirs'")
    assert value_of(await run("import agents\ndef work():\n    return agents.whose")) == "theirs"


async def test_our_project_cannot_be_imported(run: Run) -> None:
    failure = broken(await run("import audit\ndef work(): pass"))
    assert (failure.cause, failure.details["traceback"]) == ("exception", ["team.py:1 in <module>"])


async def test_relative_paths_are_those_of_the_worker(run: Run) -> None:
    assert value_of(await run("import os\ndef work():\n    return os.getcwd()")) == str(Path.cwd())


async def test_hints_that_are_no_json_are_built_by_pydantic(run: Run) -> None:
    source = (
        "from dataclasses import dataclass\nfrom datetime import datetime\n@dataclass\nclass P:\n    at: datetime\n    n: int\n"
        "def work(p: P) -> P:\n    return P(p.at.replace(year=2015), p.n)"
    )
    assert value_of(await run(source, arguments={"p": {"at": "2014-01-02T03:04:05Z", "n": 1}})) == {"at": "2015-01-02T03:04:05Z", "n": 1}


async def test_plain_hints_do_without_pydantic(run: Run) -> None:
    source = (
        "import sys\nfrom typing import TypedDict\nclass S(TypedDict):\n    n: int\n"
        "def work(s: list[S], d: dict, f: float) -> dict:\n    return {'f': f, 'heavy': 'pydantic' in sys.modules}"
    )
    assert value_of(await run(source, arguments={"s": [{"n": 1}], "d": {}, "f": 1})) == {"f": 1.0, "heavy": False}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"n": "x"}, "'n'"), ({"n": True}, "'n'"), ({}, "n"), ({"n": 1, "z": 2}, "z")],
)
async def test_a_wrong_argument_is_a_matter_of_wiring(run: Run, arguments: dict[str, Any], said: str) -> None:
    failure = broken(await run("def work(n: int): pass", arguments=arguments))
    assert failure.cause == "input"
    assert said in failure.message


async def test_arguments_beyond_a_frame_are_refused_as_input(run: Run) -> None:
    failure = broken(await run("def work(text): pass", arguments={"text": "x" * (17 * MIB)}))
    assert failure.cause == "input"
    assert "16 MiB" in failure.message


async def test_large_arguments_and_results_pass(run: Run) -> None:
    text = "x" * (9 * MIB)
    assert value_of(await run("def work(text): return text", arguments={"text": text})) == text


# --- results and failures -------------------------------------------------------------------------------------------------------------


async def test_an_exception_says_where_in_the_teams_own_files(run: Run) -> None:
    failure = broken(await run("import json\ndef work():\n    json.loads('{')"))
    assert failure.cause == "exception"
    assert failure.message.startswith("JSONDecodeError: Expecting property name")
    assert failure.details["traceback"] == ["team.py:3 in work"]


async def test_a_traceback_names_the_functions_that_the_team_wrote(run: Run) -> None:
    source = """
class Reader:
    def read(self, text):
        return int(text)

def work():
    def each(text):
        return [Reader().read(one) for one in text]
    return sorted("1x", key=lambda one: each(one))
"""
    failure = broken(await run(source))
    assert failure.details["traceback"] == ["team.py:9 in work", "team.py:8 in each", "team.py:4 in Reader.read"]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("float('nan')", "nan"),
        ("{'a': [1, float('inf')]}", "/a/1 is inf"),
        ("{1: 2}", "JSON's keys are texts"),
        ("object()", "no form in JSON"),
        ("'\\ud800'", "surrogates"),
        ("(lambda l: (l.append(l), l)[1])([])", "nested too deeply"),
    ],
)
async def test_a_result_that_is_no_json_breaks_the_contract(run: Run, result: str, said: str) -> None:
    failure = broken(await run(f"def work():\n    return {result}"))
    assert failure.cause == "contract"
    assert said in failure.message


async def test_a_huge_result_breaks_the_contract_with_its_size(run: Run) -> None:
    failure = broken(await run("def work():\n    return 'x' * (11 * 1024 * 1024)"))
    assert (failure.cause, failure.message) == ("contract", "the result is 11.0 MiB, the limit is 10 MiB")


@pytest.mark.parametrize(
    ("raised", "cause"),
    [
        ("orchestra.Missing('no feed')", "missing"),
        ("orchestra.Malformed('line 3')", "contract"),
        ("orchestra.Failure('stale', 'old')", "stale"),
        ("orchestra.Failure('budget', 'not mine')", "exception"),
        ("orchestra.CallFailed('budget', 'a forgery')", "exception"),
    ],
)
async def test_a_function_claims_only_causes_of_its_own(run: Run, raised: str, cause: str) -> None:
    assert broken(await run(f"import orchestra\ndef work():\n    raise {raised}")).cause == cause


async def test_printed_output_is_kept_as_evidence(run: Run) -> None:
    outcome = await run("import sys\ndef work():\n    print('one')\n    sys.stderr.write('two')")
    assert isinstance(outcome, Returned)
    assert outcome.stderr == "one\ntwo"


async def test_context_reaches_the_function(run: Run) -> None:
    source = "import orchestra\ndef work():\n    return [orchestra.now(), orchestra.context()['run']]"
    context = {"as_of": "2014-02-28T14:25:00.000000Z", "run": "r1"}
    assert value_of(await run(source, context=context)) == ["2014-02-28T14:25:00Z", "r1"]


# --- orchestra.call and orchestra.progress ---------------------------------------------------------------------------------------------


async def test_a_call_goes_through_the_parent(run: Run) -> None:
    async def on_call(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"tool": tool, **arguments}

    source = "import orchestra\ndef work():\n    return orchestra.call('fetch', {'url': 'u'})"
    assert value_of(await run(source, on_call=on_call)) == {"tool": "fetch", "url": "u"}


async def test_a_refused_call_left_uncaught_keeps_its_cause(run: Run) -> None:
    failure = broken(await run("import orchestra\ndef work():\n    orchestra.call('fetch', {})"))
    assert (failure.cause, failure.message, failure.details["from_call"]) == ("denied", "no fetch here", True)


async def test_a_refused_call_can_be_caught(run: Run) -> None:
    attempt = "    try:\n        orchestra.call('fetch', {})\n    except orchestra.Denied as error:\n        return error.cause"
    source = f"import orchestra\ndef work():\n{attempt}"
    assert value_of(await run(source)) == "denied"


async def test_progress_is_heard_and_keeps_a_slow_function_alive(run: Run) -> None:
    heard: list[tuple[str | None, float | None]] = []
    loop = "    for n in range(4):\n        time.sleep(0.15)\n        orchestra.progress(f'n{n}', n / 4)\n"
    source = f"import orchestra, time\ndef work():\n{loop}    return 1"
    assert value_of(await run(source, progress_timeout_s=0.5, on_progress=lambda *said: heard.append(said))) == 1
    assert heard == [(f"n{n}", n / 4) for n in range(4)]


async def test_silence_beyond_the_progress_timeout_is_a_stall(run: Run) -> None:
    failure = broken(await run("import time\ndef work():\n    time.sleep(30)", progress_timeout_s=0.3))
    assert (failure.cause, failure.message) == ("stalled", "no progress for 0.3 s (its progress timeout)")


# --- the pool -------------------------------------------------------------------------------------------------------------------------


async def test_a_warm_child_serves_the_same_key_again(run: Run) -> None:
    source = "calls = []\ndef work():\n    calls.append(1)\n    return len(calls)"
    assert [value_of(await run(source)) for _ in range(3)] == [1, 2, 3]


async def test_a_failed_function_leaves_its_child_usable(run: Run) -> None:
    source = "calls = []\ndef work():\n    calls.append(1)\n    if len(calls) == 1:\n        raise ValueError\n    return len(calls)"
    assert broken(await run(source)).cause == "exception"
    assert value_of(await run()) == 2


@pytest.mark.parametrize("other", [{"key": "other"}, {"network": True}, {"memory_bytes": 300 * MIB}])
async def test_another_key_gets_another_child(run: Run, other: dict[str, Any]) -> None:
    source = "calls = []\ndef work():\n    calls.append(1)\n    return len(calls)"
    assert [value_of(await run(source)), value_of(await run(**other)), value_of(await run())] == [1, 1, 2]


@pytest.mark.parametrize(
    "left_behind",
    [
        "threading.Thread(target=time.sleep, args=(30,), daemon=True).start()",
        "subprocess.Popen(['sleep', '30'])",
        "subprocess.Popen(['sh', '-c', 'sleep 30 & sleep 30 &'], start_new_session=True).wait()",
    ],
)
async def test_a_child_with_something_left_running_is_not_used_again(run: Run, left_behind: str, level: str) -> None:
    source = f"import subprocess, threading, time\ncalls = []\ndef work():\n    calls.append(1)\n    {left_behind}\n    return len(calls)"
    assert [value_of(await run(source)), value_of(await run())] == [1, 1]


async def test_idle_children_make_room_for_other_keys(run: Run) -> None:
    for key in ("a", "b", "c", "d"):
        assert value_of(await run("def work():\n    return 1", key=key)) == 1


async def test_waiting_calls_are_served_in_turn(run: Run) -> None:
    source = "import time\ndef work(n):\n    time.sleep(0.05)\n    return n"
    assert [value_of(one) for one in await asyncio.gather(*(run(source, arguments={"n": n}) for n in range(6)))] == [0, 1, 2, 3, 4, 5]


async def test_the_time_a_call_waits_for_a_child_counts(run: Run) -> None:
    busy = [asyncio.create_task(run("import time\ndef work():\n    time.sleep(30)", timeout_s=0.8)) for _ in range(2)]
    await asyncio.sleep(0.1)
    failure = broken(await run("", timeout_s=0.1))
    assert (failure.cause, failure.details) == ("deadline", {"waited": True})
    await asyncio.gather(*busy)


async def test_a_cancelled_call_frees_its_child(run: Run, pool: Pool) -> None:
    for _ in range(3):
        task = asyncio.create_task(run("import time\ndef work():\n    time.sleep(30)"))
        await asyncio.sleep(0.15)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert value_of(await run("def work():\n    return 1", key="other")) == 1


async def test_a_closed_pool_says_so_to_whoever_waits(run: Run, pool: Pool) -> None:
    tasks = [asyncio.create_task(run("import time\ndef work():\n    time.sleep(30)")) for _ in range(3)]
    await asyncio.sleep(0.3)
    await pool.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [PoolClosed] * 3


async def test_an_error_of_the_parent_is_not_the_functions(run: Run) -> None:
    async def on_call(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        raise LookupError("ours")

    with pytest.raises(LookupError):
        await run("import orchestra\ndef work():\n    orchestra.call('fetch', {})", on_call=on_call)


async def test_nothing_is_left_open_in_the_worker(run: Run, pool: Pool) -> None:
    before = _open_files()
    for key in ("a", "b", "c"):
        await run("def work():\n    return 1", key=key)
    await run("import os\ndef work():\n    os._exit(1)")
    await pool.close()
    assert _open_files() == before


def _open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))
