"""People, teams and retirements as the registry changes them: the effect, its entry, and what a refusal leaves behind."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User

from agents import registry
from agents.errors import NotGranted, UnknownPerson
from agents.models import Agent, Pipeline, Standing
from audit.actors import MANAGE_PEOPLE, Actor
from audit.errors import Conflict
from audit.models import Entry
from tests.agents.folders import numbers

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system("test")
MANAGER = Actor("person", "maria", "test", permissions=frozenset({MANAGE_PEOPLE}), teams=frozenset({"platform"}))
MEMBER = Actor("person", "alice", "test", teams=frozenset({"platform"}))


@pytest.fixture
def team(tmp_path: Path) -> str:
    registry.apply_folder(numbers(tmp_path / "one"), actor=SYSTEM, publish=True)
    registry.create_person("erin", actor=SYSTEM)
    return Pipeline.objects.get().team.name


def told(*verbs: str) -> list[tuple[str, str]]:
    """(verb, who) of the entries with these verbs, in the order in which they were made."""
    return [(entry.verb, entry.actor) for entry in Entry.objects.filter(verb__in=verbs).order_by("id")]


def test_an_account_is_made_and_changed_and_its_name_is_no_fact(team: str) -> None:
    registry.permit_person("erin", "see-everything", allowed=True, actor=MANAGER)
    assert User.objects.get(username="erin").has_perm("audit.see_everything")
    registry.set_active("erin", active=False, actor=MANAGER)
    assert not User.objects.get(username="erin").is_active
    assert told("agents.person.created", "agents.person.changed") == [
        ("agents.person.created", "system"),
        *[("agents.person.changed", "maria")] * 2,
    ]
    assert not any(b"erin" in bytes(entry.body) for entry in Entry.objects.filter(verb__startswith="agents.person."))


def test_members_come_and_go_and_a_team_is_shown_and_hidden(team: str) -> None:
    manager = Actor("person", "maria", "test", permissions=MANAGER.permissions, teams=frozenset({team}))
    for change in (registry.add_member, registry.show_team):
        change(team, "erin", actor=manager)
    assert registry.people_of(team, actor=manager) == registry.people.People(team, ("erin",), ("erin",))
    for change in (registry.remove_member, registry.hide_team):
        change(team, "erin", actor=manager)
    assert registry.people_of(team, actor=manager) == registry.people.People(team, (), ())
    verbs = ("agents.team.member_added", "agents.team.shown", "agents.team.member_removed", "agents.team.hidden")
    assert told(*verbs) == [(verb, "maria") for verb in verbs]


def test_whoever_manages_no_people_changes_none_and_is_recorded(team: str) -> None:
    with pytest.raises(NotGranted):
        registry.add_member(team, "erin", actor=MEMBER)
    with pytest.raises(UnknownPerson):
        registry.set_active("nobody-here", active=False, actor=MANAGER)
    assert told("agents.person.refused") == [("agents.person.refused", "alice"), ("agents.person.refused", "maria")]
    assert registry.people_of(team, actor=SYSTEM).members == ()


def test_a_pipeline_and_then_its_agents_are_retired_and_brought_back(team: str) -> None:
    pipeline, agent = Pipeline.objects.get(), Agent.objects.order_by("name").first()
    assert agent is not None
    with pytest.raises(Conflict, match="is needed by"):
        registry.retire(agent.name, actor=SYSTEM, reason="old")
    for owner in (pipeline, agent):
        assert registry.retire(owner.name, actor=SYSTEM, reason="old").state == Standing.RETIRED
    for owner in (pipeline, agent):
        assert registry.reinstate(owner.name, actor=SYSTEM).state == Standing.ACTIVE
    verbs = ("agents.pipeline.retired", "agents.agent.retired", "agents.pipeline.reinstated", "agents.agent.reinstated")
    assert told(*verbs) == [(verb, "system") for verb in verbs]


def test_every_move_of_a_state_is_in_the_history_of_its_row(team: str) -> None:
    agent = Agent.objects.order_by("name").first()
    assert agent is not None
    registry.suspend(agent.name, actor=SYSTEM, reason="look")
    registry.resume(agent.name, actor=SYSTEM)
    states = list(agent.history.order_by("-history_id").values_list("state", flat=True)[:2])
    assert states == ["active", "suspended"]
