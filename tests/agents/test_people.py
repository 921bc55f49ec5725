"""People and teams: who sees what, who may act, and that what is taken is gone at once."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from guardian.shortcuts import assign_perm

from agents import registry
from agents.errors import NotGranted, UnknownPerson, UnknownTeam
from agents.models import Pipeline, Team
from audit.actors import CHANGE_EVERYTHING, MANAGE_PEOPLE, SEE_EVERYTHING, Actor
from audit.errors import Conflict, Invalid
from audit.models import Entry, Opening
from orchestra_site.people import actor_for
from tests.agents.folders import numbers
from tests.agents.inventory import MEMBER, SYSTEM, facts_of, publish

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _published(tmp_path: Path) -> None:
    publish(numbers(tmp_path / "one"))


def acting(user: User) -> Actor:
    return actor_for(User.objects.get(pk=user.pk), auth="session")


def test_a_member_sees_and_acts_and_no_more_once_removed(alice: User) -> None:
    assert not Pipeline.objects.visible_to(acting(alice)).exists()
    registry.add_member("platform", "alice", actor=SYSTEM)
    assert acting(alice).may_change("platform") and Pipeline.objects.visible_to(acting(alice)).exists()
    registry.remove_member("platform", "alice", actor=SYSTEM)
    assert not acting(alice).may_change("platform") and not Pipeline.objects.visible_to(acting(alice)).exists()
    assert facts_of("agents.team.member_added") == facts_of("agents.team.member_removed") == [{"person": alice.pk}]


def test_a_team_that_is_shown_to_somebody_can_be_looked_at_only(bob: User) -> None:
    registry.show_team("platform", "bob", actor=SYSTEM)
    assert Pipeline.objects.visible_to(acting(bob)).exists() and not acting(bob).may_change("platform")
    with pytest.raises(NotGranted):
        registry.release_for("numbers", draft=False, actor=acting(bob))
    registry.hide_team("platform", "bob", actor=SYSTEM)
    assert not Pipeline.objects.visible_to(acting(bob)).exists()
    assert facts_of("agents.team.shown") == facts_of("agents.team.hidden") == [{"person": bob.pk}]


def test_what_is_so_already_is_a_conflict_with_an_entry(alice: User) -> None:
    registry.add_member("platform", "alice", actor=SYSTEM)
    registry.show_team("platform", "alice", actor=SYSTEM)
    for change in (registry.add_member, registry.show_team):
        with pytest.raises(Conflict, match="already"):
            change("platform", "alice", actor=SYSTEM)
    registry.remove_member("platform", "alice", actor=SYSTEM)
    registry.hide_team("platform", "alice", actor=SYSTEM)
    for change in (registry.remove_member, registry.hide_team):
        with pytest.raises(Conflict, match=r"no member|not shown"):
            change("platform", "alice", actor=SYSTEM)
    assert [facts["code"] for facts in facts_of("agents.person.refused")] == ["conflict"] * 4


def test_only_who_manages_people_says_who_belongs_where(alice: User, bob: User) -> None:
    with pytest.raises(NotGranted, match="manage-people"):
        registry.add_member("platform", "alice", actor=MEMBER)
    registry.permit_person("alice", MANAGE_PEOPLE, allowed=True, actor=SYSTEM)
    with pytest.raises(UnknownTeam):  # and only of teams that they see
        registry.add_member("platform", "alice", actor=acting(alice))
    registry.add_member("platform", "alice", actor=SYSTEM)
    registry.add_member("platform", "bob", actor=acting(alice))
    registry.permit_person("alice", MANAGE_PEOPLE, allowed=False, actor=SYSTEM)
    assert not acting(alice).may_manage_people
    with pytest.raises(Invalid, match="can be given"):
        registry.permit_person("alice", "fly", allowed=True, actor=SYSTEM)


def test_who_manages_people_can_raise_neither_themselves_nor_take_over_who_may_more(alice: User, bob: User) -> None:
    registry.permit_person("alice", MANAGE_PEOPLE, allowed=True, actor=SYSTEM)
    registry.show_team("platform", "alice", actor=SYSTEM)
    registry.add_member("platform", "bob", actor=SYSTEM)
    with pytest.raises(NotGranted, match="don't have"):
        registry.permit_person("alice", SEE_EVERYTHING, allowed=True, actor=acting(alice))
    with pytest.raises(NotGranted, match="not a member"):
        registry.add_member("platform", "alice", actor=acting(alice))
    with pytest.raises(NotGranted, match="more than you"):
        registry.reset_password("bob", actor=acting(alice))
    with pytest.raises(NotGranted, match="administrator"):
        registry.create_person("erin", actor=acting(alice), administrator=True)
    for name in ("nobody", "System"):
        with pytest.raises(Invalid):
            registry.create_person(name, actor=SYSTEM)
    assert acting(alice).permissions == {MANAGE_PEOPLE} and acting(alice).teams == frozenset()


@pytest.mark.parametrize("let_in", [registry.add_member, registry.show_team])
def test_who_manages_people_lets_nobody_into_a_team_that_they_only_see(alice: User, let_in: Callable[..., Team]) -> None:
    registry.permit_person("alice", MANAGE_PEOPLE, allowed=True, actor=SYSTEM)
    registry.permit_person("alice", SEE_EVERYTHING, allowed=True, actor=SYSTEM)
    registry.show_team("platform", "alice", actor=SYSTEM)
    sock, _ = registry.create_person("sock", actor=acting(alice))
    with pytest.raises(NotGranted, match="not a member of team 'platform'"):
        let_in("platform", "sock", actor=acting(alice))
    assert acting(sock).sees == frozenset() and facts_of("agents.person.refused") == [{"code": "denied", "problems": 1}]
    registry.add_member("platform", "alice", actor=SYSTEM)
    let_in("platform", "sock", actor=acting(alice))
    assert acting(sock).sees == {"platform"}


def test_an_auditor_who_may_not_sign_in_is_above_who_manages_people_all_the_same(alice: User, bob: User) -> None:
    registry.permit_person("alice", MANAGE_PEOPLE, allowed=True, actor=SYSTEM)
    registry.permit_person("bob", SEE_EVERYTHING, allowed=True, actor=SYSTEM)
    registry.set_active("bob", active=False, actor=acting(alice))
    before = User.objects.get(pk=bob.pk).password
    with pytest.raises(NotGranted, match="more than you"):
        registry.reset_password("bob", actor=acting(alice))
    assert User.objects.get(pk=bob.pk).password == before


def test_a_permission_of_a_group_counts_too(alice: User, bob: User) -> None:
    registry.permit_person("alice", MANAGE_PEOPLE, allowed=True, actor=SYSTEM)
    group = Group.objects.create(name="auditors")
    group.permissions.add(Permission.objects.get(codename="see_everything"))
    bob.groups.add(group)
    registry.set_active("bob", active=False, actor=SYSTEM)
    with pytest.raises(NotGranted, match="more than you"):
        registry.reset_password("bob", actor=acting(alice))


@pytest.mark.parametrize("by", ["person", "group"])
def test_whoever_is_shown_a_team_that_who_manages_people_is_not_shown_is_above_them(alice: User, bob: User, by: str) -> None:
    registry.permit_person("alice", MANAGE_PEOPLE, allowed=True, actor=SYSTEM)
    group = Group.objects.create(name="onlookers")
    bob.groups.add(group)
    assign_perm("view_team", bob if by == "person" else group, Team.objects.get(name="platform"))
    with pytest.raises(NotGranted, match="more than you"):
        registry.reset_password("bob", actor=acting(alice))
    registry.show_team("platform", "alice", actor=SYSTEM)
    registry.reset_password("bob", actor=acting(alice))


def test_to_see_everything_is_not_to_change_everything(bob: User) -> None:
    registry.permit_person("bob", SEE_EVERYTHING, allowed=True, actor=SYSTEM)
    assert acting(bob).sees_everything and not acting(bob).may_change("platform")


def test_a_new_person_signs_in_with_a_password_that_is_kept_as_a_hash_only() -> None:
    person, password = registry.create_person("erin", actor=SYSTEM)
    assert person.check_password(password) and person.is_staff and not person.is_superuser
    assert acting(person).sees == frozenset()
    kept = b"".join(bytes(opening.value) for opening in Opening.objects.all()) + b"".join(bytes(entry.body) for entry in Entry.objects.all())
    assert password.encode() not in kept
    _, other = registry.reset_password("erin", actor=SYSTEM)
    assert User.objects.get(username="erin").check_password(other) and other != password
    with pytest.raises(Conflict):
        registry.create_person("erin", actor=SYSTEM)
    with pytest.raises(Invalid):
        registry.create_person("no spaces", actor=SYSTEM)
    with pytest.raises(NotGranted):
        registry.create_person("fay", actor=MEMBER)


def test_a_name_that_differs_only_in_capitals_is_a_refusal_with_an_entry() -> None:
    registry.create_person("Zoe", actor=SYSTEM)
    for name in ("zoe", "ZOE", "Zoe"):
        with pytest.raises(Conflict, match="there is a person 'Zoe' already"):
            registry.create_person(name, actor=SYSTEM)
    assert len(facts_of("agents.person.refused")) == 3 and User.objects.filter(username__iexact="zoe").count() == 1


def test_a_deactivated_person_is_nobody(alice: User) -> None:
    registry.add_member("platform", "alice", actor=SYSTEM)
    registry.set_active("alice", active=False, actor=SYSTEM)
    assert acting(alice) == Actor.nobody() == actor_for(AnonymousUser(), auth="session")
    with pytest.raises(Conflict):
        registry.set_active("alice", active=False, actor=SYSTEM)
    registry.set_active("alice", active=True, actor=SYSTEM)
    assert acting(alice).teams == {"platform"}
    with pytest.raises(UnknownPerson):
        registry.set_active("zoe", active=True, actor=SYSTEM)


def test_an_administrators_password_is_set_by_an_administrator_only(alice: User) -> None:
    registry.create_person("root", actor=SYSTEM, administrator=True)
    root = User.objects.get(username="root")
    assert {CHANGE_EVERYTHING, SEE_EVERYTHING, MANAGE_PEOPLE} <= acting(root).permissions
    registry.permit_person("alice", MANAGE_PEOPLE, allowed=True, actor=SYSTEM)
    with pytest.raises(NotGranted, match="administers"):
        registry.reset_password("root", actor=acting(alice))
    with pytest.raises(NotGranted, match="administers"):
        registry.set_active("root", active=False, actor=acting(alice))
    registry.reset_password("alice", actor=acting(root))
    assert facts_of("agents.person.created") == [{"person": root.pk, "administrator": True}]
    assert facts_of("agents.person.changed")[-1] == {"person": alice.pk, "password": "reset", "tokens_ended": 0}


def test_the_last_administrator_who_may_sign_in_is_deactivated_by_a_shell_only() -> None:
    first, second = (registry.create_person(name, actor=SYSTEM, administrator=True)[0] for name in ("one", "two"))
    registry.set_active("two", active=False, actor=acting(first))
    with pytest.raises(Conflict, match="last administrator"):
        registry.set_active("one", active=False, actor=acting(first))
    assert acting(first).may_manage_people and facts_of("agents.person.refused") == [{"code": "conflict", "problems": 1}]
    registry.set_active("one", active=False, actor=SYSTEM)
    assert acting(first) == acting(second) == Actor.nobody()


def test_a_persons_name_is_in_openings_only() -> None:
    registry.create_person("erin", actor=SYSTEM)
    registry.add_member("platform", "erin", actor=SYSTEM)
    about = Entry.objects.filter(verb__in=["agents.person.created", "agents.team.member_added"])
    assert about.count() == 2 and not any(b"erin" in bytes(entry.body) for entry in about)


def test_an_odd_name_and_an_unknown_permission_are_refusals_with_entries(alice: User) -> None:
    before = len(facts_of("agents.person.refused"))
    with pytest.raises(Invalid, match="can't be a name"):
        registry.create_person("no name", actor=SYSTEM)
    with pytest.raises(Invalid, match="there is no permission 'fly'"):
        registry.permit_person("alice", "fly", allowed=True, actor=SYSTEM)
    assert facts_of("agents.person.refused")[before:] == [{"code": "invalid", "problems": 1}] * 2
    assert not User.objects.filter(username="no name").exists()
