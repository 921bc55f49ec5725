"""Keys of agents over REST: making, listing and revoking them; and what whoever shows one gets, and doesn't."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.serializers import serialize
from django.test import Client

from agents import keys, registry
from agents.models import AgentKey, Team
from approvals.errors import NotYours
from audit.models import Entry, Opening
from orchestra_site.rest import authentication
from runs.models import Run, Wait
from tests import approving, factories, pipelines
from tests.doors import world
from tests.holders import holder, key_of, person
from tests.pipelines import SYSTEM
from tests.rest import Answer, Caller

pytestmark = pytest.mark.django_db(transaction=True)
GOOD: dict[str, Any] = {"pipeline": "sample", "input": {"number": 3}}


@pytest.fixture
def made(caller: Caller) -> registry.MadeKey:
    """Alice's key for `worker`, with every scope."""
    return key_of()


def refusals(verb: str = "agents.key.refused") -> list[dict[str, Any]]:
    return [entry.envelope() for entry in Entry.objects.filter(verb=verb).order_by("id")]


# --- making, listing, revoking --------------------------------------------------------------------------------------


def test_a_member_makes_a_key_which_is_shown_once_and_listed_without_its_text(caller: Caller) -> None:
    answer = caller.post("/agents/worker/keys/", {"scopes": ["read", "start:sample"], "expires": "30d", "name": "its server"})
    assert answer.status == 201, answer.body
    said = answer.body
    text = said.pop("key")
    assert said | {"created_at": None, "expires_at": None, "id": None} == {
        "id": None, "agent": "worker", "name": "its server", "owner": "alice", "scopes": ["read", "start:sample"], "opens": ["read", "start:sample"],
        "works": True, "why_not": None, "created_at": None, "expires_at": None, "used_at": None, "revoked_at": None,
    }  # fmt: skip
    listed = caller.get("/agents/worker/keys/").body["items"]
    assert listed == [said] and keys.read(text).secret not in json.dumps(listed)


def test_a_revoked_key_is_refused_at_once_and_stays_listed(caller: Caller, made: registry.MadeKey) -> None:
    assert holder(made).get("/me/").status == 200
    answer = caller.delete(f"/agents/worker/keys/{made.key.id}/")
    assert answer.status == 200 and answer.body["why_not"].startswith("it was revoked at") and answer.body["opens"] == []
    refused = holder(made).get("/me/")
    assert refused.code == "unauthenticated" and "it was revoked at" in refused.body["detail"] and refused.headers["WWW-Authenticate"] == "Bearer"
    assert [each["works"] for each in caller.get("/agents/worker/keys/").body["items"]] == [False]
    assert caller.delete(f"/agents/worker/keys/{made.key.id}/").code == "conflict"


def test_an_onlooker_sees_keys_and_makes_none_and_an_outsider_sees_none(onlooker: Caller, outsider: Caller, made: registry.MadeKey) -> None:
    assert [each["id"] for each in onlooker.get("/agents/worker/keys/").body["items"]] == [made.key.id]
    for who, code in ((onlooker, "denied"), (outsider, "unknown-agent")):
        assert who.post("/agents/worker/keys/", {"scopes": ["read"]}).code == code
    assert onlooker.delete(f"/agents/worker/keys/{made.key.id}/").code == "denied"
    assert outsider.delete(f"/agents/worker/keys/{made.key.id}/").code == "unknown-key"
    assert outsider.get("/agents/worker/keys/").code == "unknown-agent"
    assert AgentKey.objects.filter(revoked_at__isnull=True).count() == 1 and len(refusals()) == 4


def test_keys_of_all_agents_are_listed_by_agent_and_by_owner(caller: Caller, onlooker: Caller, outsider: Caller, made: registry.MadeKey) -> None:
    judges = caller.post("/agents/judge/keys/", {"scopes": ["read"]}).body
    for query, ids in (("", [judges["id"], made.key.id]), ("?agent=worker", [made.key.id]), ("?owner=alice&agent=judge", [judges["id"]])):
        assert [each["id"] for each in onlooker.get(f"/keys/{query}").body["items"]] == ids
    assert onlooker.get("/keys/?owner=bob").body == onlooker.get("/keys/?owner=nobody.like.this").body == {"items": [], "next": None}
    assert outsider.get("/keys/").body["items"] == outsider.get("/keys/?owner=alice").body["items"] == []
    assert outsider.get("/keys/?agent=worker").code == "unknown-agent"
    assert caller.get("/keys/?owner=a%00b").code == "bad-query"
    first = caller.get("/keys/?limit=1").body
    assert [each["id"] for each in first["items"]] == [judges["id"]] and first["next"]


def test_a_key_is_revoked_under_its_own_agent_only(caller: Caller, made: registry.MadeKey) -> None:
    assert caller.delete(f"/agents/judge/keys/{made.key.id}/").code == "unknown-key"
    assert caller.delete(f"/agents/worker/keys/{'0' * 12}/").code == "unknown-key"


@pytest.mark.parametrize("body", [{}, {"scopes": []}, {"scopes": ["write"]}, {"scopes": ["read", "read"]}, {"scopes": ["read"], "expires": "soon"}])
def test_an_odd_body_is_refused_before_anything_is_asked(caller: Caller, body: dict[str, Any]) -> None:
    assert caller.post("/agents/worker/keys/", body).code == "bad-body"


# --- what a key opens -----------------------------------------------------------------------------------------------


def test_an_agent_is_told_who_it_is_by_any_key(caller: Caller) -> None:
    said = holder(key_of("worker", "can")).get("/me/").body
    assert (said["agent"], said["person"], said["scopes"], said["teams"], said["does"]) == ("worker", "alice", ["can"], [], [])
    assert said["auth"].startswith("key:") and said["expires_at"]


def test_read_opens_its_own_record_and_no_other(made: registry.MadeKey) -> None:
    who = holder(key_of("worker", "read"))
    for path in ("", "versions/", "versions/1/", "permissions/"):
        assert who.get(f"/agents/worker/{path}").status == 200, path
        assert who.get(f"/agents/judge/{path}").code == "unknown-agent", path
    assert who.get("/runs/").body["items"] == []


def test_can_answers_for_itself_alone(caller: Caller) -> None:
    who, asked = holder(key_of("worker", "can")), "may/?verb=read&resource=feed:metrics"
    assert who.get(f"/agents/worker/{asked}").body["effect"] == "deny"
    assert who.get(f"/agents/judge/{asked}").code == "unknown-agent"
    factories.person("bob")
    assert who.get(f"/agents/worker/{asked}&as=alice").status == 200  # whose run it would be
    assert who.get(f"/agents/worker/{asked}&as=bob").code == "unknown-person"


def test_an_agent_starts_follows_and_cancels_a_run_and_the_owner_has_started_it_too(caller: Caller) -> None:
    made = key_of("worker", "start:sample")
    who = holder(made)
    answer = who.post("/runs/", GOOD)
    assert answer.status == 201, answer.body
    said = answer.body
    assert (said["started_by"], said["started_with"], said["on_behalf_of"]) == ("agent:worker", made.key.id, "person:alice")
    run = Run.objects.get()
    assert (run.started_by, run.started_with, run.on_behalf_of, run.person) == ("agent:worker", made.key.id, "person:alice", "person:alice")
    queued = Entry.objects.get(verb="runs.run.queued").envelope()
    assert (queued["actor"], queued["on_behalf_of"]) == ({"kind": "agent", "id": "worker", "auth": f"key:{made.key.id}"}, "alice")
    assert [each["id"] for each in who.get("/runs/").body["items"]] == [said["id"]]
    assert who.get(f"/runs/{said['id']}/events/").body["items"][0]["verb"] == "runs.run.queued"
    ended = who.post(f"/runs/{said['id']}/cancel/")
    assert (ended.status, ended.body["outcome"], ended.body["cancelled_by"]) == (200, "cancelled", "agent:worker")


def test_a_person_starts_on_their_own_behalf_and_the_system_on_nobodys(caller: Caller) -> None:
    assert caller.post("/runs/", GOOD).body["on_behalf_of"] == "person:alice"
    assert pipelines.start(input={"number": 1}).person is None


def test_the_runs_of_others_are_none_of_an_agents(caller: Caller, made: registry.MadeKey) -> None:
    other = caller.post("/runs/", GOOD).body["id"]
    judges = holder(key_of("judge")).post("/runs/", GOOD).body["id"]
    who = holder(made)
    assert who.get("/runs/").body["items"] == []
    for run in (other, judges):
        assert {who.get(f"/runs/{run}/").code, who.get(f"/runs/{run}/events/").code, who.post(f"/runs/{run}/cancel/").code} == {"unknown-run"}
    assert not Run.objects.filter(cancel_requested_at__isnull=False).exists()


def test_an_agents_other_keys_show_what_it_started_as_far_as_their_scopes_go(caller: Caller, made: registry.MadeKey) -> None:
    run = holder(made).post("/runs/", GOOD).body["id"]
    assert holder(key_of("worker", "read")).get(f"/runs/{run}/").status == 200
    assert holder(key_of("worker", "start:sample")).get(f"/runs/{run}/").status == 200
    assert holder(key_of("worker", "can")).get(f"/runs/{run}/").code == "out-of-scope"
    refused = holder(key_of("worker", "read")).post(f"/runs/{run}/cancel/")
    assert refused.code == "out-of-scope" and "needs the scope start; this key of agent 'worker' has read" in refused.body["detail"]


def test_a_start_names_its_pipeline(caller: Caller, folder: Path, tmp_path: Path) -> None:
    pipelines.publish(tmp_path / "q", name="other", functions="def work() -> dict:\n    return {}\n", agents=[pipelines.agent("second", "work:work")],
                      steps="- {id: a, agent: second}")  # fmt: skip
    who = holder(key_of("worker", "start:other"))
    refused = who.post("/runs/", GOOD)
    assert refused.code == "unknown-pipeline" and "sample" not in refused.body["detail"].removeprefix("there is no pipeline 'sample'")
    assert [each["pipeline"] for each in who.get("/runs/").body["items"]] == []
    assert (
        Client().get("/health/outcomes", headers={"Authorization": f"Bearer {who.token}"}).status_code == 403
    )  # what monitoring reads is of whole teams
    assert who.post("/runs/", {"pipeline": "other", "input": {}}).status == 201 and Run.objects.count() == 1
    said = refusals("runs.start.refused")[0]
    assert (said["actor"]["kind"], said["actor"]["id"], said["on_behalf_of"], said["facts"]["code"]) == (
        "agent",
        "worker",
        "alice",
        "unknown-pipeline",
    )


def test_a_run_says_whoever_started_it_by_key_what_it_waits_for(made: registry.MadeKey, tmp_path: Path) -> None:
    steps = "- {id: go, wait: {signal: paid, timeout: 1h}}\n- {id: a, agent: second}"
    work = "def work() -> dict:\n    return {}\n"
    pipelines.publish(tmp_path / "w", name="waits", functions=work, agents=[pipelines.agent("second", "work:work")], steps=steps)
    who = holder(made)
    run = who.post("/runs/", {"pipeline": "waits", "input": {}}).body["id"]
    pipelines.drive(Run.objects.get(id=run))
    assert [each["kind"] for each in who.get(f"/runs/{run}/").body["waits"]] == ["signal"]


def test_foreign_pipelines_and_drafts_are_no_agents_business(caller: Caller, made: registry.MadeKey, tmp_path: Path) -> None:
    world.red(tmp_path / "red")
    who = holder(made)
    foreign = who.post("/runs/", {"pipeline": "secret", "input": {}})
    assert foreign.code == "unknown-pipeline" and "there is 'sample'" in foreign.body["detail"]
    assert who.post("/runs/", {**GOOD, "draft": True}).code == "denied"
    assert not Run.objects.exists() and [each["facts"]["code"] for each in refusals("runs.start.refused")] == ["unknown-pipeline", "denied"]


def test_an_idempotency_key_gives_an_agent_its_own_run_and_nobody_elses(caller: Caller, made: registry.MadeKey) -> None:
    who = holder(made)
    first = who.post("/runs/", GOOD, Idempotency_Key="mine")
    assert (first.status, who.post("/runs/", GOOD, Idempotency_Key="mine").status) == (201, 200)
    caller.post("/runs/", GOOD, Idempotency_Key="hers")
    for input_ in ({"number": 3}, {"number": 4}):
        refused = who.post("/runs/", {"pipeline": "sample", "input": input_}, Idempotency_Key="hers")
        assert refused.code == "idempotency-conflict" and "somebody else of team 'platform'" in refused.body["detail"]
    assert Run.objects.count() == 2


def test_what_no_scope_opens_is_refused_with_an_entry_that_names_the_key(made: registry.MadeKey) -> None:
    who = holder(made)
    refused = who.post("/agents/worker/suspend/", {"reason": "x"})
    assert (refused.status, refused.code) == (403, "out-of-scope")
    assert refused.body["detail"] == "'suspend_agent' is for people: no key of an agent opens it; this key of agent 'worker' has can, read, start:*"
    said = refusals()[0]
    assert said["facts"] == {"code": "out-of-scope", "asked": "suspend_agent", "key": made.key.id, "problems": 1}
    assert (said["actor"], said["team"], said["agent"]) == ({"kind": "agent", "id": "worker", "auth": f"key:{made.key.id}"}, "platform", "worker")
    assert registry.rights("worker", actor=SYSTEM).agent.state == "active"


def test_a_key_is_no_way_into_the_admin(made: registry.MadeKey) -> None:
    answer = Client(headers={"Authorization": f"Bearer {made.text}"}).get("/admin/agents/agent/")
    assert answer.status_code == 302 and "/login/" in answer.headers["Location"]


def test_a_key_beside_a_session_is_the_agent_and_not_the_person(made: registry.MadeKey, caller: Caller) -> None:
    client = world.signed_in("alice")
    answer = client.get("/api/v1/me/", headers={"Authorization": f"Bearer {made.text}"})
    assert answer.json()["agent"] == "worker"


def test_a_bad_checksum_says_so_and_repeats_nothing(made: registry.MadeKey) -> None:
    cut = made.text[:-1]
    refused = Caller(cut).get("/me/")
    assert refused.code == "unauthenticated" and "its checksum doesn't fit" in refused.body["detail"] and cut[10:] not in json.dumps(refused.body)


# --- separation of duties -------------------------------------------------------------------------------------------


def test_the_owner_of_the_key_cant_approve_what_the_agents_run_asks_for(tmp_path: Path) -> None:
    approving.publish(tmp_path)
    for name in ("alice", "bob"):
        approving.member(name, "platform")
    run = holder(key_of("worker", "start:sample")).post("/runs/", {"pipeline": "sample", "input": {"feed": "staging"}}).body["id"]
    started = Run.objects.get(id=run)
    assert pipelines.drive(started)["state"] == "waiting"
    request = approving.request_of(started)
    alice, bob = (Caller.of(User.objects.get(username=name)) for name in ("alice", "bob"))
    mine = "/approvals/?state=open&mine=true"
    assert alice.get(mine).body["items"] == [] and [each["id"] for each in bob.get(mine).body["items"]] == [str(request.pk)]
    seen = alice.get(f"/approvals/{request.pk}/").body
    assert seen["why_not"].startswith("you own the key with which an agent started the run")
    decision = {"decision": "approved", "reason": "x", "seen": seen["shown"]}
    refused = alice.post(f"/approvals/{request.pk}/decide/", decision)
    assert refused.code == NotYours.code and Wait.objects.get(pk=request.pk).state == "open"
    assert holder(key_of("worker", "start:sample")).post(f"/approvals/{request.pk}/decide/", decision).code == "out-of-scope"
    assert bob.post(f"/approvals/{request.pk}/decide/", decision).status == 200


# --- in flight ------------------------------------------------------------------------------------------------------


@contextmanager
def meanwhile(end: Callable[[], Any]) -> Iterator[None]:
    """What ends it lands between the look at the key and the transaction of the deed."""
    real = authentication.holder_of_key

    def ending(said: str) -> Any:
        found = real(said)
        end()
        return found

    with mock.patch.object(authentication, "holder_of_key", side_effect=ending):
        yield


ENDS: dict[str, Callable[[], Any]] = {
    "revoked": lambda: registry.revoke_key(AgentKey.objects.get().pk, actor=SYSTEM),
    "ended": lambda: AgentKey.objects.update(expires_at=AgentKey.objects.get().created_at.replace(microsecond=0), created_at="2020-01-01T00:00:00Z"),
    "gone": lambda: AgentKey.objects.all().delete(),
    "suspended": lambda: registry.suspend("worker", actor=SYSTEM, reason="odd"),
    "everything stopped": lambda: registry.stop("everything", actor=SYSTEM, reason="odd"),
    "owner deactivated": lambda: registry.set_active("alice", active=False, actor=SYSTEM),
    "owner left": lambda: registry.remove_member("platform", "alice", actor=SYSTEM),
    "start taken": lambda: registry.add_to_group("agent-owner", "alice", actor=SYSTEM),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_key_that_stops_working_during_its_deed_starts_and_cancels_nothing(made: registry.MadeKey, how: str) -> None:
    who = holder(made)
    run = who.post("/runs/", GOOD).body["id"]
    with meanwhile(ENDS[how]):
        start = who.post("/runs/", GOOD)
    assert start.code == "denied" and "doesn't work any more since just now" in start.body["detail"]
    with mock.patch.object(authentication, "holder_of_key", return_value=_open(made)):
        cancel = who.post(f"/runs/{run}/cancel/")
    assert cancel.code == "denied" and Run.objects.count() == 1
    assert not Run.objects.filter(cancel_requested_at__isnull=False).exists()
    assert len(refusals("runs.start.refused")) == len(refusals("runs.cancel.refused")) == 1


def _open(made: registry.MadeKey) -> registry.OpenKey:
    """As it was when the request came."""
    scopes = frozenset({"read", "can", "start:*"})
    return registry.OpenKey(made.key.id, "worker", "platform", "alice", scopes, made.key.expires_at)


# --- nowhere else ---------------------------------------------------------------------------------------------------


def test_its_secret_stands_nowhere(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        answer: Answer = caller.post("/agents/worker/keys/", {"scopes": ["read", "start:*"]})
        text = answer.body["key"]
        who = Caller(text)
        who.post("/runs/", GOOD)
        who.post("/agents/worker/suspend/", {"reason": "x"})
        who.get(f"/runs/{uuid4()}/")
        registry.suspend("worker", actor=SYSTEM, reason="odd")
        who.get("/me/")
        export = Client().get("/api/v1/schema/").content.decode()
    secret = keys.read(text).secret
    stored = "".join(serialize("json", model._default_manager.all()) for model in apps.get_models())
    ledger = b"".join(bytes(entry.body) for entry in Entry.objects.all()) + b"".join(bytes(each.value) for each in Opening.objects.all())
    for where in (stored, ledger.decode(), caplog.text, export):
        assert secret not in where


def test_a_stop_rests_the_keys_of_its_team_and_of_no_other(made: registry.MadeKey, tmp_path: Path) -> None:
    world.red(tmp_path / "red")
    factories.person("dora")
    registry.add_member("red", "dora", actor=SYSTEM)
    other = registry.make_key("hidden", actor=person("dora"), scopes=["read"])
    registry.stop("team", "platform", actor=SYSTEM, reason="odd")
    assert holder(made).get("/me/").status == 401 and holder(other).get("/me/").status == 200
    assert Team.objects.count() == 2
