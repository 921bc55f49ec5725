"""Cover: who may arrange that somebody decides in whose stead, for how long, and what ends it."""

from datetime import timedelta

import pytest

from agents import registry
from agents.errors import NotGranted, UnknownCover, UnknownPerson
from agents.models import Cover, Team
from agents.registry.covering import MOST_AHEAD
from audit import clock
from audit.actors import Actor
from audit.errors import Conflict, Invalid
from audit.models import Entry
from tests.approving import actor, member
from tests.holders import person
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice() -> Actor:
    """With bob, in a team of theirs; charlie is in another."""
    for name in ("platform", "elsewhere"):
        Team.objects.create(name=name, created_at=clock.now())
    member("bob", "platform")
    member("charlie", "elsewhere")
    return member("alice", "platform")


def day(ahead: int) -> str:
    return (clock.now() + timedelta(days=ahead)).date().isoformat()


def arranged(by: Actor, deputy: str = "bob", *, person: str = "alice", until: str = "", since: str = "") -> Cover:
    return registry.arrange_cover(person, deputy, until=until or day(5), since=since, actor=by)


def covered(deputy: str = "bob", ahead: int = 0) -> dict[str, frozenset[str]]:
    return registry.covered_by([deputy], now=clock.now() + timedelta(days=ahead)).get(deputy, {})


def test_a_colleague_stands_in_from_one_day_to_another_and_it_is_an_entry_that_names_nobody(alice: Actor) -> None:
    cover = arranged(alice, since=day(2))
    assert (covered(), covered(ahead=3), covered(ahead=6)) == ({}, {"alice": frozenset({"platform"})}, {})
    assert registry.deputies_of(["alice", "bob"], now=clock.now() + timedelta(days=3)) == {"bob": {"alice": frozenset({"platform"})}}
    entry = Entry.objects.get(verb="agents.person.covered")
    assert entry.envelope()["facts"]["cover"] == str(cover.pk)
    assert b"alice" not in bytes(entry.body).replace(b'"id":"alice"', b"")  # but as the one who did it
    assert (cover.made_by, cover.stands(clock.now())) == ("person:alice", "ahead")


def test_nobody_arranges_it_for_somebody_else_without_managing_people(alice: Actor) -> None:
    with pytest.raises(NotGranted, match="you may have somebody stand in for yourself, and for nobody else"):
        arranged(actor("bob"), "bob", person="alice")
    with pytest.raises(NotGranted):
        arranged(Actor.nobody(), person="alice")
    assert not Cover.objects.exists()
    assert Entry.objects.filter(verb="agents.person.refused").count() == 2


def test_whoever_manages_people_arranges_it_for_others_and_never_with_themselves(alice: Actor) -> None:
    member("mia", "platform")
    registry.permit_person("mia", "manage-people", allowed=True, actor=SYSTEM)
    assert arranged(person("mia")).made_by == "person:mia"
    with pytest.raises(NotGranted, match="nobody makes themselves the deputy"):
        arranged(person("mia"), "mia")
    assert arranged(person("mia"), "bob", person="mia").person.username == "mia"
    arranged(SYSTEM, "mia")
    with pytest.raises(UnknownPerson):
        arranged(SYSTEM, "nobody-of-this-name", person="nobody-else")


def test_nobody_gives_away_the_say_of_somebody_who_may_do_more_than_they(alice: Actor) -> None:
    """By an account made for that, in a team that both belong to; nor with another account of their own."""
    Team.objects.create(name="social", created_at=clock.now())
    for name in ("alice", "mallory", "puppet"):
        member(name, "social")
    registry.permit_person("mallory", "manage-people", allowed=True, actor=SYSTEM)
    with pytest.raises(NotGranted, match="may see or do more than you"):
        arranged(person("mallory"), "puppet")
    registry.add_member("platform", "mallory", actor=SYSTEM)
    registry.same_person("puppet", "mallory", actor=SYSTEM)
    with pytest.raises(NotGranted, match="nobody makes themselves the deputy"):
        arranged(person("mallory"), "puppet")
    registry.create_person("root", actor=SYSTEM, administrator=True)
    registry.add_member("platform", "root", actor=SYSTEM)
    with pytest.raises(NotGranted, match="administers this installation"):
        arranged(person("mallory"), "bob", person="root")


@pytest.mark.parametrize("deputy", ["charlie", "zoe", "a\x00b"])
def test_only_a_colleague_can_stand_in_and_a_stranger_is_refused_like_nobody(alice: Actor, deputy: str) -> None:
    with pytest.raises(NotGranted, match="in a team together"):
        arranged(alice, deputy)


def test_nobody_stands_in_for_themselves(alice: Actor) -> None:
    with pytest.raises(Invalid, match="nobody stands in for themselves"):
        arranged(alice, "alice")


def test_whoever_is_never_asked_stands_in_for_nobody(alice: Actor) -> None:
    registry.add_to_group("auditor", "bob", actor=SYSTEM)
    with pytest.raises(NotGranted, match="of a role that is asked for approvals"):
        arranged(alice)


@pytest.mark.parametrize(
    ("since", "until", "why"),
    [
        ("", "tomorrow", "'tomorrow' is no time"),
        ("x\u202e", "2100-01-01", "'x.* is no time"),
        ("", "2100-01-01", "180 days later at most"),
        ("", "2020-01-01", "ends after it begins"),
        ("2100-01-01", "2100-01-05", "365 days ahead"),
    ],
)
def test_an_odd_time_is_refused(alice: Actor, since: str, until: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        arranged(alice, since=since, until=until)


def test_what_begins_in_the_past_begins_now(alice: Actor) -> None:
    assert arranged(alice, since="2020-01-01").since > clock.now() - timedelta(minutes=1)


def test_the_same_twice_at_one_time_is_a_conflict_and_so_are_too_many(alice: Actor) -> None:
    arranged(alice, since=day(2), until=day(4))
    with pytest.raises(Conflict, match="stands in for 'alice' already"):
        arranged(alice, since=day(3), until=day(9))
    for number in range(1, MOST_AHEAD):
        arranged(alice, since=day(10 + 2 * number), until=day(11 + 2 * number))
    with pytest.raises(Conflict, match=f"{MOST_AHEAD} covers"):
        arranged(alice, since=day(100), until=day(101))


def test_either_of_the_two_ends_it_and_nobody_else_sees_it(alice: Actor) -> None:
    cover = str(arranged(alice).pk)
    with pytest.raises(UnknownCover):
        registry.end_cover(cover, actor=member("carol", "platform"))
    registry.end_cover(cover, actor=actor("bob"))
    assert covered() == {}
    with pytest.raises(Conflict, match="is ended already"):
        registry.end_cover(cover, actor=alice)
    assert Entry.objects.filter(verb="agents.person.cover_ended", actor="bob").count() == 1
    registry.end_cover(str(arranged(alice).pk), actor=SYSTEM)
    assert covered() == {}


@pytest.mark.parametrize("leaves", ["alice", "bob"])
def test_it_rests_while_one_of_them_is_out_of_the_team_or_deactivated(alice: Actor, leaves: str) -> None:
    arranged(alice)
    registry.remove_member("platform", leaves, actor=SYSTEM)
    assert covered() == {}
    registry.add_member("platform", leaves, actor=SYSTEM)
    assert covered() == {"alice": frozenset({"platform"})}
    registry.set_active(leaves, active=False, actor=SYSTEM)
    assert covered() == {}


def test_whoever_sees_everything_sees_all_covers(alice: Actor) -> None:
    arranged(alice)
    registry.permit_person("charlie", "see-everything", allowed=True, actor=SYSTEM)
    seen = [registry.covers_visible_to(each).count() for each in (alice, actor("bob"), member("carol", "platform"), person("charlie"))]
    assert seen == [1, 1, 0, 1]
