"""Whether pipelines give verified results, as whoever asks from outside is told."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit import clock
from orchestra_site.health.metrics import COLLECTOR
from runs.engine.states import SPREAD
from runs.models import Run
from runs.services import health
from runs.services.health import FAILING, NEWEST
from tests.doors.watching import TOKEN, another, live, of, samples, shown


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
    for number in range(NEWEST + 5):
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


# --- among many ------------------------------------------------------------------------------------------------------

Makes = Callable[[Run, int], Run]
SILENT: dict[str, Makes] = {
    "draft": lambda run, number: another(run, age_s=-number, outcome="unverified", draft=True),
    "cancelled": lambda run, number: another(run, age_s=-number, outcome="cancelled"),
    "second judgement": lambda run, number: another(run, age_s=-number, outcome="verified", reverifies=run),
    "share of a loop": lambda run, number: another(run, age_s=-number, outcome="unverified", trigger=SPREAD),
    "live": lambda run, number: live(run, age_s=-number, left_s=600),
}


@pytest.mark.parametrize("kind", SILENT)
def test_failures_are_seen_behind_any_number_of_runs_that_say_nothing(both: tuple[Run, Run], asks: Client, kind: str) -> None:
    for number in range(FAILING):
        another(both[0], age_s=-number - 1, outcome="failed")
    for number in range(NEWEST + 1):
        SILENT[kind](both[0], 100 + number)
    status, said = of(asks)
    assert (status, said["last_outcome"], said["failing_in_a_row"]) == (503, "failed", FAILING)
    assert said["verified_at"] == clock.to_text(both[0].finished_at)  # type: ignore[arg-type]
    assert samples(asks)["pipeline_healthy", ("platform", "sample")] == 0


def test_a_verified_run_is_seen_behind_second_judgements_of_a_pipeline_that_fails(both: tuple[Run, Run], asks: Client) -> None:
    for number in range(NEWEST):
        another(both[0], age_s=-number - 1, outcome="failed")
    for number in range(2 * NEWEST + 1):
        another(both[0], age_s=-100 - number, outcome="verified", reverifies=both[0])
    assert of(asks)[1]["verified_at"] == clock.to_text(both[0].finished_at)  # type: ignore[arg-type]


def test_a_run_past_its_deadline_that_nobody_has_ended_is_among_the_failed_ones(both: tuple[Run, Run], asks: Client) -> None:
    Run.objects.filter(id=both[0].id).update(finished_at=F("finished_at") - timedelta(hours=1))
    for number in range(FAILING):
        live(both[0], age_s=30 - number, left_s=-1)
    live(both[0], age_s=1, left_s=600)
    status, said = of(asks)
    assert (status, said["last_outcome"], said["failing_in_a_row"], said["overdue"]) == (503, "failed", FAILING, 0)


def test_what_ended_last_is_the_news_whatever_began_before_it(both: tuple[Run, Run], asks: Client) -> None:
    long = another(both[0], age_s=-1, outcome="verified")
    Run.objects.filter(id=long.id).update(created_at=F("created_at") - timedelta(hours=1))
    for number in range(FAILING):
        another(both[0], age_s=number + 1, outcome="failed")
    said = of(asks)[1]
    assert (said["healthy"], said["last_outcome"], said["failing_in_a_row"]) == (True, "verified", 0)


def test_what_is_asked_about_many_runs_is_read_along_the_index_of_those_that_count(both: tuple[Run, Run], asks: Client) -> None:
    for number in range(NEWEST):
        another(both[0], age_s=-number - 1, outcome="failed")
    with CaptureQueriesContext(connection) as asked:
        of(asks)
    found = [plan_of(each["sql"]) for each in asked.captured_queries if "finished_at DESC" in each["sql"] and "LIMIT" in each["sql"]]
    assert [re.findall(r"run_(?:counts|good|of_\w+|newest)", plan) for plan in found] == [["run_counts"], ["run_good"]], found
    assert not any(re.search(r"SCAN runs_run|Seq Scan on runs_run", plan) for plan in found), found


def plan_of(sql: str) -> str:
    """By a planner that knows the rows that there are, and that sorts and reads whole tables only where there is no other way: a table of thirty rows
    is worth no index."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # it does so by itself, at a moment that nobody knows, of the rows that another test had
            cursor.execute("ANALYZE runs_run")
        ways = ("seqscan", "sort", "bitmapscan") if connection.vendor == "postgresql" else ()
        for way in ways:
            cursor.execute(f"SET enable_{way} = off")
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}".replace("%", "%%"))
        plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
        for way in ways:
            cursor.execute(f"RESET enable_{way}")
    return plan


# --- what the ledger says --------------------------------------------------------------------------------------------


def changed(run: Run, **columns: Any) -> None:
    """By whoever can write to the database."""
    assert Run.objects.filter(id=run.id).update(**columns) == 1


def test_a_run_whose_row_was_changed_is_no_verified_result(both: tuple[Run, Run], asks: Client) -> None:
    for number in range(FAILING):
        changed(another(both[0], age_s=-number - 1, outcome="rejected"), outcome="verified")
    status, said = of(asks)
    assert (status, said["last_outcome"], said["failing_in_a_row"]) == (503, "broken", FAILING)
    assert said["verified_at"] == clock.to_text(both[0].finished_at)  # type: ignore[arg-type]
    assert samples(asks)["pipeline_healthy", ("platform", "sample")] == 0


def test_a_verified_run_whose_result_was_changed_is_none_either(both: tuple[Run, Run], asks: Client) -> None:
    changed(both[0], result_digest="0" * 64)
    said = of(asks)[1]
    assert (said["last_outcome"], said["failing_in_a_row"], said["verified_at"]) == ("broken", 1, None)
    assert ("pipeline_verified_age_seconds", ("platform", "sample")) not in samples(asks)


def test_a_failed_run_whose_row_was_changed_reads_broken_as_everywhere(both: tuple[Run, Run], asks: Client) -> None:
    changed(another(both[0], age_s=-1, outcome="failed"), outcome="rejected")
    assert of(asks)[1]["last_outcome"] == "broken"


def test_the_last_verified_run_is_looked_for_behind_changed_ones(both: tuple[Run, Run], asks: Client) -> None:
    for number in range(NEWEST + 1):
        changed(another(both[0], age_s=-number - 1, outcome="failed"), outcome="verified")
    said = of(asks)[1]
    assert (said["failing_in_a_row"], said["verified_at"]) == (NEWEST, clock.to_text(both[0].finished_at))  # type: ignore[arg-type]


def test_what_a_check_has_found_broken_counts_however_its_row_reads(both: tuple[Run, Run], asks: Client) -> None:
    for number, word in enumerate(("verified", "cancelled", "cancelled")):
        changed(another(both[0], age_s=-number - 1, outcome=word), integrity="broken")
    status, said = of(asks)
    assert (status, said["last_outcome"], said["failing_in_a_row"]) == (503, "broken", 3)
    found = samples(asks)
    assert (found["runs_last_day", ("broken", "sample")], found["runs_last_day", ("sample", "verified")]) == (3, 1)


def test_only_what_has_to_be_known_is_held_against_the_ledger(both: tuple[Run, Run], asks: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[Run] = []
    real = health.integrity_of
    monkeypatch.setattr(health, "integrity_of", lambda runs: held.extend(runs) or real(runs))
    made = [another(both[0], age_s=-number - 1, outcome=word) for number, word in enumerate(("verified", "verified", "failed", "failed"))]
    of(asks)
    assert sorted(run.id for run in held) == sorted([made[3].id, made[1].id, both[1].id])  # the newest of each, and its newest claim


def test_the_number_of_queries_depends_on_no_number_of_runs(both: tuple[Run, Run], asks: Client) -> None:
    def asked(path: str) -> int:
        COLLECTOR.forget()
        with CaptureQueriesContext(connection) as queries:
            shown(asks, path, TOKEN)
        return len(queries)

    few = asked("/health/outcomes"), asked("/metrics")
    for number in range(3 * NEWEST):
        another(both[0], age_s=number + 1, outcome=("failed", "verified")[number % 2])
    assert (asked("/health/outcomes"), asked("/metrics")) == few
    for number in range(NEWEST):
        another(both[0], age_s=-number - 1, outcome="failed")
    late = asked("/health/outcomes"), asked("/metrics")
    assert late == (few[0] + 3, few[1] + 3)  # the last verified one is looked for further back, and held against the ledger
    for number in range(NEWEST):
        another(both[0], age_s=-100 - number, outcome="failed")
    assert (asked("/health/outcomes"), asked("/metrics")) == late
