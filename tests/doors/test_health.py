"""What is seen from outside: probes that tell nobody anything, and outcomes and figures for whoever may see them."""

import re
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit import clock
from audit.actors import Actor
from orchestra_site import env
from orchestra_site.health import probes
from orchestra_site.tokens import create_token
from runs.engine.states import WaitKind
from runs.models import Engine, Kind, Run, Wait
from runs.services.health import FAILING
from runs.sweeps import ENGINES_KEPT, sweep
from tests import pipelines, waiting
from tests.doors import world
from tests.doors.watching import TOKEN, another, live, of, samples, shown

# --- probes ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_process_that_lives_says_so_without_its_database_and_to_whatever_name_it_is_asked_by() -> None:
    with CaptureQueriesContext(connection) as queries:
        answer = Client().get("/healthz", headers={"Host": "10.0.0.7:8000"})
    assert (answer.status_code, answer.json(), len(queries)) == (200, {"alive": True}, 0)


@pytest.fixture
def readiness(monkeypatch: pytest.MonkeyPatch) -> probes.Readiness:
    one = probes.Readiness()
    monkeypatch.setattr(probes, "KEPT_S", 0.0)
    return one


@pytest.mark.django_db
def test_a_process_with_its_database_is_ready_and_asks_it_only_now_and_then() -> None:
    client = Client()
    assert (client.get("/readyz").status_code, client.get("/readyz").json()) == (200, {"ready": True})
    with CaptureQueriesContext(connection) as queries:
        client.get("/readyz")
    assert len(queries) == 0


@pytest.mark.django_db
def test_a_process_before_a_migration_is_not_ready(readiness: probes.Readiness) -> None:
    MigrationRecorder(connection).record_unapplied("runs", "0001_runs")
    assert readiness.why_not() == "1 migrations are not applied: run manage.py migrate"
    MigrationRecorder(connection).record_applied("runs", "0001_runs")
    assert readiness.why_not() is None


@pytest.mark.django_db
def test_while_nobody_hears_from_the_database_it_is_not_ready_for_long(readiness: probes.Readiness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "KEPT_S", 0.0)
    assert readiness.why_not() is None
    entered, answers = threading.Event(), threading.Event()

    def hangs() -> str | None:
        entered.set()
        answers.wait(20)
        return None

    monkeypatch.setattr(readiness, "_look", hangs)
    looker = threading.Thread(target=readiness.why_not)
    looker.start()
    assert entered.wait(20) and readiness.why_not() is None  # for some seconds the answer before
    monkeypatch.setattr(probes, "HANGS_S", 0.0)
    assert readiness.why_not() == "the database doesn't answer"
    answers.set()
    looker.join(20)
    monkeypatch.setattr(probes, "HANGS_S", 5.0)
    assert readiness.why_not() is None


@pytest.mark.django_db
def test_why_it_is_not_ready_names_no_host(readiness: probes.Readiness, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> None:
        raise DatabaseError("connection to server at db.internal failed for user orchestra")

    monkeypatch.setattr(MigrationRecorder, "applied_migrations", broken)
    assert readiness.why_not() == "the database can't be reached"


# --- who may ask -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/health/outcomes", "/metrics"])
def test_strangers_are_shown_nothing(both: tuple[Run, Run], asks: Client, path: str) -> None:
    for token in (None, "x" * 40, f"{TOKEN}x", "orc_" + "a" * 60):
        answer = shown(asks, path, token)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert b"sample" not in answer.content and b"secret" not in answer.content


def test_without_a_token_of_its_own_the_installation_has_none(both: tuple[Run, Run], asks: Client, settings: Any) -> None:
    settings.ORCHESTRA_MONITOR_TOKEN = None
    for said in ("None", "", " "):
        assert shown(asks, "/metrics", said).status_code == 401


def test_the_monitors_token_opens_nothing_else(both: tuple[Run, Run], asks: Client) -> None:
    assert shown(asks, "/health/outcomes", TOKEN).status_code == 200
    assert shown(asks, "/api/v1/runs/", TOKEN).status_code == 401


@pytest.mark.parametrize(("person", "names"), [("alice", {"sample"}), ("bob", {"sample"}), ("charlie", set()), ("dora", {"sample", "secret"})])
def test_people_are_shown_their_pipelines_and_figures_only_who_sees_all(both: tuple[Run, Run], asks: Client, person: str, names: set[str]) -> None:
    client = world.people()[person]
    token = create_token(person, actor=Actor.system("test")).text
    for answer in (client.get("/health/outcomes"), shown(asks, "/health/outcomes", token)):
        assert {one["pipeline"] for one in answer.json()["pipelines"]} == names
    assert client.get("/metrics").status_code == shown(asks, "/metrics", token).status_code == (200 if person == "dora" else 403)


def test_whoever_may_no_longer_sign_in_is_a_stranger(both: tuple[Run, Run], asks: Client) -> None:
    world.people()
    token = create_token("dora", actor=Actor.system("test")).text
    User.objects.filter(username="dora").update(is_active=False)
    assert shown(asks, "/metrics", token).status_code == 401


def test_nothing_is_changed_by_asking(asks: Client) -> None:
    assert asks.post("/metrics").status_code == asks.delete("/health/outcomes").status_code == 405


@pytest.mark.parametrize("text", ["short", "x" * 31, "x" * 201, "x" * 20 + " " + "x" * 20, "ü" * 40])
def test_an_odd_token_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ORCHESTRA_TEST_VALUE", text)
    with pytest.raises(env.OddSetting) as refused:
        env.token("ORCHESTRA_TEST_VALUE")
    assert text not in str(refused.value)


def test_bad_news_that_was_asked_for_is_no_error_in_the_log(both: tuple[Run, Run], asks: Client, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(FAILING):
        another(both[0], age_s=-number - 1, outcome="rejected")
    assert of(asks)[0] == 503 and not caplog.records
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "KEPT_S", 0.0)
        patch.setattr(MigrationRecorder, "applied_migrations", lambda _: {})  # not the table itself: no test's end would bring its row back
        assert Client().get("/readyz").status_code == 503 and not caplog.records
    assert asks.get("/health/nothing").status_code == 404 and [record.name for record in caplog.records] == ["django.request"]


# --- figures ---------------------------------------------------------------------------------------------------------


def test_figures_are_read_from_the_rows_when_they_are_asked_for(both: tuple[Run, Run], asks: Client) -> None:
    another(both[0], age_s=30, outcome="failed")
    another(both[0], age_s=2 * 24 * 3600, outcome="failed")
    live(both[1], age_s=40, left_s=600)
    found = samples(asks)
    assert found["runs_last_day", ("sample", "verified")] == found["runs_last_day", ("failed", "sample")] == 1
    assert found["runs_live", ("queued",)] == 1
    assert 40 <= found["ready_oldest_age_seconds", ()] < 100
    assert found["pipeline_healthy", ("red", "secret")] == 1
    assert found["pipeline_verified_age_seconds", ("platform", "sample")] >= 0


def test_what_runs_wait_for_is_told_by_kind(transactional_db: None, tmp_path: Path, asks: Client) -> None:
    """Also a call whose fate nobody knows, whose run is at work no more."""
    waiting.for_a_signal(tmp_path / "signal")
    run = waiting.for_a_person(tmp_path / "person")
    Wait.objects.filter(run=run).update(opened_at=clock.now() - timedelta(seconds=90))
    found = samples(asks)
    assert {kind: found["waits", (kind,)] for kind in WaitKind} == {kind: float(kind in ("signal", "unresolved")) for kind in WaitKind}
    assert found["calls", ("unresolved",)] == 1
    assert 90 <= found["wait_oldest_age_seconds", ("unresolved",)] < 150 and ("wait_oldest_age_seconds", ("timer",)) not in found


def engine(*, beat_s: float, **more: Any) -> Engine:
    """An engine that was heard of so many seconds ago."""
    now = clock.now()
    counts = {"runs": 4, "transitions": 9, "batches": {"1": 2, "2": 0, "8": 1}}
    row = {"host": "h", "pid": 1, "started_at": now - timedelta(days=3), "beat_at": now - timedelta(seconds=beat_s), "counts": counts}
    return Engine.objects.create(**{"id": uuid4(), **row, **more})


def test_engines_say_what_they_commit_and_whether_they_are_there(db: None, asks: Client) -> None:
    one = str(engine(beat_s=0, driving=3, swept_at=clock.now() - timedelta(seconds=7)).id)
    engine(beat_s=3600)
    engine(beat_s=0, kind=Kind.QUEUE)
    found = samples(asks)
    assert (found["processes_alive", ("engine",)], found["processes_alive", ("queue",)], found["processes_silent", ("engine",)]) == (1, 1, 1)
    assert (found["runs_driven", ()], found["runs_taken_total", (one,)]) == (3, 4)
    assert 7 <= found["sweep_age_seconds", ()] < 60
    buckets = {bound: value for (name, labels), value in found.items() if name == "commit_transitions_bucket" for bound in {*labels} - {one}}
    assert buckets == {"1.0": 2, "2.0": 2, "8.0": 3, "+Inf": 3}
    assert (found["commit_transitions_sum", (one,)], found["commit_transitions_count", (one,)]) == (9, 3)


def test_no_counter_falls_when_an_engine_leaves_and_is_forgotten(db: None, asks: Client) -> None:
    stays, leaves = engine(beat_s=0), engine(beat_s=0)
    before = samples(asks)
    Engine.objects.filter(id=stays.id).update(counts={"runs": 5, "transitions": 10, "batches": {"1": 3, "2": 0, "8": 1}})
    Engine.objects.filter(id=leaves.id).update(stopped_at=clock.now())
    left = samples(asks)
    Engine.objects.filter(id=leaves.id).update(beat_at=clock.now() - ENGINES_KEPT - timedelta(seconds=1))
    sweep()
    after = samples(asks)
    assert not Engine.objects.filter(id=leaves.id).exists()
    for earlier, later in ((before, left), (left, after)):
        counted = {key for key in earlier.keys() & later.keys() if re.search(r"_(total|bucket|sum|count)$", key[0])}
        assert counted and not [key for key in counted if later[key] < earlier[key]]
    assert before["runs_taken_total", (str(leaves.id),)] == left["runs_taken_total", (str(leaves.id),)] == 4  # as long as a scrape may take
    assert ("runs_taken_total", (str(leaves.id),)) not in after


def test_a_process_that_drives_one_run_makes_no_series_of_its_own(db: None, asks: Client) -> None:
    engine(beat_s=0, serves_all=False)
    engine(beat_s=3600)
    assert not [name for name, labels in samples(asks) if name.startswith(("runs_taken", "commit_transitions"))]


def test_an_engine_at_work_is_seen_among_many_that_have_come_and_gone(db: None, asks: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.services.figures.MOST_PROCESSES", 2)
    engine(beat_s=0)
    for _ in range(3):
        engine(beat_s=60, started_at=clock.now() - timedelta(seconds=90), stopped_at=clock.now())
    assert samples(asks)["processes_alive", ("engine",)] == 1


def test_an_engine_at_work_counts_what_it_does(transactional_db: None, tmp_path: Path) -> None:
    world.platform(tmp_path)
    run = pipelines.start()
    pipelines.drive(run)
    said = Engine.objects.get()
    assert (said.counts["runs"], said.driving) == (1, 0)
    assert said.counts["transitions"] == sum(int(size) * number for size, number in said.counts["batches"].items()) > 0


def test_a_pipeline_too_many_is_counted_with_the_others(both: tuple[Run, Run], asks: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestra_site.health.metrics.MOST_PIPELINES", 1)
    found = samples(asks)
    assert ("runs_last_day", ("sample", "verified")) in found
    assert found["runs_last_day", ("(others)", "verified")] == found["pipelines_unnamed", ()] == 1
    assert not any("secret" in labels for _, labels in found)
