"""A person's e-mail address: their own to set, and that of others for whoever manages people; in no entry."""

from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from agents import registry
from agents.errors import NotGranted, UnknownPerson
from audit.actors import MANAGE_PEOPLE, Actor
from audit.errors import Conflict, Invalid
from audit.models import Entry, Opening
from tests import pipelines
from tests.pipelines import SYSTEM, agent

pytestmark = pytest.mark.django_db(transaction=True)


def person(name: str) -> Actor:
    registry.create_person(name, actor=SYSTEM)
    return Actor("person", name, "session")


def email_of(name: str) -> str:
    return User.objects.get(username=name).email


def changes() -> list[dict[str, object]]:
    return [each.envelope()["facts"] for each in Entry.objects.filter(verb="agents.person.changed").order_by("at")]


def test_everybody_sets_and_takes_away_their_own(db: None) -> None:
    alice = person("alice")
    registry.set_email("alice", " alice@example.com ", actor=alice)
    assert email_of("alice") == "alice@example.com"
    registry.set_email("alice", "", actor=alice)
    assert email_of("alice") == ""
    assert [each["email"] for each in changes()] == [True, False]


def test_the_address_stands_in_no_entry_and_in_nothing_that_an_entry_opens(db: None) -> None:
    registry.set_email("alice", "alice@example.com", actor=person("alice"))
    assert not any(b"example.com" in bytes(each.body) for each in Entry.objects.all())
    assert not any(b"example.com" in each.held for each in Opening.objects.all())


def test_nobody_sets_that_of_somebody_else_without_managing_people(db: None) -> None:
    person("bob")
    with pytest.raises(NotGranted, match="you may give yourself an e-mail address, and nobody else"):
        registry.set_email("bob", "alice@example.com", actor=person("alice"))
    assert (email_of("bob"), changes()) == ("", [])
    assert Entry.objects.filter(verb="agents.person.refused", actor="alice").count() == 1


def test_an_address_that_says_who_answers_for_something_is_taken_and_dropped_by_nobody_but_who_manages_people(tmp_path: Path) -> None:
    accountable = agent("worker", "work:run", more="accountable: Alice@example.com")
    pipelines.publish(tmp_path / "p", functions="def run() -> dict:\n    return {}\n", agents=[accountable], steps="- {id: a, agent: worker}")
    mallory, alice = person("mallory"), person("alice")
    with pytest.raises(NotGranted, match="says who answers for something here"):
        registry.set_email("mallory", "alice@EXAMPLE.com", actor=mallory)
    registry.set_email("alice", "alice@example.com", actor=SYSTEM)
    for other in ("", "alice@elsewhere.example"):
        with pytest.raises(NotGranted, match="says who answers for something here"):
            registry.set_email("alice", other, actor=alice)
    assert (email_of("mallory"), email_of("alice")) == ("", "alice@example.com")


def test_whoever_manages_people_sets_it_for_those_who_see_no_more_than_they_do(db: None) -> None:
    manager = replace(person("dora"), permissions=frozenset({MANAGE_PEOPLE}))
    person("bob")
    registry.set_email("bob", "bob@example.com", actor=manager)
    assert email_of("bob") == "bob@example.com"
    person("erin")
    registry.permit_person("erin", "see-everything", allowed=True, actor=SYSTEM)
    with pytest.raises(NotGranted, match="may see or do more than you"):
        registry.set_email("erin", "dora@example.com", actor=manager)
    assert email_of("erin") == ""


def test_an_address_belongs_to_one_person(db: None) -> None:
    registry.set_email("bob", "bob@example.com", actor=person("bob"))
    alice = person("alice")
    with pytest.raises(Conflict, match="another account has this e-mail address"):
        registry.set_email("alice", "BOB@example.com", actor=alice)
    with pytest.raises(Conflict, match="has no e-mail address already"):
        registry.set_email("alice", "", actor=alice)
    assert email_of("alice") == ""


@pytest.mark.parametrize(
    "odd", ["x", "a@b\nBcc: c@example.com", "a@example.com, b@example.com", "Alice <a@example.com>", f"{'a' * 250}@example.com", "ä@example.com"]
)
def test_what_is_no_single_address_is_refused(db: None, odd: str) -> None:
    with pytest.raises(Invalid, match="this is no e-mail address"):
        registry.set_email("alice", odd, actor=person("alice"))
    assert (email_of("alice"), Entry.objects.filter(verb="agents.person.refused").count()) == ("", 1)


def test_nobody_who_is_not_there_is_given_one(db: None) -> None:
    with pytest.raises(UnknownPerson):
        registry.set_email("ghost", "ghost@example.com", actor=SYSTEM)
    with pytest.raises(NotGranted):
        registry.set_email("nobody", "ghost@example.com", actor=Actor.nobody())
    assert User.objects.count() == 0
