"""Sweeps are idempotent, go on where one run is odd, and in time look at every run."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import OperationalError

from audit import clock
from runs import services, sweeps, tasks
from runs.models import Engine, Run
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    functions = "def run(**_) -> dict:\n    return {}\n"
    pipelines.publish(tmp_path / "p", functions=functions, agents=[agent("worker", "work:run")], steps="- {id: work, agent: worker}")
    return [pipelines.start() for _ in range(4)]


def let_pass(*runs: Run) -> None:
    Run.objects.filter(id__in=[run.id for run in runs]).update(deadline_at=clock.now() - timedelta(seconds=5))


def test_a_second_sweep_finds_nothing_left(runs: list[Run]) -> None:
    let_pass(*runs[:3])
    assert sweeps.sweep().ended == 3
    assert sweeps.sweep() == sweeps.Swept(ended=0, checked=4, broken=0)


@pytest.mark.parametrize(
    ("error", "said", "integrity"),
    [(RuntimeError("odd"), "is over, and its end can't be written", "broken"), (OperationalError("busy"), "could not be ended; the next", "intact")],
)
def test_a_run_that_cannot_be_ended_does_not_keep_its_neighbours_open(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, said: str, integrity: str
) -> None:
    let_pass(*runs)
    real = services.end_unattended

    def odd(run: object, **options: object) -> bool:
        if run == runs[1].id:
            raise error
        return real(run, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(services, "end_unattended", odd)
    assert sweeps.end_overdue() == 3
    assert f"run {runs[1].id} {said}" in caplog.text
    assert Run.objects.get(id=runs[1].id).integrity == integrity


def test_a_worker_gets_a_second_to_write_its_own_end(runs: list[Run]) -> None:
    Run.objects.filter(id=runs[0].id).update(deadline_at=clock.now())
    assert sweeps.end_overdue() == 0
    assert runs[0].effective(clock.now() + timedelta(hours=2)).exit_status == 12


def test_every_run_is_checked_in_turn_however_small_the_batch(runs: list[Run]) -> None:
    let_pass(*runs)
    sweeps.end_overdue()
    Run.objects.update(checked_at=None)
    for _ in runs:
        sweeps.check_integrity(batch=1)
    assert not Run.objects.filter(checked_at=None).exists()


def test_engines_that_were_last_heard_of_long_ago_are_forgotten(runs: list[Run]) -> None:
    now = clock.now()
    for age in (0, 2):
        Engine.objects.create(id=uuid4(), host="h", pid=1, started_at=now, beat_at=now - timedelta(days=age))
    assert "ended 0" in tasks.sweep()
    assert Engine.objects.count() == 1
