"""Rolling back: what was published before runs again, its code included."""

from pathlib import Path
from typing import Any

import pytest

from agents import registry
from agents.errors import NoSuchVersion, NotGranted, NotPublishable, NotPublished, UnknownPipeline
from audit.errors import Conflict
from tests.agents.folders import PIPELINE, READER, READING, numbers
from tests.agents.inventory import MEMBER, ONLOOKER, OUTSIDER, SYSTEM, facts_of, pinned, publish, release

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return numbers(tmp_path / "one")


@pytest.fixture
def twice(folder: Path) -> Path:
    """Published, changed in its code, published again."""
    publish(folder)
    publish(numbers(folder, reading=READING.replace("1}", "2}")))
    return folder


def test_a_rollback_brings_back_the_release_before_and_its_code(twice: Path, settings: Any, tmp_path: Path) -> None:
    settings.ORCHESTRA_HOME = tmp_path / "home"
    second = release()
    done = registry.rollback("numbers", actor=SYSTEM)
    assert pinned(release()) == {"auditor": 1, "reader": 1}
    assert (done.kind, done.releases[0].digest) == ("pipeline", release().digest)
    assert facts_of("agents.pipeline.rolled_back") == [{"from": 1, "to": 1, "from_release": second.digest, "to_release": release().digest}]
    code = registry.unpacked(release().manifest["agents"]["reader"]["spec"]["artifact"])
    assert (code / "reading.py").read_text() == READING


def test_a_second_rollback_takes_the_first_one_back(twice: Path) -> None:
    second = release()
    registry.rollback("numbers", actor=SYSTEM)
    registry.rollback("numbers", actor=SYSTEM)
    assert release() == second


def test_a_pipeline_goes_back_to_a_version_by_number(folder: Path) -> None:
    for limit in ("1m", "2m", "3m"):
        publish(numbers(folder, pipeline=PIPELINE.replace("1m", limit)))
    done = registry.rollback("numbers", actor=SYSTEM, to=1)
    assert (done.from_version, done.to_version) == (3, 1)
    assert release().manifest["pipeline"]["spec"]["limits"]["timeout_ms"] == 60_000


def test_applying_what_was_rolled_back_publishes_it_anew(folder: Path) -> None:
    for limit in ("1m", "2m"):
        publish(numbers(folder, pipeline=PIPELINE.replace("1m", limit)))
    registry.rollback("numbers", actor=SYSTEM)
    applied = publish(folder)
    assert [(change.action, change.version) for change in applied.changes if change.name == "numbers"] == [("changed", 3)]


def test_an_agents_older_version_goes_into_every_pipeline_that_runs_it(folder: Path) -> None:
    publish(folder)
    publish(numbers(folder, reader=READER.replace("5s", "9s")))
    done = registry.rollback("reader", actor=SYSTEM)
    assert (done.from_version, done.to_version) == (2, 1)
    assert pinned(release()) == {"auditor": 1, "reader": 1}
    assert facts_of("agents.agent.rolled_back") == [{"from": 2, "to": 1}]
    assert registry.rollback("reader", actor=SYSTEM, to=2).to_version == 2


def test_a_pipeline_that_pinned_another_version_keeps_it(folder: Path) -> None:
    publish(folder)
    publish(numbers(folder, reader=READER.replace("5s", "9s"), pipeline=""))
    assert registry.rollback("reader", actor=SYSTEM).releases == ()
    assert pinned(release()) == {"auditor": 1, "reader": 1}


def test_an_agent_does_not_go_back_where_a_pipeline_would_break(folder: Path) -> None:
    publish(numbers(folder, reading=READING.replace("number", "figure"), pipeline=PIPELINE.replace("result.number", "result.figure")))
    publish(numbers(folder))
    before = release()
    with pytest.raises(NotPublishable):
        registry.rollback("reader", actor=SYSTEM)
    assert release() == before
    assert facts_of("agents.version.refused")[-1]["code"] == "not-publishable"


def test_there_must_be_something_to_roll_back_to(folder: Path) -> None:
    registry.apply_folder(folder, actor=SYSTEM)
    for name in ("numbers", "reader"):
        with pytest.raises(NotPublished):
            registry.rollback(name, actor=SYSTEM)
    publish(folder)
    for name in ("numbers", "reader"):
        with pytest.raises(Conflict, match="only one that was ever published"):
            registry.rollback(name, actor=SYSTEM)
        with pytest.raises(NoSuchVersion):
            registry.rollback(name, actor=SYSTEM, to=5)
        with pytest.raises(Conflict, match="is the published one already"):
            registry.rollback(name, actor=SYSTEM, to=1)
    registry.apply_folder(numbers(folder, reader=READER.replace("5s", "9s"), pipeline=PIPELINE.replace("1m", "2m")), actor=SYSTEM)
    for name in ("numbers", "reader"):
        with pytest.raises(Conflict, match="was never published"):
            registry.rollback(name, actor=SYSTEM, to=2)


def test_an_outsider_rolls_nothing_back(twice: Path) -> None:
    before = release()
    with pytest.raises(UnknownPipeline):
        registry.rollback("numbers", actor=OUTSIDER)
    with pytest.raises(NotGranted):
        registry.rollback("numbers", actor=ONLOOKER)
    assert release() == before
    assert facts_of("agents.version.refused") == [{"code": "denied", "publish": True, "problems": 1}]
    registry.rollback("numbers", actor=MEMBER)
    assert release() != before
