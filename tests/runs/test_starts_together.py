"""Starts of several threads that come in one moment: one transaction, each its own run, and each its own refusal."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from audit.models import Entry
from runs import services
from runs.errors import IdempotencyConflict, Stopped, TooManyQueued
from runs.models import Run
from runs.services import starting
from tests import families, pipelines

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_S = 60


@pytest.fixture(autouse=True)
def published(tmp_path: Path) -> None:
    families.publish(tmp_path / "sample", families.INNER)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many were started at once each time; the first one waits until all the others are there."""
    sizes: list[int] = []
    real = starting._insert

    def insert(starts: Sequence[Any]) -> list[Run]:
        sizes.append(len(starts))
        while len(sizes) == 1 and len(starting._TOGETHER._waiting) < WITH:
            threading.Event().wait(0.001)
        return real(starts)

    monkeypatch.setattr(starting, "_insert", insert)
    return sizes


WITH = 6


def at_once(*starts: tuple[str, dict[str, Any]]) -> list[Any]:
    """What each heard. As many as the first one waits for, and it."""
    assert len(starts) == WITH + 1

    def one(name: str, more: dict[str, Any]) -> Any:
        try:
            return services.start_run(pipeline=name, **{"input": {"n": 1}, "actor": pipelines.SYSTEM, "ring": False, **more})
        except Exception as error:  # noqa: BLE001 - the test looks at what it was
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(starts)) as threads:
        return [future.result(PATIENCE_S) for future in [threads.submit(one, *start) for start in starts]]


def test_each_has_its_own_run_entry_and_input(groups: list[int]) -> None:
    runs = at_once(*((name, {"input": {"n": number}}) for number, name in enumerate(["sample", "inner"] * 3 + ["sample"])))
    assert groups == [1, WITH]
    for number, (run, name) in enumerate(zip(runs, ["sample", "inner"] * 3 + ["sample"], strict=True)):
        stored = Run.objects.get(pk=run.id)
        first = Entry.objects.get(run=run.id)
        assert (stored.pipeline.name, stored.state, first.verb, first.seq, stored.seq) == (name, "queued", "runs.run.queued", 1, 1)
        assert services.run_document(stored, actor=pipelines.SYSTEM)["input"] == {"n": number}
    assert len({run.id for run in runs}) == len(runs)


def test_one_that_is_refused_does_not_hold_up_its_neighbours(groups: list[int], settings: Any) -> None:
    """Three of one pipeline find room: the group doesn't, and each by itself hears what it would have heard."""
    settings.ORCHESTRA_MOST_QUEUED_OF_PIPELINE = 3
    heard = at_once(*([("sample", {})] * WITH), ("inner", {}))
    assert sum(isinstance(each, Run) for each in heard[:WITH]) == 3 and isinstance(heard[WITH], Run)
    assert sum(isinstance(each, TooManyQueued) for each in heard) == 3
    assert Run.objects.count() == 4 and Entry.objects.filter(verb="runs.start.refused").count() == 3


def test_one_key_is_one_run_however_many_ask_with_it_at_once(groups: list[int]) -> None:
    heard = at_once(*([("sample", {"idempotency_key": "nightly"})] * WITH), ("sample", {"input": {"n": 2}, "idempotency_key": "nightly"}))
    same, other = [each for each in heard if isinstance(each, Run)], [each for each in heard if not isinstance(each, Run)]
    assert len({run.id for run in same}) == Run.objects.count() == 1
    assert len(same) in (1, WITH) and all(isinstance(each, IdempotencyConflict) for each in other)
    assert sum(bool(getattr(run, "found_again", False)) for run in same) == len(same) - 1


def test_a_stop_of_one_pipeline_leaves_the_others_their_start(groups: list[int]) -> None:
    services.set_stop(scope="pipeline", name="inner", reason="odd", actor=pipelines.SYSTEM)
    heard = at_once(*([("sample", {}), ("inner", {})] * 3), ("sample", {}))
    assert [type(each) for each in heard] == [Run, Stopped] * 3 + [Run]
