"""What is written late, read in bulk, and never dropped."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit import bulk, ledger, reports
from runs import store
from runs.models import Call, Run
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import orchestra, time

def run(hang: bool = False, **_) -> dict:
    if hang:
        orchestra.progress("here")
        time.sleep(60)
    return {}
"""


@pytest.fixture
def waiting(tmp_path: Path) -> Run:
    """Its worker has died in a call that is priced."""
    worker = agent("worker", "work:run", more="cost: 0.002 USD")
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[worker], steps="- {id: work, agent: worker, with: {hang: true}}")
    run = pipelines.start()
    pipelines.crash(run, at="progress")
    return run


def settled(run: Run, state: str) -> store.CallSettled:
    loaded = store.load([run.id])[0]
    record = next(iter(store.call_records(loaded.calls.values()).values()))
    plan = loaded.snapshot.plan
    if state == "confirmed":
        return store.confirmed(record, plan=plan, run=run.id, contained=True, response={"body": "late"}, cause=None)
    return store.abandoned(record, loaded.snapshot, run=run.id)


@pytest.mark.parametrize("state", ["confirmed", "refused"])
def test_a_late_truth_is_written_once_with_its_money_and_no_seq(waiting: Run, state: str) -> None:
    end = settled(waiting, state)
    assert [store.settle_late(waiting.id, "platform", [end], pipelines.SYSTEM) for _ in range(2)] == [1, 0]
    before = waiting.revision
    waiting.refresh_from_db()
    assert (waiting.spent_nano, waiting.reserved_nano, waiting.revision > before) == (2_000_000, 0, True)
    late = [entry for entry in reports.entries_of(waiting.id) if entry["seq"] is None]
    assert [entry["verb"] for entry in late] == [f"runs.call.{state}"]
    assert reports.charges_of(waiting.id).charges == 1
    assert reports.chain_problems(waiting.id) == []


def test_a_late_response_can_be_found_from_its_row(waiting: Run) -> None:
    store.settle_late(waiting.id, "platform", [settled(waiting, "confirmed")], pipelines.SYSTEM)
    assert store.load([waiting.id])[0].responses == {Call.objects.get().key: {"body": "late"}}


def test_a_step_whose_call_was_ended_by_a_stale_worker_is_done_again(waiting: Run) -> None:
    store.settle_late(waiting.id, "platform", [settled(waiting, "confirmed")], pipelines.SYSTEM)
    waiting.steps.update(deadline_at=waiting.created_at + timedelta(seconds=2))
    said = pipelines.drive(waiting)
    assert said["failure"]["cause"] == "deadline"  # it hangs again: it was at work, and not lost
    assert reports.charges_of(waiting.id).charges == 1


def test_runs_are_loaded_with_the_same_number_of_queries_however_many(tmp_path: Path) -> None:
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:run")], steps="- {id: work, agent: worker}")
    runs = [pipelines.start() for _ in range(6)]
    store.load([runs[0].id])
    numbers = []
    for many in (1, 6):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            store.load([run.id for run in runs[:many]])
        numbers.append(len(queries))
    assert numbers[0] == numbers[1]


def test_heads_are_those_that_rows_and_ledger_agree_on(waiting: Run) -> None:
    waiting.refresh_from_db()
    assert ledger.heads_at({waiting.id: waiting.seq})[waiting.id] == ledger.head_of(waiting.id)
    assert ledger.heads_at({waiting.id: waiting.seq - 1}) == {}
    assert ledger.heads_at({waiting.id: waiting.seq + 1}) == {}
    nobody = uuid4()
    assert ledger.heads_at({nobody: 0}) == {nobody: ledger.Head()}


def test_a_bulk_update_says_which_rows_met_their_condition(tmp_path: Path) -> None:
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:run")], steps="- {id: work, agent: worker}")
    runs = [pipelines.start() for _ in range(3)]
    rows = [[run.id, 0, 9, "x"] for run in runs]
    rows[1][1] = 5  # not its revision
    done = bulk.update_where(Run, match=["id", "revision"], change=["fence", "failure_owner"], rows=rows, also="t.state <> 'finished'")
    assert done == {runs[0].id, runs[2].id}
    assert sorted(Run.objects.values_list("fence", flat=True)) == [0, 9, 9]


def test_a_bulk_update_of_more_rows_than_one_statement_holds_updates_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.bulk._PARAMETERS", 4)
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:run")], steps="- {id: work, agent: worker}")
    runs = [pipelines.start() for _ in range(5)]
    assert len(bulk.update_where(Run, match=["id"], change=["fence"], rows=[[run.id, 3] for run in runs])) == 5


def test_looking_sees_revision_and_fence(waiting: Run) -> None:
    waiting.refresh_from_db()
    assert store.look([waiting.id]) == {waiting.id: store.claims.Look(waiting.revision, waiting.fence, finished=False)}
