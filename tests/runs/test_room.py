"""Room in the queue: beyond it nothing is started, and what has begun, child runs and second deliveries never notice."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from agents import registry
from agents.models import Pipeline
from audit.identity import new_id
from audit.models import Entry
from runs import services
from runs.errors import Overloaded, TooManyQueued
from runs.models import Run
from runs.store import room
from tests import families, pipelines
from tests.doors.world import signed_in
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def published(tmp_path: Path) -> None:
    families.publish(tmp_path / "sample", families.INNER)


@pytest.fixture
def bounded(settings: Any) -> Callable[..., None]:
    def bound(*, pipeline: int = 1_000, team: int = 1_000, every: int = 1_000) -> None:
        settings.ORCHESTRA_MOST_QUEUED_OF_PIPELINE = pipeline
        settings.ORCHESTRA_MOST_QUEUED_OF_TEAM = team
        settings.ORCHESTRA_MOST_QUEUED = every

    return bound


def start(name: str = "sample", **more: Any) -> Run:
    return pipelines.start(name, input={"n": 1}, **more)


def test_beyond_a_pipeline_s_bound_nothing_is_started_and_the_refusal_says_which_and_what_to_do(bounded: Callable[..., None]) -> None:
    bounded(pipeline=2)
    start(), start()
    with pytest.raises(TooManyQueued) as refused:
        start()
    assert str(refused.value) == (
        "pipeline 'sample' has 2 runs that wait to be begun, and the limit is 2 (ORCHESTRA_MOST_QUEUED_OF_PIPELINE); "
        "nothing was started. Start it again later, add workers, or raise the limit"
    )
    assert Run.objects.count() == 2
    entry = Entry.objects.order_by("-at").first()
    assert entry is not None and entry.verb == "runs.start.refused"
    assert start("inner").pipeline.name == "inner"


def test_a_team_s_bound_is_that_of_its_pipelines_together(bounded: Callable[..., None]) -> None:
    bounded(team=2)
    start(), start("inner")
    with pytest.raises(TooManyQueued, match=r"the pipelines of team 'platform' have 2 runs .* 2 \(ORCHESTRA_MOST_QUEUED_OF_TEAM\)"):
        start()


def test_in_all_there_is_a_bound_too(bounded: Callable[..., None]) -> None:
    bounded(every=2)
    start(), start("inner")
    with pytest.raises(Overloaded, match=r"there are 2 runs that wait to be begun, and the limit is 2 \(ORCHESTRA_MOST_QUEUED\)"):
        start()


def test_a_start_that_was_delivered_before_is_the_run_that_there_is(bounded: Callable[..., None]) -> None:
    bounded(pipeline=1)
    first = start(idempotency_key="nightly")
    again = start(idempotency_key="nightly")
    assert (again.id, again.found_again) == (first.id, True)
    with pytest.raises(TooManyQueued):
        start(idempotency_key="another")


def test_a_run_that_has_begun_makes_room(bounded: Callable[..., None]) -> None:
    bounded(pipeline=1)
    run = start()
    assert pipelines.drive(run)["outcome"] == "verified"
    assert start().state == "queued"


def test_child_runs_are_never_refused(bounded: Callable[..., None]) -> None:
    run = start()
    bounded(pipeline=1, team=1, every=1)
    assert pipelines.drive(run)["outcome"] == "verified"
    assert families.child_of(run).outcome == "verified"


def test_a_second_judgement_wants_room_like_any_start(bounded: Callable[..., None]) -> None:
    run = start()
    pipelines.drive(run)
    start()
    bounded(pipeline=1)
    with pytest.raises(TooManyQueued):
        services.reverify(run=str(run.id), actor=pipelines.SYSTEM)
    assert Run.objects.filter(reverifies=run).count() == 0


def test_rest_says_429_or_503_and_when_to_try_again(bounded: Callable[..., None], alice: User) -> None:
    registry.add_member("platform", "alice", actor=pipelines.SYSTEM)
    caller = Caller.of(alice)
    start()
    for bound, status, code in (("pipeline", 429, "too-many-queued"), ("every", 503, "overloaded")):
        bounded(**{bound: 1})
        answer = caller.post("/runs/", {"pipeline": "sample", "input": {"n": 1}})
        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (status, code, "10")


def test_the_command_ends_as_one_that_may_succeed_later(bounded: Callable[..., None]) -> None:
    bounded(pipeline=1)
    start()
    said = typed("runpipeline", "sample", "--input", "n=1", "--queue")
    assert (said.status, "the limit is 1 (ORCHESTRA_MOST_QUEUED_OF_PIPELINE)" in said.err) == (75, True)


def test_the_admin_says_so_on_the_form(bounded: Callable[..., None], alice: User) -> None:
    registry.add_member("platform", "alice", actor=pipelines.SYSTEM)
    User.objects.filter(username="alice").update(is_staff=True)
    bounded(pipeline=1)
    start()
    pipeline = Pipeline.objects.get(name="sample")
    page = signed_in("alice").post(f"/admin/runs/run/start/{pipeline.pk}/", {"input": '{"n": 1}', "key": "k1"}, follow=True).content.decode()
    assert "ORCHESTRA_MOST_QUEUED_OF_PIPELINE" in page
    assert Run.objects.count() == 1


def test_many_at_once_never_pass_the_bound(bounded: Callable[..., None]) -> None:
    bounded(pipeline=5)
    started, refused = at_once(12, start)
    assert (len(started), len(refused), Run.objects.count()) == (5, 7, 5)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_the_last_places_are_given_one_after_the_other() -> None:
    """Whoever counts waits for whoever counted before and has yet to commit."""
    pipeline, bounds = Pipeline.objects.select_related("team").get(name="sample"), room.Bounds(5, 5, 5)
    order: list[str] = []
    counted, go = threading.Event(), threading.Event()

    def first() -> None:
        with transaction.atomic():
            room.refuse_beyond(pipeline, bounds)
            counted.set()
            go.wait(10)
            order.append("first")
        connections.close_all()

    def second() -> None:
        counted.wait(10)
        with transaction.atomic():
            room.refuse_beyond(pipeline, bounds)
            order.append("second")
        connections.close_all()

    threads = [threading.Thread(target=each) for each in (first, second)]
    for thread in threads:
        thread.start()
    counted.wait(10)
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with connection.cursor() as cursor:
        while True:
            cursor.execute(waits)
            if cursor.fetchone()[0]:
                break
    go.set()
    for thread in threads:
        thread.join(20)
    assert order == ["first", "second"]


def at_once(count: int, what: Callable[[], Run]) -> tuple[list[Run], list[Exception]]:
    started: list[Run] = []
    refused: list[Exception] = []
    ready = threading.Barrier(count)

    def one() -> None:
        ready.wait(20)
        try:
            started.append(what())
        except TooManyQueued as error:
            refused.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return started, refused


def test_the_counts_go_no_further_than_the_bounds() -> None:
    for _ in range(4):
        start()
    pipeline = Pipeline.objects.select_related("team").get(name="sample")
    assert room._counted(pipeline, room.Bounds(2, 3, 9)) == [2, 3, 4]


def test_far_from_the_bound_not_every_start_is_counted() -> None:
    """On SQLite each is: it takes a few microseconds there."""
    pipeline, bounds = Pipeline.objects.select_related("team").get(name="sample"), room.Bounds(10_000, 20_000, 30_000)
    with CaptureQueriesContext(connection) as asked:
        for _ in range(2 * (room.AHEAD + 1)):
            room.refuse_beyond(pipeline, bounds)
    assert len(asked) == (2 if connection.vendor == "postgresql" else 2 * (room.AHEAD + 1))


def test_what_is_given_ahead_is_bounded_however_many_pipelines_there_are() -> None:
    ahead, bounds = room._Ahead(), room.Bounds(1, 1, 1)
    keys = [(new_id(), bounds) for _ in range(2 * room.PIPELINES_AHEAD)]
    for key in keys:
        ahead.gives(key)
    taken = sum(ahead.takes(key, 1) for key in keys for _ in range(2 * room.AHEAD))
    assert taken == room.AHEAD * room.PIPELINES_AHEAD < room.LAST / 15


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    connections.close_all()
