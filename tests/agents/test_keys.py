"""Keys of agents: their text, their keyed hash, who may make one, and everything that ends one or lets it rest."""

from collections.abc import Callable
from datetime import timedelta
from hmac import compare_digest
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.conf import settings as current
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured

from agents import keys, registry
from agents.errors import KeyRefused, NotGranted, Retired, TooManyKeys, UnknownAgent, UnknownKey
from agents.models import Agent, AgentKey, Pipeline, Team
from audit import clock
from audit.actors import Actor
from audit.errors import Conflict, Invalid
from audit.models import Entry
from orchestra_site import env
from tests import factories, pipelines
from tests.holders import acting, key_of, person
from tests.pipelines import SYSTEM, agent


def test_a_key_is_read_as_it_was_written() -> None:
    text = keys.new()
    assert keys.read(str(text)) == text
    assert str(text).startswith(f"orck_live_{text.id}_") and len({str(keys.new()) for _ in range(50)}) == 50


SPOILED: list[Callable[[str], str]] = [
    lambda said: said[:-1],
    lambda said: f"{said[:-8]}-{said[-7:]}",
    lambda said: said.upper(),
    lambda said: f"{said} ",
]


@pytest.mark.parametrize("spoiled", SPOILED)
def test_a_cut_or_mistyped_key_is_told_by_its_checksum(spoiled: Callable[[str], str]) -> None:
    said = spoiled(str(keys.new()))
    with pytest.raises(KeyRefused, match="its checksum doesn't fit") as refused:
        keys.read(said)
    assert said not in refused.value.message


def test_each_character_counts() -> None:
    said = str(keys.new())
    for place in range(len("orck_live_"), len(said)):
        if said[place] != "_":
            with pytest.raises(KeyRefused):
                keys.read(said[:place] + ("a" if said[place] != "a" else "b") + said[place + 1 :])


def test_a_key_of_another_installation_is_known_as_such(settings: Any) -> None:
    settings.ORCHESTRA_ENVIRONMENT = "staging"
    said = str(keys.new())
    settings.ORCHESTRA_ENVIRONMENT = "live"
    with pytest.raises(KeyRefused, match="calls itself 'staging', and this one is 'live'"):
        keys.read(said)


@pytest.mark.parametrize("text", ["Live", "a-b", "a" * 17, "ü"])
def test_an_odd_name_of_an_installation_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ORCHESTRA_ENVIRONMENT", text)
    with pytest.raises(ImproperlyConfigured, match="1 to 16 small letters and digits"):
        env.word("ORCHESTRA_ENVIRONMENT", "live", most=16)


def test_a_short_secret_of_before_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRA_SECRET_KEY_FALLBACKS", f"{'a' * 32},hunter2")
    with pytest.raises(ImproperlyConfigured, match="has one with 7 characters") as refusal:
        env.former_secrets("ORCHESTRA_SECRET_KEY_FALLBACKS")
    assert "hunter2" not in str(refusal.value)


def test_a_secret_shows_in_no_repr() -> None:
    text = keys.new()
    assert text.secret not in repr(text)


@pytest.fixture
def team(tmp_path: Path, transactional_db: None) -> None:
    """Platform with the pipeline `sample` and its agent `worker`; alice and bob belong to it, charlie doesn't."""
    work = {"functions": "def work() -> dict:\n    return {}\n", "agents": [agent("worker", "work:work")], "steps": "- {id: a, agent: worker}"}
    pipelines.publish(tmp_path / "p", **work)
    for name in ("alice", "bob", "charlie"):
        factories.person(name)
    for name in ("alice", "bob"):
        registry.add_member("platform", name, actor=SYSTEM)


def refusals() -> list[dict[str, Any]]:
    return [entry.envelope()["facts"] for entry in Entry.objects.filter(verb="agents.key.refused").order_by("id")]


def why_not(made: registry.MadeKey) -> str | None:
    return registry.key_shown(made.key.id, actor=SYSTEM).why_not


def test_making_one_is_an_entry_without_the_secret_and_only_its_hash_is_kept(team: None) -> None:
    made = key_of("worker", "read", "start:sample", expires="30d", name="its server")
    entry = Entry.objects.get(verb="agents.key.made")
    said = entry.envelope()
    assert said["facts"] == {"key": made.key.id, "scopes": ["read", "start:sample"], "expires": clock.to_text(made.key.expires_at)}
    assert (said["team"], said["agent"], said["actor"]["id"]) == ("platform", "worker", "alice")
    row = AgentKey.objects.get()
    assert row.expires_at - row.created_at == timedelta(days=30) and row.owner.username == "alice"
    secret = keys.read(made.text).secret
    assert secret not in str(AgentKey.objects.values_list()) and row.digest == keys.hashed(secret)[0]
    assert made.text not in repr(made)


def test_a_key_acts_as_its_agent_on_behalf_of_its_owner_and_belongs_nowhere(team: None) -> None:
    made = key_of("worker", "read", "start:sample")
    actor = acting(made)
    assert (actor.kind, actor.id, actor.auth, actor.key, actor.on_behalf_of) == ("agent", "worker", f"key:{made.key.id}", made.key.id, "alice")
    assert not actor.sees and not actor.sees_everything and not actor.administers and not actor.may_manage_people
    for may in (actor.may_start, actor.may_operate, actor.may_change, actor.may_cancel, actor.may_suspend, actor.may_let_in, actor.belongs_to):
        assert not may("platform"), may
    assert actor.may_start_run_of("platform", "sample")
    assert not actor.may_start_run_of("platform", "other") and not actor.may_start_run_of("red", "sample")


def test_a_star_starts_whatever_the_team_owns_and_no_scope_starts_nothing(team: None) -> None:
    assert acting(key_of("worker", "start:*")).may_start_run_of("platform", "anything")
    assert not acting(key_of("worker", "read", "can")).may_start_run_of("platform", "sample")


def test_secrets_are_compared_in_a_time_that_tells_nothing(team: None) -> None:
    made = key_of()
    with mock.patch.object(keys, "compare_digest", side_effect=compare_digest) as compared:
        registry.holder_of_key(made.text)
    assert compared.call_args_list[-1].args[1] == AgentKey.objects.get().digest


def test_a_wrong_secret_and_an_unknown_key_read_alike_and_are_compared_alike(team: None) -> None:
    made = key_of()
    other = keys.new()
    wrong = keys.Text(made.key.id, other.secret)
    said = set()
    for text in (wrong, other):
        with mock.patch.object(keys, "compare_digest", side_effect=compare_digest) as compared, pytest.raises(KeyRefused) as refused:
            registry.holder_of_key(str(text))
        said.add((refused.value.message, compared.call_count))
    assert len(said) == 1 and refusals() == []


@pytest.mark.parametrize("said", ["orck_", "orck_live_x", "orck_live_" + "a" * 12 + "_" + "b" * 43 + "_000000", "orck_live_ü"])
def test_what_can_be_no_key_is_refused_without_a_look_into_the_database(team: None, said: str, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0), pytest.raises(KeyRefused):
        registry.holder_of_key(said)


STOPPED: dict[str, Callable[[], Any]] = {
    "agent 'worker' is suspended": lambda: registry.suspend("worker", actor=SYSTEM, reason="odd"),
    "team 'platform' has been stopped": lambda: registry.stop("team", "platform", actor=SYSTEM, reason="odd"),
    "everything has been stopped": lambda: registry.stop("everything", actor=SYSTEM, reason="odd"),
    "'alice', who made it, may not sign in any more": lambda: registry.set_active("alice", active=False, actor=SYSTEM),
    "'alice', who made it, can't change what team 'platform' owns any more": lambda: registry.remove_member("platform", "alice", actor=SYSTEM),
}
AGAIN: dict[str, Callable[[], Any]] = {
    "agent 'worker' is suspended": lambda: registry.resume("worker", actor=SYSTEM),
    "team 'platform' has been stopped": lambda: registry.lift_named("team", "platform", actor=SYSTEM),
    "everything has been stopped": lambda: registry.lift_named("everything", actor=SYSTEM),
    "'alice', who made it, may not sign in any more": lambda: registry.set_active("alice", active=True, actor=SYSTEM),
    "'alice', who made it, can't change what team 'platform' owns any more": lambda: registry.add_member("platform", "alice", actor=SYSTEM),
}


@pytest.mark.parametrize("why", STOPPED)
def test_a_key_rests_at_once_and_works_again_when_that_is_over(team: None, why: str) -> None:
    made = key_of()
    assert acting(made).id == "worker" and why_not(made) is None
    STOPPED[why]()
    with pytest.raises(KeyRefused, match=f"this key of agent 'worker' doesn't work: {why}"):
        registry.holder_of_key(made.text)
    assert (why_not(made) or "").startswith(why)
    AGAIN[why]()
    assert acting(made).id == "worker" and why_not(made) is None


def test_a_role_that_changes_nothing_rests_the_keys_of_its_person(team: None) -> None:
    made = key_of()
    registry.add_to_group("operator", "alice", actor=SYSTEM)
    with pytest.raises(KeyRefused, match="can't change what team 'platform' owns any more"):
        registry.holder_of_key(made.text)


def test_whoever_may_not_start_runs_any_more_gives_no_program_a_start_and_the_rest_goes_on(team: None) -> None:
    made = key_of("worker", "read", "start:sample")
    registry.add_to_group("agent-owner", "alice", actor=SYSTEM)
    assert acting(made).scopes == {"read"}
    stands = registry.key_shown(made.key.id, actor=SYSTEM)
    assert (stands.why_not, stands.opens) == (None, {"read"})


def test_a_retired_agents_key_rests(team: None) -> None:
    made = key_of()
    Agent.objects.filter(name="worker").update(state="retired")
    with pytest.raises(KeyRefused, match="agent 'worker' is retired"):
        registry.holder_of_key(made.text)


def test_stops_of_a_version_or_a_pipeline_are_no_stops_of_the_agent(team: None) -> None:
    made = key_of()
    registry.stop("version", "worker@1", actor=SYSTEM, reason="odd")
    registry.stop("pipeline", "sample", actor=SYSTEM, reason="odd")
    assert acting(made).id == "worker"


def test_a_key_ends_by_itself(team: None) -> None:
    made = key_of(expires="1d")
    with mock.patch("audit.clock.now", return_value=clock.now() + timedelta(days=1)), pytest.raises(KeyRefused, match="it ended at"):
        registry.holder_of_key(made.text)


def test_a_revoked_key_is_refused_from_then_on_and_says_so_to_who_knows_its_secret(team: None) -> None:
    made = key_of()
    registry.revoke_key(made.key.id, actor=person("bob"))
    with pytest.raises(KeyRefused, match="it was revoked at"):
        registry.holder_of_key(made.text)
    with pytest.raises(KeyRefused, match="unknown, or its secret is wrong"):
        registry.holder_of_key(str(keys.Text(made.key.id, keys.new().secret)))
    said = Entry.objects.get(verb="agents.key.revoked").envelope()
    assert said["facts"] == {"key": made.key.id} and said["actor"]["id"] == "bob"
    with pytest.raises(Conflict, match="was revoked already"):
        registry.revoke_key(made.key.id, actor=person("bob"))


def test_a_key_that_rests_and_is_tried_is_one_entry_a_minute(team: None) -> None:
    made = key_of()
    registry.revoke_key(made.key.id, actor=SYSTEM)
    for _ in range(3):
        with pytest.raises(KeyRefused):
            registry.holder_of_key(made.text)
    assert refusals() == [{"code": "unauthenticated", "asked": "sign in", "key": made.key.id, "problems": 1}]
    with mock.patch("audit.clock.now", return_value=clock.now() + timedelta(minutes=1)), pytest.raises(KeyRefused):
        registry.holder_of_key(made.text)
    assert len(refusals()) == 2


def test_its_last_use_is_known_to_the_minute_and_written_once_in_that_time(team: None) -> None:
    made, at = key_of(), clock.now()
    seen = []
    for later in (0, 59, 60):
        with mock.patch("audit.clock.now", return_value=at + timedelta(seconds=later)):
            registry.holder_of_key(made.text)
        used = AgentKey.objects.get().used_at
        assert used is not None
        seen.append(round((used - at).total_seconds()))
    assert seen == [0, 0, 60]


def test_a_key_outlives_the_secret_key_of_the_installation_and_is_hashed_anew(team: None, settings: Any) -> None:
    made, former = key_of(), current.SECRET_KEY
    settings.SECRET_KEY = "another one of which nobody knows anything yet"
    with pytest.raises(KeyRefused, match="unknown, or its secret is wrong"):
        registry.holder_of_key(made.text)
    settings.SECRET_KEY_FALLBACKS = [former]
    before = AgentKey.objects.get()
    assert acting(made).id == "worker"
    after = AgentKey.objects.get()
    assert (before.digest, before.pepper) != (after.digest, after.pepper)
    settings.SECRET_KEY_FALLBACKS = []
    assert acting(made).id == "worker"


@pytest.mark.parametrize(
    ("scopes", "says"),
    [
        ((), "has 1 to 50 scopes"),
        (("write",), "'write' is no scope"),
        (("start",), "'start' is no scope"),
        (("start:sample*",), "is no scope"),
        (("start:other",), "team 'platform' has no pipeline 'other'"),
        (tuple(f"start:p{number}" for number in range(51)), "given 51"),
    ],
)
def test_odd_scopes_are_refused(team: None, scopes: tuple[str, ...], says: str) -> None:
    with pytest.raises(Invalid, match=says.replace("*", r"\*")):
        registry.make_key("worker", actor=person("alice"), scopes=scopes)
    assert not AgentKey.objects.exists() and [each["asked"] for each in refusals()] == ["make a key"]


def test_a_pipeline_of_another_team_is_no_scope(team: None) -> None:
    red = Team.objects.create(name="red", created_at=clock.now())
    Pipeline.objects.create(name="secret", team=red, created_at=clock.now())
    with pytest.raises(Invalid, match="team 'platform' has no pipeline 'secret'"):
        key_of("worker", "start:secret")


@pytest.mark.parametrize("expires", ["0s", "59s", "366d", "never", "", "-1d", "30"])
def test_a_key_ends_within_a_year(team: None, expires: str) -> None:
    with pytest.raises(Invalid, match="a key ends after 1m to 365d"):
        key_of(expires=expires)
    assert not AgentKey.objects.exists()


def test_only_who_may_change_the_agents_team_makes_one_and_the_agent_is_none_to_others(team: None) -> None:
    with pytest.raises(UnknownAgent):
        key_of(owner="charlie")
    registry.show_team("platform", "charlie", actor=SYSTEM)
    with pytest.raises(NotGranted, match="you are not a member of it"):
        key_of(owner="charlie")
    registry.add_to_group("operator", "bob", actor=SYSTEM)
    with pytest.raises(NotGranted, match=r"your role in this installation \(operator\) can't do this"):
        key_of(owner="bob")
    assert not AgentKey.objects.exists() and [each["code"] for each in refusals()] == ["unknown-agent", "denied", "denied"]


def test_nobody_gives_a_program_a_start_that_isnt_theirs(team: None) -> None:
    registry.add_to_group("agent-owner", "alice", actor=SYSTEM)
    with pytest.raises(NotGranted, match=r"what the key would start belongs to team 'platform', and your role .*agent-owner"):
        key_of("worker", "start:sample")
    assert key_of("worker", "read").key.scopes == ["read"]


@pytest.mark.parametrize("actor", [SYSTEM, Actor.nobody()])
def test_a_key_has_an_owner(team: None, actor: Actor) -> None:
    with pytest.raises((NotGranted, UnknownAgent)):
        registry.make_key("worker", actor=actor, scopes=["read"])
    assert not AgentKey.objects.exists()


def test_an_agent_makes_and_revokes_none(team: None) -> None:
    made = key_of()
    with pytest.raises(NotGranted, match="no scope of this key of agent 'worker' allows it"):
        registry.make_key("worker", actor=acting(made), scopes=["read"])
    with pytest.raises(UnknownKey):
        registry.revoke_key(made.key.id, actor=acting(made))
    assert AgentKey.objects.filter(revoked_at__isnull=True).count() == 1


def test_a_retired_agent_gets_none(team: None) -> None:
    Agent.objects.filter(name="worker").update(state="retired")
    with pytest.raises(Retired):
        key_of()


def test_an_agent_has_so_many_at_most_and_ended_ones_dont_count(team: None, settings: Any) -> None:
    settings.ORCHESTRA_MOST_KEYS = 2
    first, _ = key_of(), key_of()
    with pytest.raises(TooManyKeys, match="has 2 of at most 2 keys"):
        key_of()
    registry.revoke_key(first.key.id, actor=SYSTEM)
    assert key_of() and AgentKey.objects.count() == 3


def test_keys_that_ended_long_ago_go_with_the_next_one_made(team: None) -> None:
    key_of(expires="1d")
    later = clock.now() + timedelta(days=92)
    registry.make_key("worker", actor=person("alice"), scopes=["read"], now=later)
    assert AgentKey.objects.count() == 1


def test_keys_are_listed_to_who_sees_the_team_alone(team: None) -> None:
    made = key_of()
    assert [each.key.id for each in registry.keys_of("worker", actor=person("bob"))] == [made.key.id]
    with pytest.raises(UnknownAgent):
        registry.keys_of("worker", actor=person("charlie"))
    assert not registry.keys_visible_to(person("charlie")).exists() and not registry.keys_visible_to(acting(made)).exists()
    with pytest.raises(UnknownKey):
        registry.revoke_key(made.key.id, actor=person("charlie"))


def test_a_person_who_goes_takes_their_keys_with_them(team: None) -> None:
    key_of()
    User.objects.filter(username="alice").delete()
    assert not AgentKey.objects.exists()


def test_an_agent_with_a_persons_name_is_nobody_but_the_agent(team: None) -> None:
    """A name alone makes nobody of anybody: what is about one's own account asks whether it is a person's."""
    Agent.objects.filter(name="worker").update(name="bob")
    actor = acting(key_of("bob"))
    assert registry.people_visible_to(actor).count() == 0
    with pytest.raises(NotGranted):
        registry.change_password("bob", actor=actor, old="bob-password", new="something long 4711")


def test_an_agent_that_changes_its_team_takes_its_keys_where_their_owner_may_change_things(team: None) -> None:
    made, red = key_of("worker", "read", "start:*"), Team.objects.create(name="red", created_at=clock.now())
    Agent.objects.filter(name="worker").update(team=red)
    with pytest.raises(KeyRefused, match="can't change what team 'red' owns any more"):
        registry.holder_of_key(made.text)
    red.members.add(User.objects.get(username="alice"))
    actor = acting(made)
    assert actor.team == "red" and not actor.may_start_run_of("platform", "sample")
