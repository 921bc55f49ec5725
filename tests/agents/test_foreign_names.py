"""What isn't shown to somebody can't be named by them either: not to run it, not to read it, not to learn that it exists."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agents import registry
from agents.api import rendering
from agents.errors import NotGranted, NotPublishable
from agents.models import Pipeline, Release
from audit.errors import Conflict
from tests import models, pipelines
from tests.agents.folders import AUDITOR, PIPELINE, READER, READING, TEAM, numbers
from tests.agents.inventory import MEMBER, SYSTEM, facts_of, pinned, publish, release

pytestmark = pytest.mark.django_db(transaction=True)

SHOWN = replace(MEMBER, reads=frozenset({"red"}))
"""A member of platform to whom team red is shown."""
NAMING: dict[str, Callable[[str], str]] = {
    "step": lambda name: PIPELINE.replace("agent: reader", f"agent: {name}"),
    "fallback": lambda name: PIPELINE.replace("agent: reader,", f"agent: reader, fallback: {name},"),
    "verify": lambda name: PIPELINE.replace("{agent: auditor", f"{{agent: {name}"),
    "node": lambda name: PIPELINE.replace(
        "steps:\n", f"steps:\n  - {{id: look, verify: {{agent: {name}, with: {{file: =input.file, claim: =input}}}}}}\n"
    ),
}


@pytest.fixture(autouse=True)
def _red(tmp_path: Path) -> None:
    """Team red with the published agents `hidden` and `umpire`, of which platform knows nothing."""
    hidden = READER.replace("name: reader", "name: hidden").replace("platform", "red")
    umpire = AUDITOR.replace("name: auditor", "name: umpire").replace("platform", "red")
    publish(numbers(tmp_path / "red", team=TEAM.replace("platform", "red"), reader=hidden, auditor=umpire, pipeline=""))
    registry.apply_folder(numbers(tmp_path / "team", reader="", auditor="", pipeline=""), actor=SYSTEM)


def refused(path: Path, pipeline: str, *, reader: str = READER) -> str:
    with pytest.raises(NotPublishable) as refusal:
        registry.apply_folder(numbers(path, team="", reader=reader, pipeline=pipeline), actor=MEMBER, publish=True)
    return "\n".join(str(problem) for problem in refusal.value.details["problems"])


@pytest.mark.parametrize("place", NAMING)
def test_an_agent_that_is_not_shown_is_refused_as_one_that_does_not_exist(tmp_path: Path, place: str) -> None:
    name = "umpire" if place in {"verify", "node"} else "hidden"
    said, missing = (refused(tmp_path / "mine", NAMING[place](each)) for each in (name, "nobody"))
    assert f"there is no agent '{name}'" in said
    assert said.replace(name, "nobody") == missing
    assert not Pipeline.objects.filter(name="numbers").exists()


def test_a_draft_that_names_it_neither_starts_nor_is_published(tmp_path: Path) -> None:
    applied = registry.apply_folder(numbers(tmp_path / "mine", team="", pipeline=NAMING["step"]("hidden")), actor=MEMBER)
    assert any("there is no agent 'hidden'" in str(warning) for warning in applied.warnings)
    assert "there is no agent 'hidden'" in str(registry.preview("numbers", actor=MEMBER).problems)
    for attempt in (lambda: registry.publish("numbers", actor=MEMBER), lambda: release(draft=True, actor=MEMBER)):
        with pytest.raises(NotPublishable) as refusal:
            attempt()
        assert "there is no agent 'hidden'" in str(refusal.value.details["problems"])
    assert not Release.objects.filter(pipeline__name="numbers").exists()


def test_an_unpublished_draft_of_another_team_runs_for_nobody_else(tmp_path: Path) -> None:
    registry.apply_folder(numbers(tmp_path / "mine", team="", pipeline=NAMING["step"]("hidden")), actor=SHOWN, publish=True)
    hidden = READER.replace("name: reader", "name: hidden").replace("platform", "red").replace("5s", "9s")
    registry.apply_folder(numbers(tmp_path / "red", team="", reader=hidden, auditor="", pipeline=""), actor=SYSTEM)
    assert pinned(release(draft=True, actor=SHOWN))["hidden"] == 2
    with pytest.raises(NotPublishable):
        release(draft=True, actor=MEMBER)


def test_a_team_that_is_shown_may_be_named_and_what_a_release_pins_stays(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "mine", team="", pipeline=NAMING["step"]("hidden"))
    registry.apply_folder(folder, actor=SHOWN, publish=True)
    assert pinned(release(actor=MEMBER)) == {"auditor": 1, "hidden": 1}
    assert registry.apply_folder(folder, actor=MEMBER).pending == []


def test_a_lineage_is_read_as_far_as_it_is_shown(tmp_path: Path) -> None:
    """The auditor's line leads through `hidden` of team red to `reader`, the builder."""
    publish(numbers(tmp_path / "mine", pipeline=""))
    red = READER.replace("name: reader", "name: hidden").replace("platform", "red") + "derived_from: reader\n"
    publish(numbers(tmp_path / "red", team="", reader=red, auditor="", pipeline=""))
    folder = numbers(tmp_path / "mine", auditor=AUDITOR + "derived_from: hidden\n")
    with pytest.raises(NotPublishable) as refusal:
        registry.apply_folder(folder, actor=SYSTEM, publish=True)
    assert "lineage" in str(refusal.value.details["problems"])
    assert registry.apply_folder(numbers(tmp_path / "mine", team="", auditor=AUDITOR + "derived_from: hidden\n"), actor=MEMBER, publish=True).releases


def test_an_agent_goes_back_in_a_pipeline_that_pins_what_its_people_no_longer_see(tmp_path: Path) -> None:
    both = NAMING["fallback"]("hidden")
    folder = numbers(tmp_path / "mine", team="", pipeline=both)
    registry.apply_folder(folder, actor=SHOWN, publish=True)
    registry.apply_folder(numbers(tmp_path / "mine", team="", pipeline=both, reader=READER.replace("5s", "9s")), actor=SHOWN, publish=True)
    assert registry.rollback("reader", actor=MEMBER).releases[0].agents == {"auditor": 1, "hidden": 1, "reader": 1}


# --- model aliases ---


@pytest.fixture
def alias(tmp_path: Path) -> None:
    """The alias `reasoning` of team red, with an endpoint and a reference to a secret."""
    (tmp_path / "alias").mkdir()
    said = models.alias(endpoint="https://models.example.com/red", secret="env:RED_KEY").replace("platform", "red")
    (tmp_path / "alias" / "alias.yaml").write_text(said)
    registry.apply_folder(tmp_path / "alias", actor=SYSTEM, publish=True)


def asking(path: Path, name: str = "reasoning") -> Path:
    words = models.agent(alias=name, permissions=f'["allow call model:{name}"]')
    folder = pipelines.folder(path, functions="", agents=[words], steps="- {id: only, agent: writer, with: {about: =input.about}}")
    (folder / "say.md").write_text("Say something.\n")
    file = folder / "pipeline.yaml"
    file.write_text(file.read_text().replace("kind: team\nname: platform\n---\n", ""))
    return folder


@pytest.mark.usefixtures("alias")
def test_an_alias_that_is_not_shown_is_refused_and_not_suggested(tmp_path: Path) -> None:
    for name in ("reasoning", "reasonin"):
        with pytest.raises(NotPublishable) as refusal:
            registry.apply_folder(asking(tmp_path / name, name), actor=MEMBER)
        said = "\n".join(map(str, refusal.value.details["problems"]))
        assert f"there is no model alias '{name}'; add a document" in said
        assert "did you mean" not in said
    with pytest.raises(NotPublishable) as refusal:
        registry.apply_folder(asking(tmp_path / "shown"), actor=SHOWN, publish=True)
    assert "spends the key of a team that you are not a member of" in str(refusal.value.details["problems"][0])
    assert registry.apply_folder(asking(tmp_path / "both"), actor=replace(MEMBER, teams=frozenset({"platform", "red"})), publish=True).releases


@pytest.mark.usefixtures("alias")
def test_a_stored_agent_does_not_hand_its_alias_to_who_may_not_see_it(tmp_path: Path) -> None:
    registry.apply_folder(asking(tmp_path / "shown"), actor=SHOWN)
    problems = registry.preview("sample", actor=MEMBER).problems
    assert [str(problem) for problem in problems] == ["pipeline 'sample':1: agent 'writer': there is no model alias 'reasoning'"]
    for attempt in (
        lambda: registry.publish("sample", actor=MEMBER),
        lambda: registry.release_for("sample", draft=True, actor=MEMBER),
    ):
        with pytest.raises(NotPublishable):
            attempt()
    assert not Release.objects.filter(pipeline__name="sample").exists()


# --- what is taken, needed or left behind by others ---


def named_as(name: str, kind: str) -> tuple[str, str]:
    """A reader or a pipeline of team platform with that name."""
    reader = READER.replace("name: reader", f"name: {name}") if kind == "agent" else ""
    return reader, PIPELINE.replace("name: numbers", f"name: {name}") if kind == "pipeline" else ""


@pytest.mark.parametrize("kind", ["agent", "pipeline"])
def test_a_name_that_is_taken_out_of_sight_says_neither_by_what_nor_by_whom(tmp_path: Path, kind: str) -> None:
    publish(
        numbers(
            tmp_path / "red",
            team="",
            reader="",
            auditor="",
            pipeline=PIPELINE.replace("name: numbers", "name: secret")
            .replace("platform", "red")
            .replace("auditor", "umpire")
            .replace("reader", "hidden"),
        )
    )
    said = []
    for name in ("hidden", "secret"):  # an agent and a pipeline of team red
        reader, pipeline = named_as(name, kind)
        with pytest.raises(NotGranted) as refusal:
            registry.apply_folder(numbers(tmp_path / "mine", team="", reader=reader, auditor="", pipeline=pipeline), actor=MEMBER)
        said.append((refusal.value.message.replace(name, "x"), refusal.value.details))
    assert said == [(f"numbers.yaml: {kind} 'x': this name is taken; choose another", {})] * 2
    assert facts_of("agents.version.refused")[-1]["code"] == "denied"
    reader, pipeline = named_as("hidden", kind)
    with pytest.raises((NotGranted, NotPublishable), match=r"belongs to team 'red'|1 problem"):
        registry.apply_folder(numbers(tmp_path / "mine", team="", reader=reader, auditor="", pipeline=pipeline), actor=SHOWN)


@pytest.mark.usefixtures("alias")
def test_the_name_of_an_alias_that_is_taken_out_of_sight_is_just_taken(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "alias.yaml").write_text(models.alias())
    with pytest.raises(NotGranted, match=r"this name is taken; choose another$"):
        registry.apply_folder(tmp_path / "mine", actor=MEMBER)


@pytest.fixture
def used_by_red(tmp_path: Path) -> None:
    """platform's pipeline `numbers`, and team red's pipeline `secret`, both with platform's agent `reader`."""
    publish(numbers(tmp_path / "mine"))
    secret = PIPELINE.replace("name: numbers", "name: secret").replace("platform", "red")
    publish(numbers(tmp_path / "red", team="", reader="", auditor="", pipeline=secret))


@pytest.mark.usefixtures("used_by_red")
def test_pipelines_of_other_teams_that_need_an_agent_are_counted_and_not_named() -> None:
    for actor, words in ((MEMBER, "'numbers' and 1 pipeline of other teams:"), (SHOWN, "'numbers' and 'secret':")):
        with pytest.raises(Conflict, match=f"needed by {words}"):
            registry.retire("reader", actor=actor, reason="old")
    registry.retire("numbers", actor=MEMBER, reason="old")
    with pytest.raises(Conflict, match="needed by 1 pipeline of other teams:"):
        registry.retire("reader", actor=MEMBER, reason="old")


@pytest.mark.usefixtures("used_by_red")
def test_pipelines_of_other_teams_that_stay_behind_are_counted_and_not_named(tmp_path: Path) -> None:
    newer = numbers(tmp_path / "mine", team="", reader=READER.replace("5s", "9s"))
    registry.apply_folder(newer, actor=MEMBER)
    done = registry.publish("reader", actor=MEMBER)
    assert (done.stay, done.stay_elsewhere) == (("numbers",), 1)
    assert rendering.published(done)["stay_elsewhere"] == 1
    assert registry.apply_folder(newer, actor=MEMBER, publish=True).hints == [
        "1 pipeline of other teams pins another version of 'reader' until it is published itself"
    ]
    (hint,) = registry.apply_folder(newer, actor=SHOWN, publish=True).hints
    assert "pipeline 'secret' (team 'red') keeps version 1 of 'reader'" in hint


@pytest.mark.usefixtures("used_by_red")
def test_a_rollback_reaches_pipelines_of_other_teams_and_does_not_name_them(tmp_path: Path) -> None:
    newer = READER.replace("5s", "9s")
    registry.apply_folder(numbers(tmp_path / "mine", team="", reader=newer), actor=MEMBER, publish=True)
    registry.publish("secret", actor=SYSTEM)
    done = registry.rollback("reader", actor=MEMBER)
    assert ([one.pipeline for one in done.releases], done.elsewhere) == (["numbers"], 1)
    assert rendering.rolled_back(done)["elsewhere"] == 1
    assert pinned(registry.release_for("secret", draft=False, actor=SYSTEM))["reader"] == 1


@pytest.mark.usefixtures("used_by_red")
def test_a_rollback_that_would_break_a_pipeline_out_of_sight_says_no_more_than_that(tmp_path: Path) -> None:
    """Only the newer version leaves the result to the pipeline's criterion as it is asked."""
    wider = READING.replace("number: int", "number: int\n    more: int").replace('"number": 1}', '"number": 1, "more": 1}')
    registry.apply_folder(numbers(tmp_path / "mine", team="", reading=wider), actor=MEMBER, publish=True)
    secret = PIPELINE.replace("name: numbers", "name: secret").replace("platform", "red").replace("result.number > 0", "result.more > 0")
    publish(numbers(tmp_path / "red", team="", reader="", auditor="", pipeline=secret))
    with pytest.raises(NotPublishable) as refusal:
        registry.rollback("reader", actor=MEMBER)
    assert refusal.value.message == "agent 'reader' can't go back to version 1: a pipeline of another team uses it and would not be valid"
    assert refusal.value.details["problems"] == [refusal.value.message]
