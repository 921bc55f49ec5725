"""Judging again: a new run of the verify node alone, over what the old run gave, as of its finish."""

from pathlib import Path

import pytest

from agents.models import Pipeline, Team
from audit import clock, reports
from audit.actors import Actor
from audit.management.typed import manage
from audit.models import Opening
from runs import services
from runs.errors import NotReverifiable, UnknownRun
from runs.models import Run
from tests import pipelines
from tests.pipelines import agent
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import pathlib

def run(count: str = "", **_) -> dict:
    if count:
        with open(count, "a") as file:
            file.write("x")
    return {"n": 1}
"""
JUDGE = """
import pathlib
import orchestra
import judge

def check(claim: dict, down: str, criteria: list) -> orchestra.Verdict:
    if pathlib.Path(down).exists():
        raise orchestra.Missing("the source is gone")
    said = judge.check(claim)
    return orchestra.Verdict(checks=said.checks, as_of=None, summary=str(orchestra.as_of()))
"""


@pytest.fixture
def unverified(tmp_path: Path) -> Run:
    """Its verifier could not reach the source."""
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "second.py").write_text(JUDGE)
    auditor = "kind: agent\nname: auditor\nteam: platform\nrole: check\npurpose: Judge.\nrun: {python: second:check}\ntimeout: 20s"
    pipelines.publish(
        tmp_path / "p",
        functions=WORK,
        agents=[agent("worker", "work:run"), auditor],
        steps="- {id: work, agent: worker, with: {count: =input.count}}",
        verify="verify: {agent: auditor, with: {claim: =result, down: =input.down}}",
        more="criteria: {one: result.n == 1 && steps.work.n == 1}",
    )
    down = tmp_path / "down"
    down.touch()
    run = pipelines.start(input={"count": str(tmp_path / "count"), "down": str(down)})
    said = pipelines.drive(run)
    assert (said["outcome"], said["exit_status"], said["failure"]["cause"], said["result"]) == ("unverified", 15, "missing", {"n": 1})
    down.unlink()
    run.refresh_from_db()
    return run


def test_a_person_reads_why_there_is_no_verdict_and_what_judging_again_judges_by(unverified: Run) -> None:
    said = " ".join(typed("showrun", unverified.id).out.split())
    assert "no verdict could be had (missing: " in said
    assert f"`{manage()} reverify` judges again by the same release" in said and "mended and published judges new runs" in said


def test_the_verify_node_alone_runs_again_as_of_the_old_finish_and_the_old_run_shows_it(unverified: Run, tmp_path: Path) -> None:
    again = services.reverify(run=str(unverified.id), actor=pipelines.SYSTEM)
    said = pipelines.drive(again)
    assert (said["outcome"], said["as_of"], said["reverifies"]) == ("verified", pipelines.document(unverified)["finished_at"], str(unverified.id))
    assert said["label"].startswith("verified as of ")
    assert [step["key"] for step in said["steps"]] == ["verify"]
    assert (said["result"], (tmp_path / "count").read_text()) == ({"n": 1}, "x")
    assert [check["by"] for check in said["verdict"]["checks"]] == ["auditor", "engine"]
    old = pipelines.document(unverified)
    assert (old["outcome"], [judgement["label"] for judgement in old["reverified_by"]]) == ("unverified", [said["label"]])
    assert reports.chain_problems(again.id) == []


def test_a_judgement_can_itself_be_judged_again(unverified: Run) -> None:
    again = services.reverify(run=str(unverified.id), actor=pipelines.SYSTEM)
    pipelines.drive(again)
    third = services.reverify(run=str(again.id), actor=pipelines.SYSTEM)
    assert pipelines.drive(third)["outcome"] == "verified"


def test_what_is_judged_again_is_checked_against_its_ledger(unverified: Run) -> None:
    again = services.reverify(run=str(unverified.id), actor=pipelines.SYSTEM)
    unverified.steps.filter(key="work").update(result_digest="0" * 64)
    said = pipelines.drive(again)
    assert (said["outcome"], said["failure"]["cause"]) == ("failed", "tampered")


def test_a_run_without_a_result_is_not_judged_again_and_the_refusal_is_recorded(unverified: Run) -> None:
    live = pipelines.start(input={"count": "", "down": ""})
    with pytest.raises(NotReverifiable, match="has no result"):
        services.reverify(run=str(live.id), actor=pipelines.SYSTEM)
    refused = reports.entries_of(live.id)[-1]
    assert (refused["verb"], refused["seq"], refused["team"]) == ("runs.start.refused", None, "platform")


@pytest.mark.parametrize("name", ["", "abc", "not-a-run", "0" * 40, "01a1f9ae-d35f-77e2-8ef5-2654f3d0006c"])
def test_a_run_that_does_not_exist_is_not_found(unverified: Run, name: str) -> None:
    with pytest.raises(UnknownRun):
        services.reverify(run=name, actor=pipelines.SYSTEM)


def test_a_run_whose_input_was_erased_is_not_judged_again_and_the_refusal_is_recorded(unverified: Run) -> None:
    Opening.objects.filter(entry=unverified.input_entry).delete()
    with pytest.raises(NotReverifiable, match="its input was erased"):
        services.reverify(run=str(unverified.id), actor=pipelines.SYSTEM)
    refused = reports.entries_of(unverified.id)[-1]
    assert (refused["verb"], refused["facts"]) == ("runs.start.refused", {"code": "not-reverifiable"})
    assert Run.objects.count() == 1


# --- what others may see of it ---

PLATFORM = Actor(kind="person", id="7", auth="test", teams=frozenset({"platform"}))
RED = Actor(kind="person", id="8", auth="test", teams=frozenset({"red"}))


def test_a_judgement_belongs_to_the_team_of_the_run_wherever_the_pipeline_went(unverified: Run) -> None:
    red = Team.objects.create(name="red", created_at=clock.now())
    Pipeline.objects.filter(name="sample").update(team=red)
    again = services.reverify(run=str(unverified.id), actor=PLATFORM)
    assert again.team.name == "platform"
    assert reports.entries_of(again.id)[0]["team"] == "platform"
    with pytest.raises(UnknownRun):
        services.find_run(str(again.id), actor=RED)


def test_runs_of_other_teams_are_not_shown_as_judgements_or_as_what_was_judged(unverified: Run) -> None:
    again = services.reverify(run=str(unverified.id), actor=PLATFORM)
    assert [each["run"] for each in services.run_document(unverified, actor=PLATFORM)["reverified_by"]] == [str(again.id)]
    Run.objects.filter(id=again.id).update(team=Team.objects.create(name="red", created_at=clock.now()))
    assert services.run_document(unverified, actor=PLATFORM)["reverified_by"] == []
    assert services.run_document(services.find_run(str(again.id), actor=RED), actor=RED)["reverifies"] is None
    assert pipelines.document(again)["reverifies"] == str(unverified.id)
