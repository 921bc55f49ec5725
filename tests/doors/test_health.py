"""What is seen from outside: probes that tell nobody anything, and outcomes and figures for whoever may see them."""

import copy
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
from prometheus_client.parser import text_string_to_metric_families

from audit import clock
from audit.actors import Actor
from audit.identity import new_id
from orchestra_site import env
from orchestra_site.health import probes
from orchestra_site.health.metrics import COLLECTOR
from orchestra_site.tokens import create_token
from runs.models import Engine, Kind, Run
from runs.services.health import FAILING
from tests import pipelines
from tests.doors import world

TOKEN = "only-for-monitoring-only-for-monitoring"


@pytest.fixture
def asks(settings: Any) -> Client:
    """Somebody who has nothing but what a request says."""
    settings.ORCHESTRA_MONITOR_TOKEN = TOKEN
    COLLECTOR.forget()
    return Client()


def shown(client: Client, path: str, token: str | None = None) -> Any:
    return client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {})


def another(run: Run, *, age_s: float, **changed: Any) -> Run:
    """A row like this one, so much older."""
    row = copy.copy(run)
    row.pk, row._state.adding, age = new_id(), True, timedelta(seconds=age_s)
    for name in ("created_at", "started_at", "finished_at", "deadline_at"):
        at = getattr(run, name)
        setattr(row, name, None if at is None else at - age)
    for name, value in changed.items():
        setattr(row, name, value)
    row.save(force_insert=True)
    return row


def live(run: Run, *, age_s: float, left_s: float) -> Run:
    made = clock.now() - timedelta(seconds=age_s)
    deadline = clock.now() + timedelta(seconds=left_s)
    unclaimed = {"state": "queued", "outcome": None, "started_at": None, "finished_at": None, "lease_owner": None, "lease_until": None}
    return another(run, age_s=0, created_at=made, deadline_at=deadline, **unclaimed)


@pytest.fixture
def both(transactional_db: None, tmp_path: Path) -> tuple[Run, Run]:
    """A verified run of team platform, and one of team red."""
    found = world.runs_of_both(tmp_path)
    for run in found:
        run.refresh_from_db()
    return found


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


# --- outcomes --------------------------------------------------------------------------------------------------------


def of(asks: Client, name: str = "sample") -> tuple[int, dict[str, Any]]:
    answer = shown(asks, "/health/outcomes", TOKEN)
    return answer.status_code, next(one for one in answer.json()["pipelines"] if one["pipeline"] == name)


def test_a_pipeline_with_a_fresh_verified_result_is_healthy(both: tuple[Run, Run], asks: Client) -> None:
    status, said = of(asks)
    assert (status, said["healthy"], said["last_outcome"], said["failing_in_a_row"]) == (200, True, "verified", 0)
    assert said["verified_age_s"] >= 0


def test_newest_runs_that_all_failed_are_an_alarm_with_the_age_of_the_last_verified_one(both: tuple[Run, Run], asks: Client) -> None:
    run = both[0]
    Run.objects.filter(id=run.id).update(created_at=run.created_at - timedelta(hours=3), finished_at=run.finished_at - timedelta(hours=3))  # type: ignore[operator]
    for number, outcome in enumerate(("failed", "rejected", "unverified")[: FAILING - 1]):
        another(run, age_s=60 * (number + 1), outcome=outcome)
    assert of(asks)[0] == 200
    another(run, age_s=0, outcome="rejected")
    another(run, age_s=-1, outcome="cancelled")
    status, said = of(asks)
    assert (status, said["healthy"], said["last_outcome"], said["failing_in_a_row"]) == (503, False, "rejected", FAILING)
    assert said["verified_age_s"] > 3 * 3600
    assert of(asks, "secret")[1]["healthy"]


def test_the_last_verified_run_is_found_behind_many_failed_ones(both: tuple[Run, Run], asks: Client) -> None:
    run = both[0]
    for number in range(25):
        another(run, age_s=-number - 1, outcome="failed")
    said = of(asks)[1]
    assert (said["failing_in_a_row"], said["verified_at"]) == (20, clock.to_text(run.finished_at))  # type: ignore[arg-type]


def test_runs_of_drafts_and_second_judgements_say_nothing_about_a_pipeline(both: tuple[Run, Run], asks: Client) -> None:
    for number in range(FAILING):
        another(both[0], age_s=-number, outcome="unverified", draft=True)
        another(both[0], age_s=-number, outcome="rejected", reverifies=both[0])
    assert of(asks)[1]["failing_in_a_row"] == 0


def test_a_full_queue_is_an_alarm_and_a_figure(both: tuple[Run, Run], asks: Client, settings: Any) -> None:
    settings.ORCHESTRA_MOST_QUEUED_OF_PIPELINE = 2
    live(both[0], age_s=1, left_s=600)
    assert (of(asks)[0], of(asks)[1]["queued"], of(asks)[1]["most_queued"]) == (200, 1, 2)
    live(both[0], age_s=2, left_s=600)
    status, said = of(asks)
    assert (status, said["why"]) == (
        503,
        ["2 of its runs wait to be begun, as many as may (ORCHESTRA_MOST_QUEUED_OF_PIPELINE): no more can be started"],
    )
    found = samples(asks)
    assert found["pipeline_queued", ("platform", "sample")] == 2
    assert [found["queued_limit", (each,)] for each in ("pipeline", "team", "all")] == [2, 20_000, 50_000]


def test_overdue_and_waiting_runs_are_an_alarm(both: tuple[Run, Run], asks: Client) -> None:
    waiting = live(both[0], age_s=30, left_s=600)
    assert of(asks)[0] == 200
    Run.objects.filter(id=waiting.id).update(created_at=clock.now() - timedelta(minutes=5))
    status, said = of(asks)
    assert (status, said["why"][0][:27]) == (503, "a run waits for a worker si")
    Run.objects.filter(id=waiting.id).update(deadline_at=clock.now() - timedelta(minutes=3))
    status, said = of(asks)
    assert (status, said["overdue"], said["healthy"]) == (503, 1, False)


def test_without_a_database_it_is_an_alarm_that_names_no_host(asks: Client, monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    def broken(**_: Any) -> None:
        raise DatabaseError("connection to server at db.internal failed")

    monkeypatch.setattr("orchestra_site.health.outcomes.pipelines_health", broken)
    answer = shown(asks, "/health/outcomes", TOKEN)
    assert (answer.status_code, answer.json()) == (503, {"detail": "the database can't be reached"})


# --- figures ---------------------------------------------------------------------------------------------------------


def samples(asks: Client) -> dict[tuple[str, tuple[str, ...]], float]:
    COLLECTOR.forget()
    text = shown(asks, "/metrics", TOKEN).content.decode()
    families = text_string_to_metric_families(text)
    return {(one.name.removeprefix("orchestra_"), tuple(sorted(one.labels.values()))): one.value for family in families for one in family.samples}


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


def test_engines_say_what_they_commit_and_whether_they_are_there(db: None, asks: Client) -> None:
    now = clock.now()
    counts = {"runs": 4, "transitions": 9, "batches": {"1": 2, "2": 0, "8": 1}}
    common = {"host": "h", "pid": 1, "started_at": now}
    Engine.objects.create(id=uuid4(), beat_at=now, counts=counts, driving=3, swept_at=now - timedelta(seconds=7), **common)
    Engine.objects.create(id=uuid4(), beat_at=now - timedelta(hours=1), counts=counts, **common)
    Engine.objects.create(id=uuid4(), beat_at=now, kind=Kind.QUEUE, **common)
    found = samples(asks)
    assert (found["processes_alive", ("engine",)], found["processes_alive", ("queue",)], found["processes_silent", ("engine",)]) == (1, 1, 1)
    assert (found["runs_driven", ()], found["runs_taken_total", ()]) == (3, 8)
    assert 7 <= found["sweep_age_seconds", ()] < 60
    buckets = {labels[0]: value for (name, labels), value in found.items() if name == "commit_transitions_bucket"}
    assert buckets == {"1.0": 4, "2.0": 4, "8.0": 6, "+Inf": 6}
    assert found["commit_transitions_sum", ()] == 18


def test_an_engine_at_work_counts_what_it_does(transactional_db: None, tmp_path: Path) -> None:
    world.platform(tmp_path)
    run = pipelines.start()
    pipelines.drive(run)
    said = Engine.objects.get()
    assert (said.counts["runs"], said.driving) == (1, 0)
    assert said.counts["transitions"] == sum(int(size) * number for size, number in said.counts["batches"].items()) > 0


def test_what_is_asked_of_the_database_does_not_grow_with_the_runs(both: tuple[Run, Run], asks: Client) -> None:
    def asked() -> int:
        COLLECTOR.forget()
        with CaptureQueriesContext(connection) as queries:
            shown(asks, "/metrics", TOKEN)
        return len(queries)

    few = asked()
    for number in range(30):
        another(both[number % 2], age_s=number, outcome=("failed", "verified")[number % 2])
    assert asked() <= few + 1  # of a pipeline that has failed for long, the last verified run is looked for further back


def test_a_pipeline_too_many_is_counted_with_the_others(both: tuple[Run, Run], asks: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestra_site.health.metrics.MOST_PIPELINES", 1)
    found = samples(asks)
    assert ("runs_last_day", ("sample", "verified")) in found
    assert found["runs_last_day", ("(others)", "verified")] == found["pipelines_unnamed", ()] == 1
    assert not any("secret" in labels for _, labels in found)
