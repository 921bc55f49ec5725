"""Commands about waits: what is waited for, signals, calls that a person settles; and runs that wait while somebody watches them."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from agents import registry
from audit import clock, reports
from audit.models import Entry
from orchestra_site.checks import check_names
from orchestra_site.tokens import create_token
from runs.models import Call, Run, Wait
from tests import pipelines, waiting
from tests.pipelines import SYSTEM
from tests.shell import Terminal, interrupt_when, typed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a narrow terminal."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def token_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put the token of a member of the team into the environment."""

    def given(person: User, *, member: bool = True) -> None:
        if member:
            registry.add_member("platform", person.username, actor=SYSTEM)
        monkeypatch.setenv("ORCHESTRA_TOKEN", create_token(person.username, actor=SYSTEM).text)

    return given


# --- what is waited for ---


def test_waits_says_for_what_until_when_what_silence_means_who_and_what_to_type(tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path)
    said = typed("waits").out
    assert "for the signal payment" in said and f"{run.id} of sample" in said
    assert "after that the step fails as expired" in said and "any member of team 'platform'" in said
    assert f"manage.py signal {run.id} payment --payload JSON" in said
    (wait,) = typed("waits", "--json", "--pipeline", "sample", "--run", str(run.id)[:18]).document
    assert (wait["run"], wait["step"], wait["subject"], wait["on_expiry"]) == (str(run.id), "paid", "payment", "fail")


def test_waits_names_the_call_that_a_person_has_to_settle(tmp_path: Path) -> None:
    run = waiting.for_a_person(tmp_path)
    said = typed("waits").out
    assert "a word on a call of payer" in said
    assert f"manage.py settle {waiting.call_of(run).id} DECISION --reason TEXT" in said and "DECISION is done, not-done or unknown" in said
    assert "neither started the run nor answers for agent 'payer'" in " ".join(said.split())


def test_a_list_without_waits_says_so_and_filters_hide_others(tmp_path: Path) -> None:
    assert "no run waits for anything" in typed("waits").err
    waiting.for_a_signal(tmp_path)
    assert typed("waits", "--pipeline", "other", "--json").document == []
    assert typed("waits", "--run", "00000000").status == 2


def test_what_nobody_can_answer_any_more_is_in_no_list(tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path)
    waiting.expire(run)
    assert typed("waits", "--json").document == []


# --- signals ---


def test_a_signal_from_a_shell_brings_the_run_back_with_its_payload(tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path / "p")
    (tmp_path / "payment.json").write_text('{"amount": 7}')
    done = typed("signal", run.id, "payment", "--payload-file", tmp_path / "payment.json")
    assert (done.status, done.out.split(":")[0]) == (0, f"run {run.id}")
    assert pipelines.drive(run)["result"] == {"got": {"amount": 7}}
    assert Wait.objects.get(run=run).answered_by == "system:system"


def test_a_signal_with_a_persons_token_is_that_persons(tmp_path: Path, alice: User, token_of: Callable[..., None]) -> None:
    run = waiting.for_a_signal(tmp_path)
    token_of(alice)
    assert typed("signal", run.id, "payment", "--payload", '{"amount": 7}').status == 0
    (entry,) = [entry for entry in reports.entries_of(run.id) if entry["verb"] == "runs.wait.answered"]
    assert entry["actor"] == {"kind": "person", "id": "alice", "auth": "token"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["payment", "--payload", '{"amount": 0}'], "amount"),
        (["payment", "--payload", "{"], "is not JSON"),
        (["payment", "--payload-file", "no-such-file"], "can't be read"),
        (["paymnt"], "it waits for payment"),
    ],
)
def test_a_signal_that_is_not_taken_says_why_and_the_wait_stays(tmp_path: Path, arguments: list[str], said: str) -> None:
    run = waiting.for_a_signal(tmp_path)
    done = typed("signal", run.id, *arguments)
    assert (done.status, Wait.objects.get(run=run).state) == (2, "open")
    assert said in done.err


def test_a_token_that_is_no_good_makes_nobody_else_of_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = waiting.for_a_signal(tmp_path)
    for bad in ("orc_nonsense", "x" * 500, "é"):
        monkeypatch.setenv("ORCHESTRA_TOKEN", bad)
        done = typed("signal", run.id, "payment", "--payload", '{"amount": 7}')
        assert (done.status, Wait.objects.get(run=run).state) == (2, "open")
        assert "ORCHESTRA_TOKEN" in done.err and bad not in done.err


# --- calls ---


def test_a_person_settles_a_call_with_a_token_from_the_environment(tmp_path: Path, bob: User, token_of: Callable[..., None]) -> None:
    run = waiting.for_a_person(tmp_path)
    token_of(bob)
    call = waiting.call_of(run)
    done = typed("settle", call.id, "done", "--result", '{"paid": true}', "--reason", "on the statement")
    assert (done.status, done.out) == (0, f"call {call.id}: carried out; its step returns the result\n")
    assert pipelines.drive(run)["result"] == {"paid": True}
    assert Wait.objects.get(run=run).answered_by == "person:bob"


def test_a_shell_without_a_persons_token_settles_nothing(tmp_path: Path) -> None:
    run = waiting.for_a_person(tmp_path)
    done = typed("settle", waiting.call_of(run).id, "not-done", "--reason", "asked the bank")
    assert (done.status, waiting.call_of(run).state) == (2, "unresolved")
    assert "for a person to say" in done.err and "ORCHESTRA_TOKEN" in done.err
    assert Entry.objects.filter(verb="runs.answer.refused", run=run.id).count() == 1


def test_whoever_started_the_run_or_belongs_nowhere_settles_nothing(
    tmp_path: Path, alice: User, charlie: User, token_of: Callable[..., None]
) -> None:
    run = waiting.for_a_person(tmp_path)
    Run.objects.filter(id=run.id).update(started_by="person:alice")
    token_of(charlie, member=False)
    assert "there is no call" in typed("settle", waiting.call_of(run).id, "unknown", "--reason", "x").err
    token_of(alice)
    assert "you started run" in typed("settle", waiting.call_of(run).id, "unknown", "--reason", "x").err
    assert Call.objects.get(run=run).state == "unresolved"


def test_what_is_no_text_is_refused_as_anything_else_that_is_wrong(tmp_path: Path, bob: User, token_of: Callable[..., None]) -> None:
    waiting.publish(tmp_path, waiting.EITHER)
    run = waiting.parked()
    Call.objects.filter(run=run).update(not_after=clock.now() - timedelta(minutes=1))
    assert "does not wait for the signal" in typed("signal", run.id, "p\udcff").err
    token_of(bob)
    done = typed("settle", waiting.call_of(run).id, "unknown", "--reason", "p\udcff")
    assert (done.status, {wait.state for wait in Wait.objects.filter(run=run)}) == (2, {"open"})


def test_the_variable_of_the_token_is_one_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRA_TOKEN", "x")
    assert [message for message in check_names(None) if "ORCHESTRA_TOKEN" in message.msg] == []


# --- being there ---


def test_a_run_that_needs_somebody_ends_the_command_with_13_and_what_to_type(tmp_path: Path) -> None:
    waiting.publish(tmp_path, waiting.SIGNAL, waiting.WORKED)
    done = typed("runpipeline", "sample")
    run = Run.objects.get()
    assert (done.status, done.out.split()[:2]) == (13, ["waiting", "for"])
    assert "for the signal payment; it holds no worker meanwhile" in done.out
    assert f"manage.py signal {run.id} payment --payload JSON" in done.out
    assert "paid: waits for the signal payment until" in done.err
    assert typed("showrun", run.id).out == done.out
    assert [line.split()[2] for line in typed("runs", "--outcome", "waiting").out.splitlines()[1:]] == ["waiting"]


def test_a_run_that_waits_for_its_time_is_driven_on_here(tmp_path: Path) -> None:
    waiting.publish(tmp_path, "- {id: paid, wait: {for: 500ms}}", waiting.WORKED)
    done = typed("runpipeline", "sample")
    assert (done.status, done.out.split()[0]) == (0, "verified")
    assert "waits until" in done.err and "leaves it to a worker" in done.err


@pytest.mark.parametrize("terminal", [False, True])
def test_ctrl_c_leaves_a_run_that_waits_for_its_time_to_a_worker(tmp_path: Path, terminal: bool) -> None:
    waiting.publish(tmp_path, "- {id: paid, wait: {for: 3h}}", waiting.WORKED)
    err = Terminal() if terminal else None
    parked = interrupt_when(lambda: Run.objects.filter(state="waiting").exists())
    done = typed("runpipeline", "sample", err=err)
    parked.join()
    run = Run.objects.get()
    assert (done.status, run.state, run.cancel_requested_at) == (13, "waiting", None)


def test_what_was_undone_and_what_was_not_is_said(tmp_path: Path) -> None:
    run = waiting.failed_after_acting(tmp_path)
    said = typed("showrun", run.id).out
    assert "flight: by undo:flight" in said and "hotel: irreversible: it has no compensation" in said
    assert "undo:flight" in typed("runpipeline", "sample").err
