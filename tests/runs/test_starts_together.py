"""Starts of several threads that come in one moment: one transaction, each its own run, and each its own refusal."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection, connections, transaction

from agents.models import Pipeline
from audit.models import Entry
from runs import services
from runs.errors import IdempotencyConflict, TooManyQueued
from runs.models import Run
from runs.services import starting
from tests import families, pipelines

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_S = 60

AtOnce = Callable[..., list[Any]]


@pytest.fixture(autouse=True)
def published(tmp_path: Path) -> None:
    families.publish(tmp_path / "sample", families.INNER)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many were written at once each time. The first stays at it until as many wait as `together` has said."""
    return []


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch, groups: list[int]) -> AtOnce:
    """Starts of `sample`: the first by itself, and all others while it is being written. What each heard."""
    real, under_way, others = starting._insert, Event(), list[dict[str, Any]]()

    def insert(starts: Sequence[Any]) -> list[Run]:
        groups.append(len(starts))
        under_way.set()
        until(lambda: len(groups) > 1 or waiting() == len(others))
        return real(starts)

    def at_once(first: dict[str, Any], *more: dict[str, Any]) -> list[Any]:
        others.extend(more)
        with ThreadPoolExecutor(1 + len(more)) as threads:
            heard: list[Future[Any]] = [threads.submit(start, **first)]
            assert under_way.wait(PATIENCE_S)
            for place, each in enumerate(more, 1):
                heard.append(threads.submit(start, **each))
                until(lambda place=place: waiting() >= place or heard[-1].done())  # type: ignore[misc]
            return [each.result(PATIENCE_S) for each in heard]

    monkeypatch.setattr(starting, "_insert", insert)
    return at_once


def waiting() -> int:
    return sum(map(len, list(starting._TOGETHER._waiting.values())))


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end
        time.sleep(0.001)


def start(name: str = "sample", n: int = 1, **more: Any) -> Any:
    """The run, or what it was refused with."""
    try:
        return services.start_run(pipeline=name, input={"n": n}, actor=pipelines.SYSTEM, ring=False, **more)
    except Exception as error:  # noqa: BLE001 - the test looks at what it was
        return error
    finally:
        connections.close_all()


def test_each_has_its_own_run_entry_and_input(together: AtOnce, groups: list[int]) -> None:
    runs = together(*({"n": number} for number in range(7)))
    assert groups == [1, 6] and len({run.id for run in runs}) == 7
    for number, run in enumerate(runs):
        stored, first = Run.objects.get(pk=run.id), Entry.objects.get(run=run.id)
        assert (stored.state, stored.seq, first.verb, first.seq) == ("queued", 1, "runs.run.queued", 1)
        assert services.run_document(stored, actor=pipelines.SYSTEM)["input"] == {"n": number}


def test_where_not_all_find_room_each_hears_what_it_would_have_heard_alone(together: AtOnce, groups: list[int], settings: Any) -> None:
    settings.ORCHESTRA_MOST_QUEUED_OF_PIPELINE = 3
    heard = together(*[{}] * 6)
    assert groups == [1, 5, *[1] * 5]
    assert sum(isinstance(each, Run) for each in heard) == Run.objects.count() == 3
    assert sum(isinstance(each, TooManyQueued) for each in heard) == Entry.objects.filter(verb="runs.start.refused").count() == 3


def test_where_all_find_room_up_to_the_bound_they_are_one_group(together: AtOnce, groups: list[int], settings: Any) -> None:
    settings.ORCHESTRA_MOST_QUEUED_OF_PIPELINE = 6
    assert all(isinstance(each, Run) for each in together(*[{}] * 6))
    assert groups == [1, 5] and isinstance(start(), TooManyQueued)


def test_one_key_is_one_run_however_many_ask_with_it_at_once(together: AtOnce) -> None:
    _, *same = together({}, *[{"idempotency_key": "nightly"}] * 5)
    assert len({run.id for run in same}) == 1 and Run.objects.count() == 2
    assert sorted(bool(getattr(run, "found_again", False)) for run in same) == [False] + [True] * 4


def test_one_key_for_two_things_is_refused_for_one_of_them(together: AtOnce) -> None:
    heard = together({}, {"idempotency_key": "nightly"}, {"idempotency_key": "nightly", "n": 2}, {"n": 3})
    assert sorted(type(each).__name__ for each in heard) == sorted(["IdempotencyConflict", "Run", "Run", "Run"])
    assert any(isinstance(each, IdempotencyConflict) for each in heard[1:3])


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_a_pipeline_that_somebody_holds_holds_up_no_other(together: AtOnce) -> None:
    """Whoever publishes it has its row; starts of it wait for that, and nobody else's."""
    held, go = Event(), Event()

    def hold() -> None:
        with transaction.atomic():
            list(Pipeline.objects.select_for_update().filter(name="inner"))
            held.set()
            assert go.wait(PATIENCE_S)
        connections.close_all()

    holder = Thread(target=hold)
    holder.start()
    assert held.wait(PATIENCE_S)
    with ThreadPoolExecutor(1) as threads:
        waits = threads.submit(start, "inner")
        until(lambda: bool(starting._TOGETHER._waiting))
        assert all(isinstance(each, Run) for each in together(*[{}] * 3))
        assert not waits.done()
        go.set()
        assert isinstance(waits.result(PATIENCE_S), Run)
    holder.join(PATIENCE_S)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_two_groups_with_the_same_keys_wait_for_each_other_in_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """As two servers to which one batch was sent, in whatever order: never a deadlock."""
    keys = [f"key-{number}" for number in range(40)]
    taken: list[Sequence[Any]] = []
    monkeypatch.setattr(starting._TOGETHER, "_write", lambda starts: taken.append(starts) or [None] * len(starts))
    for key in keys:
        start(idempotency_key=key)
    starts = [each for some in taken for each in some]

    def write(some: Sequence[Any]) -> Any:
        try:
            return starting._start_all(some)
        except Exception as error:  # noqa: BLE001 - as above
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        for _ in range(10):
            heard = [future.result(PATIENCE_S) for future in [threads.submit(write, some) for some in (starts, starts[::-1])]]
            assert sorted(type(each).__name__ for each in heard) == ["IntegrityError", "list"]
            Run.objects.all()._raw_delete("default")
