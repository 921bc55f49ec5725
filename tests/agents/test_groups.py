"""Groups of people: a team is shown to everybody in one, and what is taken is gone at once; nobody gives by one what isn't theirs."""

from pathlib import Path

import pytest
from django.contrib.auth.models import Group, Permission, User

from agents import registry
from agents.errors import NotGranted, UnknownGroup, UnknownPerson, UnknownTeam
from agents.models import Pipeline
from audit.actors import MANAGE_PEOPLE, SEE_EVERYTHING, Actor
from audit.errors import Conflict, Invalid
from audit.models import Entry
from orchestra_site.people import actor_for
from tests.agents.folders import numbers
from tests.agents.inventory import MEMBER, SYSTEM, facts_of, publish

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _published(tmp_path: Path) -> None:
    publish(numbers(tmp_path / "one"))


@pytest.fixture
def auditors() -> Group:
    return registry.create_group("auditors", actor=SYSTEM)


def acting(user: User) -> Actor:
    return actor_for(User.objects.get(pk=user.pk), auth="session")


def manager(user: User) -> Actor:
    registry.permit_person(user.username, MANAGE_PEOPLE, allowed=True, actor=SYSTEM)
    return acting(user)


def test_a_team_that_is_shown_to_a_group_can_be_looked_at_by_everybody_in_it_until_it_is_hidden(auditors: Group, alice: User, bob: User) -> None:
    registry.add_to_group("auditors", "bob", actor=SYSTEM)
    registry.show_team_to_group("platform", "auditors", actor=SYSTEM)
    assert Pipeline.objects.visible_to(acting(bob)).exists() and not acting(bob).may_change("platform") and acting(alice).sees == frozenset()
    registry.hide_team_from_group("platform", "auditors", actor=SYSTEM)
    assert not Pipeline.objects.visible_to(acting(bob)).exists()
    (shown,) = Entry.objects.filter(verb="agents.team.shown_to_group")
    assert (shown.subject, shown.team) == ("team:platform", "platform")
    assert facts_of("agents.team.shown_to_group") == facts_of("agents.team.hidden_from_group") == [{"group": "auditors"}]


def test_who_is_taken_out_of_a_group_sees_by_it_no_more(auditors: Group, bob: User) -> None:
    registry.show_team_to_group("platform", "auditors", actor=SYSTEM)
    registry.add_to_group("auditors", "bob", actor=SYSTEM)
    assert acting(bob).sees == {"platform"}
    registry.take_from_group("auditors", "bob", actor=SYSTEM)
    assert acting(bob).sees == frozenset()
    assert facts_of("agents.group.member_added") == facts_of("agents.group.member_removed") == [{"group": "auditors", "person": bob.pk}]


def test_only_a_group_of_nobody_that_is_shown_nothing_is_deleted(auditors: Group, bob: User) -> None:
    registry.add_to_group("auditors", "bob", actor=SYSTEM)
    registry.show_team_to_group("platform", "auditors", actor=SYSTEM)
    with pytest.raises(Conflict, match="has 1 people and is shown 1 teams"):
        registry.delete_group("auditors", actor=SYSTEM)
    registry.take_from_group("auditors", "bob", actor=SYSTEM)
    registry.hide_team_from_group("platform", "auditors", actor=SYSTEM)
    registry.delete_group("auditors", actor=SYSTEM)
    assert not Group.objects.filter(name="auditors").exists()
    assert facts_of("agents.group.created") == facts_of("agents.group.deleted") == [{"group": "auditors"}]


def test_what_is_so_already_or_is_not_there_is_refused_with_an_entry(auditors: Group, bob: User) -> None:
    for refusal, change in (
        (Conflict, lambda: registry.create_group("auditors", actor=SYSTEM)),
        (Conflict, lambda: registry.take_from_group("auditors", "bob", actor=SYSTEM)),
        (Conflict, lambda: registry.hide_team_from_group("platform", "auditors", actor=SYSTEM)),
        (Invalid, lambda: registry.create_group("Two words", actor=SYSTEM)),
        (UnknownGroup, lambda: registry.add_to_group("auditers", "bob", actor=SYSTEM)),
        (UnknownPerson, lambda: registry.add_to_group("auditors", "zoe", actor=SYSTEM)),
        (UnknownTeam, lambda: registry.show_team_to_group("plattform", "auditors", actor=SYSTEM)),
    ):
        with pytest.raises(refusal):
            change()
    codes = ["conflict", "conflict", "conflict", "invalid", "unknown-group", "unknown-person", "unknown-team"]
    assert [facts["code"] for facts in facts_of("agents.person.refused")] == codes


def test_only_who_manages_people_changes_or_sees_groups(auditors: Group, bob: User) -> None:
    for change in (
        lambda: registry.create_group("others", actor=MEMBER),
        lambda: registry.delete_group("auditors", actor=MEMBER),
        lambda: registry.add_to_group("auditors", "bob", actor=MEMBER),
        lambda: registry.take_from_group("auditors", "bob", actor=MEMBER),
        lambda: registry.show_team_to_group("platform", "auditors", actor=MEMBER),
        lambda: registry.hide_team_from_group("platform", "auditors", actor=MEMBER),
    ):
        with pytest.raises(NotGranted, match="manage-people"):
            change()
    assert not registry.groups_visible_to(MEMBER).exists()
    with pytest.raises(UnknownGroup):
        registry.group_shown("auditors", actor=MEMBER)


def test_nobody_is_let_into_a_team_by_a_group_but_by_its_own_people(auditors: Group, alice: User, bob: User) -> None:
    actor = manager(alice)
    registry.add_to_group("auditors", "bob", actor=actor)  # it is shown nothing: nothing is given
    registry.show_team("platform", "alice", actor=SYSTEM)
    with pytest.raises(NotGranted, match="not a member of team 'platform'"):
        registry.show_team_to_group("platform", "auditors", actor=acting(alice))
    registry.show_team_to_group("platform", "auditors", actor=SYSTEM)
    with pytest.raises(NotGranted, match="teams that you are not a member of"):
        registry.add_to_group("auditors", "alice", actor=acting(alice))
    registry.add_member("platform", "alice", actor=SYSTEM)
    registry.add_to_group("auditors", "alice", actor=acting(alice))
    registry.hide_team_from_group("platform", "auditors", actor=acting(alice))
    assert acting(bob).sees == frozenset()


def test_a_team_that_the_manager_does_not_see_is_neither_named_nor_hidden(auditors: Group, alice: User) -> None:
    registry.show_team_to_group("platform", "auditors", actor=SYSTEM)
    actor = manager(alice)
    place = registry.group_shown("auditors", actor=actor)
    assert (list(place.shown), place.other_shown) == ([], 1)
    with pytest.raises(UnknownTeam):
        registry.hide_team_from_group("platform", "auditors", actor=actor)
    with pytest.raises(NotGranted) as refused:
        registry.add_to_group("auditors", "alice", actor=actor)
    assert "platform" not in refused.value.message


def test_nobody_gives_or_takes_by_a_group_a_permission_that_they_do_not_have(auditors: Group, alice: User, bob: User) -> None:
    auditors.permissions.add(Permission.objects.get(content_type__app_label="audit", codename="see_everything"))
    with pytest.raises(NotGranted, match="gives see-everything"):
        registry.add_to_group("auditors", "bob", actor=manager(alice))
    registry.add_to_group("auditors", "bob", actor=SYSTEM)
    assert acting(bob).permissions == {SEE_EVERYTHING}
    with pytest.raises(NotGranted, match="gives see-everything"):
        registry.take_from_group("auditors", "bob", actor=acting(alice))


def test_a_person_of_a_group_stands_above_who_manages_people_and_does_not_see_its_teams(auditors: Group, alice: User, bob: User) -> None:
    registry.show_team_to_group("platform", "auditors", actor=SYSTEM)
    registry.add_to_group("auditors", "bob", actor=SYSTEM)
    with pytest.raises(NotGranted, match="more than you"):
        registry.reset_password("bob", actor=manager(alice))


def test_a_persons_name_is_in_openings_only(auditors: Group, bob: User) -> None:
    registry.add_to_group("auditors", "bob", actor=SYSTEM)
    entry = Entry.objects.get(verb="agents.group.member_added")
    assert "bob" not in bytes(entry.body).decode() and set(entry.envelope()["commitments"]) == {"person"}
