"""One signal, several waits: whoever can still be answered is, all at once."""

from datetime import timedelta
from pathlib import Path

import pytest

from audit import clock
from audit.actors import Actor
from runs import services
from runs.models import Run, Wait
from tests import families, pipelines

pytestmark = pytest.mark.django_db(transaction=True)

BOB = Actor(kind="person", id="bob", auth="test", teams=frozenset({"platform"}))
TWICE = (
    "- id: both\n  min_success: any\n  parallel:\n    a: [{id: first, wait: {signal: payment, timeout: 1h}}]\n"
    "    b: [{id: second, wait: {signal: payment, timeout: 1h}}]"
)


def test_a_signal_reaches_the_wait_that_is_open_beside_one_whose_time_is_over(tmp_path: Path) -> None:
    families.publish(tmp_path / "sample", steps=(TWICE,))
    run = pipelines.start()
    pipelines.drive(run)
    Wait.objects.filter(run=run, step="both/a/first").update(expires_at=clock.now() - timedelta(seconds=1))
    services.send_signal(run=str(run.id), signal="payment", payload=7, actor=BOB)
    assert dict(Wait.objects.filter(run=run).values_list("step", "state")) == {"both/a/first": "open", "both/b/second": "answered"}


def test_a_signal_for_two_waits_is_one_transaction(tmp_path: Path) -> None:
    families.publish(tmp_path / "sample", steps=(TWICE,))
    run = pipelines.start()
    pipelines.drive(run)
    before = Run.objects.get(id=run.id).revision
    services.send_signal(run=str(run.id), signal="payment", payload=7, actor=BOB)
    assert set(Wait.objects.filter(run=run).values_list("state", flat=True)) == {"answered"}
    assert Run.objects.get(id=run.id).revision == before + 1
    assert families.verbs(run).count("runs.wait.answered") == 2
