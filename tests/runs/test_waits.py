"""Waits in real runs: time, signals, and calls whose fate nobody knows; the clock that stands still meanwhile."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from agents import registry
from agents.errors import NotGranted
from agents.models import Agent
from audit import clock, reports
from audit.actors import Actor
from runs import services, store, sweeps
from runs.boundary import Boundary
from runs.errors import AlreadyAnswered, BadAnswer, NotWaiting, TooEarly
from runs.models import Call, Resolution, Run, Step, Wait
from runs.services import Settlement
from runs.worker.messages import Planned, Poked
from runs.worker.performing import Performing
from tests import pipelines
from tests.pipelines import agent
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import orchestra, time
from pathlib import Path

def run(got: object = None) -> dict:
    return {"got": got}

def act(log: str) -> dict:
    with Path(log).open("a") as file:
        file.write("acted\\n")
    if not Path(log + ".go").exists():
        orchestra.progress("acting")
        time.sleep(60)
    return {"paid": True}
"""
SIGNAL = "- {id: paid, wait: {signal: payment, timeout: 1h, output: {type: object, required: [amount]}}}"


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., None]:
    def published(*steps: str, **more: Any) -> None:
        agents = [agent("worker", "work:run"), agent("payer", "work:act", role="act", timeout="1s")]
        pipelines.publish(tmp_path / "sample", steps="\n".join(steps), agents=agents, functions=WORK, **more)

    return published


WORKED = "- {id: work, agent: worker, with: {got: =steps.paid}}"
BOB = Actor(kind="person", id="bob", auth="test", teams=frozenset({"platform"}))


def verbs(run: Run) -> list[str]:
    return [entry["verb"] for entry in reports.entries_of(run.id)]


def test_a_run_waits_for_a_time_and_goes_on_by_itself(publish: Callable[..., None]) -> None:
    publish("- {id: paid, wait: {for: 300ms}}", WORKED)
    run = pipelines.start()
    assert pipelines.drive(run)["state"] == "waiting"
    assert Wait.objects.get(run=run).kind == "timer"
    until(lambda: Run.objects.ready(clock.now()).exists(), "the end of the wait")
    said = pipelines.drive(run)
    assert (said["outcome"], list(said["result"]["got"])) == ("verified", ["at"])
    assert verbs(run).count("runs.run.waiting") == 1


def test_a_run_that_somebody_has_woken_is_nobody_elses_until_that_lease_runs_out(publish: Callable[..., None]) -> None:
    """Else every worker that looks would take it from the one before, none of them would get to write anything, and the fifth would find it lost."""
    publish("- {id: paid, wait: {for: 100ms}}", WORKED)
    run = pipelines.start()
    pipelines.drive(run)
    parked = Run.objects.get(id=run.id)
    assert (parked.state, parked.lease_owner, parked.lease_until) == ("waiting", None, None)
    until(lambda: Run.objects.ready(clock.now()).exists(), "the end of the wait")
    first, second = uuid4(), uuid4()
    assert [each.id for each in store.claim(owner=first, ttl=timedelta(seconds=30), limit=9)] == [run.id]
    assert store.claim(owner=second, ttl=timedelta(seconds=30), limit=9) == []
    assert not Run.objects.ready(clock.now()).exists()
    Run.objects.filter(id=run.id).update(lease_until=clock.now())
    assert [each.id for each in store.claim(owner=second, ttl=timedelta(seconds=30), limit=9)] == [run.id]


def test_a_signal_brings_its_payload_and_the_time_that_was_left(publish: Callable[..., None]) -> None:
    publish(SIGNAL, WORKED, more="limits: {timeout: 50s}")
    run = pipelines.start()
    assert pipelines.drive(run)["state"] == "waiting"
    parked = Run.objects.get(id=run.id)
    assert parked.deadline_at > run.deadline_at + timedelta(minutes=50)
    assert (parked.remaining_ms or 0) < 50_000
    services.send_signal(run=str(run.id), signal="payment", payload={"amount": 7}, actor=BOB)
    back = Run.objects.get(id=run.id)
    assert (back.state, back.remaining_ms, back.deadline_at < clock.now() + timedelta(seconds=50)) == ("running", None, True)
    said = pipelines.drive(run)
    assert (said["outcome"], said["result"]) == ("verified", {"got": {"amount": 7}})


def test_no_answer_makes_a_run_outlive_its_lifetime(publish: Callable[..., None]) -> None:
    publish(SIGNAL, WORKED, more="limits: {timeout: 50s}")
    run = pipelines.start()
    pipelines.drive(run)
    until_when = clock.now() + timedelta(seconds=20)
    Run.objects.filter(id=run.id).update(lifetime_until=until_when)
    services.send_signal(run=str(run.id), signal="payment", payload={"amount": 7}, actor=BOB)
    assert Run.objects.get(id=run.id).deadline_at == until_when


def test_a_payload_that_breaks_the_contract_is_refused_and_the_wait_stays(publish: Callable[..., None]) -> None:
    publish(SIGNAL, WORKED)
    run = pipelines.start()
    pipelines.drive(run)
    with pytest.raises(BadAnswer, match="amount"):
        services.send_signal(run=str(run.id), signal="payment", payload={}, actor=BOB)
    assert Wait.objects.get(run=run).state == "open"
    assert reports.entries_of(run.id)[-1]["verb"] == "runs.answer.refused"


def test_only_the_first_answer_counts_and_the_second_is_told_so(publish: Callable[..., None]) -> None:
    publish(SIGNAL, WORKED)
    run = pipelines.start()
    pipelines.drive(run)
    services.send_signal(run=str(run.id), signal="payment", payload={"amount": 1}, actor=BOB)
    with pytest.raises(AlreadyAnswered, match="answered by person:bob"):
        services.send_signal(run=str(run.id), signal="payment", payload={"amount": 2}, actor=BOB)
    assert pipelines.drive(run)["result"] == {"got": {"amount": 1}}


def test_a_signal_that_nothing_waits_for_is_told_what_it_waits_for(publish: Callable[..., None]) -> None:
    publish(SIGNAL, WORKED)
    run = pipelines.start()
    pipelines.drive(run)
    with pytest.raises(NotWaiting, match="it waits for payment"):
        services.send_signal(run=str(run.id), signal="paymnt", payload={}, actor=BOB)


def expire(run: Run) -> None:
    """As if its time had come: rows only, so that no test sleeps for hours."""
    past = clock.now() - timedelta(seconds=2)
    Wait.objects.filter(run=run, state="open").update(expires_at=past)
    waiting = Run.objects.get(id=run.id)
    ends = waiting.deadline_at == waiting.wake_at
    Run.objects.filter(id=run.id).update(wake_at=past, deadline_at=past if ends else past + timedelta(milliseconds=waiting.remaining_ms or 0))


def test_a_signal_that_never_comes_fails_the_run_though_no_worker_lives(publish: Callable[..., None]) -> None:
    publish(SIGNAL, WORKED)
    run = pipelines.start()
    pipelines.drive(run)
    expire(run)
    assert services.run_document(Run.objects.get(id=run.id), actor=BOB)["outcome"] == "failed"
    sweeps.sweep()
    said = pipelines.document(run)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "expired", "pipeline:sample")
    assert Wait.objects.get(run=run).state == "expired"
    with pytest.raises(NotWaiting, match="came too late"):
        services.send_signal(run=str(run.id), signal="payment", payload={"amount": 7}, actor=BOB)


def test_silence_may_mean_that_it_goes_on(publish: Callable[..., None]) -> None:
    publish("- {id: paid, wait: {signal: payment, timeout: 1h, on_expiry: continue}}", WORKED)
    run = pipelines.start()
    pipelines.drive(run)
    expire(run)
    said = pipelines.drive(run)
    assert (said["outcome"], said["result"]) == ("verified", {"got": None})


def test_a_waiting_run_can_be_cancelled_and_takes_no_answer_after_that(publish: Callable[..., None]) -> None:
    publish(SIGNAL, WORKED)
    run = pipelines.start()
    pipelines.drive(run)
    assert services.cancel_run(run=str(run.id), actor=BOB).outcome == "cancelled"
    assert Wait.objects.get(run=run).state == "cancelled"
    with pytest.raises(NotWaiting, match="without an answer"):
        services.send_signal(run=str(run.id), signal="payment", payload={"amount": 7}, actor=BOB)


def test_a_signal_reaches_a_run_whose_other_branch_is_at_work(publish: Callable[..., None]) -> None:
    publish("- parallel: {a: [{id: paid, wait: {signal: payment, timeout: 1h}}], b: [{id: slow, agent: worker, with: {}}]}\n  id: both")
    run = pipelines.start()
    pipelines.drive(run)
    assert {step.state for step in Step.objects.filter(run=run)} == {"waiting", "returned"}
    services.send_signal(run=str(run.id), signal="payment", payload=3, actor=BOB)
    assert pipelines.drive(run)["result"] == {"a": 3, "b": {"got": None}}


# --- calls whose fate nobody knows -----------------------------------------------------------------------------------


PAY = "- {id: pay, agent: payer, with: {log: =input.log}}"


@pytest.fixture
def unresolved(publish: Callable[..., None], tmp_path: Path) -> Run:
    """A run whose payer hung beyond its time; its call's fate is nobody's to know."""
    publish(PAY)
    run = pipelines.start(input={"log": str(tmp_path / "log")})
    said = pipelines.drive(run)
    assert (said["state"], said["steps"][0]["state"], said["steps"][0]["calls"][0]["state"]) == ("waiting", "waiting", "unresolved")
    Call.objects.filter(run=run).update(not_after=clock.now() - timedelta(minutes=1))
    return run


def settle(run: Run, decision: str, result: Any = None, actor: Actor = BOB) -> Call:
    call = Call.objects.filter(run=run).latest("dispatched_at")
    return services.settle_call(call=str(call.id), settlement=Settlement(Resolution(decision), result, "looked at the bank"), actor=actor)


def test_what_breaks_on_our_side_while_an_act_is_out_is_for_a_person_to_settle(
    publish: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no pipe left")

    monkeypatch.setattr(Boundary, "call_function", broken)
    publish(PAY)
    said = pipelines.drive(pipelines.start(input={"log": str(tmp_path / "log")}))
    assert (said["state"], said["steps"][0]["calls"][0]["state"]) == ("waiting", "unresolved")


def test_a_call_that_was_done_gives_what_a_person_says(unresolved: Run) -> None:
    assert settle(unresolved, "done", {"paid": True}).state == "resolved_done"
    said = pipelines.drive(unresolved)
    assert (said["outcome"], said["result"]) == ("verified", {"paid": True})
    assert "runs.call.resolved" in verbs(unresolved)


def test_a_call_that_was_not_done_is_made_anew_once(unresolved: Run, tmp_path: Path) -> None:
    (tmp_path / "log.go").touch()
    assert settle(unresolved, "not_done").state == "resolved_not_done"
    said = pipelines.drive(unresolved)
    assert (said["outcome"], len(said["steps"][0]["calls"])) == ("verified", 2)
    assert (tmp_path / "log").read_text() == "acted\nacted\n"


def test_a_call_of_which_nobody_can_say_fails_its_step(unresolved: Run) -> None:
    settle(unresolved, "unknown")
    said = pipelines.drive(unresolved)
    assert (said["outcome"], said["failure"]["cause"]) == ("failed", "unresolved")
    assert settle(unresolved, "done", {"paid": True}).state == "resolved_done"  # later somebody found out: the record is put right
    assert pipelines.document(unresolved)["outcome"] == "failed"


def test_whoever_started_the_run_or_owns_the_agent_or_is_a_shell_does_not_settle(unresolved: Run) -> None:
    Run.objects.filter(id=unresolved.id).update(started_by="person:alice")
    Agent.objects.filter(name="payer").update(accountable="Carol@example.com")
    for who, why in (("alice", "you started"), ("carol@example.com", "you answer for")):
        with pytest.raises(NotGranted, match=why):
            settle(unresolved, "done", {"paid": True}, actor=Actor(kind="person", id=who, auth="test", teams=frozenset({"platform"})))
    for name in ("alice", "alice-2"):
        registry.create_person(name, actor=Actor.system())
    registry.same_person("alice-2", "alice", actor=Actor.system())
    with pytest.raises(NotGranted, match="you started"):
        settle(unresolved, "done", {"paid": True}, actor=Actor(kind="person", id="alice-2", auth="test", teams=frozenset({"platform"})))
    with pytest.raises(NotGranted, match="for a person to say"):
        settle(unresolved, "done", {"paid": True}, actor=Actor.system())
    assert Wait.objects.get(run=unresolved).state == "open"


def test_a_call_that_may_still_be_carried_out_is_not_settled(unresolved: Run) -> None:
    Call.objects.filter(run=unresolved).update(not_after=clock.now())
    with pytest.raises(TooEarly, match="may still be carried out"):
        settle(unresolved, "done", {"paid": True})


def test_a_result_that_breaks_the_contract_is_refused(unresolved: Run) -> None:
    with pytest.raises(BadAnswer, match="breaks the contract"):
        settle(unresolved, "done", "paid")
    with pytest.raises(BadAnswer, match="belongs to a call that was done"):
        settle(unresolved, "not_done", {})


def test_a_call_in_whose_middle_the_platform_itself_fails_is_unresolved_and_not_lost(
    publish: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = Boundary.call_function

    async def failing(self: Boundary, request: Any, **more: Any) -> Any:
        await sent(self, request, **more)
        raise RuntimeError("what nobody has foreseen")

    publish(PAY)
    (tmp_path / "log.go").touch()
    monkeypatch.setattr(Boundary, "call_function", failing)
    run = pipelines.start(input={"log": str(tmp_path / "log")})
    said = pipelines.drive(run)
    assert (said["state"], said["waits"][0]["kind"], said["steps"][0]["calls"][0]["state"]) == ("waiting", "unresolved", "unresolved")
    Call.objects.filter(run=run).update(not_after=clock.now() - timedelta(minutes=1))
    monkeypatch.undo()
    settle(run, "done", {"paid": True})
    assert (pipelines.drive(run)["outcome"], (tmp_path / "log").read_text()) == ("verified", "acted\n")


def test_a_look_at_the_clock_that_comes_between_does_not_make_too_late_what_is_unresolved(
    publish: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that follows one that died has just written that the call's fate is unknown; its step, whose time is up, has yet to hear of it."""
    launch = Performing.launch

    def launched(self: Performing, planned: Planned) -> None:
        self.inbox.put_nowait(Poked())
        launch(self, planned)

    publish(PAY)
    run = pipelines.start(input={"log": str(tmp_path / "log")})
    pipelines.crash(run, at="progress")
    until(lambda: Step.objects.filter(run=run, deadline_at__lt=clock.now()).exists(), "the step's deadline")
    monkeypatch.setattr(Performing, "launch", launched)
    said = pipelines.drive(run)
    assert (said["state"], said["waits"][0]["kind"], said["steps"][0]["calls"][0]["state"]) == ("waiting", "unresolved", "unresolved")


# --- look-ups --------------------------------------------------------------------------------------------------------


FINDER = """
def find(key: str, input: dict) -> dict:
    import pathlib
    seen = pathlib.Path(input["log"] + ".bank")
    if not seen.exists():
        raise RuntimeError("the bank does not answer")
    if seen.read_text() == "none":
        return {"found": False}
    return {"found": True, "result": {"paid": True, "key": key}}
"""
FOUND = "input: {type: object}\noutput: {type: object, required: [found], properties: {found: {type: boolean}}}"


def looked_up(tmp_path: Path, bank: str | None, *, step: str = "pay", around: str = "STEP") -> Run:
    """A payer that hung, with somebody declared who looks it up; its time to be carried out is over."""
    payer = agent("payer", "work:act", role="act", timeout="1s")
    finder = agent("finder", "work:find", role="gather").replace(f"input: {pipelines.ANY}\noutput: {pipelines.ANY}", FOUND)
    steps = "- " + around.replace("STEP", f"{{id: {step}, agent: payer, with: {{log: =input.log}}, lookup: finder}}")
    pipelines.publish(tmp_path / "sample", steps=steps, agents=[payer, finder], functions=WORK + FINDER)
    run = pipelines.start(input={"log": str(tmp_path / "log")})
    pipelines.drive(run)
    if bank is not None:
        (tmp_path / "log.bank").write_text(bank)
    past = clock.now() - timedelta(seconds=1)
    assert Wait.objects.filter(run=run, look_at__isnull=False).update(look_at=past) == 1
    Run.objects.filter(id=run.id).update(wake_at=past)
    return run


def test_what_became_of_a_call_is_looked_up_by_its_key(tmp_path: Path) -> None:
    run = looked_up(tmp_path, "there")
    said = pipelines.drive(run)
    call = Call.objects.get(run=run, step="pay")
    assert (said["outcome"], said["result"]) == ("verified", {"paid": True, "key": call.key})
    assert (call.state, Call.objects.get(run=run, step="look:1:pay").state) == ("resolved_done", "confirmed")
    assert (tmp_path / "log").read_text() == "acted\n"


def test_a_look_up_has_room_for_its_name_whatever_the_attempt(tmp_path: Path) -> None:
    around = f"{{id: {'a' * 57}, parallel: {{{'b' * 58}: [STEP]}}}}"
    run = looked_up(tmp_path, "there", step="c" * 62, around=around)
    Step.objects.filter(run=run).update(attempt=2**31 - 1)
    assert pipelines.drive(run)["outcome"] == "verified"
    (look,) = Step.objects.filter(run=run, key__startswith="look:")
    assert (len(look.key), look.state) == (195, "returned")


def test_a_call_that_is_not_found_is_made_anew(tmp_path: Path) -> None:
    run = looked_up(tmp_path, "none")
    (tmp_path / "log.go").touch()
    said = pipelines.drive(run)
    assert (said["outcome"], (tmp_path / "log").read_text()) == ("verified", "acted\nacted\n")
    assert list(Call.objects.filter(run=run, step="pay").order_by("attempt").values_list("state", flat=True)) == ["resolved_not_done", "confirmed"]


def test_a_look_up_that_fails_leaves_the_call_to_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.engine.looking.BACKOFF_MS", 1)
    run = looked_up(tmp_path, None)
    said = pipelines.drive(run)
    assert (said["state"], said["waits"][0]["kind"], Call.objects.get(run=run, step="pay").state) == ("waiting", "unresolved", "unresolved")
    Call.objects.filter(run=run).update(not_after=clock.now() - timedelta(minutes=1))
    pay = Call.objects.get(run=run, step="pay")
    services.settle_call(call=pay.key, settlement=Settlement(Resolution.DONE, {"paid": True}, "asked the bank"), actor=BOB)
    assert pipelines.drive(run)["outcome"] == "verified"


def test_a_run_whose_time_has_come_is_taken_up_by_one_engine_only(publish: Callable[..., None]) -> None:
    publish("- {id: paid, wait: {for: 500ms}}", WORKED)
    run = pipelines.start()
    pipelines.drive(run)
    until(lambda: Run.objects.ready(clock.now()).exists(), "the end of the wait")
    claims = [store.claim(owner=uuid4(), ttl=timedelta(seconds=30), limit=1) for _ in range(2)]
    assert [[one.id for one in claimed] for claimed in claims] == [[run.id], []]
