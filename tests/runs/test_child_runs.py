"""Pipelines that run other pipelines: child runs, what they give, and what their failures are to the run above them."""

from pathlib import Path
from typing import Any

import pytest

from agents import registry
from audit import clock, reports
from runs import services, store
from runs.models import Run, Wait
from tests import families, pipelines
from tests.families import INNER, child_of, pipeline

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sample"


def ran(path: Path, *documents: str, given: dict[str, Any] | None = None, draft: bool = False, **parts: Any) -> tuple[Run, dict[str, Any]]:
    families.publish(path, *documents, **parts)
    run = pipelines.start(input=given or {"n": 4}, draft=draft)
    return run, pipelines.drive(run)


def test_a_node_may_be_the_run_of_another_pipeline(path: Path) -> None:
    run, said = ran(path, INNER)
    child = child_of(run)
    assert (said["outcome"], said["result"]) == ("verified", {"got": {"n": 8}})
    assert (child.outcome, child.depth, child.parent_step, child.root_run_id, child.trigger) == ("verified", 2, "sub", run.id, "pipeline")
    assert (child.started_by, Wait.objects.get(run=run).state) == (run.started_by, "answered")
    first = reports.entries_of(child.id)[0]["facts"]
    assert (first["parent"], first["parent_step"], first["root"]) == (str(run.id), "sub", str(run.id))
    assert "runs.wait.answered" in families.verbs(run)


def test_a_child_of_a_child_gives_its_result_all_the_way_up(path: Path) -> None:
    middle = pipeline("middle", "- {id: deeper, pipeline: inner, with: {n: =input.n}}")
    run, said = ran(path, INNER, middle, steps=("- {id: sub, pipeline: middle, with: {n: 5}}",))
    assert (said["result"], [each.depth for each in families.generations(run)]) == ({"n": 10}, [1, 2, 3])


def test_a_run_whose_row_somebody_holds_when_its_child_has_ended_is_taken_up_at_the_next_look(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    families.publish(path, INNER)
    run = pipelines.start(input={"n": 4})
    claim, missed = store.claim, []

    def passes_over(**asked: Any) -> list[Run]:
        found = Run.objects.ready(clock.now()).filter(id=run.id)
        if not missed and found.filter(children__state="finished").exists():
            missed.append(run)
            return []
        return claim(**asked)

    monkeypatch.setattr(store, "claim", passes_over)
    assert (pipelines.drive(run)["outcome"], missed) == ("verified", [run])


def test_children_run_side_by_side_in_a_loop(path: Path) -> None:
    loop = "- {id: each, for_each: =input.list, as: one, max_concurrency: 2, do: [{id: sub, pipeline: inner, with: {n: =one}}]}"
    show = "- {id: after, agent: user, with: {got: =steps.each}}"
    run, said = ran(path, INNER, steps=(loop, show), given={"list": [1, 2, 3]})
    assert said["result"] == {"got": [{"n": 2}, {"n": 4}, {"n": 6}]}
    assert sorted(Run.objects.filter(parent_run=run).values_list("parent_step", flat=True)) == ["each/0/sub", "each/1/sub", "each/2/sub"]


def test_a_failed_child_is_the_node_s_failure_with_its_own_cause_and_owner(path: Path) -> None:
    inner = pipeline("inner", "- {id: breaks, agent: loser, with: {}}")
    run, said = ran(path, inner)
    failure = said["failure"]
    assert (said["outcome"], failure["cause"], failure["owner"], failure["step"]) == ("failed", "exception", "agent:loser", "sub")
    assert failure["details"] == {"run": str(child_of(run).id), "outcome": "failed"}
    assert [(branch["step"], branch["owner"]) for branch in failure["branches"]] == [("breaks", "agent:loser")]


def test_a_rejected_child_says_whose_work_was_rejected(path: Path) -> None:
    inner = pipeline("inner", "- {id: lies, agent: loser, with: {lie: true}}")
    _, said = ran(path, inner)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "rejected", "agent:loser")
    assert "honest: looked at it" in said["failure"]["message"]


def test_a_child_that_nobody_could_judge_is_a_failure_of_the_cause_unverified(path: Path) -> None:
    inner = pipeline("inner", "- {id: murmurs, agent: loser, with: {unclear: true}}")
    run, said = ran(path, inner)
    assert (child_of(run).outcome, said["outcome"], said["failure"]["cause"]) == ("unverified", "failed", "unverified")
    assert (said["failure"]["step"], "inconclusive: honest: looked at it" in said["failure"]["message"]) == ("sub", True)


def test_a_child_that_fails_may_be_a_missing_part(path: Path) -> None:
    inner = pipeline("inner", "- {id: breaks, agent: loser, with: {}}")
    steps = ("- {id: sub, pipeline: inner, with: {}, on_failure: degrade}", "- {id: after, agent: user, with: {got: =steps.sub}}")
    _, said = ran(path, inner, steps=steps)
    assert (said["outcome"], said["result"], said["missing"][0]["step"]) == ("degraded", {"got": None}, "sub")


DEGRADED = pipeline("inner", "- {id: breaks, agent: loser, with: {}, on_failure: degrade}", "- {id: rest, agent: doubler, with: {n: 1}}")


def test_what_a_degraded_child_goes_without_is_missing_above_too(path: Path) -> None:
    run, said = ran(path, DEGRADED)
    assert (child_of(run).outcome, said["outcome"], said["result"]) == ("degraded", "degraded", {"got": {"n": 2}})
    assert [(part["step"], part["owner"], part["branches"][0]["step"]) for part in said["missing"]] == [("sub", "agent:loser", "breaks")]


def test_what_a_degraded_child_goes_without_is_still_missing_after_a_crash(path: Path) -> None:
    log = path.parent / "log"
    families.publish(path, DEGRADED, steps=("- {id: sub, pipeline: inner, with: {}}", "- {id: after, agent: slow, with: {log: =input.log}}"))
    run = pipelines.start(input={"log": str(log)})
    pipelines.crash(run, at=log.exists)
    Path(f"{log}.go").touch()
    assert pipelines.drive(run)["outcome"] == "degraded"


def test_a_node_whose_neighbour_fails_in_the_moment_in_which_it_begins_starts_no_run_and_holds_no_money(path: Path) -> None:
    beside = '{a: [{id: sub, pipeline: inner, with: {n: 1}}], b: [{id: bad, agent: user, with: {got: "=input.list[7]"}}]}'
    run, said = ran(path, INNER, steps=(f"- {{id: both, parallel: {beside}}}",), given={"n": 1, "list": [1]}, more="limits: {calls: 9}")
    assert (said["outcome"], said["failure"]["step"], Run.objects.count()) == ("failed", "both/b/bad", 1)
    assert Run.objects.get(id=run.id).calls_used == 0
    assert pipelines.step(said, "both/a/sub")["state"] == "cancelled"


def test_a_child_whose_node_s_condition_does_not_hold_is_never_started(path: Path) -> None:
    steps = ('- {id: sub, pipeline: inner, with: {n: 1}, when: "input.n > 9"}', "- {id: after, agent: user, with: {got: =steps.sub}}")
    _, said = ran(path, INNER, steps=steps)
    assert (said["result"], Run.objects.count()) == ({"got": None}, 1)


def test_an_input_that_the_child_does_not_take_fails_the_node_and_starts_nothing(path: Path) -> None:
    inner = pipeline("inner", "- {id: twice, agent: doubler, with: {n: 1}}", takes="{type: object, required: [n], properties: {n: {type: integer}}}")
    _, said = ran(path, inner, given={"n": "four"})
    assert (said["failure"]["cause"], said["failure"]["owner"], Run.objects.count()) == ("input", "pipeline:sample", 1)


def test_a_draft_runs_the_drafts_below_it_and_is_unverified(path: Path) -> None:
    registry.apply_folder(families.folder(path, INNER), actor=pipelines.SYSTEM)
    run = pipelines.start(input={"n": 2}, draft=True)
    said = pipelines.drive(run)
    assert (said["outcome"], said["result"], child_of(run).draft, child_of(run).outcome) == ("unverified", {"got": {"n": 4}}, True, "unverified")


def test_the_child_s_past_is_the_parent_s(path: Path) -> None:
    families.publish(path, INNER)
    run = pipelines.start(input={"n": 2}, as_of=pipelines.instant("2026-01-01T00:00:00+00:00"))
    assert pipelines.drive(run)["outcome"] == "verified"
    assert child_of(run).as_of == run.as_of


CHILDS = "irreversible: what a child run has done is not undone once it has ended well"


def test_an_act_in_a_child_is_irreversible_from_above(path: Path) -> None:
    acting = pipeline("inner", "- {id: acts, agent: actor, with: {}}")
    steps = ("- {id: sub, pipeline: inner, with: {}}", "- {id: breaks, agent: loser, with: {}}")
    _, said = ran(path, acting, steps=steps)
    assert (said["undone"], said["not_undone"]) == ([], [{"step": "sub", "why": CHILDS}])
    assert "not_undone" in said


def test_a_child_without_acts_leaves_nothing_to_be_undone(path: Path) -> None:
    steps = ("- {id: sub, pipeline: inner, with: {n: 1}}", "- {id: breaks, agent: loser, with: {}}")
    _, said = ran(path, INNER, steps=steps)
    assert (said["outcome"], said["not_undone"]) == ("failed", [])


def test_a_child_can_be_judged_again_by_itself(path: Path) -> None:
    run, _ = ran(path, INNER)
    again = services.reverify(run=str(child_of(run).id), actor=pipelines.SYSTEM)
    assert pipelines.drive(again)["outcome"] == "verified"
    assert (again.parent_run, again.depth) == (None, 1)


# --- the account -----------------------------------------------------------------------------------------------------


def test_what_a_child_used_is_its_parent_s_too(path: Path) -> None:
    run, said = ran(path, INNER, more="limits: {calls: 10}")
    child, above = child_of(run), Run.objects.get(id=run.id)
    assert (child.calls_used, child.calls_limit, child.held_calls) == (2, 10, 10)
    assert (said["calls"], above.reserved_nano) == (2 + child.calls_used, 0)


def test_a_child_gets_no_more_than_is_left_and_keeps_to_it(path: Path) -> None:
    steps = ("- {id: before, agent: user, with: {}}", "- {id: sub, pipeline: inner, with: {n: 1}}")
    run, said = ran(path, INNER, steps=steps, more="limits: {calls: 2}")
    child = child_of(run)
    assert (child.calls_limit, child.outcome, said["failure"]["cause"]) == (1, "unverified", "budget")
    assert said["calls"] == 2


def test_children_side_by_side_keep_a_limit_together(path: Path) -> None:
    inner = pipeline("inner", "- {id: twice, agent: doubler, with: {n: 1}}", more="limits: {calls: 3}")
    loop = "- {id: each, for_each: =input.list, as: one, min_success: 2, do: [{id: sub, pipeline: inner, with: {}}]}"
    judged = "verify: {agent: judge, with: {claim: {a: =result}}}"
    run, said = ran(path, inner, steps=(loop,), given={"list": [1, 2, 3]}, more="limits: {calls: 8}", verify=judged)
    assert sorted(Run.objects.filter(parent_run=run).values_list("calls_limit", flat=True)) == [2, 3, 3]
    assert (said["outcome"], said["calls"]) == ("verified", 3 * 2 + 1)
