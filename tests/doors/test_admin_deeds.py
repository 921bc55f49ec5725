"""What can be done in the admin: each a page, a button and one use-case; refusals are recorded and change nothing."""

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from agents import registry
from agents.models import Agent, Pipeline, Release, Standing, Team, Version, VersionState
from audit.models import Entry
from runs.models import Run
from tests import pipelines
from tests.doors import world
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def seen(tmp_path: Path) -> dict[str, Client]:
    world.platform(tmp_path / "platform")
    return world.people()


def deed(row: Any, what: str) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{what}", args=[row.pk])


def entries(verb: str) -> list[Entry]:
    return list(Entry.objects.filter(verb=verb).order_by("id"))


def text(answer: HttpResponse) -> str:
    return answer.content.decode()


def shown(client: Client, row: Any) -> dict[str, str]:
    """What the page of a publication posts: which composition it showed."""
    return {"seen": client.get(deed(row, "publish")).context["seen"].seen}


def test_the_button_publishes_what_its_page_showed_and_nothing_that_was_applied_since(seen: dict[str, Client], tmp_path: Path) -> None:
    pipeline, pages = Pipeline.objects.get(name="sample"), []
    for limit in ("21s", "22s"):
        agents = [pipelines.agent("worker", "work:work", timeout=limit)]
        registry.apply_folder(pipelines.folder(tmp_path / limit, functions=world.WORK, agents=agents, steps=world.STEPS), actor=SYSTEM)
        pages.append(shown(seen["alice"], pipeline))
    for said in (pages[0], {}):
        refused = seen["alice"].post(deed(pipeline, "publish"), said)
        assert refused.status_code == 409 and "has changed since it was shown" in text(refused)
        assert Version.objects.get(agent__name="worker", state=VersionState.PUBLISHED).number == 1
    assert len(entries("agents.version.refused")) == 2
    again = refused.context["seen"].seen
    assert f'name="seen" value="{again}"' in text(refused)
    assert "with worker 3" in text(seen["alice"].post(deed(pipeline, "publish"), {"seen": again}, follow=True))


def test_the_page_shows_what_changed_in_the_code_before_it_is_published(seen: dict[str, Client], tmp_path: Path) -> None:
    functions = world.WORK.replace("'n': 1", "'n': 2") + "X = '<script>\u202e'\n"
    folder = pipelines.folder(tmp_path / "f", functions=functions, agents=[pipelines.agent("worker", "work:work")], steps=world.STEPS)
    (folder / "picture.png").write_bytes(b"\x89PNG\0")
    registry.apply_folder(folder, actor=SYSTEM)
    page = text(seen["alice"].get(deed(Pipeline.objects.get(name="sample"), "publish")))
    assert "<script>\u202e" not in page and "+X = &#x27;&lt;script&gt;&lt;U+202E&gt;&#x27;" in page
    assert (
        '<span class="o-removed">-    return {&#x27;n&#x27;: 1}</span>' in page
        and '<span class="o-added">+    return {&#x27;n&#x27;: 2}</span>' in page
    )
    assert "picture.png" in page and "added: not a text: 0 bytes, now 5" in page


def test_a_member_starts_a_run_from_the_contract_of_its_input(seen: dict[str, Client], tmp_path: Path) -> None:
    contract = "input: {type: object, required: [rows], properties: {rows: {type: integer, minimum: 1}, feed: {type: string}, more: {type: object}}}"
    folder = pipelines.folder(tmp_path / "f", functions=world.WORK, agents=[pipelines.agent("worker", "work:work")], steps=world.STEPS)
    file = folder / "pipeline.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(f"team: platform\ninput: {pipelines.ANY}\nsteps", f"team: platform\n{contract}\nsteps"))
    registry.apply_folder(folder, actor=SYSTEM, publish=True)
    url = reverse("admin:runs_run_start", args=[Pipeline.objects.get(name="sample").pk])
    page = text(seen["alice"].get(url))
    assert all(f'name="in-{name}"' in page for name in ("rows", "feed", "more"))
    wrong = seen["alice"].post(url, {"in-rows": "0", "in-more": "{", "key": "k"})
    assert "this is not JSON" in text(wrong)
    wrong = seen["alice"].post(url, {"in-rows": "0", "key": "k"})
    assert wrong.status_code == 422 and "rows" in text(wrong) and "minimum" in text(wrong)
    sent = [seen["alice"].post(url, {"in-rows": "3", "in-feed": "f", "in-more": '{"a": 1}', "key": "once"}) for _ in range(2)]
    run = Run.objects.get()
    assert {answer.headers["Location"] for answer in sent} == {reverse("admin:runs_run_change", args=[run.pk])}
    assert (run.started_by, run.trigger) == ("person:alice", "admin")
    assert pipelines.document(run)["input"] == {"rows": 3, "feed": "f", "more": {"a": 1}}


def test_an_input_without_listed_properties_is_asked_for_as_json(seen: dict[str, Client]) -> None:
    url = reverse("admin:runs_run_start", args=[Pipeline.objects.get(name="sample").pk])
    seen["alice"].post(url, {"input": '{"any": [1, 2]}', "key": "k"})
    assert pipelines.document(Run.objects.get())["input"] == {"any": [1, 2]}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("[1]", "a JSON object"),
        ("null", "a JSON object"),
        ('"text"', "a JSON object"),
        ('{"a": 1, "a": 2}', "the key &#x27;a&#x27; twice"),
        ('{"a": NaN}', "NaN"),
        ("[" * 200_000, "nested deeper than 64 levels"),
        ("{", "this is not JSON"),
    ],
    ids=lambda value: value[:12],
)
def test_no_run_starts_over_another_input_than_was_typed(seen: dict[str, Client], typed: str, said: str) -> None:
    url = reverse("admin:runs_run_start", args=[Pipeline.objects.get(name="sample").pk])
    refused = seen["alice"].post(url, {"input": typed, "key": "k"})
    assert (refused.status_code, Run.objects.count()) == (422, 0)
    assert said in text(refused)


def test_a_member_cancels_a_run_and_has_a_result_judged_again(seen: dict[str, Client]) -> None:
    queued, done = pipelines.start(), pipelines.start()
    pipelines.drive(done)
    page = text(seen["alice"].get(reverse("admin:runs_run_change", args=[queued.pk])))
    assert deed(queued, "cancel") in page and 'http-equiv="refresh"' in page
    seen["alice"].post(deed(queued, "cancel"))
    assert Run.objects.get(pk=queued.pk).outcome == "cancelled"
    again = seen["alice"].post(deed(done, "reverify"))
    newer = Run.objects.get(reverifies=done)
    assert again.headers["Location"] == reverse("admin:runs_run_change", args=[newer.pk])
    assert "there is nothing to cancel" in text(seen["alice"].get(deed(done, "cancel")))
    late = seen["alice"].post(deed(done, "cancel"))
    assert late.status_code == 409 and "finished is final" in text(late)


@pytest.mark.parametrize("what", ["cancel", "reverify"])
def test_an_onlooker_changes_no_run_and_the_attempt_is_recorded(seen: dict[str, Client], what: str) -> None:
    run = pipelines.start()
    if what == "reverify":
        pipelines.drive(run)
    page = text(seen["bob"].get(reverse("admin:runs_run_change", args=[run.pk])))
    assert deed(run, what) not in page
    assert "only its people" in text(seen["bob"].get(deed(run, what)))
    before = Run.objects.values("state", "outcome", "cancel_requested_at").get(pk=run.pk)
    refused = seen["bob"].post(deed(run, what))
    assert refused.status_code == 403 and "not a member" in text(refused)
    assert Run.objects.values("state", "outcome", "cancel_requested_at").get(pk=run.pk) == before
    assert [entry.actor for entry in entries({"cancel": "runs.cancel.refused", "reverify": "runs.start.refused"}[what])] == ["bob"]


def test_a_draft_is_published_after_its_differences_were_shown_and_rolled_back(seen: dict[str, Client], tmp_path: Path) -> None:
    folder = pipelines.folder(
        tmp_path / "new", functions=world.WORK, agents=[pipelines.agent("worker", "work:work", timeout="21s")], steps=world.STEPS
    )
    registry.apply_folder(folder, actor=SYSTEM, publish=False)
    pipeline, worker = Pipeline.objects.get(name="sample"), Agent.objects.get(name="worker")
    page = text(seen["alice"].get(deed(pipeline, "publish")))
    assert "worker 2, in the place of 1" in page and "timeout_ms" in page and "csrfmiddlewaretoken" in page
    assert "timeout_ms" in text(seen["alice"].get(deed(worker, "publish")))
    done = seen["alice"].post(deed(pipeline, "publish"), shown(seen["alice"], pipeline), follow=True)
    assert "is published, with worker 2" in text(done)
    assert Version.objects.get(agent=worker, state=VersionState.PUBLISHED).number == 2
    old = pipeline.releases.order_by("created_at").first()
    assert old is not None
    assert old.digest in text(seen["alice"].get(deed(pipeline, "rollback")))
    back = seen["alice"].post(deed(pipeline, "rollback"), {"to": old.digest}, follow=True)
    assert "went from release" in text(back)
    pipeline.refresh_from_db()
    assert pipeline.current_release_id == old.pk
    assert [entry.actor for entry in entries("agents.pipeline.rolled_back")] == ["alice"]


def test_what_can_not_be_published_says_every_problem_and_is_recorded(seen: dict[str, Client], tmp_path: Path) -> None:
    broken = pipelines.folder(tmp_path / "b", functions=world.WORK, agents=[pipelines.agent("worker", "work:work")], steps=world.STEPS, verify="")
    file = broken / "pipeline.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("verify: {agent: judge, with: {claim: =result}}", ""), encoding="utf-8")
    registry.apply_folder(broken, actor=SYSTEM, publish=False)
    pipeline = Pipeline.objects.get(name="sample")
    assert "What forbids it" in text(seen["alice"].get(deed(pipeline, "publish")))
    refused = seen["alice"].post(deed(pipeline, "publish"), shown(seen["alice"], pipeline))
    assert refused.status_code == 422 and "can&#x27;t be published" in text(refused)
    assert [entry.actor for entry in entries("agents.version.refused")] == ["alice"]


def test_no_number_of_new_inputs_hides_a_new_permission_before_it_is_published(seen: dict[str, Client], tmp_path: Path) -> None:
    more = 'permissions: ["allow read file:/etc/*"]'
    folder = pipelines.folder(tmp_path / "new", functions=world.WORK, agents=[pipelines.agent("worker", "work:work", more=more)], steps=world.STEPS)
    file = folder / "pipeline.yaml"
    many = ", ".join(f"a{number}: {{type: string}}" for number in range(320))
    contract = f"input: {{type: object, properties: {{{many}}}}}"
    file.write_text(file.read_text(encoding="utf-8").replace(f"input: {pipelines.ANY}", contract, 1), encoding="utf-8")
    registry.apply_folder(folder, actor=SYSTEM, publish=False)
    worker = Agent.objects.get(name="worker")
    draft = Version.objects.get(agent=worker, state=VersionState.DRAFT)
    pages = [deed(worker, "publish"), deed(Pipeline.objects.get(name="sample"), "publish"), deed(draft, "change"), deed(worker, "change")]
    for url in pages:
        page = text(seen["alice"].get(url))
        assert "allow read file:/etc/*" in page and "… and 20 more fields of its input and output differ" in page, url


def test_suspending_takes_a_reason_and_resuming_brings_it_back(seen: dict[str, Client]) -> None:
    worker = Agent.objects.get(name="worker")
    assert seen["alice"].post(deed(worker, "suspend"), {"reason": " "}).status_code == 422
    assert Agent.objects.get(pk=worker.pk).state == Standing.ACTIVE
    seen["alice"].post(deed(worker, "suspend"), {"reason": "It reads too much."})
    assert Agent.objects.get(pk=worker.pk).state == Standing.SUSPENDED
    page = text(seen["alice"].get(reverse("admin:agents_agent_change", args=[worker.pk])))
    assert deed(worker, "resume") in page and deed(worker, "suspend") not in page
    seen["alice"].post(deed(worker, "resume"))
    assert Agent.objects.get(pk=worker.pk).state == Standing.ACTIVE


def test_retiring_says_who_still_needs_the_agent_and_takes_a_pipeline_out_of_use(seen: dict[str, Client]) -> None:
    worker, pipeline = Agent.objects.get(name="worker"), Pipeline.objects.get(name="sample")
    needed = seen["alice"].post(deed(worker, "retire"), {"reason": "Old."})
    assert needed.status_code == 409 and "is needed by" in text(needed)
    seen["alice"].post(deed(pipeline, "retire"), {"reason": "Old."})
    assert Pipeline.objects.get(pk=pipeline.pk).state == Standing.RETIRED
    seen["alice"].post(deed(pipeline, "reinstate"))
    assert Pipeline.objects.get(pk=pipeline.pk).state == Standing.ACTIVE


def test_the_history_of_an_agent_names_who_changed_what(seen: dict[str, Client]) -> None:
    worker = Agent.objects.get(name="worker")
    seen["alice"].post(deed(worker, "suspend"), {"reason": "Look."})
    newest = worker.history.order_by("-history_id").first()
    assert (newest.state, newest.history_user.username) == ("suspended", "alice")
    page = text(seen["bob"].get(reverse("admin:agents_agent_change", args=[worker.pk])))
    assert "by <b>alice</b>: state" in page and "+ suspended" in page


def test_the_history_of_a_pipeline_follows_its_publication(seen: dict[str, Client]) -> None:
    pipeline = Pipeline.objects.get(name="sample")
    newest = pipeline.history.order_by("-history_id").first()
    assert (newest.state, newest.current_release_id) == (pipeline.state, pipeline.current_release_id)


def test_the_history_of_a_pipeline_names_its_releases_by_version_and_digest(seen: dict[str, Client], tmp_path: Path) -> None:
    world.platform(tmp_path / "second", more="risk_tier: low")
    row = Pipeline.objects.get(name="sample")
    page = text(seen["bob"].get(deed(row, "change"))).partition('id="history"')[2]
    first, second = Release.objects.filter(pipeline=row).order_by("created_at")
    assert f"− version 1, release {first.digest[:12]}" in page and f"+ version 1, release {second.digest[:12]}" in page
    assert str(first.pk) not in page and str(second.pk) not in page


@pytest.mark.parametrize(
    ("what", "who", "members", "shown"), [("add", "charlie", 2, 1), ("remove", "alice", 0, 1), ("show", "charlie", 1, 2), ("hide", "bob", 1, 0)]
)
def test_whoever_manages_people_says_who_belongs_to_a_team(seen: dict[str, Client], what: str, who: str, members: int, shown: int) -> None:
    team = Team.objects.get(name="platform")
    refused = seen["alice"].post(deed(team, what), {"person": who})
    assert refused.status_code == 403 and "manage-people" in text(refused)
    seen["root"].post(deed(team, what), {"person": who})
    people = registry.people_of("platform", actor=SYSTEM)
    assert (len(people.members), len(people.shown_to)) == (members, shown)


def test_an_account_is_made_with_a_password_that_is_shown_once(seen: dict[str, Client]) -> None:
    url = reverse("admin:auth_user_create")
    made = seen["root"].post(url, {"username": "erin"})
    password = made.context["password"]
    assert password in text(made) and "no-store" in made.headers["Cache-Control"]
    assert Client().login(username="erin", password=password)
    assert password not in text(seen["root"].get(reverse("admin:auth_user_change", args=[User.objects.get(username="erin").pk])))


def test_people_are_deactivated_permitted_and_given_new_passwords(seen: dict[str, Client]) -> None:
    charlie = User.objects.get(username="charlie")
    of = {what: reverse(f"admin:auth_user_{what}", args=[charlie.pk]) for what in ("deactivate", "activate", "give", "take", "reset")}
    assert seen["alice"].post(of["deactivate"]).status_code == 404
    seen["root"].post(of["give"], {"permission": "see-everything"})
    assert "worker" in text(seen["charlie"].get(reverse("admin:agents_agent_changelist")))
    seen["root"].post(of["take"], {"permission": "see-everything"})
    assert "worker" not in text(seen["charlie"].get(reverse("admin:agents_agent_changelist")))
    seen["root"].post(of["deactivate"])
    assert seen["charlie"].get(reverse("admin:index")).status_code == 302
    seen["root"].post(of["activate"])
    assert Client().login(username="charlie", password=seen["root"].post(of["reset"]).context["password"])


def test_a_change_needs_the_token_of_a_form(seen: dict[str, Client]) -> None:
    client, worker = Client(enforce_csrf_checks=True), Agent.objects.get(name="worker")
    client.force_login(User.objects.get(username="alice"))
    assert client.post(deed(worker, "suspend"), {"reason": "x"}).status_code == 403
    assert Agent.objects.get(pk=worker.pk).state == Standing.ACTIVE


def test_looking_at_a_deed_changes_nothing(seen: dict[str, Client]) -> None:
    worker, pipeline, before = Agent.objects.get(name="worker"), Pipeline.objects.get(name="sample"), Entry.objects.count()
    for url in (deed(worker, "suspend"), deed(worker, "retire"), deed(pipeline, "publish"), deed(pipeline, "rollback"), deed(pipeline, "retire")):
        assert seen["alice"].get(url).status_code == 200
    assert Entry.objects.count() == before


def test_whoever_may_not_start_a_pipeline_is_told_who_may_in_the_place_of_the_form(seen: dict[str, Client]) -> None:
    url = reverse("admin:runs_run_start", args=[Pipeline.objects.get(name="sample").pk])
    page = text(seen["bob"].get(url))
    assert "A run of it is started by a member of team &#x27;platform&#x27;: alice." in page
    assert "<form method" not in page.partition('id="content-main"')[2].partition("</main>")[0] and "Start the run" not in page
    assert "Start the run" in text(seen["alice"].get(url))


def test_of_very_many_problems_the_page_says_how_many_more_there_are(seen: dict[str, Client], tmp_path: Path) -> None:
    agents = [f"kind: agent\nname: bare-{number}\nteam: platform\nrole: decide\npurpose: T.\nrun: {{python: work:work}}" for number in range(60)]
    steps = "\n".join(f"- {{id: s{number}, agent: bare-{number}}}" for number in range(60))
    folder = pipelines.folder(tmp_path / "many", functions="def work(value):\n    return value\n", agents=agents, steps=steps, name="many")
    registry.apply_folder(folder, actor=SYSTEM)
    row = Pipeline.objects.get(name="many")
    problems = len(registry.preview("many", actor=SYSTEM).problems)
    assert problems > 60
    more = f"… and {problems - 50} more"
    assert more in text(seen["alice"].get(deed(row, "publish")))
    assert text(seen["alice"].post(deed(row, "publish"), shown(seen["alice"], row))).count(more) == 2


def test_a_rollback_or_publication_of_an_agent_says_which_pipelines_it_touches_and_how_many_are_not_shown(
    seen: dict[str, Client], tmp_path: Path
) -> None:
    world.platform(tmp_path / "second", more="risk_tier: low")
    folder = pipelines.folder(tmp_path / "red", functions=world.WORK, agents=[], steps=world.STEPS, name="secret")
    file = folder / "pipeline.yaml"
    parts = [part for part in file.read_text(encoding="utf-8").split("\n---\n") if "name: judge" not in part]
    file.write_text("\n---\n".join(parts).replace("platform", "red"), encoding="utf-8")
    registry.apply_folder(folder, actor=SYSTEM, publish=True)
    row = Agent.objects.get(name="worker")
    said = text(seen["alice"].post(deed(row, "rollback"), {"to": "1"}, follow=True))
    assert "Pipelines that run it from now on: sample, 1 of other teams." in said
    third = pipelines.folder(tmp_path / "third", functions=world.WORK + "\n", agents=[pipelines.agent("worker", "work:work")], steps=world.STEPS)
    registry.apply_folder(third, actor=SYSTEM)
    said = text(seen["alice"].post(deed(row, "publish"), shown(seen["alice"], row), follow=True))
    assert "Pipelines that stay as they are until they are published: sample, 1 of other teams." in said


def test_a_database_that_has_no_time_is_said_beside_the_form_and_nothing_is_done(seen: dict[str, Client]) -> None:
    pipeline = Pipeline.objects.get(name="sample")
    with mock.patch("agents.registry.locking._hold", side_effect=OperationalError("canceling statement due to lock timeout")):
        answer = seen["alice"].post(deed(pipeline, "retire"), {"reason": "replaced"})
    assert answer.status_code == 503
    assert "The database is busy" in text(answer) and "replaced" in text(answer) and "lock timeout" not in text(answer)
    assert Pipeline.objects.get(name="sample").state == Standing.ACTIVE
