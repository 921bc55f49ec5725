"""Pages: each row once, in a stable order, at a price that does not depend on how long the list is."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Agent, ModelAlias, Pipeline, Price, Release, Team, Version
from audit import clock, ledger
from audit.actors import Actor
from audit.identity import new_id
from audit.ledger import ChargeDraft, Draft
from audit.models import Entry
from orchestra_site.tokens import create_token
from runs.models import Call, Run, Wait
from tests import factories
from tests.pipelines import SYSTEM
from tests.rest import Caller

pytestmark = pytest.mark.django_db

LISTS = (
    "/teams/",
    "/agents/",
    "/pipelines/",
    "/releases/",
    "/model-aliases/",
    "/runs/",
    "/entries/",
    "/charges/",
    "/tokens/",
    "/people/",
    "/prices/",
)
WAITING = ("/waits/", "/calls/unresolved/")


@pytest.fixture
def caller(alice: User) -> Caller:
    team = Team.objects.create(name="platform", created_at=clock.now())
    team.members.add(alice)
    ModelAlias.objects.create(name="reasoning", team=team, provider="p", model="m", created_at=clock.now())
    alice.user_permissions.add(Permission.objects.get(codename="manage_people"))
    asking = Caller.of(alice)
    asking.get("/me/")  # the first use of a token is noted
    return asking


def grow(count: int, start: int = 0) -> None:
    """Rows of every list that rows can be made for without a run; many at one instant, so that order needs its tie."""
    now, team = clock.now(), Team.objects.get(name="platform")
    for number in range(start, start + count):
        Agent.objects.create(name=f"agent-{number:03}", team=team, role="decide", created_at=now)
        Pipeline.objects.create(name=f"pipeline-{number:03}", team=team, created_at=now)
        create_token("alice", actor=SYSTEM)
        factories.person(f"person-{number:03}")
        price = Price(provider="p", model="m", version=number + 1, valid_from=now, source="test")
        price.input_nano = price.cache_read_nano = price.cache_write_nano = price.output_nano = 1
        price.save()
    drafts = [Draft("agents.agent.created", Actor.system("test"), f"agent:agent-{n:03}", team="platform") for n in range(count)]
    ledger.record(drafts, now=now)
    ledger.charge([ChargeDraft(amount_nano=1, team="platform") for _ in range(count)], now=now)


def _named(item: dict[str, Any]) -> str:
    return str(item.get("id") or item.get("name") or item["version"])


def walked(caller: Caller, path: str) -> list[str]:
    found: list[str] = []
    following: str | None = path
    while following:
        page = caller.get(following).body
        assert len(page["items"]) <= 3
        found += [_named(each) for each in page["items"]]
        following = page["next"]
    return found


@pytest.mark.parametrize("path", ["/agents/", "/pipelines/", "/entries/", "/charges/", "/tokens/", "/people/", "/prices/"])
def test_pages_laid_end_to_end_hold_every_row_once(caller: Caller, path: str) -> None:
    grow(8)
    found = walked(caller, f"{path}?limit=3")
    whole = [_named(each) for each in caller.get(f"{path}?limit=200").body["items"]]
    assert found == whole and len(set(found)) == len(found) >= 8


def test_a_row_that_comes_between_two_pages_shifts_none(caller: Caller) -> None:
    grow(6)
    first = caller.get("/entries/?limit=3").body
    ledger.record([Draft("agents.agent.created", SYSTEM, "agent:old", team="platform", at=clock.now() - timedelta(days=1))], now=clock.now())
    second = caller.get(first["next"]).body
    assert not {each["id"] for each in first["items"]} & {each["id"] for each in second["items"]}
    assert [each["subject"] for each in second["items"]] == [f"agent:agent-{n:03}" for n in range(3, 6)]


def test_the_next_page_keeps_the_filters(caller: Caller) -> None:
    grow(4)
    Agent.objects.filter(name="agent-001").update(role="act")
    first = caller.get("/agents/?role=decide&limit=1&team=platform").body
    assert "role=decide" in first["next"] and "limit=1" in first["next"]
    assert caller.get(first["next"]).body["items"][0]["name"] == "agent-002"


@pytest.mark.parametrize("path", LISTS + WAITING)
def test_a_page_costs_as_many_queries_however_long_the_list_is(caller: Caller, path: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert caller.get(f"{path}?limit=2").status == 200
        assert not [query for query in captured.captured_queries if "COUNT(" in query["sql"] or "OFFSET" in query["sql"]]
        # PostgreSQL is asked for the time only inside a transaction, which a request is not and a test is.
        return sum("clock_timestamp()" not in query["sql"] for query in captured.captured_queries)

    grow(3)
    for number in range(3):
        one_more("platform", number)
    few = queries()
    grow(12, start=3)
    for number in range(3, 9):
        one_more("platform", number)
    assert queries() == few <= 8


@pytest.mark.parametrize(
    ("path", "table", "team"),
    [
        ("/entries/", "audit_entry", "team"),
        ("/charges/", "audit_charge", "team"),
        ("/runs/", "runs_run", "team_id"),
        ("/waits/", "runs_run", "team_id"),
        ("/calls/unresolved/", "runs_run", "team_id"),
    ],
)
def test_what_several_teams_have_is_read_team_by_team_and_laid_in_one_order(alice: User, caller: Caller, path: str, table: str, team: str) -> None:
    Team.objects.create(name="red", created_at=clock.now()).members.add(alice)
    for number in range(4):
        for name in ("platform", "red", "platform"):
            one_more(name, number)
    with CaptureQueriesContext(connection) as captured:
        found = walked(caller, f"{path}?limit=3")
    listed = {"/waits/": "runs_wait", "/calls/unresolved/": "runs_call"}.get(path, table)
    rows = [query["sql"] for query in captured.captured_queries if f'FROM "{listed}"' in query["sql"] and "LIMIT" in query["sql"]]
    assert all(f'"{table}"."{team}" = ' in sql for sql in rows) and len(rows) == 2 * 4
    whole = caller.get(f"{path}?limit=200").body["items"]
    at = {"/runs/": "created_at", "/waits/": "expires_at", "/calls/unresolved/": "settled_at"}.get(path, "at")
    assert found == [each["id"] for each in whole] and len(set(found)) == len(found) == 12
    assert whole == sorted(whole, key=lambda each: (each[at], each["id"]), reverse=path == "/runs/")
    assert {each["team"] for each in whole} == {"platform", "red"}


def test_an_entry_that_comes_late_is_found_as_the_reference_says(caller: Caller) -> None:
    """It lies before the place where a reader of pages has been already."""
    first, late, last = (clock.now().replace(microsecond=number) for number in range(3))
    for at in (first, last):
        ledger.record([Draft("agents.agent.created", Actor.system("test"), "agent:x", team="platform")], now=at)
    page = caller.get("/entries/?limit=1").body
    (newest,) = caller.get(page["next"]).body["items"]
    ledger.record([Draft("agents.agent.created", Actor.system("test"), "agent:late", team="platform")], now=late)

    def since(at: str) -> list[str]:
        return [each["subject"] for each in caller.get(f"/entries/?since={at}").body["items"]]

    assert "agent:late" not in since(newest["at"])
    assert since(page["items"][0]["at"]) == ["agent:x", "agent:late", "agent:x"]
    said = caller.get("/api/v1/schema/").body["paths"]["/api/v1/entries/"]["get"]["description"]
    assert "some minutes before" in said and "/api/v1/runs/{run}/events/" in said


def one_more(team: str, number: int) -> None:
    """An entry, a charge and a run of a team; three of each at one instant."""
    now = clock.now().replace(microsecond=number)
    owner = Team.objects.get(name=team)
    pipeline, _ = Pipeline.objects.get_or_create(name=f"of-{team}", team=owner, defaults={"created_at": now})
    version, _ = Version.objects.get_or_create(pipeline=pipeline, number=1, defaults={"spec": {}, "digest": team, "created_at": now})
    release, _ = Release.objects.get_or_create(digest=team, pipeline=pipeline, version=version, defaults={"manifest": {}, "created_at": now})
    until = now + timedelta(days=1)
    run = Run.objects.create(pipeline=pipeline, release=release, team=owner, created_at=now, deadline_at=until, input_entry=new_id())
    Wait.objects.create(run=run, step="paid", kind="signal", subject="payment", opened_at=now, expires_at=until)
    of_run = {"step": "pay", "attempt": 1, "ordinal": 0, "agent": "x", "kind": "function", "name": "x", "mode": "at_most_once", "state": "unresolved"}
    Call.objects.create(key=new_id().hex, run=run, request_digest="0", not_after=now, dispatched_at=now, settled_at=now, **of_run)
    ledger.record([Draft("agents.agent.created", Actor.system("test"), "agent:x", team=team)], now=now)
    ledger.charge([ChargeDraft(amount_nano=1, team=team)], now=now)


def test_a_list_of_releases_reads_no_manifest_and_follows_an_index(caller: Caller) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert caller.get("/releases/").status == 200
    (sql,) = [query["sql"] for query in captured.captured_queries if 'FROM "agents_release"' in query["sql"]]
    assert '"manifest"' not in sql and '"spec"' not in sql
    if connection.vendor == "sqlite":  # PostgreSQL sorts few rows whatever indexes there are
        assert "USING INDEX release_newest" in connection.cursor().execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()[0][3]


def test_the_ledger_is_filtered_by_all_that_is_given(caller: Caller) -> None:
    grow(2)
    entry = Entry.objects.get(subject="agent:agent-001")
    assert caller.get(f"/entries/{entry.id}/").body["subject"] == "agent:agent-001"
    assert caller.get("/entries/0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10/").code == "unknown-entry"
    assert len(caller.get("/entries/?since=2999-01-01T00:00:00Z").body["items"]) == 0
    assert len(caller.get("/entries/?until=2999-01-01T00:00:00Z").body["items"]) == 2
    assert caller.get("/entries/?person=alice&agent=x&run=0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10").body["items"] == []
    assert [each["amount_nano"] for each in caller.get("/charges/?until=2999-01-01T00:00:00Z").body["items"]] == ["1", "1"]
    assert caller.get("/charges/?pipeline=other").body["items"] == []
