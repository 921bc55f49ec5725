"""Roles: what each lets somebody do, that whoever has none keeps a member's rights, and who gives and takes them."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from agents import registry
from agents.errors import NotGranted
from agents.registry.roles import BEYOND, MEANS, ROLES, WITHIN
from audit.actors import ACTS, CHANGE_THINGS, MANAGE_PEOPLE, OPERATE_RUNS, SEE_EVERYTHING, START_RUNS, STOP_EVERYTHING, Actor
from audit.errors import Conflict
from orchestra_site.people import actor_for
from tests import factories
from tests.agents.folders import numbers
from tests.agents.inventory import SYSTEM, publish
from tests.documents import ROOT
from tests.rest import Caller

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _published(tmp_path: Path) -> None:
    publish(numbers(tmp_path / "one"))


def acting(name: str) -> Actor:
    return actor_for(User.objects.get(username=name), auth="session")


def member(name: str, *roles: str) -> Actor:
    """Somebody of the team, with these roles."""
    factories.person(name, staff=True)
    registry.add_member("platform", name, actor=SYSTEM)
    for role in roles:
        registry.add_to_group(role, name, actor=SYSTEM)
    return acting(name)


def mays(actor: Actor, team: str) -> set[str]:
    asked = ("change", "start", "operate", "suspend", "cancel", "let_in")
    return {what for what in asked if getattr(actor, f"may_{what}")(team)}


def test_whoever_has_no_role_acts_for_their_team_as_ever() -> None:
    alice = member("alice")
    assert (mays(alice, "platform"), mays(alice, "red")) == ({"change", "start", "operate", "suspend", "cancel", "let_in"}, set())


@pytest.mark.parametrize(
    ("role", "own", "foreign", "sees"),
    [
        ("operator", {"start", "operate", "cancel"}, set(), False),
        ("agent-owner", {"change", "suspend"}, set(), False),
        ("approver", set(), set(), False),
        ("compliance", {"suspend", "cancel"}, {"suspend", "cancel"}, True),
        ("auditor", set(), set(), True),
        ("integration", {"start"}, set(), False),
    ],
)
def test_a_role_says_what_a_member_does_and_what_beyond_their_teams(role: str, own: set[str], foreign: set[str], sees: bool) -> None:
    alice = member("alice", role)
    assert (mays(alice, "platform"), mays(alice, "red"), alice.sees_everything) == (own, foreign, sees)
    assert "platform" in alice.sees and alice.roles == {role}


def test_two_roles_let_somebody_do_what_either_does() -> None:
    assert mays(member("alice", "operator", "agent-owner"), "platform") == {"change", "start", "operate", "suspend", "cancel", "let_in"}


def test_a_role_lets_nobody_into_a_team_and_takes_nothing_from_an_administrator() -> None:
    factories.person("eve")
    registry.add_to_group("operator", "eve", actor=SYSTEM)
    assert mays(acting("eve"), "platform") == set() and acting("eve").sees == frozenset()
    registry.create_person("root", actor=SYSTEM, administrator=True)
    registry.add_to_group("auditor", "root", actor=SYSTEM)
    assert acting("root").administers and "change" in mays(acting("root"), "platform")


def test_the_groups_in_the_database_hold_what_the_roles_say() -> None:
    codes = {**WITHIN, **BEYOND}
    for name, rights in ROLES.items():
        rows = Group.objects.get(name=name).permissions.values_list("content_type__app_label", "codename")
        assert set(rows) == {codes[right] for right in rights}, name
    assert {right for rights in ROLES.values() for right in rights} == {*ACTS, SEE_EVERYTHING, STOP_EVERYTHING}


def test_the_reference_says_what_the_roles_do() -> None:
    page = (ROOT / "docs" / "reference" / "roles.md").read_text(encoding="utf-8")
    rows = {cells[0].strip("` "): [cell.strip() for cell in cells[1:]] for line in page.splitlines() if len(cells := line.strip("|").split("|")) == 6}
    columns = (START_RUNS, OPERATE_RUNS, CHANGE_THINGS, SEE_EVERYTHING, STOP_EVERYTHING)
    said = {name: {right for right, cell in zip(columns, cells, strict=True) if cell == "yes"} for name, cells in rows.items() if name in ROLES}
    assert said == ROLES
    for sentence in MEANS.values():
        assert sentence in " ".join(page.split())


def test_only_administrators_give_and_take_roles() -> None:
    member("alice")
    member("bob", "operator")
    registry.permit_person("alice", MANAGE_PEOPLE, allowed=True, actor=SYSTEM)
    changes: list[Callable[[], object]] = [
        lambda: registry.add_to_group("agent-owner", "bob", actor=acting("alice")),
        lambda: registry.take_from_group("operator", "bob", actor=acting("alice")),
    ]
    for change in changes:
        with pytest.raises(NotGranted, match="roles are given and taken by administrators"):
            change()
    with pytest.raises(Conflict, match="'auditor' is a role"):
        registry.delete_group("auditor", actor=SYSTEM)


def test_whoever_has_less_than_a_member_lets_nobody_in_and_resets_no_members_password() -> None:
    member("alice")
    member("bob", "operator")
    factories.person("charlie")
    registry.permit_person("bob", MANAGE_PEOPLE, allowed=True, actor=SYSTEM)
    with pytest.raises(NotGranted, match=re.escape("your role in this installation (operator) can't do this, so you can't let anybody in")):
        registry.add_member("platform", "charlie", actor=acting("bob"))
    with pytest.raises(NotGranted, match="may see or do more than you"):
        registry.reset_password("alice", actor=acting("bob"))


def test_a_refusal_names_the_role_that_is_in_the_way() -> None:
    with pytest.raises(NotGranted) as refused:
        registry.retire("numbers", actor=member("alice", "operator"), reason="old")
    assert "belongs to team 'platform', and your role in this installation (operator) can't do this" in refused.value.message


def test_compliance_suspends_what_it_does_not_own_and_lets_nothing_work_again() -> None:
    factories.person("carol")
    registry.add_to_group("compliance", "carol", actor=SYSTEM)
    assert registry.suspend("reader", actor=acting("carol"), reason="a complaint").state == "suspended"
    with pytest.raises(NotGranted, match="you are not a member of it"):
        registry.resume("reader", actor=acting("carol"))


def test_compliance_stops_what_is_no_teams_own_and_only_administrators_let_it_go_on() -> None:
    factories.person("carol")
    registry.add_to_group("compliance", "carol", actor=SYSTEM)
    for scope, name in (("everything", ""), ("tool", "fetch"), ("team", "platform")):
        assert registry.stop(scope, name, actor=acting("carol"), reason="a leak").stopped_by == "person:carol"
        with pytest.raises(NotGranted, match=r"only who administers the installation lets it go on|you are not a member of it"):
            registry.lift_named(scope, name, actor=acting("carol"))
    with pytest.raises(NotGranted, match="only who administers the installation"):
        registry.stop("tool", "fetch", actor=member("alice", "auditor"), reason="odd")


def test_a_role_holds_from_the_next_request_on_in_sessions_and_with_tokens() -> None:
    member("alice")
    client, caller = Client(), Caller.of(User.objects.get(username="alice"))
    client.force_login(User.objects.get(username="alice"))
    assert caller.get("/me/").body["does"] == sorted(ACTS) and client.get("/admin/").status_code == 200
    registry.add_to_group("integration", "alice", actor=SYSTEM)
    me = caller.get("/me/").body
    assert (me["roles"], me["does"]) == (["integration"], [START_RUNS])
    assert client.get("/admin/").status_code == 302 and caller.post("/agents/reader/suspend/", {"reason": "x"}).code == "denied"
    registry.take_from_group("integration", "alice", actor=SYSTEM)
    assert caller.get("/me/").body["does"] == sorted(ACTS)


def test_a_program_does_not_sign_in_but_somebody_who_also_operates_does() -> None:
    member("alice", "integration")
    said = {"username": "alice", "password": "alice-password"}
    assert "may not sign in" in Client().post("/admin/login/", said).content.decode()
    registry.add_to_group("operator", "alice", actor=SYSTEM)
    assert Client().post("/admin/login/", said).status_code == 302


def test_a_group_that_had_the_name_of_a_role_keeps_its_people_under_another() -> None:
    eve = factories.person("eve")
    Group.objects.get(name="operator").user_set.add(eve)
    Group.objects.exclude(name="operator").delete()
    factories.make_roles()
    assert [group.name for group in eve.groups.all()] == ["operator-2"] and OPERATE_RUNS in acting("eve").does and not acting("eve").roles
