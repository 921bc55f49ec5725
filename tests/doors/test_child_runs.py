"""Child runs at the doors: runs show the runs below and above them as far as somebody may see them, and lists leave them out unless asked."""

from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import registry
from audit import clock
from audit.actors import Actor
from runs import services
from runs.errors import UnknownRun
from runs.management.terminal.tracking import Tracker
from runs.models import Run
from runs.services import figures, health
from runs.worker import Event
from tests import families, pipelines
from tests.doors.world import signed_in
from tests.pipelines import SYSTEM, agent
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of `sample`, its child of `middle` and the child of that, of `inner`."""
    middle = families.pipeline("middle", "- {id: deeper, pipeline: inner, with: {n: =input.n}}")
    families.publish(tmp_path / "sample", families.INNER, middle, steps=("- {id: sub, pipeline: middle, with: {n: 1}}",))
    started = pipelines.start()
    assert pipelines.drive(started)["outcome"] == "verified"
    return started


def test_the_timeline_names_the_child_run_that_does_a_step_and_leads_to_it(run: Run) -> None:
    root, child, _ = families.generations(run)
    registry.create_person("root", actor=SYSTEM, administrator=True)
    page = signed_in("root").get(f"/admin/runs/run/{root.id}/change/").content.decode()
    step = page[page.index('data-step="sub"') :]
    assert "a child run" in step[: step.index("</summary>")]
    assert f"/admin/runs/run/{child.id}/change/" in step[: step.index("<dt>Time</dt>")]


def test_a_run_shows_the_tree_below_it_and_each_child_what_it_is_part_of(run: Run) -> None:
    root, child, grandchild = families.generations(run)
    below = pipelines.document(root)["children"]
    assert [(each["run"], each["parent"], each["level"], each["label"]) for each in below] == [
        (str(child.id), str(root.id), 1, "verified"),
        (str(grandchild.id), str(child.id), 2, "verified"),
    ]
    assert pipelines.document(child)["parent"] == {"run": str(root.id), "step": "sub"}
    assert [each["level"] for each in pipelines.document(child)["children"]] == [1]


def test_of_a_large_family_so_much_is_read_as_is_shown_and_the_rest_is_counted(run: Run, monkeypatch: pytest.MonkeyPatch, alice: User) -> None:
    root, child, grandchild = families.generations(run)
    for at in range(6):
        more = Run.objects.get(id=child.id)
        more.id, more.parent_step, more.idempotency_key = uuid4(), f"each/{at}-{at}", None
        more.save(force_insert=True)
    whole = pipelines.document(root)
    assert (len(whole["children"]), whole["more_children"]) == (8, 0)
    monkeypatch.setattr("runs.services.relatives.MOST_SHOWN", 3)
    part = pipelines.document(root)
    assert [each["run"] for each in part["children"]] == [each["run"] for each in whole["children"]][:3]
    assert part["more_children"] == 5
    assert "… and 5 more" in typed("showrun", root.id).out
    User.objects.filter(username="alice").update(is_staff=True)
    registry.add_member("platform", "alice", actor=SYSTEM)
    assert "… and 5 more." in signed_in("alice").get(f"/admin/runs/run/{root.id}/change/").content.decode()
    monkeypatch.setattr("runs.services.relatives.MOST_SHOWN", 1)
    assert pipelines.document(child)["more_children"] == 0
    assert [each["run"] for each in pipelines.document(child)["children"]] == [str(grandchild.id)]
    monkeypatch.setattr("runs.services.relatives.MOST_SHOWN", 2)
    with CaptureQueriesContext(connection) as queries:
        pipelines.document(root)
    read = [query["sql"] for query in queries if '"parent_run_id" IN (' in query["sql"] and "ORDER BY" in query["sql"]]
    assert read and all("LIMIT 2" in sql for sql in read)


def test_the_commands_show_and_list_them(run: Run) -> None:
    _, child, grandchild = families.generations(run)
    shown = typed("showrun", run.id).out
    assert str(child.id) in shown and str(grandchild.id) in shown and "  deeper" in shown
    assert f"step 'sub' of run {run.id}" in typed("showrun", child.id).out
    assert [each["pipeline"] for each in typed("runs", "--json").document] == ["sample"]
    assert sorted(each["pipeline"] for each in typed("runs", "--all", "--json").document) == ["inner", "middle", "sample"]


def test_whoever_watches_a_run_sees_its_own_steps(run: Run) -> None:
    tracker = Tracker(Run.objects.select_related("release").get(id=run.id))
    child = families.child_of(run)
    tracker.hear(Event(child.id, "runs.step.started", "step:deeper", {"step": "deeper", "attempt": 1}))
    tracker.hear(Event(run.id, "runs.step.started", "step:sub", {"step": "sub", "attempt": 1}))
    assert list(tracker.steps) == ["sub"]


def test_rest_lists_them_only_if_asked(run: Run, alice: User) -> None:
    registry.add_member("platform", "alice", actor=SYSTEM)
    caller = Caller.of(alice)
    assert [each["id"] for each in caller.get("/runs/").body["items"]] == [str(run.id)]
    assert len(caller.get("/runs/?children=true").body["items"]) == 3
    assert caller.get("/runs/?children=perhaps").status == 422 or caller.get("/runs/?children=perhaps").status == 400
    shown = caller.get(f"/runs/{run.id}/")
    assert (shown.status, len(shown.body["children"])) == (200, 2)


def test_the_admin_lists_them_only_if_asked_and_links_both_ways(run: Run, alice: User) -> None:
    registry.add_member("platform", "alice", actor=SYSTEM)
    registry.permit_person("alice", "see-everything", allowed=True, actor=SYSTEM)
    User.objects.filter(username="alice").update(is_staff=True)
    client = signed_in("alice")
    _, child, _ = families.generations(run)
    address = f"/admin/runs/run/{child.id}/change/"
    plain, every = (client.get(f"/admin/runs/run/{query}").content.decode() for query in ("", "?children=true"))
    assert (address in plain, address in every) == (False, True)
    assert address in client.get(f"/admin/runs/run/{run.id}/change/").content.decode()
    assert f"/admin/runs/run/{run.id}/change/" in client.get(address).content.decode()
    assert address in client.get(f"/admin/runs/run/?q={str(child.id)[:18]}").content.decode()


def of_another_team(path: Path) -> None:
    folder = families.folder(path, steps=("- {id: a, agent: theirs, with: {}}",), name="inner", agents=(agent("theirs", "work:use"),))
    file = folder / "pipeline.yaml"
    *others, document = file.read_text(encoding="utf-8").split("\n---\n")
    file.write_text("\n---\n".join([*others, "kind: team\nname: others", document.replace("team: platform", "team: others")]), encoding="utf-8")
    registry.apply_folder(folder, actor=SYSTEM, publish=True)


def test_whoever_sees_only_the_run_above_sees_nothing_of_a_child_of_another_team(tmp_path: Path) -> None:
    of_another_team(tmp_path / "theirs")
    families.publish(tmp_path / "sample", steps=("- {id: sub, pipeline: inner, with: {}}",))
    run = pipelines.start()
    assert pipelines.drive(run)["outcome"] == "verified"
    child = families.child_of(run)
    assert child.team.name == "others"
    alice = Actor(kind="person", id="alice", auth="test", teams=frozenset({"platform"}))
    said = services.run_document(services.find_run(str(run.id), actor=alice), actor=alice)
    assert (said["outcome"], said["result"], said["children"]) == ("verified", {"got": None}, [])
    with pytest.raises(UnknownRun):
        services.find_run(str(child.id), actor=alice)
    theirs = Actor(kind="person", id="eve", auth="test", teams=frozenset({"others"}))
    below = services.run_document(services.find_run(str(child.id), actor=theirs), actor=theirs)
    assert (below["parent"], below["result"]) == (None, {"got": None})


def test_the_page_of_a_release_names_the_releases_of_what_it_runs(run: Run, alice: User) -> None:
    registry.add_member("platform", "alice", actor=SYSTEM)
    User.objects.filter(username="alice").update(is_staff=True)
    pin = run.release.manifest["pipelines"]["middle"]
    page = signed_in("alice").get(f"/admin/agents/release/{run.release_id}/change/").content.decode()
    assert "The pipelines it runs" in page and pin["release"][:12] in page


# --- a loop that spreads ---------------------------------------------------------------------------------------------


@pytest.fixture
def spread(tmp_path: Path) -> Run:
    """A run of a loop whose items two child runs have done."""
    loop = "- {id: each, for_each: =input.list, as: x, spread: 2, do: [{id: one, agent: doubler, with: {n: =x}}]}"
    families.publish(tmp_path / "sample", steps=(loop, "- {id: after, agent: user, with: {got: =steps.each}}"))
    started = pipelines.start(input={"list": [1, 2, 3]})
    assert pipelines.drive(started)["outcome"] == "verified"
    return started


def test_every_door_shows_the_child_runs_of_a_loop_that_spreads(spread: Run, alice: User) -> None:
    registry.add_member("platform", "alice", actor=SYSTEM)
    User.objects.filter(username="alice").update(is_staff=True)
    share = Run.objects.get(parent_run=spread, parent_step="each/1-2")
    shown = typed("showrun", spread.id).out
    assert "each/0-0" in shown and "each/1-2" in shown and str(share.id) in shown
    alone = typed("showrun", share.id).out
    assert f"step 'each/1-2' of run {spread.id}" in alone and "the run that they are part of has all of them judged" in alone
    assert [child["step"] for child in Caller.of(alice).get(f"/runs/{spread.id}/").body["children"]] == ["each/0-0", "each/1-2"]
    page = signed_in("alice").get(f"/admin/runs/run/{spread.id}/change/").content.decode()
    assert "each/1-2" in page and f"/admin/runs/run/{share.id}/change/" in page
    assert "the run above has all of them judged" in signed_in("alice").get(f"/admin/runs/run/{share.id}/change/").content.decode()


def test_what_nobody_judges_alone_is_no_news_of_its_pipeline(spread: Run, alice: User) -> None:
    """It reads unverified, and counts neither as a run of its pipeline nor as one that somebody should look at."""
    registry.permit_person("alice", "see-everything", allowed=True, actor=SYSTEM)
    User.objects.filter(username="alice").update(is_staff=True)
    everyone, now = Actor.system("monitor"), clock.now()
    found = health.pipelines_health(actor=everyone, now=now)[0]
    assert (found.last_outcome, found.failing, found.verified_at is None) == ("verified", 0, False)
    assert figures.figures(actor=everyone, now=now).outcomes == {("sample", "verified"): 1}
    share = Run.objects.filter(parent_run=spread).first()
    assert share is not None
    assert f"/admin/runs/run/{share.id}/" not in signed_in("alice").get("/admin/").content.decode()
