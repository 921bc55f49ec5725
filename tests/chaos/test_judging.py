"""The verdict of the matrix can say no: what is missing, what happened twice, and what does not fit together."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runs.models import Run
from tests import pipelines
from tests.chaos import judging, outside, reporting, workload
from tests.chaos.judging import Order
from tests.chaos.results import Result

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def undone(tmp_path: Path) -> Callable[[], Order]:
    """A run that fails and is undone, in a world of its own."""

    def driven() -> Order:
        workload.publish(tmp_path / "pipelines")
        order = outside.order(workload.UNDONE, "one", workload.make_world(tmp_path / "world"))
        pipelines.drive(order.run)
        return order

    return driven


def test_a_run_that_ends_as_it_would_has_nothing_against_it(undone: Callable[[], Order]) -> None:
    order = undone()
    assert (judging.lost(order), judging.duplicated(order), list(judging.unsound(order))) == ([], [], [])


def test_an_act_that_the_world_never_saw_and_one_that_it_was_asked_for_under_two_keys_are_said(undone: Callable[[], Order]) -> None:
    order = undone()
    (order.world / "key.one-unbook").unlink()
    with (order.world / "effects").open("a") as effects:
        effects.write("asked one book another-key\ntell one a\ntell one b\n")
    assert judging.lost(order) == ["undone one never did 'unbook'"]
    assert judging.duplicated(order) == ["undone one did 'tell' 2 times", "undone one asked for 'book' under 2 keys"]


def test_another_outcome_and_money_that_was_not_charged_are_said(undone: Callable[[], Order]) -> None:
    order = undone()
    Run.objects.filter(id=order.run.id).update(failure_cause="lost", spent_nano=1)
    assert judging.lost(order) == ["undone one is failed: lost, not failed: exception"]
    assert list(judging.unsound(order)) == ["undone one is broken", "undone one has spent 1 and was charged 4000000"]
    assert "runs.run.finished" in judging.story(order)


def test_a_run_that_nobody_has_driven_is_lost(tmp_path: Path) -> None:
    workload.publish(tmp_path / "pipelines")
    order = outside.order(workload.JOURNEY, "one", workload.make_world(tmp_path / "world"))
    assert judging.lost(order) == ["journey one has not ended: queued, attempt 0, waits []"]


def test_the_report_adds_up_and_says_what_was_not_measured() -> None:
    good = Result("settle.before × kill", faults=["kill"], runs=3, recovery_s=[1.0, 3.0])
    bad = Result("send.after × stop", faults=["stop"], runs=3, duplicated=["twice"], recovery_s=[9.0])
    report = reporting.report("sqlite", 0, [good, bad, Result("disk full", skipped="no disk")])
    line = reporting.merged([report, {"database": "postgresql", "skipped": "not installed"}])
    assert (line["cases"], line["runs"], line["duplicated"], line["faults"]) == (2, 6, 1, {"kill": 1, "stop": 1})
    assert (line["recovery_p50_s"], line["recovery_p99_s"], report["recovered_in_time"], report["recoveries"]) == (3.0, 9.0, 2, 3)
    assert reporting.has_problems(report)
    assert "skipped: no disk" in reporting.table([report])
