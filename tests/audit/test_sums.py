"""What charges come to: in all and by what one asks, as far as somebody may see them, in a number of statements that does not grow."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit import sums
from audit.actors import Actor
from audit.identity import new_id
from audit.models import Charge
from audit.sums import Period, Wanted, summary

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ALL = Actor.system("test")
MEMBER = Actor("person", "alice", "test", frozenset({"red"}), frozenset({"blue"}))
OUTSIDER = Actor("person", "charlie", "test")
MONTH = Wanted(NOW - timedelta(days=30), NOW)


def charge(amount: int, *, days: float = 1, **more: Any) -> Charge:
    said = {"team": "red", "agent": "reader", "pipeline": "digest", "provider": "p", "model": "m", "input_tokens": 10, **more}
    return Charge.objects.create(id=new_id(), at=NOW - timedelta(days=days), amount_nano=amount, **said)


def by(dimension: str, actor: Actor = ALL, wanted: Wanted = MONTH) -> list[tuple[str, int]]:
    return [(group.name, group.amount_nano) for group in summary(wanted, dimension, actor=actor).groups]


@pytest.fixture
def charges() -> None:
    first = charge(500, estimated=True)
    charge(-200, corrects=first.id)
    charge(70, days=2, team="blue", agent="writer", pipeline="letter", model="n")
    charge(9, days=3, team="green", provider="", model="", agent="")
    charge(1_000, days=31)


def test_charges_are_summed_by_what_one_asks_with_corrections_and_within_the_period(charges: None) -> None:
    assert by("team") == [("red", 300), ("blue", 70), ("green", 9)]
    assert by("agent") == [("reader", 300), ("writer", 70), ("", 9)]
    assert by("pipeline") == [("digest", 309), ("letter", 70)]
    assert by("model") == [("p/m", 300), ("p/n", 70), ("", 9)]
    assert by("day") == [("2026-03-09", 300), ("2026-03-08", 70), ("2026-03-07", 9)]
    total = summary(MONTH, "team", actor=ALL).total
    assert (total.amount_nano, total.estimated_nano, total.charges, total.input_tokens) == (379, 500, 4, 40)


def test_what_other_teams_spent_is_in_no_sum(charges: None) -> None:
    assert by("team", MEMBER) == [("red", 300), ("blue", 70)]
    assert summary(MONTH, "day", actor=MEMBER).total.amount_nano == 370
    assert summary(MONTH, "day", actor=OUTSIDER).total.charges == 0 and by("day", OUTSIDER) == []


def test_filters_add_up(charges: None) -> None:
    run = new_id()
    charge(5, run=run, agent="writer", days=5)
    assert by("agent", wanted=Wanted(MONTH.since, NOW, agent="writer")) == [("writer", 75)]
    assert by("agent", wanted=Wanted(MONTH.since, NOW, run=run)) == [("writer", 5)]
    assert by("agent", wanted=Wanted(MONTH.since, NOW, agent="writer", pipeline="digest")) == [("writer", 5)]
    assert by("agent", wanted=Wanted(NOW - timedelta(days=1.5), NOW - timedelta(days=0.5))) == [("reader", 300)]


@pytest.mark.parametrize(("actor", "counted"), [(ALL, 3), (MEMBER, 3)])
def test_of_too_many_charges_the_newest_are_summed_and_it_is_said(actor: Actor, counted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "MOST_CHARGES", 3 if actor is ALL else 6)
    monkeypatch.setattr(sums, "LEAST_OF_A_TEAM", 1)
    for days in range(1, 6):
        charge(1, days=days)
    found = summary(MONTH, "day", actor=actor)
    assert (found.complete, found.since, found.total.charges) == (False, NOW - timedelta(days=counted + 1), counted)
    monkeypatch.setattr(sums, "MOST_CHARGES", 10)
    assert summary(MONTH, "day", actor=actor).complete


def test_the_largest_groups_are_named_and_it_is_said_that_there_are_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        charge(number, agent=f"agent-{number}")
    groups, more = Period(MONTH, actor=ALL).by("agent", 3)
    assert ([group.name for group in groups], more) == (["agent-3", "agent-2", "agent-1"], True)
    assert not Period(MONTH, actor=ALL).by("agent", 4)[1]


def test_a_summary_takes_as_many_statements_however_many_charges_there_are() -> None:
    def statements(actor: Actor) -> int:
        with CaptureQueriesContext(connection) as captured:
            summary(MONTH, "model", actor=actor)
        return len(captured)

    charge(1)
    few = [statements(actor) for actor in (ALL, MEMBER, OUTSIDER)]
    for number in range(30):
        charge(1, model=f"m{number}")
    assert [statements(actor) for actor in (ALL, MEMBER, OUTSIDER)] == few == [3, 4, 0]
