"""Inline steps that follow one another inside the process are one transition: all of it is written, in order, or nothing is."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from audit import clock, reports
from runs import services
from runs.adapters import inline
from runs.models import Call, Run
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = "def run(**_) -> dict:\n    return {'n': 1}\n"
INLINE = "kind: agent\nname: {name}\nteam: platform\nrole: {role}\npurpose: Test.\nrun: {{inline: {check}}}\ntimeout: 20s\n"
ECHO = INLINE.format(name="echo", role="decide", check="noop") + "input: {type: object}"
STRICT = INLINE.format(name="strict", role="decide", check="noop") + "input: {type: object}\noutput: {type: object, required: [never]}"
TWIN = INLINE.format(name="twin", role="check", check="same")
VERIFY = "verify: {agent: twin, with: {left: =result.n, right: =input.n}}"
THREE = "- {id: one, agent: echo, with: {n: =input.n}}\n- {id: two, agent: echo, with: {n: =steps.one.n}}"
LAST = "- {id: last, agent: echo, with: {n: =input.n}}"
TOLD = ["run.queued", "run.started", "step.started", "step.returned", "step.started", "step.returned", "step.started", "step.judged", "run.finished"]


def started(path: Path, steps: str = THREE, *, given: dict[str, Any] | None = None, **parts: Any) -> Run:
    agents = [ECHO, STRICT, TWIN, agent("worker", "work:run")]
    pipelines.publish(path / "p", functions=WORK, agents=agents, steps=steps, verify=parts.pop("verify", VERIFY), **parts)
    return pipelines.start(input=given or {"n": 1})


def told(run: Run) -> list[str]:
    return [entry["verb"].removeprefix("runs.") for entry in reports.entries_of(run.id)]


def once(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Something happens while the first inline step is performed: after its transition was decided, before it is written."""
    waiting = [happens]

    def noop(arguments: Any) -> Any:
        if waiting:
            waiting.pop()()
        return dict(arguments)

    monkeypatch.setitem(inline.CHECKS, "noop", noop)


def test_a_chain_is_written_in_one_transaction_with_every_entry_in_order(tmp_path: Path) -> None:
    run = started(tmp_path)
    said = pipelines.drive(run)
    run.refresh_from_db()
    assert (said["outcome"], said["integrity"], run.revision, run.seq) == ("verified", "intact", 1, 9)
    assert (told(run), reports.chain_problems(run.id)) == (TOLD, [])
    assert [entry["seq"] for entry in reports.entries_of(run.id)] == list(range(1, 10))
    assert set(run.steps.values_list("state", "attempt", "result_fence")) == {("returned", 1, 1)}
    assert len({entry["at"] for entry in reports.entries_of(run.id)[1:]}) == 1


def told_in_full(run: Run) -> list[tuple[Any, ...]]:
    """What the entries say, without ids, instants and what is made over them."""
    entries = reports.entries_of(run.id)
    facts = [{name: value for name, value in entry["facts"].items() if not name.endswith("_at") and name != "verdict"} for entry in entries]
    for each, entry in zip(facts, entries, strict=True):
        if entry["verb"] == "runs.step.judged":
            del each["result"]  # a digest over a verdict, which says when it read
    subjects = [entry["subject"].replace(str(run.id), "") for entry in entries]
    return [(entry["verb"], subject, entry["agent"], each) for entry, subject, each in zip(entries, subjects, facts, strict=True)]


def test_a_chain_says_what_its_steps_say_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = f"{THREE}\n- {{id: fan, parallel: {{a: [{{id: left, agent: echo}}], b: [{{id: right, agent: echo}}]}}}}"
    run = started(tmp_path, steps, verify="verify: {agent: twin, with: {left: =steps.two.n, right: =input.n}}")
    pipelines.drive(run)
    monkeypatch.setattr("runs.worker.planning.MOST_CARRIED_ON", 0)
    other = pipelines.start(input={"n": 1})
    pipelines.drive(other)
    run.refresh_from_db()
    other.refresh_from_db()
    assert (run.revision, other.revision) == (1, 6)
    assert sorted(told_in_full(run), key=str) == sorted(told_in_full(other), key=str)
    columns = ("key", "agent", "state", "attempt", "result_fence", "failure_cause")
    assert list(run.steps.order_by("key").values_list(*columns)) == list(other.steps.order_by("key").values_list(*columns))


def test_a_cancel_that_comes_before_the_chain_is_written_leaves_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = started(tmp_path)
    with ThreadPoolExecutor(1) as door:
        once(monkeypatch, lambda: door.submit(services.cancel_run, run=str(run.id), actor=pipelines.SYSTEM).result(20))
        said = pipelines.drive(run)
        door.submit(_close).result(20)
    assert (said["outcome"], run.steps.count()) == ("cancelled", 0)
    assert (told(run), reports.chain_problems(run.id)) == (["run.queued", "run.cancel_requested", "run.finished"], [])


def _close() -> None:
    connections.close_all()


@pytest.mark.parametrize(
    ("jump_s", "verbs", "step"),
    [(30, ["step.started", "step.failed", "run.finished"], "failed"), (900, ["step.started", "step.cancelled", "run.finished"], "cancelled")],
)
def test_a_deadline_that_passes_within_a_chain_ends_it_there(
    jump_s: int, verbs: list[str], step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step has 20 s and the run has ten minutes; then the clock jumps. The lease outlasts it: else the run might be taken anew, with new time."""
    run, real = started(tmp_path, more="limits: {timeout: 10m}"), clock.now
    once(monkeypatch, lambda: monkeypatch.setattr(clock, "now", lambda: real() + timedelta(seconds=jump_s)))
    said = pipelines.drive(run, ttl=timedelta(hours=1))
    assert (said["outcome"], said["failure"]["cause"]) == ("failed", "deadline")
    assert (told(run)[2:], [each.state for each in run.steps.all()]) == (verbs, [step])
    assert reports.chain_problems(run.id) == []


def test_a_result_that_breaks_its_contract_ends_the_chain_at_its_step(tmp_path: Path) -> None:
    run = started(tmp_path, THREE.replace("id: two, agent: echo", "id: two, agent: strict"))
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["step"]) == ("failed", "contract", "two")
    assert (told(run)[-3:], reports.chain_problems(run.id)) == (["step.started", "step.failed", "run.finished"], [])


def test_a_long_chain_is_written_in_portions(tmp_path: Path) -> None:
    steps = "- {id: each, for_each: =input.items, as: item, max_concurrency: 200, do: [{id: work, agent: echo, with: {n: =item}}]}\n"
    steps += '- {id: last, agent: echo, with: {n: "=size(steps.each)"}}'
    run = started(tmp_path, steps, given={"n": 150, "items": list(range(150))})
    said = pipelines.drive(run)
    run.refresh_from_db()
    assert (said["outcome"], run.seq, run.steps.count()) == ("verified", 1 + 1 + 2 * 152 + 1, 152)
    assert 3 <= run.revision < 152
    assert reports.chain_problems(run.id) == []


def test_a_call_whose_part_an_inline_step_ends_in_the_same_breath_is_never_sent(tmp_path: Path) -> None:
    """The call would be planned in the transition in which its step is cancelled."""
    run = started(tmp_path, "- {id: fan, parallel: {a: [{id: left, agent: worker}], b: [{id: right, agent: strict}]}}\n" + LAST)
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"], Call.objects.count()) == ("failed", "contract", 0)
    assert [(each.key, each.state) for each in run.steps.order_by("key")] == [("fan/a/left", "cancelled"), ("fan/b/right", "failed")]
    assert reports.chain_problems(run.id) == []


def test_a_call_beside_a_chain_goes_out_with_it(tmp_path: Path) -> None:
    more = "[{id: right, agent: echo}, {id: more, agent: echo}]"
    run = started(tmp_path, f"- {{id: fan, parallel: {{a: [{{id: left, agent: worker}}], b: {more}}}}}\n{LAST}")
    assert pipelines.drive(run)["outcome"] == "verified"
    first = told(run)
    assert first.index("call.dispatched") > first.index("step.returned")
    assert (Call.objects.get().state, reports.chain_problems(run.id)) == ("confirmed", [])
