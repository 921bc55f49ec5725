"""What the supervisor decides, held by processes that are none; and who is said to be at work."""

import json
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from audit import clock
from runs import store
from runs.models import Engine, Kind
from runs.worker import presence, supervisor
from tests import pipelines
from tests.pipelines import agent
from tests.shell import typed

Held = Any


class Holder:
    """A process that is at fault when it is told to be."""

    name = "engine"

    def __init__(self, age_s: float = 0.0) -> None:
        self.id, self.process, self.wrong, self.age_s, self.killed = uuid4(), SimpleNamespace(pid=1), None, age_s, False

    def fault(self) -> str | None:
        return self.wrong

    def kill(self) -> None:
        self.killed = True


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [1_000.0]
    monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=lambda: at[0]))
    return at


def post(age_s: float, gone: list[UUID]) -> tuple[supervisor.Post[Held], list[Holder]]:
    made: list[Holder] = []

    def start() -> Holder:
        made.append(Holder(age_s))
        return made[-1]

    return supervisor.Post(start, gone.append), made


def test_a_place_is_filled_and_filled_again_when_its_holder_is_at_fault(now: list[float]) -> None:
    gone: list[UUID] = []
    place, made = post(3600, gone)
    place.tend()
    place.tend()
    assert len(made) == 1
    made[0].wrong = "has ended"
    place.tend()
    assert (len(made), made[0].killed, gone) == (2, True, [made[0].id])


def test_whoever_dies_young_is_replaced_less_and_less_soon(now: list[float]) -> None:
    place, made = post(1, [])
    waits = []
    for _ in range(8):
        while place.holder is None:
            place.tend()
            now[0] += 1
        made[-1].wrong = "has ended"
        place.tend()
        waits.append(place._not_before - now[0])
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_place_that_cant_be_filled_is_tried_again(now: list[float]) -> None:
    tries: list[int] = []

    def start() -> Holder:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("no more processes")
        return Holder()

    place: supervisor.Post[Held] = supervisor.Post(start, lambda _: None)
    place.tend()
    place.tend()
    assert (place.holder, len(tries)) == (None, 1)
    now[0] += supervisor.LONGEST_PAUSE_S
    place.tend()
    assert place.holder is not None


# --- who is at work --------------------------------------------------------------------------------------------------


def row(*, kind: Kind = Kind.ENGINE, beat_s: float = 0, left: bool = False, serves_all: bool = True) -> Engine:
    now = clock.now()
    beat = now - timedelta(seconds=beat_s)
    stopped = now if left else None
    return Engine.objects.create(id=uuid4(), kind=kind, host="h", pid=1, serves_all=serves_all, started_at=beat, beat_at=beat, stopped_at=stopped)


@pytest.mark.django_db
def test_a_queue_is_no_engine_and_a_silent_one_is_none_either() -> None:
    alive = [row(), row(kind=Kind.QUEUE), row(serves_all=False)]
    row(beat_s=3600)
    row(left=True)
    now = clock.now()
    assert set(Engine.objects.alive(now)) == set(alive)
    assert list(Engine.objects.serving(now)) == alive[:1]


@pytest.mark.django_db
def test_the_command_says_who_is_at_work_and_whether_anybody_takes_runs() -> None:
    row(kind=Kind.QUEUE)
    row(beat_s=3600)
    row(left=True)
    done = typed("workers", "--json")
    assert (done.status, sorted((one["kind"], one["state"]) for one in done.document)) == (1, [("engine", "silent"), ("queue", "at work")])
    row()
    done = typed("workers", "--all")
    assert done.status == 0
    assert all(word in done.out for word in ("at work", "silent", "left"))


@pytest.mark.django_db
def test_a_process_that_has_left_does_not_come_back_by_a_late_word() -> None:
    one = row(left=True)
    presence.beat(one.id, driving=3, swept_at=None, counts={})
    presence.announce(one.id, pid=7)
    one.refresh_from_db()
    assert one.stands(clock.now()) == "left"


def test_sizes_of_commits_are_counted_by_their_bounds() -> None:
    counted = presence.counts(5, Counter({1: 4, 2: 3, 5: 2, 64: 1}))
    assert counted["runs"] == 5
    assert counted["transitions"] == 1 * 4 + 2 * 3 + 5 * 2 + 64
    assert {bound: number for bound, number in counted["batches"].items() if number} == {"1": 4, "2": 3, "8": 2, "64": 1}
    assert json.loads(json.dumps(counted)) == counted


@pytest.mark.django_db(transaction=True)
def test_the_runs_of_an_engine_that_is_known_to_be_dead_are_free_at_once_and_were_claimed_in_vain(tmp_path: Any) -> None:
    functions = "def run() -> dict:\n    return {}\n"
    pipelines.publish(tmp_path / "p", functions=functions, agents=[agent("worker", "work:run")], steps="- {id: work, agent: worker}")
    run, dead = pipelines.start(), uuid4()
    store.claim(owner=dead, ttl=timedelta(hours=1), limit=1)
    assert store.claim(owner=uuid4(), ttl=timedelta(hours=1), limit=1) == []
    store.forfeit_lease(owner=dead)
    [again] = store.claim(owner=uuid4(), ttl=timedelta(hours=1), limit=1)
    assert (again.id, again.fence, again.attempt) == (run.id, 2, 2)
