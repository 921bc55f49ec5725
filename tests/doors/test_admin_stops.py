"""Stops in the admin: a button and a form that asks for the reason, the proof, the lifting, and what stands on the pages of what is stopped."""

from pathlib import Path

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from agents import registry
from agents.models import Agent, Pipeline, Stop, Team
from audit import clock
from runs.models import Run
from tests import pipelines
from tests.doors import world
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)

SET = "admin:agents_stop_set"


@pytest.fixture
def seen(tmp_path: Path) -> dict[str, Client]:
    world.platform(tmp_path / "platform")
    return world.people()


def text(answer: HttpResponse) -> str:
    return answer.content.decode()


def page(row: object) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def test_something_is_stopped_by_one_form_that_asks_for_the_reason(seen: dict[str, Client]) -> None:
    assert "Stop something" in text(seen["alice"].get(reverse("admin:agents_stop_changelist")))
    assert 'value="sample"' in text(seen["alice"].get(reverse(SET) + "?scope=pipeline&name=sample"))
    refused = seen["alice"].post(reverse(SET), {"scope": "pipeline", "name": "sample", "reason": ""})
    assert refused.status_code == 422 and not Stop.objects.exists()
    done = seen["alice"].post(reverse(SET), {"scope": "pipeline", "name": "sample", "reason": "its source is <b>wrong</b>"})
    row = Stop.objects.get()
    assert (done.status_code, done.headers["Location"]) == (302, page(row))
    shown = text(seen["bob"].get(page(row)))
    assert "&lt;b&gt;wrong&lt;/b&gt;" in shown and "person alice" in shown and "It has come to rest" in shown


def test_whoever_looks_at_what_is_stopped_sees_it_first(seen: dict[str, Client]) -> None:
    run = pipelines.start("sample", input={})
    row = registry.stop("pipeline", "sample", actor=SYSTEM, reason="odd numbers")
    pages = [reverse("admin:index"), page(Pipeline.objects.get(name="sample")), page(Run.objects.get(id=run.id))]
    for url in pages:
        assert f'data-stop="{row.pk}"' in text(seen["alice"].get(url)) and "odd numbers" in text(seen["alice"].get(url)), url
    others = [page(Agent.objects.get(name="worker")), page(Team.objects.get(name="platform"))]
    assert not any("data-stop" in text(seen["alice"].get(url)) for url in others)
    everything = registry.stop("everything", actor=SYSTEM, reason="a leak")
    assert all(f'data-stop="{everything.pk}"' in text(seen["alice"].get(url)) for url in [*pages, *others])


def test_a_stop_is_lifted_by_a_button_by_whoever_may_set_it(seen: dict[str, Client]) -> None:
    row, everything = (registry.stop(*named, actor=SYSTEM, reason="odd") for named in (("pipeline", "sample"), ("everything",)))
    lift, other = (reverse("admin:agents_stop_lift", args=[each.pk]) for each in (row, everything))
    assert lift in text(seen["alice"].get(page(row))) and other not in text(seen["alice"].get(page(everything)))
    assert seen["alice"].post(other).status_code == 403
    assert seen["alice"].post(lift).status_code == 302
    assert [each.lifted_by for each in Stop.objects.order_by("stopped_at", "id")] == ["person:alice", ""]
    assert "nothing is left to lift" in text(seen["alice"].post(lift))


def test_the_page_says_that_people_are_asked_also_where_what_is_stopped_is_another_teams_by_now(seen: dict[str, Client]) -> None:
    row = registry.stop("pipeline", "sample", actor=SYSTEM, reason="odd")
    lift = reverse("admin:agents_stop_lift", args=[row.pk])
    assert "Lift it" in text(seen["alice"].get(lift))
    Pipeline.objects.filter(name="sample").update(team=Team.objects.create(name="careful", resuming="two", created_at=clock.now()))
    assert "under policy &#x27;two&#x27;" in text(seen["alice"].get(lift)) and "Propose" in text(seen["alice"].get(lift))


def test_a_stop_of_another_team_is_not_there(seen: dict[str, Client], tmp_path: Path) -> None:
    row = registry.stop("agent", "worker", actor=SYSTEM, reason="odd")
    assert {seen["charlie"].get(url).status_code for url in (page(row), reverse("admin:agents_stop_lift", args=[row.pk]))} == {404}
    assert "worker" not in text(seen["charlie"].get(reverse("admin:agents_stop_changelist")))
