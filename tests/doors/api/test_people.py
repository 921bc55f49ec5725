"""Accounts over REST: who sees whom, what is said of a person, and a new password by whoever manages people."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents import registry
from agents.models import Team
from agents.registry.roles import ROLES
from audit import clock
from audit.models import Entry, Opening
from orchestra_site.tokens import create_token
from tests.pipelines import SYSTEM
from tests.rest import Caller

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> dict[str, User]:
    for name in ("platform", "red"):
        Team.objects.create(name=name, created_at=clock.now())
    made = {name: registry.create_person(name, actor=SYSTEM, administrator=name == "root")[0] for name in ("alice", "bob", "charlie", "root")}
    registry.permit_person("alice", "manage-people", allowed=True, actor=SYSTEM)
    registry.add_member("platform", "alice", actor=SYSTEM)
    registry.add_member("platform", "bob", actor=SYSTEM)
    return made


def names(caller: Caller, query: str = "") -> list[str]:
    return [each["name"] for each in caller.get(f"/people/{query}").body["items"]]


def test_whoever_manages_people_sees_all_accounts_and_everybody_else_their_own(people: dict[str, User]) -> None:
    alice, bob = Caller.of(people["alice"]), Caller.of(people["bob"])
    assert names(alice) == ["alice", "bob", "charlie", "root"] and names(bob) == ["bob"]
    assert bob.get("/people/charlie/").code == bob.get("/people/nobody-at-all/").code == "unknown-person"
    assert alice.get("/people/charlie/").status == bob.get("/people/bob/").status == 200


def test_accounts_are_filtered(people: dict[str, User]) -> None:
    registry.set_active("charlie", active=False, actor=SYSTEM)
    caller = Caller.of(people["alice"])
    assert names(caller, "?active=false") == ["charlie"] and names(caller, "?administrator=true") == ["root"]
    assert names(caller, "?active=true&administrator=false") == ["alice", "bob"]
    assert caller.get("/people/?active=perhaps").code == "bad-query"


def test_of_teams_that_one_does_not_see_only_the_number_is_said(people: dict[str, User]) -> None:
    registry.add_member("red", "bob", actor=SYSTEM)
    registry.show_team("red", "bob", actor=SYSTEM)
    said = Caller.of(people["alice"]).get("/people/bob/").body
    assert (said["teams"], said["other_teams"], said["shown"], said["other_shown"]) == (["platform"], 1, [], 1)
    assert said["permissions"] == [] and said["signed_in_at"] is None and said["active"] is True
    own = Caller.of(people["bob"]).get("/people/bob/").body
    assert (own["teams"], own["other_teams"], own["shown"], own["other_shown"]) == (["platform", "red"], 0, ["red"], 0)


def facts(verb: str) -> list[dict[str, Any]]:
    return [entry.envelope()["facts"] for entry in Entry.objects.filter(verb=verb).order_by("at", "id")]


def test_a_new_password_ends_what_the_old_one_let_in_and_is_said_once(people: dict[str, User]) -> None:
    session, caller = Client(), Caller.of(people["bob"])
    session.force_login(people["bob"])
    made = Caller.of(people["alice"]).post("/people/bob/password/")
    assert made.status == 200 and Client().login(username="bob", password=made.body["password"])
    assert session.get("/admin/").status_code == 302 and caller.get("/me/").code == "unauthenticated"
    assert facts("agents.person.changed")[-1] == {"person": people["bob"].pk, "password": "reset", "tokens_ended": 1}
    kept = [bytes(each.body).decode() for each in Entry.objects.all()] + [bytes(each.value).decode() for each in Opening.objects.all()]
    assert not any(made.body["password"] in text for text in kept)


@pytest.mark.parametrize(
    ("by", "of", "code"), [("bob", "alice", "denied"), ("charlie", "bob", "denied"), ("alice", "root", "denied"), ("alice", "zoe", "unknown-person")]
)
def test_nobody_sets_the_password_of_who_may_more_and_the_refusal_is_an_entry(people: dict[str, User], by: str, of: str, code: str) -> None:
    before = dict(User.objects.values_list("username", "password"))
    create_token("root", actor=SYSTEM)
    assert Caller.of(people[by]).post(f"/people/{of}/password/").code == code
    assert dict(User.objects.values_list("username", "password")) == before and facts("agents.person.refused")[-1]["code"] == code


def test_a_team_is_shown_to_a_group_and_hidden_again(people: dict[str, User]) -> None:
    alice, charlie, bob = (Caller.of(people[name]) for name in ("alice", "charlie", "bob"))
    assert charlie.get("/teams/platform/").code == "unknown-team"
    assert alice.post("/groups/", {"name": "auditors"}).status == 201 and alice.post("/groups/", {"name": "Two words"}).code == "bad-body"
    assert alice.post("/groups/auditors/people/", {"person": "charlie"}).body["people"] == ["charlie"]
    assert alice.post("/teams/platform/groups/", {"group": "auditors"}).body["shown_to_groups"] == ["auditors"]
    assert charlie.get("/teams/platform/").body["shown_to_groups"] == ["auditors"] and charlie.get("/me/").body["reads"] == ["platform"]
    assert alice.get("/groups/auditors/").body == {"name": "auditors", "people": ["charlie"], "shown": ["platform"], "other_shown": 0}
    assert alice.get("/people/charlie/").body["groups"] == ["auditors"]
    assert {each["name"] for each in alice.get("/groups/").body["items"]} == {
        "auditors",
        *ROLES,
    }
    assert charlie.delete("/teams/platform/groups/auditors/").code == "denied" and charlie.get("/groups/auditors/").code == "unknown-group"
    assert bob.get("/groups/").body == {"items": [], "next": None} and bob.post("/groups/", {"name": "others"}).code == "denied"
    assert alice.delete("/groups/auditors/").code == "conflict"
    assert alice.delete("/teams/platform/groups/auditors/").body["shown_to_groups"] == [] and charlie.get("/teams/platform/").code == "unknown-team"
    assert alice.delete("/groups/auditors/people/charlie/").body["people"] == [] and alice.delete("/groups/auditors/").status == 204
    assert facts("agents.team.shown_to_group") == facts("agents.team.hidden_from_group") == [{"group": "auditors"}]


def test_a_name_that_differs_from_another_only_in_capitals_is_refused(people: dict[str, User]) -> None:
    refused = Caller.of(people["root"]).post("/people/", {"name": "Charlie"})
    assert (refused.status, refused.code) == (409, "conflict")
    assert "'charlie' already, and 'Charlie' differs" in refused.body["detail"]
    assert not User.objects.filter(username="Charlie").exists()


def test_only_an_administrator_makes_another_one(people: dict[str, User]) -> None:
    asked = {"name": "boss", "administrator": True}
    assert Caller.of(people["alice"]).post("/people/", asked).code == "denied" and not User.objects.filter(username="boss").exists()
    assert Caller.of(people["root"]).post("/people/", asked).body["administrator"] is True
    assert facts("agents.person.created")[-1] == {"person": User.objects.get(username="boss").pk, "administrator": True}


def test_nobody_at_all_learns_nothing() -> None:
    for method, path in (("GET", "/people/"), ("GET", "/people/root/"), ("POST", "/people/root/password/"), ("POST", "/me/password/")):
        assert Caller().send(method, path).code == "unauthenticated"


def test_an_address_is_set_over_rest_by_its_person_or_whoever_manages_people(people: dict[str, User]) -> None:
    bob, alice, charlie = (Caller.of(people[name]) for name in ("bob", "alice", "charlie"))
    assert bob.post("/people/bob/email/", {"email": "bob@example.com"}).body["email"] == "bob@example.com"
    assert alice.get("/people/bob/").body["email"] == "bob@example.com"
    assert alice.post("/people/bob/email/", {"email": None}).body["email"] is None
    refused = charlie.post("/people/bob/email/", {"email": "charlie@example.com"})
    assert (refused.status, refused.code, User.objects.get(username="bob").email) == (403, "denied", "")
    assert bob.post("/people/bob/email/", {"email": "bob"}).code == "invalid"
    assert Entry.objects.filter(verb="agents.person.refused").count() == 2
