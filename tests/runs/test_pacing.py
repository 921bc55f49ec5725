"""An agent's rate and breaker over all of its runs: read from rows, kept by every engine, live like permissions."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from agents import registry
from agents.models import Agent
from audit import clock
from audit.models import Entry
from runs import performers
from runs.models import Call, Run
from tests import feeds, pipelines
from tests.pipelines import agent
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)
Publish = Callable[..., None]

WORK = """
import orchestra

def run(how: str = "", url: str = "", **_) -> dict:
    if url:
        orchestra.call("fetch", {"url": url})
    if how == "missing":
        raise orchestra.Failure("missing", "nothing there")
    if how:
        raise ValueError(how)
    return {"ok": True}

def other(**_) -> dict:
    return {"other": True}
"""
ONE = "- {id: work, agent: worker, with: {how: =input.how}}"
BOTH = "- {id: both, parallel: {a: [{id: left, agent: worker}], b: [{id: right, agent: worker}]}, min_success: any, on_failure: degrade}"


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    def published(pace: str, *, steps: str = ONE, more: str = "") -> None:
        agents = [agent("worker", "work:run", more=f"{pace}\n{more}"), agent("stand-in", "work:other")]
        pipelines.publish(tmp_path / "p", functions=WORK, agents=agents, steps=steps)

    return published


def ran(how: str = "") -> dict[str, Any]:
    return pipelines.run(input={"how": how})


def failed(said: dict[str, Any]) -> tuple[str, str]:
    return said["failure"]["cause"], said["failure"]["owner"]


def later(hours: int) -> None:
    """Time passes for all calls made so far."""
    span = timedelta(hours=hours)
    Call.objects.update(dispatched_at=F("dispatched_at") - span, settled_at=F("settled_at") - span)


# --- rate ----------------------------------------------------------------------------------------------------------


def test_a_call_beyond_the_rate_is_refused_in_whichever_run_and_process_it_is_made(
    publish: Publish, shell_environment: dict[str, str], project_folder: Path
) -> None:
    publish("rate: 2/24h")
    argv = [sys.executable, "manage.py", "runpipeline", "sample", "--input", "how="]
    subprocess.run(argv, cwd=project_folder, env=shell_environment, capture_output=True, check=True)
    assert ran()["outcome"] == "verified"
    done = typed("runpipeline", "sample", "--input", "how=", "--json")
    assert (done.status, failed(done.document)) == (12, ("rate", "agent:worker"))
    fits_at = Call.objects.filter(agent="worker").order_by("dispatched_at")[0].dispatched_at + timedelta(hours=24)
    assert (
        f"made 2 calls in the last 1d over all runs, and its rate is 2/1d; the next one fits at {clock.to_text(fits_at)}"
        in (done.document["failure"]["message"])
    )
    assert not Call.objects.filter(run=done.run, agent="worker").exists()
    later(hours=24)
    assert ran()["outcome"] == "verified"


def test_parallel_steps_of_one_run_share_the_rate(publish: Publish) -> None:
    publish("rate: 1/24h", steps=BOTH)
    said = ran()
    assert (said["outcome"], [part["cause"] for part in said["missing"]]) == ("degraded", ["rate"])
    assert Call.objects.filter(agent="worker").count() == 1


def test_a_declared_retry_waits_until_the_rate_lets_it_through(publish: Publish) -> None:
    publish("rate: 1/1s", steps=f"{ONE[:-1]}, retry: {{max: 9, backoff: 400ms}}}}\n- {{id: more, agent: worker, retry: {{max: 9, backoff: 400ms}}}}")
    said = ran()
    assert said["outcome"] == "verified"
    assert Call.objects.filter(agent="worker").count() == 2


def test_fetches_count_too_and_a_function_may_hear_that_one_was_refused(publish: Publish) -> None:
    with feeds.feed() as feed:
        publish(
            "rate: 1/24h",
            steps="- {id: work, agent: worker, with: {url: =input.url}}",
            more=f'permissions: ["allow read network:{feed.endpoint}"]',
        )
        said = pipelines.run(input={"url": f"{feed.url}/a"})
        assert (failed(said), feed.paths) == (("rate", "agent:worker"), [])


def test_a_rate_holds_for_runs_at_work_once_it_is_published_and_no_more_once_it_is_rolled_back(publish: Publish) -> None:
    publish("")
    publish("rate: 1/24h")
    assert [ran()["outcome"], failed(ran())[0]] == ["verified", "rate"]
    registry.rollback("worker", actor=pipelines.SYSTEM)
    assert Agent.objects.get(name="worker").pace == {}
    assert ran()["outcome"] == "verified"
    facts = [entry.envelope()["facts"] for entry in Entry.objects.filter(verb="agents.agent.paced").order_by("at", "id")]
    rate = {"rate": {"calls": 1, "window_ms": 86_400_000}}
    assert facts == [{"before": {}, "now": rate}, {"before": rate, "now": {}}]


def test_a_draft_changes_nothing_of_the_rate_in_force(publish: Publish, tmp_path: Path) -> None:
    publish("rate: 1/24h")
    file = tmp_path / "p" / "pipeline.yaml"
    file.write_text(file.read_text().replace("rate: 1/24h", "rate: 500/24h"))
    applied = registry.apply_folder(tmp_path / "p", actor=pipelines.SYSTEM)
    assert [field.path for change in applied.changes for field in change.fields] == ["rate.calls"]
    assert [ran()["outcome"], failed(ran())[0]] == ["verified", "rate"]


def test_a_pace_in_force_that_cannot_be_read_lets_nothing_through(publish: Publish) -> None:
    publish("rate: 5/24h")
    Agent.objects.filter(name="worker").update(pace={"rate": "fast"})
    said = ran()
    assert failed(said) == ("denied", "agent:worker")
    assert "can't be read" in said["failure"]["message"]


# --- breaker -------------------------------------------------------------------------------------------------------

BREAKER = "breaker: {failures: 2, rest: 10h}"


def test_after_so_many_failures_in_a_row_nothing_is_sent_until_the_breaker_has_rested(publish: Publish) -> None:
    publish(BREAKER)
    assert [failed(ran("bad"))[0] for _ in range(2)] == ["exception"] * 2
    done = typed("runpipeline", "sample", "--input", "how=", "--json")
    assert (done.status, failed(done.document), done.document["calls"]) == (12, ("breaker", "agent:worker"), 0)
    last = Call.objects.filter(agent="worker").latest("settled_at").settled_at
    assert last is not None
    message = done.document["failure"]["message"]
    assert f"the last 2 calls of 'worker' have failed, the last one at {clock.to_text(last)}; its breaker rests for 10h" in message
    assert f"until {clock.to_text(last + timedelta(hours=10))}" in message


def test_a_trial_that_succeeds_closes_it_and_one_that_fails_lets_it_rest_again(publish: Publish) -> None:
    publish(BREAKER)
    for how in ("bad", "bad"):
        ran(how)
    later(hours=11)
    assert [failed(ran("bad"))[0], failed(ran())[0]] == ["exception", "breaker"]
    later(hours=11)
    assert [ran()["outcome"], failed(ran("bad"))[0], ran()["outcome"]] == ["verified", "exception", "verified"]


def test_after_its_rest_one_goes_through_and_no_other_beside_it(publish: Publish) -> None:
    publish(BREAKER, steps=ONE)
    for how in ("bad", "bad"):
        ran(how)
    later(hours=11)
    publish(BREAKER, steps=BOTH)
    said = ran()
    assert (said["outcome"], [part["cause"] for part in said["missing"]]) == ("degraded", ["breaker"])
    assert "one call is out to try it again" in said["missing"][0]["message"]


def test_a_trial_of_another_process_is_seen(publish: Publish) -> None:
    publish(BREAKER)
    for how in ("bad", "bad"):
        ran(how)
    later(hours=11)
    newest = Call.objects.filter(agent="worker").latest("dispatched_at")
    newest.pk, newest.id, newest.state, newest.settled_at = "o1_other", Run.objects.latest("created_at").id, "dispatched", None
    newest.dispatched_at, newest.not_after, newest.cause = clock.now(), clock.now() + timedelta(hours=1), ""
    newest.save(force_insert=True)
    assert failed(ran())[0] == "breaker"
    Call.objects.filter(pk="o1_other").update(not_after=clock.now())  # its time is up: nobody waits for it any more
    assert ran()["outcome"] == "verified"


@pytest.mark.parametrize("between", ["", "missing"])
def test_an_answer_between_two_failures_and_what_is_wrong_with_the_data_does_not_trip_it(publish: Publish, between: str) -> None:
    publish(BREAKER)
    for how in ("bad", between, "bad"):
        ran(how)
    assert ran()["outcome"] == "verified"


def test_refusals_by_the_boundary_neither_trip_nor_mend_it(publish: Publish) -> None:
    publish(BREAKER)
    ran("bad")
    registry.suspend("worker", actor=pipelines.SYSTEM, reason="test")
    assert [ran()["state"] for _ in range(3)] == ["waiting"] * 3
    registry.resume("worker", actor=pipelines.SYSTEM)
    assert failed(ran("bad"))[0] == "exception"
    assert failed(ran())[0] == "breaker"


def test_an_open_breaker_is_not_retried_and_goes_to_the_fallback_at_once(publish: Publish) -> None:
    publish(BREAKER)
    for how in ("bad", "bad"):
        ran(how)
    publish(BREAKER, steps=f"{ONE[:-1]}, retry: {{max: 5, backoff: 1h}}, fallback: stand-in}}")
    said = ran()
    assert (said["outcome"], said["result"]) == ("verified", {"other": True})


# --- what it costs -------------------------------------------------------------------------------------------------


def test_agents_without_a_pace_cost_no_query_more(publish: Publish) -> None:
    publish("")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        performers.standings(["worker", "stand-in", "judge"])
    assert len(queries) == 1
    publish("rate: 2/24h\nbreaker: {failures: 2, rest: 1h}")
    with CaptureQueriesContext(connection) as queries:
        performers.standings(["worker", "stand-in", "judge"])
    assert len(queries) == 3
