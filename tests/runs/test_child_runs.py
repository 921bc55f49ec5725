"""Pipelines that run other pipelines: child runs, whose clocks, accounts and ends belong to the run above them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents import registry
from audit import reports
from runs.models import Run, Step, Wait
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import orchestra, time
from pathlib import Path

def double(n: int) -> dict:
    return {"n": 2 * n}

def use(got: object = None) -> dict:
    return {"got": got}

def fail(lie: bool = False) -> dict:
    if lie:
        return {"lie": True}
    raise ValueError("no luck")

def slow(log: str) -> dict:
    Path(log).touch()
    orchestra.progress("slow")
    time.sleep(60)
    return {}
"""
AGENTS = [agent("doubler", "work:double"), agent("user", "work:use"), agent("loser", "work:fail"), agent("slow", "work:slow")]
ANY = "{type: object}"
JUDGED = "verify: {agent: judge, with: {claim: =result}}"


def pipeline(name: str, *steps: str, more: str = "", takes: str = ANY) -> str:
    listed = "\n".join(f"  {step}" for step in steps)
    return f"kind: pipeline\nname: {name}\nteam: platform\ninput: {takes}\nsteps:\n{listed}\n{JUDGED}\n{more}"


CHILD = pipeline("inner", "- {id: twice, agent: doubler, with: {n: =input.n}}")
ROOT = ["- {id: sub, pipeline: inner, with: {n: =input.n}}", "- {id: after, agent: user, with: {got: =steps.sub}}"]


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., Path]:
    def published(*documents: str, steps: tuple[str, ...] | list[str] = ROOT, apply: bool = True, **more: Any) -> Path:
        path = pipelines.folder(tmp_path / "sample", steps="\n".join(steps), agents=[*AGENTS, *documents], functions=WORK, **more)
        if apply:
            registry.apply_folder(path, actor=pipelines.SYSTEM, publish=True)
        return path

    return published


def child_of(run: Run) -> Run:
    return Run.objects.get(parent_run=run)


def verbs(run: Run) -> list[str]:
    return [entry["verb"] for entry in reports.entries_of(run.id)]


def test_a_node_may_be_the_run_of_another_pipeline(publish: Callable[..., Path]) -> None:
    publish(CHILD)
    run = pipelines.start(input={"n": 4})
    said = pipelines.drive(run)
    assert (said["outcome"], said["result"]) == ("verified", {"got": {"n": 8}})
    child = child_of(run)
    assert (child.outcome, child.depth, child.parent_step, child.root_run_id, child.trigger) == ("verified", 2, "sub", run.id, "pipeline")
    assert child.started_by == run.started_by
    assert Wait.objects.get(run=run).state == "answered"
    first = next(entry for entry in reports.entries_of(child.id))
    assert (first["facts"]["parent"], first["facts"]["parent_step"]) == (str(run.id), "sub")
    assert Step.objects.get(run=run, key="sub").state == "returned"
