"""A team whose agents are only observed: nobody is locked out who is new, what is written holds, and every door says that nothing is enforced."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks

from agents import registry
from agents.models import Agent, Pipeline, Team
from audit.models import Entry
from orchestra_site import checks
from runs.models import Call, Run
from tests import factories, feeds, pipelines
from tests.doors import world
from tests.pipelines import SYSTEM, agent
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)
WORK = "def run(**_) -> dict:\n    return {'done': True}\n"
USES = 'uses: ["read feed:cpu"]'
STEPS = "- {id: work, agent: worker, with: {x: 1}}"
WANTING = "no permission allows read feed:cpu"


def of_team(path: Path, said: str, *, publish: bool = True) -> registry.Applied:
    path.mkdir(exist_ok=True)
    (path / "team.yaml").write_text(f"kind: team\nname: platform\n{said}\n")
    return registry.apply_folder(path, actor=SYSTEM, publish=publish)


def publish(path: Path, more: str = USES, *, bound: str = "") -> None:
    pipelines.publish(path, functions=WORK, agents=[agent("worker", "work:run", more=more)], steps=STEPS, more=bound)


@pytest.fixture
def observed(tmp_path: Path) -> Path:
    of_team(tmp_path / "t", "observe: true")
    publish(tmp_path / "p")
    return tmp_path


# --- a fresh installation --------------------------------------------------------------------------------------------


def test_a_fresh_installation_has_a_team_that_is_observed_and_an_upgrade_gets_none() -> None:
    factories.make_dev_team()
    assert [(team.name, team.observe) for team in Team.objects.all()] == [("dev", True)]
    Team.objects.update(name="platform", observe=False)
    factories.make_dev_team()
    assert [(team.name, team.observe) for team in Team.objects.all()] == [("platform", False)]


def test_the_scaffold_works_for_that_team_and_leaves_it_as_it_is(tmp_path: Path) -> None:
    factories.make_dev_team()
    registry.new_pipeline("mine", folder=tmp_path / "mine")
    (hint,) = registry.apply_folder(tmp_path / "mine", actor=SYSTEM, publish=True).hints
    assert (
        "agents 'mine-reader', 'mine-adder', 'mine-auditor' work for team 'dev', whose agents are only observed: nothing is refused to them" in hint
    )
    assert Pipeline.objects.get().team.name == "dev" and Team.objects.get().observe
    assert not {"observe: false", "observe: true"} & set((tmp_path / "mine" / "pipeline.yaml").read_text().splitlines())


# --- what is not enforced, and what is -------------------------------------------------------------------------------


def test_an_agent_without_permissions_is_published_and_runs_and_what_it_lacks_is_recorded(observed: Path) -> None:
    run = pipelines.run(input={})
    assert run["outcome"] == "verified"
    assert pipelines.step(run, "work")["calls"][0]["observed"] == [WANTING]
    entry = Entry.objects.get(run=run["id"], verb="runs.call.dispatched", agent="worker")
    assert Call.objects.get(agent="worker").observed_entry == entry.pk
    of_team(observed / "t", "observe: false")
    run = pipelines.run(input={})
    assert (run["outcome"], run["failure"]["cause"]) == ("failed", "denied")
    assert Call.objects.filter(agent="worker").count() == 1


def test_a_deny_a_bound_of_the_pipeline_and_a_stop_hold(observed: Path) -> None:
    publish(observed / "p", f"{USES}\npermissions: [{{deny: read feed:cpu, when: args.x == 1}}]")
    assert "wins over whatever allows it" in pipelines.run(input={})["failure"]["message"]
    publish(observed / "p", bound='permissions: ["allow read feed:*"]\n')
    assert pipelines.run(input={})["outcome"] == "verified"
    Pipeline.objects.update(permissions=[])
    assert "pipeline 'sample' does not allow it" in pipelines.run(input={})["failure"]["message"]
    Pipeline.objects.update(permissions=None)
    registry.stop("agent", "worker", reason="A test.", actor=SYSTEM)
    assert pipelines.run(input={})["state"] == "waiting"


def test_whoever_turns_it_on_or_off_publishes_and_the_ledger_has_it(tmp_path: Path) -> None:
    of_team(tmp_path / "t", "")
    held_back = of_team(tmp_path / "t", "observe: true", publish=False)
    assert not Team.objects.get().observe and any("are only observed with --publish" in hint for hint in held_back.hints)
    assert [change.fields[0].path for change in of_team(tmp_path / "t", "observe: true").changes] == ["observe"]
    assert Entry.objects.filter(verb="agents.team.observed", subject="team:platform").count() == 1
    of_team(tmp_path / "t", "")  # a file that says nothing of it leaves it
    assert Team.objects.get().observe


def test_what_enforcing_takes_from_pipelines_that_run_is_named(observed: Path) -> None:
    (said,) = of_team(observed / "t", "observe: false").denied
    assert "agent 'worker' uses 'read feed:cpu' and none of its permissions allows that" in said and "it fails in pipeline 'sample'" in said


# --- what every door says --------------------------------------------------------------------------------------------


def test_apply_and_runpipeline_say_that_nothing_is_enforced(observed: Path) -> None:
    said = typed("apply", "-f", str(observed / "p"), "--publish").out
    assert "agents 'worker', 'judge' work for team 'platform', whose agents are only observed" in said and "'worker' uses 'read feed:cpu'" in said
    assert said.count("whose agents are only observed") == 1
    said = " ".join(typed("runpipeline", "sample").out.split())  # however wide the terminal is
    assert "nothing is refused to the agents of team 'platform' for want of a permission" in said and WANTING in said


def test_can_says_allow_and_why(observed: Path) -> None:
    done = typed("can", "worker", "read", "feed:cpu")
    assert (done.out.split()[0], done.status) == ("allow", 0) and "its team's agents are only observed" in done.out
    assert typed("can", "worker", "read", "feed:cpu", "--json").document["observed"] is True
    assert "what none names is allowed and recorded" in typed("can", "worker").out
    assert observed


def test_rest_says_so_of_team_agent_and_run(observed: Path, alice: User) -> None:
    registry.add_member("platform", "alice", actor=SYSTEM)
    run = pipelines.run(input={})
    caller = Caller.of(alice)
    assert caller.get("/teams/platform/").body["observe"] is True
    assert caller.get("/agents/worker/").body["observed"] is True
    assert caller.get("/agents/worker/permissions/").body["observed"] is True
    assert caller.get(f"/runs/{run['id']}/").body["observing"] == ["platform"]
    assert observed


def test_the_admin_says_so_on_the_pages_of_team_agent_pipeline_and_run(observed: Path) -> None:
    registry.create_person("alice", actor=SYSTEM)
    registry.add_member("platform", "alice", actor=SYSTEM)
    run = pipelines.run(input={})
    client = world.signed_in("alice")
    rows = {"agents/team": Team.objects.get(), "agents/agent": Agent.objects.get(name="worker"), "agents/pipeline": Pipeline.objects.get()}
    rows["runs/run"] = Run.objects.get(id=run["id"])
    for place, row in rows.items():
        page = client.get(f"/admin/{place}/{row.pk}/change/").content.decode()
        assert 'data-observed="platform"' in page and "Nothing is enforced for want of a permission" in page, place
    assert WANTING in page


def test_a_check_for_production_names_the_team_once_it_has_agents(tmp_path: Path) -> None:
    of_team(tmp_path / "t", "observe: true")
    assert checks.check_observed(None) == []
    publish(tmp_path / "p")
    (found,) = checks.check_observed(None)
    assert found.id == "orchestra.W010" and "team 'platform' are only observed" in found.msg
    assert not [each for each in run_checks() if each.id == "orchestra.W010"]  # a demo stays quiet


def test_an_address_that_is_not_public_stays_shut(tmp_path: Path) -> None:
    fetch = "import orchestra\ndef run(url: str, **_) -> dict:\n    return orchestra.call('fetch', {'url': url})\n"
    of_team(tmp_path / "t", "observe: true")
    steps = "- {id: work, agent: worker, with: {url: =input.url}}"
    with feeds.feed() as feed:
        pipelines.publish(tmp_path / "p", functions=fetch, agents=[agent("worker", "work:run")], steps=steps)
        run = pipelines.run(input={"url": f"{feed.url}/ok"})
    assert (run["failure"]["cause"], feed.paths) == ("denied", [])
