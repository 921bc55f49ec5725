"""The admin, for looking: every page of every model opens, changes nothing, and shows hostile text as text."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import reverse

from agents.models import Agent
from audit import clock
from audit.actors import Actor
from audit.identity import new_id
from audit.models import Opening
from orchestra_site.admin.inventory import lately_of
from orchestra_site.admin.navigation import sidebar
from runs.models import Engine, Run
from tests import pipelines
from tests.doors import world
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture
def looking(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("alice", password="alice-password"))
    return client


def run_of(tmp_path: Path) -> Run:
    functions = f"def run(**_) -> dict:\n    raise ValueError({HOSTILE!r})\n"
    pipelines.publish(tmp_path / "p", functions=functions, agents=[agent("worker", "work:run")], steps="- {id: work, agent: worker}")
    run = pipelines.start()
    pipelines.drive(run)
    return run


WITHIN_ANOTHER_PAGE = {
    "runs.Step": "its run's",
    "agents.AgentKey": "its agent's",
    "agents.AgentNotice": "its agent's, and the overview",
    "agents.GrantUse": "what its agent may: when each permission was used last",
    "agents.PolicyVersion": "its policy's",
    "agents.HistoricalAgent": "its history",
    "agents.HistoricalModelAlias": "its history",
    "agents.HistoricalPipeline": "its history",
    "agents.HistoricalTeam": "its history",
    "agents.TeamGroupObjectPermission": "the group's and the team's",
    "agents.TeamUserObjectPermission": "nobody's: teams are shown to groups",
    "agents.ProposalChange": "its proposal's, of whose deeds this is an index",
    "agents.SamePerson": "the person's",
    "agents.Publication": "the entry of who published, of which this is an index",
    "agents.Granting": "the entry of who granted, of which this is an index",
    "agents.ReleaseUse": "its release's, of whose manifest this is an index",
    "agents.StopChange": "the stop's; it only tells workers to look",
    "approvals.Approver": "its request's",
    "approvals.Comment": "its request's",
    "approvals.Decision": "its request's",
    "approvals.ProposalDecision": "its proposal's",
    "audit.Blob": "that of the opening that it holds",
    "orchestra_site.Haunt": "nobody's: from where somebody signs in, which only the bound on wrong passwords reads",
}


def test_every_model_of_ours_has_a_page_or_stands_on_another() -> None:
    admin.autodiscover()
    ours = [model for app in ("agents", "approvals", "audit", "orchestra_site", "runs") for model in apps.get_app_config(app).get_models()]
    assert {model._meta.label for model in ours if model not in admin.site._registry} == WITHIN_ANOTHER_PAGE.keys()


def test_every_registered_model_has_a_list_that_opens(looking: Client, tmp_path: Path) -> None:
    run_of(tmp_path)
    for model in admin.site._registry:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        assert looking.get(url).status_code == 200, url


def test_nothing_of_ours_or_of_the_queue_can_be_added_changed_or_deleted(looking: Client, rf) -> None:
    request = rf.get("/")
    request.user = User.objects.get(username="alice")
    ours = [each for each in admin.site._registry.values() if each.opts.app_label != "auth"]
    assert len(ours) > 10
    for each in ours:
        assert not any((each.has_add_permission(request), each.has_change_permission(request), each.has_delete_permission(request))), each


@pytest.mark.parametrize("url", ["r/1/abc/", "r/abc/1/", "r/1/%0A/", "search/?s=a&page=abc", "search/?s=a", "autocomplete/?term=a"])
def test_addresses_that_no_page_offers_are_not_there(looking: Client, url: str) -> None:
    looking.raise_request_exception = False
    assert looking.get(f"/admin/{url}").status_code == 404


def test_a_run_page_shows_hostile_text_as_text(looking: Client, tmp_path: Path) -> None:
    run = run_of(tmp_path)
    page = looking.get(reverse("admin:runs_run_change", args=[run.id])).content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    assert "\u202e" not in page


def test_an_overdue_run_is_found_among_the_failed_ones(looking: Client, tmp_path: Path) -> None:
    run = run_of(tmp_path)
    Run.objects.filter(id=run.id).update(state="running", outcome=None, deadline_at=run.created_at)
    page = looking.get(reverse("admin:runs_run_changelist"), {"reads_as": "failed"}).content.decode()
    assert str(run.id) in page


LIAR = "def run(**_) -> dict:\n    return {'lie': True}\n"


def test_a_rejected_run_says_in_the_list_which_criterion_fails(looking: Client, tmp_path: Path) -> None:
    pipelines.publish(tmp_path / "p", functions=LIAR, agents=[agent("worker", "work:run")], steps="- {id: work, agent: worker}")
    assert pipelines.run()["outcome"] == "rejected"
    row = looking.get(reverse("admin:runs_run_changelist")).content.decode()
    assert re.search(r"field-failed_for[^>]*>\s*honest", row)


def test_a_result_that_was_rejected_or_changed_says_that_nobody_vouches_for_it(looking: Client, tmp_path: Path) -> None:
    pipelines.publish(tmp_path / "p", functions=LIAR, agents=[agent("worker", "work:run")], steps="- {id: work, agent: worker}")
    run = pipelines.start()
    pipelines.drive(run)
    page = looking.get(reverse("admin:runs_run_change", args=[run.id])).content.decode()
    assert "✗ Result (rejected: nobody vouches for it)" in page
    assert re.search(r'data-step="verify".*?o-t-bad[^>]*><span aria-hidden="true">✗<', page, re.DOTALL)
    Run.objects.filter(id=run.id).update(outcome="verified")
    assert "⚠ Result (broken: nobody vouches for it)" in looking.get(reverse("admin:runs_run_change", args=[run.id])).content.decode()


def test_a_verified_result_needs_no_warning(looking: Client, tmp_path: Path) -> None:
    pipelines.publish(tmp_path / "p", functions=world.WORK, agents=[agent("worker", "work:work")], steps=world.STEPS)
    run = pipelines.start()
    assert pipelines.drive(run)["outcome"] == "verified"
    page = looking.get(reverse("admin:runs_run_change", args=[run.id])).content.decode()
    assert "<h2>Result</h2>" in page and "vouches" not in page


def test_a_worker_says_in_words_what_it_serves(looking: Client) -> None:
    now = clock.now()
    for serves_all in (True, False):
        Engine.objects.create(id=new_id(), host="h", pid=1, serves_all=serves_all, started_at=now, beat_at=now)
    page = looking.get(reverse("admin:runs_engine_changelist")).content.decode()
    assert "all runs" in page and "its own run" in page and "close_small" not in page


def test_workers_that_left_are_listed_where_somebody_asks_for_them(looking: Client) -> None:
    now, long_ago = clock.now(), clock.now() - timedelta(days=2)
    times = {"here": (now, None), "left": (now, now), "silent": (now - timedelta(hours=1), None), "gone": (long_ago, None)}
    for host, (beat, stopped) in times.items():
        Engine.objects.create(id=new_id(), host=host, pid=1, started_at=long_ago, beat_at=beat, stopped_at=stopped)

    def hosts(**asked: str) -> set[str]:
        return {row.host for row in looking.get(reverse("admin:runs_engine_changelist"), asked).context["cl"].result_list}

    assert (hosts(), hosts(presence="left"), hosts(presence="all")) == ({"here", "silent"}, {"left"}, set(times))


def test_what_was_found_for_a_check_that_holds_is_left_out_where_nothing_was_said(looking: Client, tmp_path: Path) -> None:
    pipelines.publish(tmp_path / "p", functions=world.WORK, agents=[agent("worker", "work:work")], steps=world.STEPS)
    run = pipelines.start()
    pipelines.drive(run)
    assert "<code>null</code>" not in looking.get(reverse("admin:runs_run_change", args=[run.id])).content.decode()


def test_whoever_never_signed_in_is_said_to_have_never(looking: Client) -> None:
    page = looking.get(reverse("admin:auth_user_change", args=[User.objects.create_user("erin").pk])).content.decode()
    assert "<dt>Signed in last</dt><dd>never</dd>" in page


def test_a_page_is_headed_by_its_list_and_its_own_name(looking: Client, tmp_path: Path) -> None:
    run = run_of(tmp_path)
    worker = Agent.objects.get(name="worker")

    def heading(name: str, *args: Any) -> list[str]:
        page = looking.get(reverse(f"admin:{name}", args=args)).content.decode()
        found = re.search(r"<h1.*?</h1>", page, re.DOTALL)
        assert found is not None
        return [
            text for text in re.sub(r"<span[^>]*material-symbols[^<]*<[^>]*>|<[^>]*>", "|", found[0]).replace("\n", "|").split("|") if text.strip()
        ]

    assert [one.strip() for one in heading("agents_agent_change", worker.pk)] == ["Agents", "worker"]
    named = f"sample, failed, {run.created_at:%H:%M} UTC"
    assert [one.strip() for one in heading("runs_run_change", run.pk)] == ["Runs", named, str(run.pk)]
    assert f"{named} | Orchestra" in looking.get(reverse("admin:runs_run_change", args=[run.pk])).content.decode()
    assert [one.strip() for one in heading("auth_user_changelist")] == ["People"]
    assert heading("audit_entry_change", run.input_entry)[0].strip() == "Audit log"
    assert [one.strip() for one in heading("agents_agent_suspend", worker.pk)] == ["Agents", "worker"]
    assert [one.strip() for one in heading("runs_run_start", run.pipeline_id)] == ["Pipelines", "sample"]
    assert [one.strip() for one in heading("index")] == ["Overview"]


def test_a_changed_outcome_reads_broken_in_the_list(looking: Client, tmp_path: Path) -> None:
    run = run_of(tmp_path)
    Run.objects.filter(id=run.id).update(outcome="verified")
    page = looking.get(reverse("admin:runs_run_changelist")).content.decode()
    assert "o-broken" in page and "o-good" not in page


def test_a_run_that_was_changed_afterwards_counts_nowhere_as_verified(looking: Client, tmp_path: Path) -> None:
    pipelines.publish(tmp_path / "p", functions=world.WORK, agents=[agent("worker", "work:work")], steps=world.STEPS)
    runs = [pipelines.start(), pipelines.start()]
    for run in runs:
        pipelines.drive(run)
    older = Run.objects.get(id=runs[0].id)
    Run.objects.filter(id=runs[1].id).update(result_digest="0" * 64)
    overview, actor = looking.get(reverse("admin:index")).context, Actor.system("test")
    (tally,) = overview["tallies"]
    assert (tally.week["verified"], tally.week["broken"]) == (1, 1)
    assert [one.run.id for one in overview["attention"]] == [runs[1].id]
    agents = list(Agent.objects.filter(name="worker"))
    assert lately_of(agents, actor)[agents[0].pk].verified_at == older.finished_at
    Run.objects.filter(id=older.id).update(result_digest="0" * 64)
    assert lately_of(agents, actor)[agents[0].pk].verified_at is None


def test_the_overview_says_how_many_more_need_somebody(looking: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestra_site.admin.dashboard.MOST", 2)
    run_of(tmp_path), pipelines.start(), pipelines.start()
    Run.objects.update(integrity="broken")
    shown = looking.get(reverse("admin:index"))
    assert (len(shown.context["attention"]), shown.context["more_attention"]) == (2, 1)
    assert "… and 1 more of the last seven days" in shown.content.decode()


def test_runs_that_a_check_found_broken_are_found(looking: Client, tmp_path: Path) -> None:
    run, other = run_of(tmp_path), pipelines.start()
    Run.objects.filter(id=run.id).update(integrity="broken")
    page = looking.get(reverse("admin:runs_run_changelist"), {"reads_as": "broken"}).content.decode()
    assert str(run.id) in page and str(other.id) not in page
    assert "somebody wrote to the database" in looking.get(reverse("admin:runs_run_change", args=[run.id])).content.decode().lower()


def test_lists_are_called_as_the_navigation_calls_them(looking: Client, rf: RequestFactory) -> None:
    request = rf.get("/admin/")
    request.user = User.objects.get(username="alice")
    named = {item["link"]: item["title"] for group in sidebar(request) for item in group["items"]}
    lists = {reverse(f"admin:{each.opts.app_label}_{each.opts.model_name}_changelist"): each for each in admin.site._registry.values()}
    shown = {link: each.list_title for link, each in lists.items() if link in named}
    assert len(shown) > 6 and shown == {link: named[link] for link in shown}
    for link, title in shown.items():
        assert f"<title>{title} |" in re.sub(r"\s+", " ", looking.get(link).content.decode()).replace("<title> ", "<title>"), link


def test_what_may_not_be_done_at_an_address_is_said_on_a_page(looking: Client) -> None:
    answer = looking.get("/admin/agents/agent/add/")
    assert answer.status_code == 403 and "Nothing was changed" in answer.content.decode()


def test_rows_that_have_no_page_of_their_own_offer_no_button(looking: Client, tmp_path: Path) -> None:
    run_of(tmp_path)
    page = looking.get(reverse("admin:audit_opening_change", args=[Opening.objects.first().pk])).content.decode()
    assert "submit-row" not in page and ">Close<" not in page


def test_the_overview_says_how_many_of_the_verified_are_judged_as_of_a_past_time(looking: Client, tmp_path: Path) -> None:
    pipelines.publish(tmp_path / "p", functions=world.WORK, agents=[agent("worker", "work:work")], steps=world.STEPS)
    for as_of in (None, clock.from_text("2014-02-28T14:25:00Z")):
        pipelines.drive(pipelines.start(as_of=as_of))
    overview = looking.get(reverse("admin:index"))
    (tally,) = overview.context["tallies"]
    assert tally.cells[0] == ("verified", 2, 2, 1)
    assert "1 of these as of a past time" in overview.content.decode()


def test_a_degraded_run_names_ten_of_the_parts_it_goes_without_and_leads_to_the_rest(looking: Client, tmp_path: Path) -> None:
    functions = "import orchestra\n\ndef run(item: int = 0, **_) -> dict:\n    if item:\n        raise orchestra.Missing('none')\n    return {}\n"
    look = "{id: look, agent: worker, with: {item: =item}}"
    steps = f"- {{id: each, for_each: =input.items, as: item, min_success: 1, do: [{look}]}}\n- {{id: end, agent: worker}}"
    pipelines.publish(tmp_path / "p", functions=functions, agents=[agent("worker", "work:run")], steps=steps)
    run = pipelines.start(input={"items": list(range(13))})
    assert pipelines.drive(run)["outcome"] == "degraded"
    page = looking.get(reverse("admin:runs_run_change", args=[run.id])).content.decode()
    assert "Goes without 12 parts" in page and "… and 2 more" in page
    failed = looking.get(reverse("admin:runs_run_change", args=[run.id]) + "?state=failed").content.decode()
    assert failed.count('data-step="each/') == 12 and "1–12 of 12" in failed


@pytest.mark.parametrize(("app", "called"), [("runs", "Workers"), ("audit", "Audit log"), ("agents", "Stored code")])
def test_the_lists_of_an_app_are_called_so_on_its_page_too(looking: Client, app: str, called: str) -> None:
    page = looking.get(f"/admin/{app}/").content.decode().partition('id="content-main"')[2]
    assert f">{called}</a>" in page and "Engines" not in page and "Artifacts" not in page
