"""What somebody changed in a run's rows with a plain UPDATE: whoever reads the run whole is told that it is broken, and the sweep says so."""

import textwrap
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import registry
from audit import clock
from runs import services, sweeps
from runs.errors import NotReverifiable
from runs.models import Run, Step
from runs.services import comparing
from tests import pipelines
from tests.doors import world
from tests.pipelines import SYSTEM, agent
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)

NO_ENTRY = "00000000-0000-7000-8000-000000000000"
OF_THE_RUN: dict[str, Callable[[Run, Run], dict[str, Any]]] = {
    "whose input it shows": lambda _, other: {"input_entry": other.input_entry},
    "the digest of its input": lambda *_: {"input_digest": "0" * 64},
    "its pipeline": lambda _, other: {"pipeline": other.pipeline_id},
    "its release": lambda _, other: {"release": other.release_id},
    "its team": lambda _, other: {"team": other.team_id},
    "who started it": lambda *_: {"started_by": "person:eve"},
    "with which key": lambda *_: {"started_with": "a-key"},
    "on whose behalf": lambda *_: {"on_behalf_of": "person:eve"},
    "that it is a draft": lambda *_: {"draft": True},
    "what started it": lambda *_: {"trigger": "schedule"},
    "what it judges again": lambda _, other: {"reverifies": other.id},
    "what runs above it": lambda _, other: {"parent_run": other.id, "root_run": other.id, "parent_step": "only", "depth": 2},
    "when it was made": lambda run, _: {"created_at": run.created_at - timedelta(milliseconds=1)},
    "when it began": lambda run, _: {"started_at": run.started_at - timedelta(days=2)},  # type: ignore[operator]
    "that it ended long ago": lambda run, _: {"finished_at": run.finished_at - timedelta(days=2)},  # type: ignore[operator]
    "that it ended lately": lambda run, _: {"finished_at": run.finished_at + timedelta(days=2)},  # type: ignore[operator]
    "that it never ended": lambda *_: {"finished_at": None},
    "who asked for its end": lambda *_: {"cancel_requested_by": "person:eve"},
}
OF_A_STEP: dict[str, tuple[str, dict[str, Any]]] = {
    "its agent": ("only", {"agent": "judge"}),
    "the agent of the verifier": ("verify", {"agent": "worker"}),
    "no agent": ("only", {"agent": ""}),
    "its version": ("only", {"version": 7}),
    "its attempt": ("only", {"attempt": 2}),
    "that it failed": ("only", {"state": "failed"}),
    "that it was left out": ("only", {"state": "skipped", "result_digest": "", "result_entry": None, "result_fence": None}),
    "that it was cancelled": ("verify", {"state": "cancelled", "result_digest": "", "as_of": None}),
    "that it is at work": ("only", {"state": "running"}),
    "the digest of its result": ("only", {"result_digest": "0" * 64}),
    "no digest": ("only", {"result_digest": ""}),
    "the digest of the verdict": ("verify", {"result_digest": "0" * 64}),
    "how old it is": ("only", {"as_of": "2020-01-01T00:00:00Z"}),
    "its input": ("only", {"input_entry": NO_ENTRY}),
    "no input": ("only", {"input_entry": None}),
    "a failure": ("only", {"failure_entry": NO_ENTRY}),
    "that it judges": ("only", {"judges": True}),
    "its place": ("only", {"key": "other"}),
}


@pytest.fixture
def root(transactional_db: None) -> User:
    registry.create_person("root", actor=SYSTEM, administrator=True)
    return User.objects.get(username="root")


def assert_broken(run: Run, root: User) -> None:
    assert typed("showrun", run.id).status == 16
    shown = Caller.of(root).get(f"/runs/{run.id}/").body
    assert (shown["integrity"], shown["label"], shown["exit_status"]) == ("broken", "broken", 16)
    assert "say different things" in world.signed_in("root").get(f"/admin/runs/run/{run.id}/change/").content.decode()
    assert sweeps.check_integrity() == (2, 1)
    assert Run.objects.get(id=run.id).integrity == "broken"


@pytest.mark.parametrize("change", OF_THE_RUN.values(), ids=OF_THE_RUN.keys())
def test_a_fact_of_a_run_that_was_changed_reads_broken(both: tuple[Run, Run], root: User, change: Callable[[Run, Run], dict[str, Any]]) -> None:
    run, other = both
    Run.objects.filter(id=run.id).update(**change(run, other))
    assert_broken(run, root)


@pytest.mark.parametrize(("key", "change"), OF_A_STEP.values(), ids=OF_A_STEP.keys())
def test_a_fact_of_a_step_that_was_changed_makes_its_run_read_broken(both: tuple[Run, Run], root: User, key: str, change: dict[str, Any]) -> None:
    run, _ = both
    run.steps.filter(key=key).update(**change)
    assert_broken(run, root)


def test_a_step_whose_row_is_gone_or_that_never_was_makes_its_run_read_broken(both: tuple[Run, Run], root: User) -> None:
    gone, more = both
    gone.steps.filter(key="only").delete()
    copied = more.steps.get(key="only")
    copied.pk, copied.key = None, "another"
    copied.save(force_insert=True)
    assert [typed("showrun", run.id).status for run in both] == [16, 16]
    assert sweeps.check_integrity() == (2, 2)


def test_another_input_of_a_live_run_reads_broken_before_it_has_ended(tmp_path: Path) -> None:
    world.platform(tmp_path)
    run, other = pipelines.start(), pipelines.start()
    assert sweeps.check_integrity() == (2, 0)
    Run.objects.filter(id=run.id).update(input_entry=other.input_entry)
    assert typed("showrun", run.id).status == 16
    assert sweeps.check_integrity() == (2, 1)


def test_what_no_entry_states_is_not_held(both: tuple[Run, Run]) -> None:
    """Money may come late, and a worker's clock may be wrong."""
    run, _ = both
    assert run.finished_at is not None
    Run.objects.filter(id=run.id).update(spent_nano=5, calls_used=9, finished_at=run.finished_at + timedelta(minutes=5), deadline_at=clock.now())
    assert typed("showrun", run.id).status == 0
    assert sweeps.check_integrity() == (2, 0)


def test_a_long_run_is_held_step_by_step_where_it_is_read_and_by_its_own_facts_in_the_sweep(
    both: tuple[Run, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = both
    monkeypatch.setattr(comparing, "MOST", run.seq - 1)
    run.steps.filter(key="only").update(agent="judge")
    assert typed("showrun", run.id).status == 16
    assert sweeps.check_integrity() == (2, 0)
    Run.objects.filter(id=run.id).update(draft=True)
    assert sweeps.check_integrity() == (2, 1)


def test_a_run_whose_input_was_exchanged_is_not_judged_again(both: tuple[Run, Run]) -> None:
    run, other = both
    Run.objects.filter(id=run.id).update(input_entry=other.input_entry)
    with pytest.raises(NotReverifiable, match="is broken"):
        services.reverify(run=str(run.id), actor=SYSTEM)


ENDS = """
def run(how: str, **_) -> dict:
    if how == "fail":
        raise ValueError("no")
    return {"n": 1}
"""


def test_runs_that_ended_in_every_way_and_were_changed_by_nobody_are_intact(tmp_path: Path) -> None:
    steps = """
    - {id: maybe, agent: worker, when: "input.how == 'never'", with: {how: =input.how}}
    - {id: rest, wait: {for: 1ms}}
    - {id: work, agent: worker, retry: 1, with: {how: =input.how}}
    """
    pipelines.publish(tmp_path / "p", functions=ENDS, agents=[agent("worker", "work:run")], steps=textwrap.dedent(steps))
    verified, failed, cancelled = (pipelines.start(input={"how": how}) for how in ("work", "fail", "work"))
    services.cancel_run(run=str(cancelled.id), actor=SYSTEM)
    drafted = pipelines.start(input={"how": "work"}, draft=True, as_of=clock.now() - timedelta(days=3))
    for run in (verified, failed, drafted):
        pipelines.drive(run)
    again = services.reverify(run=str(verified.id), actor=SYSTEM)
    pipelines.drive(again)
    runs = list(Run.objects.all())
    assert {run.outcome for run in runs} == {"verified", "failed", "cancelled", "unverified"}
    assert {step.state for step in Step.objects.all()} == {"returned", "failed", "skipped"}
    assert {pipelines.document(run)["integrity"] for run in runs} == {"intact"}
    assert sweeps.check_integrity() == (5, 0)


def test_a_sweep_takes_as_many_statements_however_many_runs_it_checks(both: tuple[Run, Run]) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            sweeps.check_integrity()
        return len(captured)

    before = statements()
    for _ in range(3):
        pipelines.drive(pipelines.start())
    assert statements() == before
