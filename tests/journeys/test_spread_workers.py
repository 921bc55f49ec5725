"""A loop that spreads over two workers, of which one is killed with -9 in the middle."""

from pathlib import Path
from uuid import UUID

import pytest

from audit import reports
from runs.models import Run
from tests import pipelines
from tests.pipelines import agent
from tests.workers import kill, until, worker

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import pathlib, time

def work(folder: str, item: int) -> dict:
    here = pathlib.Path(folder)
    with open(here / f"{item}.starts", "a") as starts:
        starts.write("x")
    while not (here / "go").exists():
        time.sleep(0.02)
    return {"item": item}

def gather(all: list[dict]) -> dict:
    return {"items": [one["item"] for one in all]}
"""


def starts(folder: Path) -> list[int]:
    return [len(file.read_text()) if (file := folder / f"{item}.starts").exists() else 0 for item in range(4)]


def owners(run: Run) -> dict[str, UUID | None]:
    return dict(Run.objects.filter(parent_run=run).order_by("parent_step").values_list("parent_step", "lease_owner"))


def finished(run: Run) -> bool:
    run.refresh_from_db()
    return run.outcome is not None


def test_what_a_killed_worker_held_is_done_by_the_other_and_what_it_did_not_hold_goes_on(
    tmp_path: Path, shell_environment: dict[str, str], project_folder: Path
) -> None:
    steps = """
    - {id: each, for_each: =input.items, as: x, spread: 4, do: [{id: one, agent: worker, with: {folder: =input.folder, item: =x}}]}
    - {id: gather, agent: gatherer, with: {all: =steps.each}}
    """
    agents = [agent("worker", "work:work", timeout="60s"), agent("gatherer", "work:gather")]
    pipelines.publish(tmp_path / "p", functions=WORK, agents=agents, steps=steps)
    run = pipelines.start(input={"folder": str(tmp_path), "items": [0, 1, 2, 3]})
    narrow = {**shell_environment, "ORCHESTRA_CONCURRENCY": "2"}
    with worker(narrow, project_folder) as first:
        until(lambda: sum(starts(tmp_path)) == 2, "the first two items")
        killed = {owner for owner in owners(run).values() if owner is not None}
        with worker(narrow, project_folder):
            until(lambda: starts(tmp_path) == [1, 1, 1, 1], "the other two, in the other worker")
            assert len({*owners(run).values()}) == 2
            lost = [step for step, owner in owners(run).items() if owner in killed]
            kill(first)
            (tmp_path / "go").touch()
            until(lambda: finished(run), "the end of the run")
    assert (run.outcome, pipelines.document(run)["result"]) == ("verified", {"items": [0, 1, 2, 3]})
    assert [f"each/{item}-{item}" for item, count in enumerate(starts(tmp_path)) if count == 2] == lost
    assert sorted(starts(tmp_path)) == [1, 1, 2, 2]
    family = [run, *Run.objects.filter(parent_run=run)]
    assert [reports.chain_problems(each.id) for each in family] == [[]] * 5
