"""A team's function misbehaves: its own step fails, with cause and owner, and nothing else suffers."""

from pathlib import Path

import pytest
from django.conf import LazySettings

from agents.children import process
from audit import reports
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import os, time
import orchestra

def fine(**_) -> dict:
    return {"ok": True}

def run(how: str = "") -> dict:
    if how == "hang":
        time.sleep(60)
    if how == "loop":
        while True:
            pass
    if how == "raise":
        raise ValueError("no such thing")
    if how == "exit":
        os._exit(3)
    if how == "memory":
        return {"n": len(bytearray(2_000_000_000))}
    if how == "missing":
        raise orchestra.Missing("the feed is empty")
    if how == "malformed":
        raise orchestra.Malformed("feed.csv line 3: no number")
    if how == "refuse":
        raise orchestra.Failure("refused", "I would rather not")
    if how == "silent":
        time.sleep(60)
    if how == "fork":
        if os.fork() == 0:
            time.sleep(60)
        return {"ok": True}
    if how.startswith("/"):
        with open(how) as file:
            return {"lie": file.read() != ""}  # which the judge of tests.pipelines fails
    if how == "number":
        return 3
    if how == "huge-integer":
        return {"n": 2**60}
    return {"ok": True, "how": how}
"""

CASES = {
    "hang": "deadline",
    "loop": "deadline",
    "raise": "exception",
    "exit": "crashed",
    "memory": "crashed",
    "missing": "missing",
    "malformed": "contract",
    "refuse": "refused",
    "number": "contract",
    "huge-integer": "contract",
}


@pytest.fixture
def misbehaving(tmp_path: Path) -> None:
    pipelines.publish(
        tmp_path / "p",
        functions=WORK,
        agents=[agent("worker", "work:run", timeout="1s")],
        steps="- {id: work, agent: worker, with: {how: =input.how}}",
    )


@pytest.mark.parametrize(("how", "cause"), CASES.items())
def test_a_misbehaving_function_fails_its_own_step_with_its_cause_and_owner(misbehaving: None, how: str, cause: str) -> None:
    said = pipelines.run(input={"how": how})
    assert (said["outcome"], said["exit_status"]) == ("failed", 12)
    assert (said["failure"]["cause"], said["failure"]["owner"], said["failure"]["team"]) == (cause, "agent:worker", "platform")
    assert pipelines.step(said, "work")["state"] == "failed"
    assert reports.chain_problems(pipelines.id_of(said)) == []


def test_a_function_that_opens_the_installations_key_finds_it_empty(misbehaving: None, settings: LazySettings) -> None:
    key = Path(settings.ORCHESTRA_HOME) / "secret_key"
    key.write_text("s3cret")
    said = pipelines.run(input={"how": str(key)})
    key.unlink()
    if process._given["level"] != "full":
        pytest.skip("this system has no namespaces")
    assert said["outcome"] == "verified"


def test_a_function_that_leaves_a_fork_behind_returns_and_the_fork_is_gone(misbehaving: None) -> None:
    assert pipelines.run(input={"how": "fork"})["outcome"] == "verified"


def test_every_entry_of_a_run_is_in_one_gapless_chain_and_the_last_one_finishes_it(misbehaving: None) -> None:
    said = pipelines.run(input={"how": ""})
    entries = reports.entries_of(pipelines.id_of(said))
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[-1]["verb"] == "runs.run.finished"
    assert [entry["verb"] for entry in entries].count("runs.run.finished") == 1
    assert said["integrity"] == "intact"


def test_a_lie_is_rejected_and_the_verdict_says_by_whom(tmp_path: Path) -> None:
    pipelines.publish(
        tmp_path / "p",
        functions='def run(**_) -> dict:\n    return {"lie": True}\n',
        agents=[agent("worker", "work:run")],
        steps="- {id: work, agent: worker}",
    )
    said = pipelines.run()
    assert (said["outcome"], said["exit_status"]) == ("rejected", 11)
    assert said["verdict"]["checks"][0]["by"] == "judge"
    assert said["verdict"]["checks"][0]["blames"] == "work"
