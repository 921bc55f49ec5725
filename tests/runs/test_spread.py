"""A loop that spreads: its items in child runs of the same release, and the run above no different for it."""

from pathlib import Path
from typing import Any

import pytest

from agents.errors import NotPublishable
from audit import reports
from runs import services
from runs.errors import NotReverifiable
from runs.models import Run
from tests import families, pipelines
from tests.families import INNER

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import orchestra, time
from pathlib import Path

def pick(item: int, bad: object = None, add: int = 0) -> dict:
    if item in (bad or []):
        raise ValueError(f"{item} is no good")
    return {"got": item + add}

def note(item: int, log: str) -> dict:
    with open(log, "a") as written:
        written.write(f"{item}\\n")
    orchestra.progress("noted")
    for _ in range(600):
        if Path(log + ".go").exists():
            return {"got": item}
        time.sleep(0.05)
    return {}
"""
AGENTS = (pipelines.agent("picker", "wide:pick"), pipelines.agent("noter", "wide:note", timeout="60s"))
SHOW = "- {id: after, agent: user, with: {got: =steps.each}}"


def loop(do: str = "{id: one, agent: picker, with: {item: =x}}", more: str = "spread: 3", name: str = "each") -> str:
    return f"- {{id: {name}, for_each: =input.list, as: x, {more}, do: [{do}]}}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sample"


def publish(path: Path, *steps: str, documents: tuple[str, ...] = (), **parts: Any) -> None:
    path.mkdir(parents=True)
    (path / "wide.py").write_text(WORK, encoding="utf-8")
    families.publish(path, *documents, steps=steps, agents=AGENTS, **parts)


def ran(path: Path, *steps: str, given: dict[str, Any] | None = None, **parts: Any) -> tuple[Run, dict[str, Any]]:
    publish(path, *steps, **parts)
    run = pipelines.start(input={"list": list(range(7)), **(given or {})})
    return run, pipelines.drive(run)


def shares(run: Run) -> list[Run]:
    return sorted(Run.objects.filter(parent_run=run), key=lambda each: int(each.parent_step.rpartition("/")[2].partition("-")[0]))


def got(said: dict[str, Any]) -> Any:
    return [one and one["got"] for one in said["result"]["got"]]


def test_its_items_are_shared_among_child_runs_and_the_results_are_in_order(path: Path) -> None:
    run, said = ran(path, loop(), SHOW)
    assert (said["outcome"], got(said)) == ("verified", [0, 1, 2, 3, 4, 5, 6])
    assert [(each.parent_step, each.trigger, each.release_id) for each in shares(run)] == [
        (step, "spread", run.release_id) for step in ("each/0-1", "each/2-3", "each/4-6")
    ]
    assert {each.outcome for each in shares(run)} == {"unverified"}


def test_an_item_has_the_key_that_it_would_have_without(path: Path) -> None:
    run, _ = ran(path, loop(), SHOW)
    assert sorted(step for each in shares(run) for step in each.steps.values_list("key", flat=True)) == [f"each/{item}/one" for item in range(7)]


def test_fewer_items_than_runs_make_a_run_each_and_none_make_none(path: Path) -> None:
    publish(path, loop(), SHOW)
    for items in ([5, 6], []):
        run = pipelines.start(input={"list": items})
        assert got(pipelines.drive(run)) == items
        assert len(shares(run)) == len(items)


def test_the_body_sees_what_it_would_see_without(path: Path) -> None:
    first = "- {id: base, agent: doubler, with: {n: =input.n}}"
    inner = loop("{id: one, agent: picker, when: input.n == 5, with: {item: =x, add: =steps.base.n + y}}")
    outer = f"- {{id: outer, for_each: =input.ys, as: y, do: [{inner[2:]}]}}"
    _, said = ran(path, first, outer, "- {id: after, agent: user, with: {got: =steps.outer}}", given={"n": 5, "ys": [100, 200]})
    assert [[one["got"] for one in each] for each in said["result"]["got"]] == [[y + 10 + item for item in range(7)] for y in (100, 200)]


def test_one_failed_item_fails_the_loop_with_its_cause_and_place_and_ends_the_others(path: Path) -> None:
    run, said = ran(path, loop("{id: one, agent: picker, with: {item: =x, bad: [3]}}"), SHOW)
    failure = said["failure"]
    assert (said["outcome"], failure["cause"], failure["owner"]) == ("failed", "exception", "agent:picker")
    assert {each.state for each in shares(run)} == {"finished"}
    assert "3 is no good" in failure["message"]


def test_a_loop_that_may_lack_some_goes_on_without_them(path: Path) -> None:
    _, said = ran(path, loop("{id: one, agent: picker, with: {item: =x, bad: [1, 5]}}", "spread: 3, min_success: 5"), SHOW)
    assert (said["outcome"], got(said)) == ("degraded", [0, None, 2, 3, 4, None, 6])
    assert [part["step"] for part in said["missing"]] == ["each/1/one", "each/5/one"]


def test_a_loop_fails_as_soon_as_one_share_alone_has_too_many_failures(path: Path) -> None:
    _, said = ran(path, loop("{id: one, agent: picker, with: {item: =x, bad: [0, 1, 2]}}", "spread: 2, min_success: 5"), SHOW)
    assert (said["outcome"], said["failure"]["cause"]) == ("failed", "exception")


def test_too_many_failures_in_all_fail_the_loop_though_no_share_has_them_alone(path: Path) -> None:
    _, said = ran(path, loop("{id: one, agent: picker, with: {item: =x, bad: [0, 2, 4]}}", "spread: 3, min_success: 5"), SHOW)
    assert said["outcome"] == "failed"
    assert "3 of 7 parts of 'each' failed and at least 5 must succeed" in said["failure"]["message"]


def test_a_part_of_an_item_that_is_missing_is_missing_above(path: Path) -> None:
    do = "{id: one, agent: picker, with: {item: =x, bad: [3]}, on_failure: degrade}, {id: two, agent: picker, with: {item: =x}}"
    _, said = ran(path, loop(do), SHOW)
    assert (said["outcome"], got(said)) == ("degraded", list(range(7)))
    assert [part["step"] for part in said["missing"]] == ["each/3/one"]


def test_what_is_missing_in_a_nested_place_says_where(path: Path) -> None:
    inner = loop("{id: one, agent: picker, with: {item: =x, bad: [1]}}", "spread: 2, min_success: 1")
    both = f"- {{id: both, parallel: {{a: [{inner[2:]}], b: [{{id: other, agent: user, with: {{}}}}]}}}}"
    _, said = ran(path, both, "- {id: after, agent: user, with: {got: =steps.both.a}}")
    assert (said["outcome"], [part["step"] for part in said["missing"]]) == ("degraded", ["both/a/each/1/one"])


def test_a_share_that_is_cancelled_takes_its_items_with_it_and_no_others(path: Path) -> None:
    publish(
        path, loop("{id: hold, wait: {signal: go, timeout: 1h}}, {id: one, agent: picker, with: {item: =x}}", "spread: 2, min_success: any"), SHOW
    )
    run = pipelines.start(input={"list": [0, 1]})
    pipelines.drive(run)
    first, second = shares(run)
    services.cancel_run(run=str(first.id), actor=pipelines.SYSTEM)
    services.send_signal(run=str(second.id), signal="go", payload=None, actor=pipelines.SYSTEM)
    said = pipelines.drive(run)
    assert (said["outcome"], got(said)) == ("degraded", [None, 1])
    assert [(part["step"], part["cause"]) for part in said["missing"]] == [("each/0-0", "stopped")]


def test_a_cancel_above_ends_the_shares(path: Path) -> None:
    publish(path, loop("{id: hold, wait: {signal: go, timeout: 1h}}"), SHOW)
    run = pipelines.start(input={"list": [0, 1, 2]})
    pipelines.drive(run)
    services.cancel_run(run=str(run.id), actor=pipelines.SYSTEM)
    assert {each.outcome for each in shares(run)} == {"cancelled"}


def test_the_limits_above_are_shared_by_the_number_of_items(path: Path) -> None:
    run, said = ran(path, loop(), SHOW, more="limits: {calls: 23, timeout: 1m}")
    assert [(each.calls_limit, each.held_calls) for each in shares(run)] == [(6, 6), (6, 6), (11, 11)]
    assert (said["outcome"], said["calls"], Run.objects.get(id=run.id).reserved_nano) == ("verified", 9, 0)
    assert {each.deadline_at for each in shares(run)} == {shares(run)[0].deadline_at}


def test_a_limit_is_kept_by_all_of_them_together(path: Path) -> None:
    run, said = ran(path, loop(), SHOW, more="limits: {calls: 5}")
    assert (said["outcome"], said["failure"]["cause"]) == ("failed", "budget")
    assert Run.objects.get(id=run.id).calls_used <= 5


def test_a_loop_that_waits_for_shares_which_wait_stops_the_clock(path: Path) -> None:
    publish(path, loop("{id: hold, wait: {signal: go, timeout: 1h}}"), SHOW, more="limits: {timeout: 1m}")
    run = pipelines.start(input={"list": [0, 1]})
    pipelines.drive(run)
    assert Run.objects.get(id=run.id).clock_stands


def test_max_concurrency_is_that_of_all_shares_together(path: Path) -> None:
    run, _ = ran(path, loop(more="spread: 3, max_concurrency: 8"), SHOW)
    given = [reports.openings_of([each.input_entry])[each.input_entry]["input"] for each in shares(run)]
    assert sorted(one["at_once"] for one in given) == [2, 3, 3]


def test_a_share_is_told_of_the_run_above_only_what_its_body_names(path: Path) -> None:
    first = "- {id: base, agent: doubler, with: {n: 1}}"
    run, _ = ran(path, first, loop("{id: one, agent: picker, with: {item: =x, add: =steps.base.n}}"), SHOW, given={"secret": 1})
    told = reports.openings_of([shares(run)[0].input_entry])[shares(run)[0].input_entry]["input"]
    assert (told["input"], list(told["steps"]), told["items"]) == ({}, ["base"], [0, 1])


def test_a_body_may_run_another_pipeline(path: Path) -> None:
    run, said = ran(path, loop("{id: sub, pipeline: inner, with: {n: =x}}"), SHOW, documents=(INNER,))
    assert [one["n"] for one in said["result"]["got"]] == [2 * item for item in range(7)]
    assert sorted(Run.objects.filter(root_run=run).values_list("depth", flat=True)) == [2] * 3 + [3] * 7


def test_the_document_of_the_run_shows_its_shares(path: Path) -> None:
    _, said = ran(path, loop(), SHOW)
    assert [(child["step"], child["level"], child["outcome"]) for child in said["children"]] == [
        (step, 1, "unverified") for step in ("each/0-1", "each/2-3", "each/4-6")
    ]


def test_a_share_can_not_be_judged_by_itself(path: Path) -> None:
    run, _ = ran(path, loop(), SHOW)
    with pytest.raises(NotReverifiable, match="judge that one again"):
        services.reverify(run=str(shares(run)[0].id), actor=pipelines.SYSTEM)


def test_the_run_above_can_be_judged_again(path: Path) -> None:
    run, _ = ran(path, loop("{id: one, agent: picker, with: {item: =x, bad: [1]}}", "spread: 3, min_success: any"), SHOW)
    again = services.reverify(run=str(run.id), actor=pipelines.SYSTEM)
    said = pipelines.drive(again)
    assert (said["outcome"], [part["step"] for part in said["missing"]]) == ("degraded", ["each/1/one"])


def test_a_crash_in_the_middle_changes_nothing(path: Path) -> None:
    log = path.parent / "log"
    publish(
        path,
        loop("{id: one, agent: picker, with: {item: =x, bad: [1]}}", "spread: 2, min_success: any"),
        "- {id: late, agent: slow, with: {log: =input.log}}",
        SHOW,
    )
    run = pipelines.start(input={"list": [0, 1, 2], "log": str(log)})
    pipelines.crash(run, at=log.exists)
    Path(f"{log}.go").touch()
    said = pipelines.drive(run)
    assert (said["outcome"], got(said), [part["step"] for part in said["missing"]]) == ("degraded", [0, None, 2], ["each/1/one"])


def test_what_a_share_did_is_not_undone_from_above(path: Path) -> None:
    steps = (loop("{id: acts, agent: actor, with: {}}"), "- {id: breaks, agent: loser, with: {}}")
    _, said = ran(path, *steps)
    assert [(one["step"], one["why"]) for one in said["not_undone"]] == [
        (step, "irreversible: it has no compensation") for step in ("each/0-1", "each/2-3", "each/4-6")
    ]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (loop(more="spread: 9"), "spreads over 9 runs and max_concurrency lets 8 items be done at once"),
        (loop("{id: look, verify: {agent: judge, with: {claim: =x}}}"), "its verdict is on the whole run"),
        (loop("{id: acts, agent: actor, with: {}, compensate: {agent: user}}"), "runs that have ended when a later step fails"),
        (loop("{id: deep, for_each: =x, as: y, spread: 2, do: [{id: one, agent: user, with: {}}]}"), "spreads already"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_published(path: Path, step: str, words: str) -> None:
    with pytest.raises(NotPublishable) as refused:
        publish(path, step, SHOW)
    assert words in "; ".join(map(str, refused.value.details["problems"]))


def test_beside_other_work_under_a_limit_it_is_refused(path: Path) -> None:
    both = f"- {{id: both, parallel: {{a: [{loop()[2:]}], b: [{{id: other, agent: user, with: {{}}}}]}}}}"
    with pytest.raises(NotPublishable) as refused:
        publish(path, both, SHOW, more="limits: {calls: 10}")
    assert "hold all that is left of limits.calls: what is done beside it would get nothing" in "; ".join(map(str, refused.value.details["problems"]))
