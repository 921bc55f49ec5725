"""Publishing what is stored: drafts become what runs, together, or not at all."""

from pathlib import Path
from typing import Any

import pytest

from agents import registry
from agents.errors import NoSuchVersion, NotGranted, NotPublishable, Retired, UnknownAgent, UnknownPipeline
from agents.models import Agent, Pipeline, Version
from agents.registry import versions
from audit.errors import Conflict, OrchestraError
from tests.agents.folders import PIPELINE, READING, numbers
from tests.agents.inventory import MEMBER, ONLOOKER, OUTSIDER, SYSTEM, facts_of, pinned, publish, release, verbs

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return numbers(tmp_path / "one")


def draft(folder: Path) -> None:
    registry.apply_folder(folder, actor=SYSTEM)


def test_a_pipeline_takes_the_drafts_of_its_agents_with_it(folder: Path) -> None:
    draft(folder)
    done = registry.publish("numbers", actor=MEMBER)
    assert (done.from_version, done.to_version, done.agents) == (None, 1, (("auditor", 1), ("reader", 1)))
    assert pinned(release()) == {"auditor": 1, "reader": 1}
    assert set(Version.objects.values_list("state", flat=True)) == {"published"}
    assert Agent.objects.get(name="reader").state == Pipeline.objects.get(name="numbers").state == "active"
    assert facts_of("agents.release.published") == [{"digest": release().digest, "before": None}]


def test_it_gives_what_applying_with_publish_gives(folder: Path, tmp_path: Path) -> None:
    publish(folder)
    draft(numbers(folder, reading=READING.replace("1}", "2}")))
    wanted = registry.release_for("numbers", draft=True, actor=SYSTEM).digest
    assert registry.publish("numbers", actor=SYSTEM).releases[0].digest == wanted == release().digest
    assert registry.apply_folder(folder, actor=SYSTEM, publish=True).unchanged


def test_an_agent_published_by_its_own_name_leaves_pipelines_as_they_are(folder: Path) -> None:
    publish(folder)
    draft(numbers(folder, reading=READING.replace("1}", "2}")))
    done = registry.publish("reader", actor=SYSTEM)
    assert (done.from_version, done.to_version, done.stay) == (1, 2, ("numbers",))
    assert pinned(release())["reader"] == 1
    assert registry.publish("numbers", actor=SYSTEM).agents == (("auditor", 2),)
    assert pinned(release())["reader"] == 2


def test_a_second_publication_has_nothing_to_do_and_says_so(folder: Path) -> None:
    publish(folder)
    before = verbs()
    for name in ("numbers", "reader"):
        with pytest.raises(Conflict, match="already; nothing was changed"):
            registry.publish(name, actor=SYSTEM)
    assert verbs() == [*before, "agents.version.refused", "agents.version.refused"]


def test_a_version_that_ran_before_is_rolled_back_to_and_not_published(folder: Path) -> None:
    publish(folder)
    publish(numbers(folder, pipeline=PIPELINE.replace("1m", "2m")))
    with pytest.raises(Conflict, match="rollback numbers --to 1"):
        registry.publish("numbers", actor=SYSTEM, version=1)
    with pytest.raises(NoSuchVersion, match="1 to 2"):
        registry.publish("numbers", actor=SYSTEM, version=7)


def test_a_draft_that_was_passed_over_can_be_published_by_its_number(folder: Path) -> None:
    publish(folder)
    draft(numbers(folder, pipeline=PIPELINE.replace("1m", "2m")))
    draft(numbers(folder, pipeline=PIPELINE.replace("1m", "3m")))
    assert registry.publish("numbers", actor=SYSTEM, version=2).to_version == 2
    assert release().manifest["pipeline"]["spec"]["limits"]["timeout_ms"] == 120_000


def test_what_may_not_be_published_lists_every_problem_and_changes_nothing(folder: Path) -> None:
    unverified = PIPELINE.replace("verify: {agent: auditor, with: {file: =input.file, claim: =result}}\n", "").replace(
        "criteria:\n  is-positive: result.number > 0\n", ""
    )
    draft(numbers(folder, pipeline=unverified))
    told = registry.preview("numbers", actor=SYSTEM)
    assert told.problems and told.from_version is None
    with pytest.raises(NotPublishable) as refused:
        registry.publish("numbers", actor=SYSTEM)
    assert refused.value.details["problems"] == list(told.problems)
    assert not Version.objects.filter(state="published").exists()
    assert facts_of("agents.version.refused")[-1]["publish"] is True


def test_a_preview_tells_the_fields_and_drafts_and_writes_nothing(folder: Path) -> None:
    publish(folder)
    draft(numbers(folder, pipeline=PIPELINE.replace("1m", "2m"), reading=READING.replace("1}", "2}")))
    before = verbs()
    told = registry.preview("numbers", actor=ONLOOKER)
    assert [(field.path, field.old, field.new) for field in told.fields] == [("limits.timeout_ms", 60_000, 120_000)]
    assert [(pin.name, pin.running, pin.version) for pin in told.pins] == [("auditor", 1, 2), ("reader", 1, 2)]
    assert (told.problems, told.unchanged, verbs()) == ((), False, before)


def test_nothing_but_what_was_previewed_is_published(folder: Path) -> None:
    publish(folder)
    draft(numbers(folder, pipeline=PIPELINE.replace("1m", "2m"), reading=READING.replace("1}", "2}")))
    told = {name: registry.preview(name, actor=SYSTEM).seen for name in ("numbers", "reader")}
    draft(numbers(folder, pipeline=PIPELINE.replace("1m", "2m"), reading=READING.replace("1}", "3}")))
    for name, seen in told.items():
        with pytest.raises(Conflict, match="has changed since it was shown"):
            registry.publish(name, actor=SYSTEM, seen=seen)
    assert release().manifest["pipeline"]["version"] == 1
    assert registry.publish("numbers", actor=SYSTEM, seen=registry.preview("numbers", actor=SYSTEM).seen).to_version == 2


def test_a_preview_is_held_against_what_runs_and_not_against_what_is_published(folder: Path) -> None:
    """After a rollback the agents' published versions are not what the pipeline runs: to publish it again would bring the newer ones back."""
    publish(folder)
    publish(numbers(folder, reading=READING.replace("1}", "2}")))
    assert registry.preview("numbers", actor=SYSTEM).unchanged
    registry.rollback("numbers", actor=SYSTEM)
    told = registry.preview("numbers", actor=SYSTEM)
    assert [(pin.name, pin.running, pin.version) for pin in told.pins] == [("auditor", 1, 2), ("reader", 1, 2)]
    assert not told.unchanged and any("artifact" in field.path for field in told.pins[0].fields)


def test_who_may_only_look_publishes_nothing_and_it_is_recorded(folder: Path) -> None:
    draft(folder)
    with pytest.raises(NotGranted, match="not a member"):
        registry.publish("numbers", actor=ONLOOKER)
    with pytest.raises(UnknownPipeline):
        registry.publish("numbers", actor=OUTSIDER)
    assert facts_of("agents.version.refused") == [{"code": code, "publish": True, "problems": 1} for code in ("denied", "unknown-pipeline")]
    assert not Version.objects.filter(state="published").exists()


@pytest.mark.parametrize(
    "asked", [{"name": "nobody"}, {"name": "numbers", "version": 7}, {"name": "numbers"}, {"name": "reader"}, {"name": "a\u202eb"}]
)
def test_whatever_is_refused_leaves_an_entry(folder: Path, asked: dict[str, Any]) -> None:
    publish(folder)
    with pytest.raises(OrchestraError) as refused:
        registry.publish(**asked, actor=SYSTEM)
    assert facts_of("agents.version.refused") == [{"code": refused.value.code, "publish": True, "problems": 1}]


def test_a_retired_pipeline_is_not_published_and_the_refusal_is_an_entry(folder: Path) -> None:
    publish(folder)
    registry.retire("numbers", actor=SYSTEM, reason="old")
    with pytest.raises(Retired):
        registry.publish("numbers", actor=SYSTEM)
    assert facts_of("agents.version.refused")[-1]["code"] == "retired"


def test_a_door_for_one_kind_does_not_reach_the_other(folder: Path) -> None:
    publish(folder)
    for change in (registry.publish, registry.rollback, registry.reinstate):
        with pytest.raises(UnknownAgent, match="there is no agent 'numbers'"):
            change("numbers", actor=SYSTEM, kind=Agent)
        with pytest.raises(UnknownPipeline, match="there is no pipeline 'reader'"):
            change("reader", actor=SYSTEM, kind=Pipeline)


@pytest.mark.parametrize("deed", [registry.publish, registry.rollback])
def test_whoever_knows_of_no_lock_and_comes_between_is_a_conflict_and_an_entry(folder: Path, monkeypatch: pytest.MonkeyPatch, deed: Any) -> None:
    publish(folder)
    publish(numbers(folder, reading=READING.replace("1}", "2}")))
    draft(numbers(folder, reading=READING.replace("1}", "3}")))
    real, seen = versions.published, list[str]()

    def before_they_came(owner: Agent | Pipeline) -> Version | None:
        seen.append(owner.name)
        return None if len(seen) == 2 else real(owner)

    monkeypatch.setattr(versions, "published", before_they_came)
    with pytest.raises(Conflict, match="changed the same objects at this moment"):
        deed("reader", actor=SYSTEM)
    assert facts_of("agents.version.refused") == [{"code": "conflict", "publish": True, "problems": 1}]
    assert Version.objects.get(agent__name="reader", state="published").number == 2
