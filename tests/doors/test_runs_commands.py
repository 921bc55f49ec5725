"""The commands about runs that exist already: showrun, runs, cancel, reverify, sweep."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from audit import clock
from audit.models import Entry
from orchestra_site.tokens import create_token
from runs.models import Call, Run
from tests import approving, pipelines
from tests.pipelines import SYSTEM, agent
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
def run(how: str = "", **_) -> dict:
    if how == "raise":
        raise ValueError("no such thing")
    return {"lie": True} if how == "lie" else {"ok": True}
"""


@pytest.fixture
def sample(tmp_path: Path) -> None:
    steps = """- {id: work, agent: worker, with: {how: "=has(input.how) ? input.how : ''"}}"""
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:run")], steps=steps)


def test_showrun_says_the_same_again_and_ends_with_the_runs_own_status(sample: None) -> None:
    first = typed("runpipeline", "sample", "--input", "how=lie")
    run = Run.objects.get()
    again = typed("showrun", str(run.id)[:18])
    assert (again.status, again.out) == (11, first.out)
    assert typed("showrun", run.id, "--json").document["outcome"] == "rejected"


def test_children_that_nothing_contained_are_said_plainly(sample: None) -> None:
    run = pipelines.run()["id"]
    assert "uncontained" not in typed("showrun", run).out
    Call.objects.filter(run=run, step="work").update(contained=False)
    assert "uncontained  worker: nothing kept this code from the network" in typed("showrun", run).out


def test_many_steps_alike_are_one_line_and_those_that_failed_each_another(tmp_path: Path) -> None:
    steps = """
    - for_each: =input.items
      id: each
      as: how
      min_success: 1
      on_failure: degrade
      do: [{id: work, agent: worker, with: {how: =how}}]
    - {id: end, agent: worker}
    """
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:run")], steps=steps)
    said = pipelines.run(input={"items": ["fine"] * 11 + ["raise"]})
    lines = [line for line in typed("showrun", said["id"]).out.splitlines() if " each/" in line and "owner" not in line]
    assert [line.split()[1:3] for line in lines] == [["each/*/work", "worker"], ["each/11/work", "worker"]]
    assert "11 returned, 1 failed" in lines[0]


def test_a_reader_that_has_seen_enough_changes_no_exit_status(sample: None, shell_environment: dict[str, str], project_folder: Path) -> None:
    run = pipelines.run(input={"how": "lie"})["id"]
    argv = f"{sys.executable} manage.py showrun {run} --json | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", argv], cwd=project_folder, env=shell_environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (11, "")


@pytest.mark.parametrize("run", ["00000000-0000-7000-8000-000000000000", "abc", "no-id\x1b[2J"])
def test_a_run_that_nobody_knows_is_refused(sample: None, run: str) -> None:
    for command in ("showrun", "cancel", "reverify"):
        done = typed(command, run)
        assert (done.status, done.out) == (2, "")
        assert done.err.startswith("refused: ")
        assert "\x1b" not in done.err
    entries = Entry.objects.filter(verb__endswith=".refused").in_order()  # showrun only looks
    subject = f"run:{run}" if run.isprintable() else "run:?"
    assert [(entry.verb, entry.subject, entry.envelope()["facts"]["code"]) for entry in entries] == [
        ("runs.cancel.refused", subject, "unknown-run"),
        ("runs.start.refused", subject, "unknown-run"),
    ]


def test_runs_lists_the_newest_first_as_they_read_now(sample: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # in a narrow window what a run reads as takes two lines
    for how in ("fine", "lie", "raise"):
        pipelines.run(input={"how": how})
    lines = typed("runs").out.splitlines()
    assert lines[0].split() == ["run", "pipeline", "reads", "as", "started", "(UTC)", "took"]
    assert [line.split()[1:3] for line in lines[1:]] == [["sample", "failed"], ["sample", "rejected"], ["sample", "verified"]]


def test_runs_are_filtered_by_what_they_read_as(sample: None) -> None:
    good, changed = pipelines.run(), pipelines.run()
    Run.objects.filter(id=changed["id"]).update(result_digest="0" * 64)
    assert [listed["id"] for listed in typed("runs", "--outcome", "verified", "--json").document] == [good["id"]]
    assert [listed["id"] for listed in typed("runs", "--outcome", "broken", "--json").document] == [changed["id"]]
    assert len(typed("runs", "--json", "--limit", "1").document) == 1
    assert typed("runs", "--pipeline", "sampel").status == 2


def test_an_overdue_run_is_listed_as_failed_though_nobody_wrote_it(sample: None) -> None:
    run = pipelines.start()
    Run.objects.filter(id=run.id).update(deadline_at=clock.now() - timedelta(seconds=5))
    assert typed("runs", "--outcome", "queued", "--json").document == []
    assert [listed["outcome"] for listed in typed("runs", "--outcome", "failed", "--json").document] == ["failed"]
    assert typed("showrun", run.id).status == 12


def test_cancel_ends_a_run_that_nobody_drives_and_refuses_a_finished_one(sample: None) -> None:
    run = pipelines.start()
    done = typed("cancel", run.id)
    assert (done.status, done.out) == (0, f"run {run.id}: cancelled\n")
    assert typed("showrun", run.id).status == 14
    assert "finished is final" in typed("cancel", run.id).err


def test_reverify_judges_again_and_the_old_run_shows_it(sample: None) -> None:
    old = pipelines.run(input={"how": "lie"})
    done = typed("reverify", old["id"])
    assert (done.status, done.out.split()[0]) == (11, "rejected")
    assert f"the result of run {old['id']} again" in done.out
    assert f"again by run {Run.objects.get(trigger='reverify').id}: rejected" in typed("showrun", old["id"]).out


def test_whoever_has_a_run_judged_again_with_their_token_is_who_started_that(sample: None, monkeypatch: pytest.MonkeyPatch) -> None:
    old = pipelines.run(input={"how": "lie"})
    approving.member("alice", "platform")
    monkeypatch.setenv("ORCHESTRA_TOKEN", create_token("alice", actor=SYSTEM).text)
    assert typed("reverify", old["id"]).status == 11
    assert Run.objects.get(trigger="reverify").started_by == "person:alice"


def test_reverify_of_a_run_without_a_result_is_refused(sample: None) -> None:
    failed = pipelines.run(input={"how": "raise"})
    assert typed("reverify", failed["id"], "--json").document["error"]["code"] == "not-reverifiable"


def test_sweep_writes_what_time_has_decided_and_says_what_is_broken(sample: None) -> None:
    changed, overdue = pipelines.run(), pipelines.start()
    Run.objects.filter(id=changed["id"]).update(outcome="rejected")
    Run.objects.filter(id=overdue.id).update(deadline_at=clock.now() - timedelta(seconds=5))
    done = typed("sweep")
    assert done.out.startswith("ended 1, compared ")
    assert done.out.endswith(": 1 broken\n")
    overdue.refresh_from_db()
    assert overdue.outcome == "failed"
