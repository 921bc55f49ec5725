"""Who sees what in the admin: every page is filtered by visible_to, and what is not shown does not exist."""

import re
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse, reverse_lazy
from django.utils.html import escape

from agents import registry
from agents.models import Agent, Pipeline, Release, Team, Version
from runs.models import Run
from tests import pipelines
from tests.doors import world
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)

FOREIGN = ("red", "secret", "hidden", "umpire")
NARROW = ("alice", "bob", "charlie")
PEOPLE = reverse_lazy("admin:auth_user_changelist")
ACCOUNT = reverse_lazy("admin:orchestra_site_token_changelist")
FOR_MANAGERS = (PEOPLE, reverse_lazy("admin:auth_group_changelist"), reverse_lazy("admin:orchestra_site_tries_changelist"))


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Run, Run]:
    return world.runs_of_both(tmp_path)


@pytest.fixture
def seen(runs: tuple[Run, Run]) -> dict[str, Client]:
    return world.people()


def lists() -> list[str]:
    return [reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in admin.site._registry]


def names_on(client: Client, url: str) -> set[str]:
    """Which names of the other team stand on a page, as text of an element."""
    page = client.get(url).content.decode()
    return {word for word in FOREIGN if f">{word}<" in page or f"={word}" in page or f": {word}" in page or f"'{word}'" in page}


def facts_on(client: Client, person: str) -> str:
    """What the page of a person says of them, between its first and its last line."""
    page = client.get(reverse("admin:auth_user_change", args=[User.objects.get(username=person).pk])).content.decode()
    return re.search(r"<dt>Teams.*?<dt>Signed", page, re.DOTALL)[0]


def test_no_list_filter_or_overview_names_another_team(seen: dict[str, Client]) -> None:
    for url in [reverse("admin:index"), *lists()]:
        assert [names_on(seen[name], url) for name in NARROW] == [set()] * 3, url


def test_whoever_sees_everything_sees_both_teams(seen: dict[str, Client]) -> None:
    agents = reverse("admin:agents_agent_changelist")
    assert all("hidden" in seen[name].get(agents).content.decode() for name in ("dora", "root"))
    assert names_on(seen["dora"], reverse("admin:runs_run_changelist")) >= {"secret", "red"}


def test_a_person_without_a_team_sees_empty_lists(seen: dict[str, Client]) -> None:
    for url in lists():
        if url == ACCOUNT:
            continue
        answer = seen["charlie"].get(url)
        assert answer.status_code == 404 if url in FOR_MANAGERS else len(answer.context["cl"].result_list) == 0, url
    assert "You belong to no team" in seen["charlie"].get(reverse("admin:index")).content.decode()


def test_what_belongs_to_another_team_is_not_found(seen: dict[str, Client], runs: tuple[Run, Run]) -> None:
    team = Team.objects.get(name="red")
    agent, pipeline = Agent.objects.get(name="hidden"), Pipeline.objects.get(name="secret")
    rows = [runs[1], team, agent, pipeline, Release.objects.get(pipeline=pipeline), *Version.objects.filter(agent=agent)]
    for row in rows:
        url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
        assert [seen[name].get(url).status_code for name in NARROW] == [404] * 3, url
    deeds = [
        reverse("admin:runs_run_start", args=[pipeline.pk]),
        *(reverse(f"admin:runs_run_{what}", args=[runs[1].pk]) for what in ("cancel", "reverify")),
        *(reverse(f"admin:agents_agent_{what}", args=[agent.pk]) for what in ("publish", "rollback", "suspend", "retire")),
        *(reverse(f"admin:agents_team_{what}", args=[team.pk]) for what in ("add", "remove", "show", "hide")),
    ]
    for url in deeds:
        assert {seen[name].get(url).status_code for name in NARROW} == {404}, url
        assert {seen[name].post(url, {"reason": "x", "person": "bob"}).status_code for name in NARROW} == {404}, url


def test_entries_of_another_team_are_not_found(seen: dict[str, Client], runs: tuple[Run, Run]) -> None:
    url = reverse("admin:audit_entry_change", args=[runs[1].input_entry])
    assert [seen[name].get(url).status_code for name in ("alice", "bob", "charlie", "dora")] == [404, 404, 404, 200]
    found = seen["alice"].get(reverse("admin:audit_entry_changelist"), {"q": str(runs[1].id)}).context["cl"].result_list
    assert list(found) == []


def test_a_list_answers_no_question_that_its_filters_do_not_ask(seen: dict[str, Client]) -> None:
    for query in ("members__password__startswith=md5", "agents__name=hidden", "pipelines__runs__id=1", "accountable=x"):
        assert seen["alice"].get(f"{reverse('admin:agents_team_changelist')}?{query}").status_code == 400, query


def test_an_agent_used_by_another_team_does_not_name_its_pipeline(seen: dict[str, Client]) -> None:
    row = Agent.objects.get(name="worker")
    assert names_on(seen["alice"], reverse("admin:agents_agent_change", args=[row.pk])) == set()


def test_people_are_listed_only_for_whoever_manages_them(seen: dict[str, Client]) -> None:
    root = User.objects.get(username="root")
    urls = (PEOPLE, reverse("admin:auth_user_create"), reverse("admin:auth_user_change", args=[root.pk]))
    assert len(seen["root"].get(PEOPLE).context["cl"].result_list) == len(world.PEOPLE)
    assert "Create a person" in seen["root"].get(PEOPLE).content.decode()
    for name in ("alice", "bob", "charlie", "dora"):
        assert [seen[name].get(url).status_code for url in urls] == [404] * 3
        assert seen[name].post(urls[1], {"username": "erin"}).status_code == 404
    assert not User.objects.filter(username="erin").exists()


def test_the_page_of_a_person_names_only_teams_that_whoever_looks_sees(seen: dict[str, Client]) -> None:
    registry.permit_person("alice", "manage-people", allowed=True, actor=SYSTEM)
    registry.add_member("red", "charlie", actor=SYSTEM)
    registry.add_member("platform", "charlie", actor=SYSTEM)
    registry.show_team("red", "bob", actor=SYSTEM)
    for name in ("charlie", "bob"):
        said = {who: facts_on(seen[who], name) for who in ("alice", "root")}
        assert "platform" in said["alice"] and "red" not in said["alice"] and ", and 1 that you don't see" in said["alice"], name
        assert "red" in said["root"] and "don't see" not in said["root"], name


def test_what_an_inactive_person_was_given_stands_on_their_page(seen: dict[str, Client]) -> None:
    registry.set_active("dora", active=False, actor=SYSTEM)
    assert "<dt>Permissions</dt><dd>see-everything</dd>" in facts_on(seen["root"], "dora")


def test_nobody_who_is_not_signed_in_sees_anything(seen: dict[str, Client], runs: tuple[Run, Run]) -> None:
    for url in [reverse("admin:index"), *lists(), reverse("admin:runs_run_change", args=[runs[0].pk])]:
        answer = Client().get(url)
        assert answer.status_code == 302 and "/login/" in answer.headers["Location"], url


COUNTS_ALL = re.compile(r'COUNT\((?=.*FROM "(?:runs_run|audit_entry)")(?!.*LIMIT)', re.DOTALL)
"""Counting so many at most is another thing."""


def statements(client: Client, url: str) -> int:
    client.get(url)  # what is read once per process is read now
    with CaptureQueriesContext(connection) as asked:
        assert client.get(url).status_code == 200
    assert not list(filter(COUNTS_ALL.search, (query["sql"] for query in asked.captured_queries))), "a million rows are not counted for a page"
    return len(asked)


def test_lists_and_pages_ask_as_much_with_many_rows_as_with_few(seen: dict[str, Client], tmp_path: Path) -> None:
    pipeline = Pipeline.objects.get(name="sample")
    urls = [
        *(reverse(f"admin:{name}_changelist") for name in ("runs_run", "audit_entry", "agents_agent", "agents_pipeline", "agents_version")),
        *(reverse("admin:index"), reverse("admin:agents_pipeline_change", args=[pipeline.pk])),
        reverse("admin:agents_agent_change", args=[Agent.objects.get(name="worker").pk]),
    ]
    few = {url: statements(seen["alice"], url) for url in urls}
    assert max(asked for url, asked in few.items() if url.count("/") == 4) <= 18, "lists"
    assert max(few.values()) <= 36, "pages"
    for number in range(5):
        pipelines.drive(pipelines.start("sample"))
        more = [pipelines.agent(f"more-{number}", "work:work"), pipelines.agent("worker", "work:work", more=f'risk_tier: "{number}"')]
        pipelines.publish(tmp_path / f"more-{number}", functions=world.WORK, agents=more, steps=world.STEPS)
    assert {url: statements(seen["alice"], url) for url in urls} == few


def test_a_run_page_asks_as_much_for_many_steps_as_for_few(seen: dict[str, Client], runs: tuple[Run, Run], tmp_path: Path) -> None:
    steps = "- {id: all, for_each: =input.items, as: item, do: [{id: one, agent: worker}]}\n- {id: end, agent: worker}"
    pipelines.publish(tmp_path / "many", functions=world.WORK, agents=[pipelines.agent("worker", "work:work")], steps=steps)
    asked = []
    for many in (1, 12):
        run = pipelines.start("sample", input={"items": list(range(many))})
        pipelines.drive(run)
        asked.append(statements(seen["alice"], reverse("admin:runs_run_change", args=[run.pk])))
    assert asked[0] == asked[1] <= 40


def test_pages_of_a_list_follow_each_other_without_gap_or_repetition(seen: dict[str, Client], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(admin.site._registry[Run]), "list_per_page", 2)
    made = [str(pipelines.start("sample").id) for _ in range(4)]
    listing, url, walked = reverse("admin:runs_run_changelist"), "", []
    for _ in range(9):
        cl = seen["alice"].get(listing + url).context["cl"]
        walked += [str(run.id) for run in cl.result_list]
        if cl.older is None:
            break
        url = cl.older
    assert walked[:4] == made[::-1] and len(walked) == len(set(walked)) == 5
    back = seen["alice"].get(listing + cl.newer).context["cl"]
    assert [str(run.id) for run in back.result_list] == walked[2:4]


def test_a_team_that_is_shown_is_seen_and_hidden_again(seen: dict[str, Client], runs: tuple[Run, Run]) -> None:
    url = reverse("admin:runs_run_change", args=[runs[0].pk])
    before = seen["bob"].get(url).status_code
    registry.hide_team("platform", "bob", actor=SYSTEM)
    assert (before, seen["bob"].get(url).status_code) == (200, 404)


def test_entries_of_several_teams_are_listed_in_one_order(seen: dict[str, Client]) -> None:
    registry.add_member("red", "alice", actor=SYSTEM)
    rows = seen["alice"].get(reverse("admin:audit_entry_changelist")).context["cl"].result_list
    assert {row.team for row in rows} == {"platform", "red"}
    assert [(row.at, row.id) for row in rows] == sorted(((row.at, row.id) for row in rows), reverse=True)


@pytest.mark.parametrize(
    "name", ["agents_agent", "agents_pipeline", "agents_team", "agents_modelalias", "runs_run", "runs_wait", "runs_engine", "audit_charge"]
)
def test_an_empty_list_says_how_something_comes_into_it(name: str) -> None:
    registry.create_person("root", actor=SYSTEM, administrator=True)
    page = world.signed_in("root").get(reverse(f"admin:{name}_changelist"))
    hint = page.context["cl"].model_admin.nothing
    assert hint and escape(hint) in page.content.decode()
