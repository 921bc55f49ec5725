"""What becomes of a step besides returning, in rows and ledger: skipped, tried again, replaced, left out."""

from collections import Counter
from pathlib import Path

import pytest

from audit import reports
from runs.models import Run
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import pathlib

def run(fail_below: int = 0, count: str = "", **_) -> dict:
    tries = 0
    if count:
        with open(count, "a") as file:
            file.write("x")
        tries = len(pathlib.Path(count).read_text())
    if tries <= fail_below:
        raise ValueError(f"try {tries}")
    return {"tries": tries}

def spare(**_) -> dict:
    return {"tries": -1}
"""
FLAKY = "{id: work, agent: worker, with: {count: =input.count, fail_below: =input.fail_below}"


def publish(path: Path, steps: str) -> None:
    agents = [agent("worker", "work:run"), agent("spare", "work:spare")]
    pipelines.publish(path / "p", functions=WORK, agents=agents, steps=steps)


def start(tmp_path: Path, fail_below: int = 0) -> Run:
    return pipelines.start(input={"count": str(tmp_path / "count"), "fail_below": fail_below})


def verbs(run: Run) -> Counter[str]:
    return Counter(entry["verb"] for entry in reports.entries_of(run.id))


def test_a_step_whose_condition_does_not_hold_is_skipped_and_reads_as_null(tmp_path: Path) -> None:
    publish(tmp_path, "- {id: maybe, agent: worker, when: input.fail_below > 5}\n- {id: work, agent: spare, with: {seen: =steps.maybe}}")
    run = start(tmp_path)
    said = pipelines.drive(run)
    assert (said["outcome"], pipelines.step(said, "maybe")["state"]) == ("verified", "skipped")
    assert pipelines.step(said, "work")["input"] == {"seen": None}
    assert verbs(run)["runs.step.skipped"] == 1


def test_a_step_that_fails_says_so_in_its_row_and_in_the_ledger(tmp_path: Path) -> None:
    publish(tmp_path, f"- {FLAKY}}}")
    run = start(tmp_path, fail_below=9)
    said = pipelines.drive(run)
    assert (said["failure"]["cause"], pipelines.step(said, "work")["state"]) == ("exception", "failed")
    assert "try 1" in pipelines.step(said, "work")["failure"]["message"]
    assert (verbs(run)["runs.step.failed"], run.steps.get().failure_cause) == (1, "exception")


def test_a_retry_that_succeeds_leaves_no_failure_on_the_step(tmp_path: Path) -> None:
    publish(tmp_path, f"- {FLAKY}, retry: {{max: 2, backoff: 10ms}}}}")
    run = start(tmp_path, fail_below=2)
    said = pipelines.drive(run)
    assert (said["outcome"], said["result"], verbs(run)["runs.step.retried"]) == ("verified", {"tries": 3}, 2)
    work = run.steps.get(key="work")
    assert (work.state, work.attempt, work.failure_cause, work.failure_entry) == ("returned", 3, "", None)


def test_a_worker_that_dies_between_two_tries_is_followed_by_one_that_waits_for_the_next(tmp_path: Path) -> None:
    publish(tmp_path, f"- {FLAKY}, retry: {{max: 1, backoff: 1s}}}}")
    run = start(tmp_path, fail_below=1)
    pipelines.crash(run, at="runs.step.retried")
    assert run.steps.get().state == "retrying"
    said = pipelines.drive(run)
    assert (said["outcome"], said["result"], reports.chain_problems(run.id)) == ("verified", {"tries": 2}, [])


def test_a_fallback_takes_over_what_its_agent_could_not_do(tmp_path: Path) -> None:
    publish(tmp_path, f"- {FLAKY}, fallback: spare}}")
    run = start(tmp_path, fail_below=9)
    said = pipelines.drive(run)
    assert (said["outcome"], said["result"], pipelines.step(said, "work")["agent"]) == ("verified", {"tries": -1}, "spare")
    assert run.steps.get(key="work").fell_back


def test_a_part_that_may_be_missing_makes_the_run_degraded_and_is_named(tmp_path: Path) -> None:
    publish(tmp_path, f"- {FLAKY}, on_failure: degrade}}\n- {{id: last, agent: spare}}")
    said = pipelines.drive(start(tmp_path, fail_below=9))
    assert (said["outcome"], said["exit_status"]) == ("degraded", 10)
    assert [(part["step"], part["cause"]) for part in said["missing"]] == [("work", "exception")]


def test_a_loop_gives_its_results_in_the_order_of_its_items(tmp_path: Path) -> None:
    steps = "- {id: each, for_each: =input.items, as: item, max_concurrency: 3, do: [{id: work, agent: echo, with: {n: =item}}]}\n"
    steps += "- {id: last, agent: echo, with: {n: =steps.each}}"
    functions = WORK + "\ndef echo(n) -> dict:\n    return {'n': n}\n"
    pipelines.publish(tmp_path / "p", functions=functions, agents=[agent("echo", "work:echo")], steps=steps)
    run = pipelines.start(input={"items": list(range(7))})
    said = pipelines.drive(run)
    assert said["result"] == {"n": [{"n": n} for n in range(7)]}
    assert reports.chain_problems(run.id) == []


@pytest.mark.parametrize("beside", [False, True], ids=["a step", "a branch"])
@pytest.mark.parametrize(("depth", "cause"), [(126, None), (128, "input"), (129, "contract"), (400, "contract"), (470, "contract")])
def test_a_result_that_is_nested_too_deeply_says_so_and_nothing_is_lost(tmp_path: Path, depth: int, cause: str | None, beside: bool) -> None:
    """The limit is 128; the verifier's input puts one more around the result, and so does a branch."""
    functions = "def run(depth: int) -> dict:\n    value = {}\n    for _ in range(depth - 1):\n        value = {'a': value}\n    return value\n"
    work = "{id: work, agent: worker, with: {depth: =input.depth}}"
    steps = f"- {{id: fan, parallel: {{one: [{work}]}}}}" if beside else f"- {work}"
    pipelines.publish(tmp_path / "p", functions=functions, agents=[agent("worker", "work:run")], steps=steps)
    said = pipelines.run(input={"depth": depth})
    assert said["integrity"] == "intact"
    assert (None if said["failure"] is None else said["failure"]["cause"]) == cause
