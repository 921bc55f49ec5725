"""Compensation in real runs: when a later step fails, what has acted is undone in reverse order, each by a governed call of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.errors import NotPublishable
from audit import reports
from runs.models import Call, Run
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import orchestra, time
from pathlib import Path

def book(log: str, what: str) -> dict:
    with Path(log).open("a") as file:
        file.write(f"book {what}\\n")
    return {"booking": f"{what}-1"}

def cancel(log: str, booking: str) -> dict:
    if Path(log + ".stuck").exists():
        raise RuntimeError("the shop is closed")
    if Path(log + ".slow").exists() and booking == "flight-1":
        Path(log + ".slow").unlink()
        orchestra.progress("calling the airline")
        time.sleep(60)
    with Path(log).open("a") as file:
        file.write(f"cancel {booking}\\n")
    return {}

def fail(lie: bool = False) -> dict:
    if lie:
        return {"lie": True}
    raise ValueError("no luck")
"""
AGENTS = [
    agent("booker", "work:book", role="act"),
    agent("canceller", "work:cancel", role="act", more="mode: {idempotent: =input.booking}"),
    agent("loser", "work:fail"),
]
UNDO = "compensate: {agent: canceller, with: {log: =input.log, booking: =steps.%s.booking}}"


def booking(name: str, undo: bool = True) -> str:
    more = f", {UNDO % name}" if undo else ""
    return f"- {{id: {name}, agent: booker, with: {{log: =input.log, what: {name}}}{more}}}"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[dict[str, Any], list[str]]]:
    def ran(*steps: str, before: Callable[[Run], None] = lambda _: None) -> tuple[dict[str, Any], list[str]]:
        pipelines.publish(tmp_path / "sample", steps="\n".join(steps), agents=AGENTS, functions=WORK)
        started = pipelines.start(input={"log": str(tmp_path / "log")})
        before(started)
        said = pipelines.drive(started)
        return said, (tmp_path / "log").read_text().splitlines()

    return ran


def test_what_has_acted_is_undone_in_reverse_order(run: Callable[..., Any]) -> None:
    said, log = run(booking("flight"), booking("hotel"), "- {id: pay, agent: loser, with: {}}")
    assert log == ["book flight", "book hotel", "cancel hotel-1", "cancel flight-1"]
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["step"]) == ("failed", "exception", "pay")
    assert said["undone"] == ["flight", "hotel"]
    assert said["not_undone"] == []
    assert [step["key"] for step in said["steps"]][-2:] == ["undo:hotel", "undo:flight"]


def test_each_compensation_is_a_governed_call_in_the_ledger(run: Callable[..., Any]) -> None:
    said, _ = run(booking("flight"), "- {id: pay, agent: loser, with: {}}")
    assert list(Call.objects.filter(step="undo:flight").values_list("agent", "state", "mode")) == [("canceller", "confirmed", "idempotent")]
    begun = [entry["facts"] for entry in reports.entries_of(pipelines.id_of(said)) if entry["verb"] == "runs.step.started"]
    assert begun[-1]["undoes"] == "flight"


def test_an_act_without_a_compensation_says_that_it_is_irreversible(run: Callable[..., Any]) -> None:
    said, log = run(booking("flight"), booking("hotel", undo=False), "- {id: pay, agent: loser, with: {}}")
    assert log[-1] == "cancel flight-1"
    assert said["not_undone"] == [{"step": "hotel", "why": "irreversible: it has no compensation"}]


def test_a_rejected_result_undoes_what_led_to_it(run: Callable[..., Any]) -> None:
    said, log = run(booking("flight"), "- {id: pay, agent: loser, with: {lie: true}}")
    assert (said["outcome"], log) == ("rejected", ["book flight", "cancel flight-1"])
    assert said["verdict"]["verdict"] == "fail"


def test_a_compensation_that_fails_is_said_and_the_others_go_on(run: Callable[..., Any], tmp_path: Path) -> None:
    def stuck(_: Run) -> None:
        Path(f"{tmp_path}/log.stuck").touch()

    said, log = run(booking("flight"), booking("hotel"), "- {id: pay, agent: loser, with: {}}", before=stuck)
    assert log == ["book flight", "book hotel"]
    assert [left["why"] for left in said["not_undone"]] == ["its compensation failed", "its compensation failed"]
    assert said["failure"]["step"] == "pay"


def test_nothing_is_undone_where_the_run_comes_to_something(run: Callable[..., Any]) -> None:
    said, log = run(booking("flight"))
    assert (said["outcome"], log, said["undone"], said["not_undone"]) == ("verified", ["book flight"], [], [])


def test_in_a_loop_each_turn_is_undone_with_its_own_result(run: Callable[..., Any]) -> None:
    each = f'- {{for_each: \'=["a", "b"]\', as: what, do: [{{id: one, agent: booker, with: {{log: =input.log, what: =what}}, {UNDO % "one"}}}]}}'
    said, log = run(each, "- {id: pay, agent: loser, with: {}}")
    assert sorted(log[2:]) == ["cancel a-1", "cancel b-1"]
    assert sorted(said["undone"]) == ["for_each_1/0/one", "for_each_1/1/one"]


def test_a_worker_that_dies_while_it_undoes_leaves_the_rest_to_the_next(tmp_path: Path) -> None:
    steps = "\n".join([booking("flight"), booking("hotel"), "- {id: pay, agent: loser, with: {}}"])
    pipelines.publish(tmp_path / "sample", steps=steps, agents=AGENTS, functions=WORK)
    started = pipelines.start(input={"log": str(tmp_path / "log")})
    (tmp_path / "log.slow").touch()
    pipelines.crash(started, at="progress")
    said = pipelines.drive(started)
    assert (tmp_path / "log").read_text().splitlines().count("cancel hotel-1") == 1
    assert (said["outcome"], said["failure"]["step"], said["undone"]) == ("failed", "pay", ["flight", "hotel"])


def test_only_an_act_has_a_compensation_and_what_undoes_had_a_part_in_the_work(tmp_path: Path) -> None:
    wrong = "- {id: pay, agent: loser, with: {}, compensate: {agent: judge, with: {claim: =steps.pay}}}"
    with pytest.raises(NotPublishable) as refused:
        pipelines.publish(tmp_path / "sample", steps=wrong, agents=AGENTS, functions=WORK)
    said = str(refused.value.details) + refused.value.message
    assert "changes nothing that could be undone" in said
    assert "has a part in the work" in said


def test_an_account_of_many_acts_is_whole_and_its_entry_stays_within_its_bound(tmp_path: Path) -> None:
    mover = "kind: agent\nname: mover\nteam: platform\nrole: act\npurpose: x\nrun: {inline: noop}\n"
    mover += "input: {type: object}\noutput: {type: object}\ntimeout: 60s"
    acts = "- {id: each, for_each: =input.items, as: item, max_concurrency: 64, do: [{id: move, agent: mover, with: {n: =item}}]}"
    pipelines.publish(tmp_path / "many", steps=f"{acts}\n- {{id: last, agent: loser, with: {{}}}}", agents=[*AGENTS, mover], functions=WORK)
    run = pipelines.start(input={"items": list(range(600))})
    said = pipelines.drive(run)
    assert (said["outcome"], said["undone"], len(said["not_undone"])) == ("failed", [], 600)
    run.refresh_from_db()
    facts = reports.bodies_at([(run.id, run.seq)])[run.id]["facts"]
    assert (len(facts["not_undone"]), facts["not_undone_acts"], facts["undone_acts"]) == (20, 600, 0)


def test_an_idempotent_act_is_not_done_by_a_fallback_after_it_may_have_acted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a release that was published when nobody refused it."""
    monkeypatch.setattr("agents.validation.nodes.Walk._check_fallback", lambda *_: None)
    pay = "import time\ndef pay(log: str, who: str) -> dict:\n    open(log, 'a').write(who)\n    time.sleep(30 if who == 'a' else 0)\n    return {}\n"
    keyed = "mode: {idempotent: =input.who}"
    payers = [agent(f"payer-{name}", "work:pay", role="act", timeout=f"{limit}s", more=keyed) for name, limit in (("a", 2), ("b", 20))]
    payers = [payer.replace("input: {type: object}", "input: {type: object, required: [who]}") for payer in payers]
    steps = "- {id: pay, agent: payer-a, fallback: payer-b, with: {log: =input.log, who: a}}"
    pipelines.publish(tmp_path / "pays", steps=steps, agents=payers, functions=pay)
    said = pipelines.run(input={"log": str(tmp_path / "log")})
    assert (said["outcome"], said["failure"]["cause"], (tmp_path / "log").read_text()) == ("failed", "deadline", "a")
    assert [act["step"] for act in said["not_undone"]] == ["pay"]
