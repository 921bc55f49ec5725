"""That an agent will be suspended stands where people look: on the overview, in the list, on its page, over REST."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from agents import registry
from agents.models import Agent
from audit import clock
from audit.actors import Actor
from tests.doors import world
from tests.rest import Caller

pytestmark = pytest.mark.django_db(transaction=True)

SWEEP = Actor.system("sweep")


@pytest.fixture
def alice(tmp_path: Path) -> Client:
    world.platform(tmp_path)
    return world.people()["alice"]


def due_in(days: int) -> str:
    """The day on which `worker` is suspended, after a sweep."""
    day = clock.now().date() + timedelta(days=days)
    Agent.objects.filter(name="worker").update(review_by=day)
    registry.suspend_lapsed(actor=SWEEP)
    return (day + timedelta(days=1)).isoformat()


def as_alice() -> Caller:
    return Caller.of(User.objects.get(username="alice"))


def page() -> str:
    return reverse("admin:agents_agent_change", args=[Agent.objects.get(name="worker").pk])


def test_a_notice_stands_on_the_overview_in_the_list_and_on_the_page(alice: Client) -> None:
    day = due_in(3)
    said = [alice.get(url).content.decode() for url in (reverse("admin:index"), reverse("admin:agents_agent_changelist"), page())]
    assert [f"suspended on {day}" in each for each in said] == [True] * 3
    listed = alice.get(reverse("admin:agents_agent_changelist"), {"review": "noticed"}).context["cl"].result_list
    assert [agent.name for agent in listed] == ["worker"]


def test_over_rest_an_agent_says_in_how_many_days_its_review_is_due(alice: Client) -> None:
    day = due_in(3)
    for body in (as_alice().get("/agents/worker/").body, as_alice().get("/agents/").body["items"][-1]):
        assert body["review_due_in_days"] == 3
        assert [(each["ground"], each["suspends_on"]) for each in body["notices"]] == [("review", day)]


def test_the_page_of_an_agent_that_was_suspended_says_what_it_needs(alice: Client) -> None:
    due_in(-1)
    said = alice.get(page()).content.decode()
    assert "can&#x27;t be resumed as it stands: it was to be reviewed by" in said and "will be suspended" not in said
    answer = as_alice().post("/agents/worker/resume/")
    assert (answer.status, answer.code) == (409, "conflict") and "a later review_by" in answer.body["detail"]
