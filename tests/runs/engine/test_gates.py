"""People's turns: what they say yes to goes on, what they send back is made anew in another round, and rows alone lead to the same plan."""

from dataclasses import replace
from typing import Any

import pytest

from runs.engine import machine, places
from runs.engine.outcomes import NeedsApproval
from runs.engine.states import Cause, Outcome, RunState, StepState, WaitKind
from runs.engine.values import Answer, Plan, Snapshot

from .factories import agent, for_each, later, parallel, plan, stamp, stamped, step, verdict
from .memory import Play

CHANGES = {"type": "object", "properties": {"changes": {"type": "array"}}}
UNSURE = "output.sure < 0.8"


def gated(looked_at: str = UNSURE, *, rounds: int = 2, more: tuple[dict[str, Any], ...] = (), **said: Any) -> Plan:
    """A step whose result people look at where it isn't sure, and another that uses it."""
    maker = agent("worker", input=CHANGES)
    gate = {"when": looked_at, "policy": None, "rounds": rounds}
    return plan(step("draft", approve_when=gate, **said), step("use", "other", given={"text": "=steps.draft.text"}), *more, agents=(maker,))


def asks(play: Play, key: str) -> None:
    play.take(
        machine.absorb(play.snapshot, NeedsApproval(key, play.performing.pop(key), "b" * 64, {}, 3_600_000, "policy:p", "liners", "it may"), play.now)
    )


def answered(snapshot: Snapshot, key: str, decision: str, **more: Any) -> Snapshot:
    """As the store reads it once somebody has decided."""
    waits = snapshot.steps[key]
    assert waits.wait is not None
    answer = Answer(later(5), "person:bob", {"decision": decision, "reason": "", **more})
    there = replace(waits, wait=replace(waits.wait, id="w1", answer=answer))
    return replace(snapshot, run=replace(snapshot.run, state=RunState.RUNNING, wake_at=None), steps={**snapshot.steps, key: there})


def decides(play: Play, key: str, decision: str = "approved", **more: Any) -> None:
    play.now = later(5)
    play.take(machine.decide(answered(play.snapshot, key, decision, **more), play.now))


def test_a_result_that_meets_no_condition_goes_on_and_nobody_is_asked() -> None:
    play = Play(gated())
    play.returns("draft", {"text": "hello", "sure": 0.9})
    assert play.snapshot.steps["use"].arguments == {"text": "hello"}
    assert "draft.approval" not in play.snapshot.steps


def test_a_result_that_meets_it_is_read_by_nobody_before_people_have_said_yes() -> None:
    play = Play(gated())
    play.returns("draft", {"text": "hello", "sure": 0.1})
    assert set(play.performing) == {"draft.approval"} and "use" not in play.snapshot.steps
    asks(play, "draft.approval")
    gate = play.snapshot.steps["draft.approval"]
    assert gate.wait is not None
    assert (gate.state, gate.wait.kind, gate.arguments) == (StepState.WAITING, WaitKind.APPROVAL, {"output": {"text": "hello", "sure": 0.1}})
    decides(play, "draft.approval")
    play.returns("draft.approval", {"text": "hello", "sure": 0.1})
    assert play.snapshot.steps["use"].arguments == {"text": "hello"}


def test_what_people_make_of_it_is_what_follows_reads_and_the_runs_result() -> None:
    play = Play(plan(step("draft", approve_when={"when": "true", "policy": None, "rounds": 0})))
    play.returns("draft", "rough")
    asks(play, "draft.approval")
    decides(play, "draft.approval", arguments={"output": "fine"}, binding="c" * 64)
    assert play.snapshot.steps["draft.approval"].arguments == {"output": "fine"}
    play.returns("draft.approval", "fine")
    play.returns("verify", verdict("pass"))
    assert (play.finish.outcome, play.finish.result and play.finish.result.value) == (Outcome.VERIFIED, "fine")


def test_a_no_fails_the_run_as_declined_in_the_name_of_whoever_has_people_asked() -> None:
    play = Play(gated())
    play.returns("draft", {"text": "hello", "sure": 0.1})
    asks(play, "draft.approval")
    decides(play, "draft.approval", "declined", reason="no")
    assert play.finish.failure is not None
    assert (play.finish.failure.cause, play.finish.failure.owner) == (Cause.DECLINED, "policy:p")


def test_what_is_sent_back_is_made_anew_with_what_was_said_and_looked_at_again_even_if_it_is_sure_now() -> None:
    play = Play(gated())
    play.returns("draft", {"text": "one", "sure": 0.1})
    asks(play, "draft.approval")
    decides(play, "draft.approval", "changes", reason="shorter")
    assert play.snapshot.steps["draft.2"].arguments == {"changes": [{"comment": "shorter", "output": {"text": "one", "sure": 0.1}}]}
    play.returns("draft.2", {"text": "two", "sure": 0.99})
    asks(play, "draft.2.approval")
    decides(play, "draft.2.approval", "changes", reason="no, longer")
    said = play.snapshot.steps["draft.3"].arguments["changes"]
    assert said == [{"comment": "shorter"}, {"comment": "no, longer", "output": {"text": "two", "sure": 0.99}}]
    play.returns("draft.3", {"text": "three", "sure": 1})
    asks(play, "draft.3.approval")
    decides(play, "draft.3.approval")
    play.returns("draft.3.approval", {"text": "three", "sure": 1})
    assert play.snapshot.steps["use"].arguments == {"text": "three"}


def test_whoever_reads_the_rows_after_a_crash_comes_to_the_same_round() -> None:
    play = Play(gated(more=(parallel("both", a=[step("left")], b=[step("right")]),)))
    play.returns("draft", {"text": "one", "sure": 0.1})
    asks(play, "draft.approval")
    decides(play, "draft.approval", "changes", reason="shorter")
    again = machine.rebuild(play.rows.load(), play.now).snapshot
    assert again.open == {"draft.2"} and again.frames.keys() == play.snapshot.frames.keys()
    assert again.frames[""] == play.snapshot.frames[""]


def test_inside_a_loop_each_item_has_its_own_rounds() -> None:
    gate = {"when": "true", "policy": None, "rounds": 1}
    play = Play(
        plan(for_each("each", "=input.list", step("draft", approve_when=gate), wide=2), agents=(agent("worker", input=CHANGES),)), {"list": [1, 2]}
    )
    for item in ("0", "1"):
        play.returns(f"each/{item}/draft", f"first {item}")
        asks(play, f"each/{item}/draft.approval")
    decides(play, "each/1/draft.approval", "changes", reason="again")
    assert set(play.performing) == {"each/1/draft.2"}
    assert play.snapshot.steps["each/0/draft.approval"].state is StepState.WAITING


def test_a_step_that_was_skipped_or_failed_softly_has_nothing_to_look_at() -> None:
    for said in ({"when": "false"}, {"on_failure": "degrade"}):
        play = Play(gated("true", **said))
        if "draft" in play.performing:
            play.fails("draft", Cause.EXCEPTION, retry_safe=False)
        assert "draft.approval" not in play.snapshot.steps


def test_a_node_asks_for_its_subject_and_gives_what_was_approved() -> None:
    node = {"kind": "approval", "id": "go", "policy": "p", "subject": {"to": "=input.to"}, "output": None, "timeout_ms": None}
    play = Play(plan(node, step("use", "other", given={"to": "=steps.go.to"})), {"to": "rome"})
    assert play.snapshot.steps["go"].agent == "policy:p"
    asks(play, "go")
    decides(play, "go")
    play.returns("go", {"to": "rome"})
    assert play.snapshot.steps["use"].arguments == {"to": "rome"}


def test_a_subject_that_breaks_what_it_has_to_be_is_put_to_nobody() -> None:
    contract = {"type": "object", "properties": {"to": {"type": "string"}}}
    node = {"kind": "approval", "id": "go", "policy": None, "subject": {"to": "=input.to"}, "output": contract, "timeout_ms": None}
    play = Play(plan(node), {"to": 7})
    assert play.finish.failure is not None and play.finish.failure.cause is Cause.INPUT
    assert "what people are to say yes to" in play.finish.failure.message


def test_nobody_is_asked_about_what_is_too_old_and_a_yes_does_not_make_it_fresh() -> None:
    node = {"kind": "approval", "id": "go", "policy": None, "subject": {"feed": "=steps.read"}, "output": None, "timeout_ms": None}
    play = Play(plan(step("read", "reader"), node, agents=(stamped("reader"),)))
    play.returns("read", stamp())
    asks(play, "go")
    late = replace(answered(play.snapshot, "go", "approved"))
    play.take(machine.decide(late, later(120)))
    assert play.finish.failure is not None
    assert (play.finish.failure.cause, play.finish.failure.owner) == (Cause.STALE, "agent:reader")
    assert any(fact.verb == "runs.approval.voided" for fact in play.rows.facts)


@pytest.mark.parametrize(
    ("spec", "rounds"),
    [
        ({"input": CHANGES}, 2),
        ({"input": {}}, 0),
        ({"input": CHANGES, "mode": "at_most_once"}, 0),
        ({"input": CHANGES, "mode": {"idempotent": "=x"}}, 0),
    ],
)
def test_only_what_reads_and_can_be_told_is_sent_back(spec: dict[str, Any], rounds: int) -> None:
    made = plan(step("draft", approve_when={"when": "true", "policy": None, "rounds": 2}), agents=(agent("worker", **spec),))
    gate = places.node_at(made.root, "draft.approval")
    assert gate is not None and gate.agent == "policy:"
    assert getattr(gate, "asking").rounds == rounds  # noqa: B009 - a step's node among those of other kinds


@pytest.mark.parametrize("key", ["draft.1", "draft.02", "draft.4", "draft.2.approval.approval", "draft.x", "use.2", "draft.2.", ".2", "draft.-2"])
def test_only_the_rounds_that_there_can_be_have_a_place(key: str) -> None:
    assert places.node_at(gated().root, key) is None


def test_each_round_and_its_gate_has_a_place() -> None:
    root = gated().root
    found = [places.node_at(root, key) for key in ("draft.2", "draft.2.approval", "draft.3", "draft.3.approval")]
    assert [each and each.id for each in found] == ["draft.2", "draft.2.approval", "draft.3", "draft.3.approval"]
