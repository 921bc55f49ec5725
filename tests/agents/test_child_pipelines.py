"""Pipelines that run others: what a release pins of them, and what publishing refuses."""

from pathlib import Path
from typing import Any

import pytest

from agents import registry
from agents.errors import NotPublishable
from agents.models import Pipeline, Release
from audit.actors import Actor
from audit.errors import Conflict
from runs.engine import planner
from tests import families
from tests.families import INNER, pipeline
from tests.pipelines import SYSTEM, agent

pytestmark = pytest.mark.django_db(transaction=True)

NUMBERS = "{type: object, required: [n], properties: {n: {type: integer}}, additionalProperties: false}"
ALICE = Actor(kind="person", id="alice", auth="test", teams=frozenset({"platform"}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sample"


def refused(path: Path, *documents: str, actor: Actor = SYSTEM, **parts: Any) -> str:
    with pytest.raises(NotPublishable) as refusal:
        registry.apply_folder(families.folder(path, *documents, **parts), actor=actor, publish=True)
    return "\n".join(str(problem) for problem in refusal.value.details["problems"])


def manifest(name: str = "sample") -> dict[str, Any]:
    release = Pipeline.objects.get(name=name).current_release
    assert release is not None
    return dict(release.manifest)


def test_a_release_pins_the_release_of_what_it_runs_whoever_stands_first_in_the_folder(path: Path) -> None:
    families.publish(path, pipeline("zeta", "- {id: twice, agent: doubler, with: {n: 1}}"), steps=("- {id: sub, pipeline: zeta, with: {}}",))
    pin = manifest()["pipelines"]["zeta"]
    assert Release.objects.get(digest=pin["release"]).pipeline.name == "zeta"
    assert (pin["height"], pin["acts"], [worker["name"] for worker in pin["workers"]]) == (1, False, ["doubler"])
    assert manifest()["engine_abi"] == 2
    assert "pipelines" not in manifest("zeta")


def test_a_child_s_workers_are_those_of_its_own_children_too(path: Path) -> None:
    middle = pipeline("middle", "- {id: deeper, pipeline: inner, with: {n: 1}}", "- {id: acts, agent: actor, with: {}}")
    families.publish(path, INNER, middle, steps=("- {id: sub, pipeline: middle, with: {}}",))
    pin = manifest()["pipelines"]["middle"]
    assert (pin["height"], pin["acts"], [worker["name"] for worker in pin["workers"]]) == (2, True, ["actor", "doubler"])


def test_a_parent_keeps_the_release_that_it_pins_and_publishing_says_so(path: Path, tmp_path: Path) -> None:
    families.publish(path, INNER)
    before = manifest()["pipelines"]["inner"]["release"]
    alone = tmp_path / "alone"
    alone.mkdir()
    changed = INNER.replace("n: =input.n", "n: 7")
    (alone / "inner.yaml").write_text(changed, encoding="utf-8")
    applied = registry.apply_folder(alone, actor=SYSTEM, publish=True)
    assert applied.hints == ["pipeline 'sample' (team 'platform') runs the release of 'inner' that it pins until it is published itself"]
    assert manifest()["pipelines"]["inner"]["release"] == before
    registry.publish("sample", actor=SYSTEM)
    assert manifest()["pipelines"]["inner"]["release"] != before


def test_an_unknown_or_unpublished_pipeline_can_t_be_run(path: Path, tmp_path: Path) -> None:
    assert "there is no pipeline 'inner'" in refused(path)
    registry.apply_folder(families.folder(tmp_path / "other", steps=("- {id: a, agent: user, with: {}}",), name="inner"), actor=SYSTEM)
    assert "pipeline 'inner' is not published yet" in refused(path)


def test_an_input_that_can_t_fit_is_refused(path: Path) -> None:
    inner = pipeline("inner", "- {id: twice, agent: doubler, with: {n: =input.n}}", takes=NUMBERS)
    assert "requires 'n'" in refused(path, inner, steps=("- {id: sub, pipeline: inner, with: {}}",))
    assert "takes no 'm'" in refused(path, inner, steps=("- {id: sub, pipeline: inner, with: {n: 1, m: 2}}",))
    assert "can never be" in refused(path, inner, steps=("- {id: sub, pipeline: inner, with: {n: one}}",))


def test_a_path_into_a_child_s_result_is_checked(path: Path) -> None:
    typed = agent("typed", "work:double", more="").replace("output: {type: object}", f"output: {NUMBERS}")
    inner = pipeline("inner", "- {id: twice, agent: typed, with: {n: 1}}")
    steps = ("- {id: sub, pipeline: inner, with: {}}", "- {id: after, agent: user, with: {got: =steps.sub.m}}")
    assert "has no 'm'" in refused(path, inner, steps=steps, agents=(typed,))


def test_pipelines_that_would_run_each_other_are_refused(path: Path) -> None:
    one, two = pipeline("one", "- {id: a, pipeline: two, with: {}}"), pipeline("two", "- {id: b, pipeline: one, with: {}}")
    assert "the pipelines 'one', 'two' would run each other" in refused(path, one, two, steps=("- {id: x, agent: user, with: {}}",))
    assert "pipeline 'sample' would run itself" in refused(path, steps=("- {id: x, pipeline: sample, with: {}}",))


def test_eight_runs_may_stand_one_below_the_other_and_no_more(path: Path) -> None:
    first = pipeline("p1", "- {id: a, agent: user, with: {}}")
    chain = [first, *(pipeline(f"p{n}", f"- {{id: a, pipeline: p{n - 1}, with: {{}}}}") for n in range(2, 9))]
    families.publish(path, *chain[:7], steps=("- {id: sub, pipeline: p7, with: {}}",))
    said = refused(path, *chain, steps=("- {id: sub, pipeline: p8, with: {}}",))
    assert "'p8' starts runs of its own, 8 deep with itself, and at most 8 runs stand one below the other" in said


# --- R4 --------------------------------------------------------------------------------------------------------------

JUDGED_BY = "verify: {agent: %s, with: {claim: =result}}"
WORKS = "kind: agent\nname: works\nteam: platform\nrole: check\npurpose: Works and judges.\nrun: {python: judge:check}\ntimeout: 20s"


def test_whoever_works_in_a_child_does_not_verify_its_parent(path: Path) -> None:
    inner = pipeline("inner", "- {id: a, agent: works, with: {claim: {}}}", verify=JUDGED_BY % "other")
    other = "kind: agent\nname: other\nteam: platform\nrole: check\npurpose: Judge.\nrun: {python: other:check}\ntimeout: 20s"
    folder = families.folder(path, inner, steps=("- {id: sub, pipeline: inner, with: {}}",), agents=(WORKS, other), verify=JUDGED_BY % "works")
    (folder / "other.py").write_text((folder / "judge.py").read_text() + "\n# another\n", encoding="utf-8")
    with pytest.raises(NotPublishable) as refusal:
        registry.apply_folder(folder, actor=SYSTEM, publish=True)
    said = [problem.message for problem in refusal.value.details["problems"]]
    assert said[0].startswith("'works' would verify what comes of its own work: it works in the pipeline 'inner'")


def test_a_copy_of_whoever_works_in_a_child_does_not_verify_its_parent_either(path: Path) -> None:
    inner = pipeline("inner", "- {id: a, agent: works, with: {claim: {}}}", verify=JUDGED_BY % "other")
    other = "kind: agent\nname: other\nteam: platform\nrole: check\npurpose: Judge.\nrun: {python: other:check}\ntimeout: 20s"
    folder = families.folder(path, inner, steps=("- {id: sub, pipeline: inner, with: {}}",), agents=(WORKS, other))
    (folder / "other.py").write_text((folder / "judge.py").read_text() + "\n# another\n", encoding="utf-8")
    with pytest.raises(NotPublishable) as refusal:
        registry.apply_folder(folder, actor=SYSTEM, publish=True)
    said = [problem.message for problem in refusal.value.details["problems"]]
    assert said[0].startswith("the verifier 'judge' runs the same code as 'works', which works in the pipeline 'inner'")


def test_a_release_that_breaks_it_all_the_same_is_not_run(path: Path) -> None:
    families.publish(path, INNER)
    broken = manifest()
    worker = {"name": "copy", "executable": broken["agents"]["judge"]["spec"]["executable"], "lineage": ["copy"]}
    broken["pipelines"]["inner"] = {**broken["pipelines"]["inner"], "workers": [worker]}
    with pytest.raises(planner.PlanError, match="'judge' verifies and is, or is a copy of, 'copy'"):
        planner.compiled(broken, digest="d" * 64)


# --- whose pipelines -------------------------------------------------------------------------------------------------


def of_another_team(tmp_path: Path) -> None:
    steps = ("- {id: a, agent: theirs, with: {}}",)
    folder = families.folder(tmp_path / "theirs", steps=steps, name="inner", agents=(agent("theirs", "work:use"),))
    text = (folder / "pipeline.yaml").read_text(encoding="utf-8")
    document = text.split("\n---\n")[-1]
    moved = "kind: team\nname: others\n---\n" + document.replace("team: platform", "team: others")
    (folder / "pipeline.yaml").write_text(text.replace(document, moved), encoding="utf-8")
    registry.apply_folder(folder, actor=SYSTEM, publish=True)


def test_whoever_may_not_start_a_pipeline_does_not_start_it_through_another(path: Path, tmp_path: Path) -> None:
    of_another_team(tmp_path)
    steps = ("- {id: sub, pipeline: inner, with: {}}",)
    assert "there is no pipeline 'inner'" in refused(path, steps=steps, actor=ALICE)
    looking = Actor(kind="person", id="alice", auth="test", teams=frozenset({"platform"}), reads=frozenset({"others"}))
    assert "belongs to team 'others' and only its members start it" in refused(path, steps=steps, actor=looking)
    member = Actor(kind="person", id="alice", auth="test", teams=frozenset({"platform", "others"}))
    registry.apply_folder(families.folder(path, steps=steps), actor=member, publish=True)


# --- what changes below ----------------------------------------------------------------------------------------------


def test_a_pipeline_that_others_run_is_not_retired(path: Path) -> None:
    families.publish(path, INNER)
    with pytest.raises(Conflict, match="pipeline 'inner' is needed by 'sample'"):
        registry.retire("inner", actor=SYSTEM, reason="no longer wanted")
    registry.retire("sample", actor=SYSTEM, reason="no longer wanted")
    registry.retire("inner", actor=SYSTEM, reason="no longer wanted")
    with pytest.raises(Conflict, match="'sample' runs pipeline inner, retired meanwhile"):
        registry.reinstate("sample", actor=SYSTEM)


def test_rolling_an_agent_back_goes_through_the_pipelines_above_those_that_use_it(path: Path) -> None:
    families.publish(path, INNER)
    text = (path / "pipeline.yaml").read_text(encoding="utf-8")
    (path / "pipeline.yaml").write_text(
        text.replace("run: {python: work:double}\ntimeout: 20s", "run: {python: work:double}\ntimeout: 9s"), encoding="utf-8"
    )
    first = manifest("inner")["agents"]["doubler"]["version"]
    registry.apply_folder(path, actor=SYSTEM, publish=True)
    assert manifest("inner")["agents"]["doubler"]["version"] == first + 1
    done = registry.rollback("doubler", actor=SYSTEM)
    assert sorted(release.pipeline for release in done.releases) == ["inner", "sample"]
    below = Release.objects.get(digest=manifest()["pipelines"]["inner"]["release"])
    assert below.manifest["agents"]["doubler"]["version"] == first
