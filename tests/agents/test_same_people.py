"""Which accounts are one person's: said by whoever manages people, never by whoever would gain by it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from agents import registry
from agents.errors import NotGranted, UnknownPerson
from agents.models import SamePerson, Team
from audit import clock
from audit.errors import Conflict, Invalid
from audit.models import Entry
from tests.approving import member
from tests.holders import person
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def people() -> None:
    Team.objects.create(name="platform", created_at=clock.now())
    for name in ("alice", "alice-admin", "alice-2", "bob"):
        member(name, "platform")


def others(name: str) -> set[str]:
    return set(SamePerson.objects.others_of([name]).get(name, ()))


def test_accounts_that_are_said_to_be_one_persons_are_all_each_others(people: None) -> None:
    registry.same_person("alice-admin", "alice", actor=SYSTEM)
    assert (others("alice"), others("alice-admin"), others("bob")) == ({"alice-admin"}, {"alice"}, set())
    registry.same_person("alice", "alice-2", actor=SYSTEM)
    assert others("alice-2") == {"alice", "alice-admin"} and others("alice") == {"alice-2", "alice-admin"}
    entry = Entry.objects.filter(verb="agents.person.changed").latest("at")
    assert entry.envelope()["facts"]["same_as"] == User.objects.get(username="alice-2").pk
    assert registry.place_of(User.objects.get(username="alice"), actor=SYSTEM).accounts == ["alice-2", "alice-admin"]


@pytest.mark.parametrize("leaves", ["alice", "alice-2", "alice-admin"])
def test_whichever_is_taken_out_the_others_stay_together(leaves: str) -> None:
    registry.same_person("alice-admin", "alice", actor=SYSTEM)
    registry.same_person("alice-2", "alice", actor=SYSTEM)
    registry.somebody_else(leaves, actor=SYSTEM)
    stay = {"alice", "alice-2", "alice-admin"} - {leaves}
    assert others(leaves) == set() and all(others(each) == stay - {each} for each in stay)
    with pytest.raises(Conflict, match="nobody's but their own"):
        registry.somebody_else(leaves, actor=SYSTEM)


def test_it_is_said_once_and_of_two_accounts_that_there_are(people: None) -> None:
    registry.same_person("alice-admin", "alice", actor=SYSTEM)
    with pytest.raises(Conflict, match="already"):
        registry.same_person("alice", "alice-admin", actor=SYSTEM)
    with pytest.raises(Invalid, match="these are one account"):
        registry.same_person("alice", "alice", actor=SYSTEM)
    with pytest.raises(UnknownPerson):
        registry.same_person("alice", "nobody-there", actor=SYSTEM)


def test_only_whoever_manages_people_says_it_and_takes_nothing_back_of_their_own(people: None) -> None:
    with pytest.raises(NotGranted):
        registry.same_person("bob", "alice", actor=person("bob"))
    registry.permit_person("alice", "manage-people", allowed=True, actor=SYSTEM)
    registry.same_person("alice-admin", "alice", actor=person("alice"))
    for mine in ("alice", "alice-admin"):
        with pytest.raises(NotGranted, match="somebody else says who manages people"):
            registry.somebody_else(mine, actor=person("alice"))
    assert Entry.objects.filter(verb="agents.person.refused").count() == 3


def test_of_an_administrators_accounts_only_an_administrator_says_whose_they_are(people: None) -> None:
    for name in ("root", "root2"):
        registry.create_person(name, actor=SYSTEM, administrator=name == "root")
    registry.same_person("root2", "root", actor=SYSTEM)
    registry.permit_person("bob", "manage-people", allowed=True, actor=SYSTEM)
    with pytest.raises(NotGranted, match="'root' administers this installation"):
        registry.somebody_else("root2", actor=person("bob"))
    with pytest.raises(NotGranted, match="'root' administers this installation"):
        registry.same_person("alice", "root2", actor=person("bob"))
    registry.somebody_else("root2", actor=SYSTEM)


def test_nobody_stands_in_for_themselves_with_another_account(people: None) -> None:
    registry.same_person("alice-admin", "alice", actor=SYSTEM)
    with pytest.raises(Invalid, match="with whichever of their accounts"):
        registry.arrange_cover("alice", "alice-admin", until=(clock.now() + timedelta(days=9)).date().isoformat(), actor=SYSTEM)
