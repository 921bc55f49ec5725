"""Rolling back: what was published before runs again, its code included."""

from pathlib import Path
from typing import Any

import pytest

from agents import registry
from agents.errors import NoSuchRelease, NoSuchVersion, NotGranted, NotPublishable, NotPublished, UnknownPipeline
from agents.models import Agent, Release, Version
from audit.errors import Conflict, Invalid
from tests.agents.folders import PIPELINE, READER, READING, numbers
from tests.agents.inventory import MEMBER, ONLOOKER, OUTSIDER, SYSTEM, facts_of, pinned, publish, release, verbs

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


@pytest.fixture
def four(folder: Path) -> list[Release]:
    """Four releases, oldest first: of pipeline versions 1 and 2, and two of version 3."""
    made = []
    for limit, reading in (("1m", "1}"), ("2m", "1}"), ("3m", "1}"), ("3m", "2}")):
        publish(numbers(folder, pipeline=PIPELINE.replace("1m", limit), reading=READING.replace("1}", reading)))
        made.append(release())
    return made


def test_every_rollback_goes_further_back_and_never_returns(four: list[Release]) -> None:
    for older in reversed(four[:-1]):
        done = registry.rollback("numbers", actor=SYSTEM)
        assert (release(), done.to_release, done.forward) == (older, older.digest, False)
    before = verbs()
    with pytest.raises(Conflict, match=rf"nothing older .*version 1.* is the first .*for --release: {four[3].digest[:12]}"):
        registry.rollback("numbers", actor=SYSTEM)
    assert (release(), verbs()) == (four[0], [*before, "agents.version.refused"])


def test_a_rollback_of_a_repair_goes_to_what_was_in_force_before_it_and_not_to_what_was_rolled_away(twice: Path) -> None:
    bad = release()
    registry.rollback("numbers", actor=SYSTEM)
    good = release()
    publish(numbers(twice, reading=READING.replace("1}", "3}")))
    assert release() not in (good, bad)
    assert registry.rollback("numbers", actor=SYSTEM).to_release == good.digest
    with pytest.raises(Conflict, match="nothing older"):
        registry.rollback("numbers", actor=SYSTEM)


def test_a_rollback_passes_over_what_only_drafts_ran_with(folder: Path) -> None:
    publish(folder)
    first = release()
    registry.apply_folder(numbers(folder, reading=READING.replace("1}", "5}")), actor=SYSTEM)
    release(draft=True)
    publish(numbers(folder, reading=READING.replace("1}", "2}")))
    registry.rollback("numbers", actor=SYSTEM)
    assert release() == first


def test_asking_for_the_version_that_runs_changes_nothing_and_names_its_other_releases(four: list[Release]) -> None:
    before = verbs()
    for _ in range(2):
        with pytest.raises(Conflict, match=rf"version 3 .*already; nothing was changed; .*{four[2].digest[:12]}"):
            registry.rollback("numbers", actor=SYSTEM, to=3)
    assert (release(), verbs()) == (four[3], [*before, *["agents.version.refused"] * 2])
    assert facts_of("agents.version.refused") == [{"code": "conflict", "publish": True, "problems": 1}] * 2


def test_a_release_is_named_by_the_beginning_of_its_digest_older_or_newer(four: list[Release]) -> None:
    back = registry.rollback("numbers", actor=SYSTEM, release=four[1].digest[:8])
    assert (release(), back.forward, back.from_release) == (four[1], False, four[3].digest)
    forth = registry.rollback("numbers", actor=SYSTEM, release=four[2].digest.upper())
    assert (release(), forth.forward, forth.from_version, forth.to_version) == (four[2], True, 2, 3)


def test_a_digest_that_leads_nowhere_changes_nothing(four: list[Release], folder: Path) -> None:
    registry.apply_folder(numbers(folder, reading=READING.replace("1}", "7}")), actor=SYSTEM)
    draft = release(draft=True)
    refusals = [
        (four[3].digest, Conflict, "already; nothing was changed"),
        (draft.digest, Conflict, "was never published"),
        ("0" * 64, NoSuchRelease, rf"its newest are {four[3].digest[:12]} \(version 3\)"),
        (four[0].digest[:7], Invalid, "8 to 64"),
        ("version-1", Invalid, "8 to 64"),
    ]
    for digest, kind, said in refusals:
        with pytest.raises(kind, match=said):
            registry.rollback("numbers", actor=SYSTEM, release=digest)
    with pytest.raises(Invalid, match="one of the two"):
        registry.rollback("numbers", actor=SYSTEM, to=1, release=four[0].digest)
    with pytest.raises(Invalid, match="give a version with --to"):
        registry.rollback("reader", actor=SYSTEM, release=four[0].digest)
    assert release() == four[3]


def test_the_agents_that_keep_other_permissions_are_named(folder: Path) -> None:
    publish(folder)
    publish(numbers(folder, reader=READER.replace("read file:*", "read feed:*")))
    assert registry.rollback("numbers", actor=SYSTEM).keep == ("reader",)


def test_nobody_is_named_where_permissions_are_the_same(twice: Path) -> None:
    assert registry.rollback("numbers", actor=SYSTEM).keep == ()


def test_every_rollback_of_an_agent_goes_to_a_lower_number(folder: Path) -> None:
    for limit in ("5s", "6s", "7s"):
        publish(numbers(folder, reader=READER.replace("5s", limit)))
    assert [registry.rollback("reader", actor=SYSTEM).to_version for _ in range(2)] == [2, 1]
    with pytest.raises(Conflict, match=r"nothing older .*version 1 is the first .*for --to: 3, 2"):
        registry.rollback("reader", actor=SYSTEM)
    assert registry.rollback("reader", actor=SYSTEM, to=3).forward


def test_a_rollback_of_a_repaired_agent_passes_over_the_version_that_was_rolled_away(folder: Path) -> None:
    for limit in ("5s", "6s"):
        publish(numbers(folder, reader=READER.replace("5s", limit)))
    registry.rollback("reader", actor=SYSTEM)
    publish(numbers(folder, reader=READER.replace("5s", "7s")))
    assert registry.rollback("reader", actor=SYSTEM).to_version == 1


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
    assert facts_of("agents.version.refused") == [{"code": code, "publish": True, "problems": 1} for code in ("unknown-pipeline", "denied")]
    registry.rollback("numbers", actor=MEMBER)
    assert release() != before


def test_an_agent_s_rollback_reads_of_other_agents_only_what_the_pipeline_pins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 6):
        publish(numbers(folder, reading=READING.replace("1}", f"{number}}}")))
    read, real = set[tuple[str, int]](), Version.from_db

    def noted(*args: Any, **options: Any) -> Version:
        found = real(*args, **options)
        if "spec" in found.__dict__:  # else a few fields are read again
            read.add((str(found.agent_id), found.number))
        return found

    monkeypatch.setattr(Version, "from_db", noted)
    registry.rollback("reader", actor=SYSTEM)
    auditor = str(Agent.objects.get(name="auditor").pk)
    assert {number for agent, number in read if agent == auditor} == {5}
    assert pinned(release()) == {"auditor": 5, "reader": 4}
