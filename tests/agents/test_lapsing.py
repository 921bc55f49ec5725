"""Agents whose time is up: said beforehand, then suspended; and what has to be new before they work again."""

import json
from datetime import date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from agents import registry
from agents.models import Agent, AgentNotice
from agents.registry.lapsing import Lapsed
from audit import clock
from audit.actors import Actor
from audit.errors import Conflict
from audit.models import Entry, Message
from runs import sweeps
from tests import factories
from tests.agents.folders import numbers
from tests.agents.inventory import SYSTEM, facts_of, publish

pytestmark = pytest.mark.django_db(transaction=True)

SWEEP = Actor.system("sweep")


@pytest.fixture(autouse=True)
def _applied(tmp_path: Path) -> None:
    publish(numbers(tmp_path / "one"))
    Agent.objects.update(accountable="")


def swept(now: datetime | None = None) -> Lapsed:
    return registry.suspend_lapsed(actor=SWEEP, now=now)


def today() -> date:
    return clock.now().date()


def give(**values: Any) -> None:
    Agent.objects.filter(name="reader").update(**values)


def state() -> str:
    return str(Agent.objects.get(name="reader").state)


def belongs(name: str) -> User:
    person = factories.person(name)
    registry.add_member(Agent.objects.get(name="reader").team.name, name, actor=SYSTEM)
    return person


def test_a_day_of_review_that_is_far_away_is_nobodys_concern() -> None:
    give(review_by=today() + timedelta(days=15))
    assert swept() == Lapsed(0, 0) and not AgentNotice.objects.exists()


def test_a_day_of_review_is_said_once_beforehand_with_an_entry_and_a_message() -> None:
    give(review_by=today() + timedelta(days=14))
    assert [swept(), swept()] == [Lapsed(1, 0), Lapsed(0, 0)]
    day = (today() + timedelta(days=15)).isoformat()
    assert facts_of("agents.agent.noticed") == [{"ground": "review", "suspends_on": day}]
    assert [message.payload["agent"] for message in Message.objects.filter(topic="agents.notice")] == ["reader"]
    assert state() == "active"


def test_an_agent_works_on_the_day_of_its_review_and_not_on_the_next(settings: Any) -> None:
    give(review_by=today())
    assert swept().suspended == 0 and state() == "active"
    give(review_by=today() - timedelta(days=1))
    assert [swept().suspended, swept().suspended] == [1, 0] and state() == "suspended"
    (entry,) = Entry.objects.filter(verb="agents.agent.suspended")
    assert json.loads(bytes(entry.body))["actor"] == {"kind": "system", "id": "system", "auth": "sweep"}
    assert not Entry.objects.filter(verb="agents.agent.refused").exists()


def test_a_later_day_takes_the_notice_back() -> None:
    give(review_by=today())
    swept()
    give(review_by=today() + timedelta(days=100))
    assert swept() == Lapsed(0, 0) and not AgentNotice.objects.exists()


def test_an_agent_without_its_review_is_resumed_only_with_a_new_day() -> None:
    give(review_by=today() - timedelta(days=1))
    swept()
    with pytest.raises(Conflict) as refused:
        registry.resume("reader", actor=SYSTEM)
    assert "can't be resumed as it stands: it was to be reviewed by" in refused.value.message and "a later review_by" in refused.value.message
    give(review_by=today() + timedelta(days=90))
    assert registry.resume("reader", actor=SYSTEM).state == "active"


@pytest.mark.parametrize("how", ["leaves", "deactivated"])
def test_an_agent_whose_accountable_person_is_gone_is_suspended_after_the_notice(how: str) -> None:
    belongs("alice")
    give(accountable="Alice")
    assert swept() == Lapsed(0, 0)
    if how == "leaves":
        registry.remove_member("platform", "alice", actor=SYSTEM)
    else:
        registry.set_active("alice", active=False, actor=SYSTEM)
    now = clock.now()
    assert [swept(now), swept(now + timedelta(days=13)), state()] == [Lapsed(1, 0), Lapsed(0, 0), "active"]
    AgentNotice.objects.update(suspends_on=now.date())
    assert swept() == Lapsed(0, 1) and state() == "suspended"
    with pytest.raises(Conflict, match="'Alice', who answers for it, is deactivated or no longer in its team"):
        registry.resume("reader", actor=SYSTEM)


def test_whoever_comes_back_in_time_answers_again() -> None:
    belongs("alice")
    give(accountable="alice")
    registry.remove_member("platform", "alice", actor=SYSTEM)
    swept()
    registry.add_member("platform", "alice", actor=SYSTEM)
    assert swept() == Lapsed(0, 0) and not AgentNotice.objects.exists()


def test_an_administrator_answers_without_being_a_member_and_a_name_without_an_account_is_taken_at_its_word() -> None:
    registry.create_person("root", actor=SYSTEM, administrator=True)
    for name in ("root", "metrics desk", ""):
        give(accountable=name)
        assert swept() == Lapsed(0, 0), name


def test_a_mail_address_is_a_person_too() -> None:
    person = belongs("alice")
    User.objects.filter(pk=person.pk).update(email="alice@example.com", is_active=False)
    give(accountable="alice@example.com")
    assert swept() == Lapsed(1, 0)


def test_without_a_lead_nothing_is_waited_for(settings: Any) -> None:
    settings.ORCHESTRA_NOTICE_DAYS = 0
    belongs("alice")
    give(accountable="alice")
    registry.set_active("alice", active=False, actor=SYSTEM)
    assert swept() == Lapsed(1, 1) and state() == "suspended"


def test_an_agent_that_was_given_a_new_day_at_this_moment_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    give(review_by=today() - timedelta(days=1))
    real = registry.lapsing.suspend

    def late(*args: Any, **options: Any) -> Agent:
        give(review_by=today() + timedelta(days=30))
        return real(*args, **options)

    monkeypatch.setattr(registry.lapsing, "suspend", late)
    assert swept().suspended == 0 and state() == "active"
    assert not Entry.objects.filter(verb__in=["agents.agent.suspended", "agents.agent.refused"]).exists()


def test_the_sweep_does_it_and_the_commands_say_it() -> None:
    give(review_by=today())
    assert sweeps.sweep().noticed == 1
    out, err = StringIO(), StringIO()
    call_command("inventory", "agents", stdout=out, stderr=err)
    assert today().isoformat() in out.getvalue() and "agent reader will be suspended on" in err.getvalue()
    give(review_by=today() - timedelta(days=1))
    out = StringIO()
    call_command("sweep", stdout=out)
    assert "agents whose time is up: 1 suspended, 0 told beforehand" in out.getvalue()
