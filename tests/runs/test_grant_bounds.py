"""Conditions, validity and rates of permissions at the boundary, for every call of every run; and what a team grants to its agents."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction

from agents import registry, uses
from agents.models import Agent, GrantUse, Team
from audit import clock
from audit.models import Entry, Opening
from orchestra_site import checks
from runs.models import Call, Run
from runs.worker import Engine, EngineOptions
from tests import feeds, pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)
Publish = Callable[..., None]

WORK = """
import orchestra

def run(to: str = "staging", version: str = "", url: str = "", **_) -> dict:
    if url:
        try:
            orchestra.call("fetch", {"url": url})
        except orchestra.Denied as error:
            return {"denied": str(error)}
    return {"to": to}
"""
GIVEN = "with: {to: =input.to, version: =input.version, url: =input.url}"
ONE = f"- {{id: work, agent: worker, {GIVEN}}}"
L, R = (f"[{{id: {name}, agent: worker, {GIVEN}}}]" for name in "lr")
BOTH = f"- {{id: both, parallel: {{a: {L}, b: {R}}}, min_success: any, on_failure: degrade}}"


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    def published(*permissions: str, team: str = "", steps: str = ONE, uses: str = '["write deploy:{input.to}"]') -> None:
        lines = "".join(f"\n  - {line}" for line in permissions) or " []"
        worker = agent("worker", "work:run", role="act", more=f"mode: read\nuses: {uses}\npermissions:{lines}")
        folder = pipelines.folder(tmp_path / "p", functions=WORK, agents=[worker], steps=steps)
        file = folder / "pipeline.yaml"
        file.write_text(file.read_text().replace("kind: team\nname: platform", f"kind: team\nname: platform\n{team}"))
        registry.apply_folder(folder, actor=pipelines.SYSTEM, publish=True)

    return published


START = {"to": "staging", "version": "1.0", "url": ""}


def ran(**given: Any) -> dict[str, Any]:
    return pipelines.run(input=START | given)


def said(run: dict[str, Any]) -> tuple[str, str]:
    return (run["failure"]["cause"], run["failure"]["message"]) if run["failure"] else (run["outcome"], "")


# --- conditions ------------------------------------------------------------------------------------------------------


def test_a_condition_is_judged_by_what_the_call_is_really_given(publish: Publish) -> None:
    publish("""{allow: "write deploy:*", when: "args.version != ''"}""")
    assert ran()["outcome"] == "verified"
    cause, message = said(ran(version=""))
    assert cause == "denied" and "has a condition that these arguments don't meet" in message and "args.version != ''" in message


def test_a_condition_that_fails_denies_whatever_else_allows_and_the_record_says_so(publish: Publish) -> None:
    publish("allow write deploy:*", """{allow: "write deploy:staging", when: "args.missing.deep == 1"}""")
    cause, message = said(run := ran())
    assert cause == "denied" and "its condition can't be judged" in message
    assert not Call.objects.filter(step="work").exists()
    entry = Entry.objects.get(run=pipelines.id_of(run), verb="runs.step.failed")
    assert b"its condition can't be judged" in Opening.objects.get(entry=entry.pk).held
    assert ran(to="production")["outcome"] == "verified"  # that one speaks of staging alone


def test_a_condition_that_is_no_yes_or_no_denies(publish: Publish) -> None:
    publish("""{allow: "write deploy:*", when: args.version}""")
    assert "a condition must give true or false" in said(ran())[1]


def test_a_deny_with_a_condition_keeps_out_only_what_it_means(publish: Publish) -> None:
    publish("allow write deploy:*", """{deny: "write deploy:*", when: "args.version.startsWith('0.')"}""")
    assert ran()["outcome"] == "verified"
    assert "wins over whatever allows it" in said(ran(version="0.9"))[1]


def test_what_a_function_asks_for_on_its_way_is_judged_by_its_own_arguments(publish: Publish) -> None:
    with feeds.feed() as feed:
        publish("allow write deploy:*", f"""{{allow: "read network:{feed.endpoint}", when: "args.url.endsWith('/ok')"}}""")
        assert ran(url=f"{feed.url}/ok")["result"] == {"to": "staging"}
        assert "don't meet" in ran(url=f"{feed.url}/secret")["result"]["denied"]
    assert feed.paths == ["/ok"]


def test_each_redirect_is_judged_by_its_own_url(publish: Publish) -> None:
    with feeds.feed() as feed:
        publish("allow write deploy:*", f"""{{allow: "read network:{feed.endpoint}", when: "args.url.contains('/to/')"}}""")
        assert "no permission allows" in ran(url=f"{feed.url}/to/secret")["result"]["denied"]
        deny = f"""{{deny: "read network:*", when: "args.url == '{feed.url}/secret'"}}"""
        publish("allow write deploy:*", f"allow read network:{feed.endpoint}", deny)
        assert "no permission allows" in ran(url=f"{feed.url}/to/secret")["result"]["denied"]
        assert ran(url=f"{feed.url}/to/ok")["result"] == {"to": "staging"}
    assert feed.paths == ["/to/secret", "/to/secret", "/to/ok", "/ok"]


def test_a_private_address_that_one_url_opens_stays_shut_for_a_redirect_to_another(publish: Publish) -> None:
    with feeds.feed() as feed:
        open_one = f"""{{allow: "read network:{feed.endpoint}", when: "args.url.contains('/to/')"}}"""
        publish("allow write deploy:*", "allow read network:*", open_one)
        assert "isn't public" in ran(url=f"{feed.url}/to/secret")["result"]["denied"]
    assert feed.paths == ["/to/secret"]


# --- validity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bounds", "word"), [("until 2020-01-01", "held only until 2020-01-01"), ("from 2999-01-01", "holds only from 2999-01-01")])
def test_a_permission_out_of_its_time_allows_nothing_and_says_when_it_did(publish: Publish, bounds: str, word: str) -> None:
    publish("allow write deploy:*")
    Agent.objects.filter(name="worker").update(permissions=[f"allow write deploy:* {bounds}"])  # its time ran out after it was published
    cause, message = said(ran())
    assert cause == "denied" and word in message


def test_a_deny_that_has_run_out_denies_no_more(publish: Publish) -> None:
    publish("allow write deploy:*", "{deny: write deploy:staging, until: 2020-01-01}")
    assert ran()["outcome"] == "verified"


# --- rates -----------------------------------------------------------------------------------------------------------

TWICE = "{allow: write deploy:*, rate: 2/day}"


def test_a_permission_is_used_up_over_all_runs_and_says_when_the_next_use_fits(publish: Publish) -> None:
    publish(TWICE)
    assert [ran()["outcome"], ran(to="production")["outcome"]] == ["verified", "verified"]
    cause, message = said(ran())
    assert cause == "rate" and "is used up: at most 2/1d over all runs" in message and "the next use fits at" in message
    assert Call.objects.filter(agent="worker").count() == 2
    use = GrantUse.objects.get()
    assert (use.agent, use.rule, len(use.recent)) == ("worker", "allow write deploy:* rate 2/1d", 2)


def test_there_is_room_again_when_the_window_has_passed(publish: Publish) -> None:
    publish(TWICE)
    assert [ran()["outcome"], ran()["outcome"]] == ["verified", "verified"]
    day = 24 * 60 * 60 * 1_000_000
    GrantUse.objects.update(recent=[at - day for at in GrantUse.objects.get().recent])
    assert ran()["outcome"] == "verified"


def test_two_calls_of_one_moment_have_the_room_that_there_is(publish: Publish) -> None:
    publish("{allow: write deploy:*, rate: 1/day}", steps=BOTH)
    done = ran()
    assert sorted(each["state"] for each in done["steps"] if each["agent"] == "worker") == ["failed", "returned"]
    assert Call.objects.filter(agent="worker").count() == 1


def test_a_permission_that_is_not_counted_goes_first_and_one_with_room_before_one_without(publish: Publish) -> None:
    publish("{allow: write deploy:*, rate: 1/day}", "{allow: write deploy:staging, rate: 1/hour}")
    assert [said(ran())[0] for _ in range(3)] == ["verified", "verified", "rate"]
    publish("{allow: write deploy:*, rate: 1/day}", "allow write deploy:staging")
    assert [said(ran())[0] for _ in range(2)] == ["verified", "verified"]


def test_two_engines_do_not_exceed_a_rate_together(publish: Publish) -> None:
    publish("{allow: write deploy:*, rate: 3/day}")
    runs = [pipelines.start(input=START) for _ in range(10)]

    async def both() -> None:
        halves = [frozenset(run.id for run in half) for half in (runs[:5], runs[5:])]
        await asyncio.gather(*(Engine(EngineOptions(only=half, children=2)).run() for half in halves))

    asyncio.run(both())
    ends = [said(pipelines.document(run))[0] for run in runs]
    assert (ends.count("verified"), ends.count("rate")) == (3, 7)
    assert Call.objects.filter(agent="worker").count() == 3


def test_threads_that_count_in_one_moment_never_take_the_same_room() -> None:
    rule, at, found = "allow write deploy:* rate 5/1d", clock.now(), []
    barrier = threading.Barrier(4)

    def use() -> None:
        barrier.wait(10)
        for _ in range(4):
            with transaction.atomic():
                rows = uses.lock([("worker", rule)], at)
                found.append(not uses.take(rows, [("worker", rule)], at))
                uses.write(rows)
        connections.close_all()

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), sum(found)) == (16, 5)


def test_a_use_is_noted_once_an_hour_where_nothing_is_counted(publish: Publish) -> None:
    publish("allow write deploy:*")
    before = clock.now()
    assert ran()["outcome"] == "verified"
    use = GrantUse.objects.get()
    assert (use.rule, use.recent, before <= use.used_at <= clock.now()) == ("allow write deploy:*", [], True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(uses, "write", lambda rows: pytest.fail("written though nothing counts it"))
        runs = [pipelines.start(input=START) for _ in range(2)]
        first = Engine(EngineOptions(only=frozenset({runs[0].id}), children=2))
        first.tools.boundary.note([("worker", "allow write deploy:*")])
        asyncio.run(first.run())
    assert Run.objects.get(id=runs[0].id).outcome == "verified"


def test_a_call_that_is_never_written_uses_nothing() -> None:
    rule, at = "allow write deploy:* rate 1/1d", datetime(2026, 11, 27, tzinfo=UTC)
    with transaction.atomic():
        rows = uses.lock([("worker", rule)], at)
        assert uses.take(rows, [("worker", rule)], at) == []
        uses.write(rows)
        transaction.set_rollback(True)
    assert not GrantUse.objects.exists()
    with transaction.atomic():
        rows = uses.lock([("worker", rule)], at)
        assert uses.take(rows, [("worker", rule)], at) == []
        (full,) = uses.take(rows, [("worker", rule)], at + timedelta(hours=1))
    assert full.fits_at == at + timedelta(days=1)


# --- observed ----------------------------------------------------------------------------------------------------------


def test_what_is_only_observed_lets_the_call_go_and_is_in_its_entry(publish: Publish) -> None:
    publish("allow write deploy:*", "{deny: write deploy:staging, observe: true}")
    run = ran()
    assert run["outcome"] == "verified"
    entries = Entry.objects.filter(run=pipelines.id_of(run), verb="runs.call.dispatched")
    (entry,) = [each for each in entries if each.envelope()["facts"].get("observed")]
    assert entry.envelope()["facts"]["observed"] == 1
    assert Opening.objects.get(entry=entry.pk, path="observed").held == b'["deny write deploy:staging observe"]'
    met = {right.rule: right for right in registry.rights("worker", actor=pipelines.SYSTEM).every}["deny write deploy:staging observe"]
    assert met.effect == "none" and met.used_at is not None
    assert "which is only observed, would refuse it" in registry.may("worker", "write", "deploy:staging", actor=pipelines.SYSTEM).why


def test_a_permission_to_connect_is_used_by_each_call_that_has_the_network_and_an_observed_one_is_met(publish: Publish) -> None:
    publish("allow write deploy:*", "allow connect network:a", "deny connect network:* observe", "deny connect network:b until 2020-01-01")
    assert ran()["outcome"] == "verified"
    every = {right.rule: right for right in registry.rights("worker", actor=pipelines.SYSTEM, now=clock.now() + timedelta(days=89)).every}
    assert every["allow connect network:a"].used_at is not None and every["deny connect network:* observe"].used_at is not None
    assert every["deny connect network:b until 2020-01-01T00:00:00Z"].used_at is None


def test_whoever_asks_whether_it_may_connect_hears_of_the_line_that_keeps_the_network_away(publish: Publish) -> None:
    publish("allow connect network:a", "deny connect network:b", "allow write deploy:*")
    answer = registry.may("worker", "connect", "network:a", actor=pipelines.SYSTEM)
    assert (answer.effect, answer.rule) == ("deny", "deny connect network:b") and "keeps all of the network away" in answer.why
    first = registry.rights("worker", actor=pipelines.SYSTEM).every[0]
    assert first.effect == "none" and '"deny connect network:b" keeps all of the network away' in first.why


# --- what a team grants ------------------------------------------------------------------------------------------------


def test_what_a_team_grants_each_of_its_agents_may_and_what_it_denies_none(publish: Publish) -> None:
    publish(team='permissions: ["allow write deploy:*", "deny write deploy:production"]')
    assert ran()["outcome"] == "verified"
    cause, message = said(ran(to="production"))
    assert cause == "denied" and "deny write deploy:production" in message
    Team.objects.update(permissions=["deny write deploy:staging"])
    Agent.objects.filter(name="worker").update(permissions=["allow write *"])
    assert said(ran())[0] == "denied"


def test_a_word_that_the_team_has_registered_no_more_is_denied_and_says_so(publish: Publish) -> None:
    publish("allow write order:*", team="resources: [order]", uses='["write order:{input.to}"]')
    assert ran()["outcome"] == "verified"
    Team.objects.update(resources=[])
    cause, message = said(ran())
    assert cause == "denied" and "there is no kind of resource 'order'" in message


def test_a_clock_that_runs_ahead_of_the_databases_takes_no_more_and_no_run_is_dropped_for_it(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the next use fits is said by the database's clock, and asked of a machine's."""
    publish("{allow: write deploy:*, rate: 1/1m}")
    behind, passed = timedelta(seconds=30), timedelta(0)
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + passed - (behind if connections["default"].in_atomic_block else timedelta(0)))
    assert said(ran()) == ("verified", "")
    passed = timedelta(seconds=45)  # there is room again by this machine's clock as far as it knows, and not yet by the database's
    assert said(ran())[0] == "rate" and not Run.objects.exclude(state="finished").exists()


def test_a_call_of_very_many_full_permissions_is_answered(publish: Publish) -> None:
    """Each try finds one of them full; whoever asked waits for an answer all the same."""
    publish(*[f"{{allow: write deploy:*, rate: {number}/day}}" for number in range(1, 23)])
    now = clock.now()
    for rule in Agent.objects.get(name="worker").permissions:
        rate = int(rule.split("rate ")[1].split("/")[0])
        recent = [int(now.timestamp() * 1_000_000)] * rate
        GrantUse.objects.create(digest=uses.digest_of("worker", rule), agent="worker", rule=rule, used_at=now, recent=recent)
    assert said(ran())[0] == "rate"


def test_an_agent_leaves_what_its_team_denies_only_with_a_publication(tmp_path: Path) -> None:
    worker = agent("worker", "work:run", role="act", more='mode: read\nuses: ["write deploy:production"]\npermissions: ["allow write deploy:*"]')
    folder = pipelines.folder(tmp_path / "p", functions=WORK, agents=[worker], steps="- {id: work, agent: worker}")
    registry.apply_folder(folder, actor=pipelines.SYSTEM, publish=True)
    (tmp_path / "t").mkdir()
    teams = 'kind: team\nname: platform\npermissions: ["deny write deploy:production"]\n---\nkind: team\nname: other\n'
    (tmp_path / "t" / "team.yaml").write_text(teams)
    registry.apply_folder(tmp_path / "t", actor=pipelines.SYSTEM, publish=True)
    file = folder / "pipeline.yaml"
    file.write_text(file.read_text().replace("name: worker\nteam: platform", "name: worker\nteam: other", 1))
    registry.apply_folder(folder, actor=pipelines.SYSTEM)
    assert Agent.objects.get(name="worker").team.name == "platform"
    assert said(pipelines.run(input={}))[0] == "denied"
    asked = registry.may("worker", "write", "deploy:production", actor=pipelines.SYSTEM)
    assert (asked.effect, asked.draft) == ("deny", "allow")
    registry.apply_folder(folder, actor=pipelines.SYSTEM, publish=True)
    assert Agent.objects.get(name="worker").team.name == "other"
    assert said(pipelines.run(input={})) == ("verified", "")


def test_a_permission_that_agent_and_team_both_have_is_listed_once_for_each(publish: Publish) -> None:
    publish("allow write deploy:*", team='permissions: ["allow write deploy:*"]')
    listed = registry.rights("worker", actor=pipelines.SYSTEM).every
    assert [(each.rule, each.source) for each in listed] == [("allow write deploy:*", "agent:worker"), ("allow write deploy:*", "team:platform")]


def test_who_has_words_in_force_that_nobody_registered_is_named_before_a_run_is_denied(publish: Publish) -> None:
    publish("allow write deploy:*")
    assert checks.check_words(None) == []
    Agent.objects.filter(name="worker").update(permissions=["allow fetch feed:x"])
    Team.objects.filter(name="platform").update(permissions=["allow read metrics"])
    [warning] = checks.check_words(None)
    assert warning.id == "orchestra.W007" and "agent:worker: there is no verb 'fetch'" in warning.msg and "team:platform: 'metrics'" in warning.msg
