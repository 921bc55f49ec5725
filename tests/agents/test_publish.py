"""Publishing: what it makes, what it refuses, and which release a run gets."""

from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from agents import registry
from agents.errors import NotPublishable, NotPublished, UnknownPipeline
from agents.models import Agent, Artifact, Pipeline, Release, Standing, VersionState
from agents.registry import releases
from agents.registry.composing import Composition
from agents.registry.writing import Turn
from audit import clock
from audit.canonical import digest
from audit.errors import Conflict, Invalid
from audit.models import Entry, Opening
from tests.agents.folders import AUDITOR, PIPELINE, READER, READING, numbers
from tests.agents.inventory import MEMBER, OUTSIDER, SYSTEM, facts_of, pinned, problems_of, publish, release, verbs

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


# Publishing ------------------------------------------------------------------------------------------------------------------------


def test_publishing_makes_a_release_that_pins_everything(folder: Path) -> None:
    made = publish(folder).releases
    current = release()
    assert (made[0].digest, made[0].agents) == (current.digest, {"auditor": 1, "reader": 1})
    assert current.digest == digest(current.manifest)
    assert current.manifest["pipeline"]["spec"]["criteria"] == {"is-positive": {"expression": "result.number > 0"}}
    assert (Agent.objects.get(name="reader").state, Pipeline.objects.get().state) == (Standing.ACTIVE, Standing.ACTIVE)
    assert {"agents.version.published", "agents.release.made", "agents.release.published"} <= set(verbs())


def test_publishing_a_change_retires_the_version_before(twice: Path) -> None:
    assert pinned(release()) == {"auditor": 2, "reader": 2}  # one folder, one artifact: its digest is part of both
    assert [version.state for version in Agent.objects.get(name="reader").versions.order_by("number")] == [
        VersionState.RETIRED,
        VersionState.PUBLISHED,
    ]
    assert Release.objects.count() == 2


def test_drafts_that_are_published_later_are_told_as_published(folder: Path) -> None:
    registry.apply_folder(folder, actor=SYSTEM)
    actions = {change.name: change.action for change in publish(folder).changes}
    assert actions == {"platform": "unchanged", "reader": "published", "auditor": "published", "numbers": "published"}


def test_a_suspended_agent_stays_suspended(folder: Path) -> None:
    publish(folder)
    Agent.objects.filter(name="reader").update(state=Standing.SUSPENDED)
    publish(numbers(folder, reader=READER.replace("5s", "9s")))
    assert Agent.objects.get(name="reader").state == Standing.SUSPENDED


def test_a_pipeline_uses_agents_published_from_another_folder(tmp_path: Path) -> None:
    publish(numbers(tmp_path / "agents", pipeline=""))
    publish(numbers(tmp_path / "pipeline", team="", reader="", auditor=""))
    assert pinned(release()) == {"auditor": 1, "reader": 1}


def test_drafts_of_another_folder_do_not_count(tmp_path: Path) -> None:
    registry.apply_folder(numbers(tmp_path / "agents", pipeline=""), actor=SYSTEM)
    found = problems_of(numbers(tmp_path / "pipeline", team="", reader="", auditor=""), publish=True)
    assert any("reader" in problem for problem in found)


def test_pipelines_outside_the_folder_keep_their_versions_and_their_people_are_told(tmp_path: Path) -> None:
    publish(numbers(tmp_path / "one"))
    applied = publish(numbers(tmp_path / "agents", pipeline="", reader=READER.replace("5s", "9s"), auditor=""))
    assert applied.hints == ["pipeline 'numbers' (team 'platform') keeps version 1 of 'reader' until it is applied with --publish itself"]
    assert pinned(release()) == {"auditor": 1, "reader": 1}


INLINE = """\
kind: agent
name: first
team: platform
role: decide
purpose: Hand on.
run: {inline: noop}
timeout: 1s
---
kind: agent
name: second
team: platform
role: decide
purpose: Hand on.
run: {inline: noop}
timeout: 1s
---
kind: agent
name: equal
team: platform
role: check
purpose: Compare.
run: {inline: same}
timeout: 1s
---
kind: pipeline
name: inline
team: platform
purpose: No code at all.
input: {type: object}
steps:
  - {id: one, agent: first, with: {value: =input}}
  - id: both
    parallel: {left: [{id: two, agent: second, with: {value: "=size(input) > 0 ? 1 : 2"}, fallback: first}], right: [{id: three, agent: second}]}
verify: {agent: equal, with: {left: =result, right: =result}}
"""


def test_a_pipeline_without_code_needs_no_artifact(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one", reader=INLINE, auditor="", pipeline="")
    applied = publish(folder)
    assert applied.releases[0].agents == {"equal": 1, "first": 1, "second": 1}
    assert not Artifact.objects.exists()
    assert Agent.objects.get(name="first").versions.get().spec["executable"] == {"kind": "inline", "name": "noop"}


def test_an_expression_that_does_not_compile_is_a_problem_of_its_line(tmp_path: Path) -> None:
    found = problems_of(numbers(tmp_path / "one", reader=INLINE.replace("size(input) > 0 ? 1 : 2", "size(input) > > 0"), auditor="", pipeline=""))
    assert [problem.splitlines()[0] for problem in found] == found
    assert found[0].startswith("numbers.yaml:36: ")


@pytest.mark.parametrize("publish", [False, True])
@pytest.mark.parametrize(
    ("spoil", "with_"),
    [
        (("{file: =input.file, claim: =result}", "{file: =input.file, claim: '=size(result) > > 0'}"), "size(result) > > 0"),
        (("is-positive: result.number > 0", "is-positive: 'result.number > > 0'"), "result.number > > 0"),
        (("agent: reader, with: {file: =input.file}", "agent: reader, when: 'size(( input', with: {file: =input.file}"), "size(( input"),
    ],
)
def test_what_does_not_compile_is_told_once_and_nothing_is_made_of_it(tmp_path: Path, publish: bool, spoil: tuple[str, str], with_: str) -> None:
    (found,) = problems_of(numbers(tmp_path / "one", pipeline=PIPELINE.replace(*spoil)), publish=publish)
    assert f"expression {with_!r}: " in found


def test_a_schema_that_fetches_is_a_problem(tmp_path: Path) -> None:
    said = READER + 'output: {$ref: "http://example.com/schema.json"}\n'
    assert any("output schema of agent 'reader'" in problem for problem in problems_of(numbers(tmp_path / "one", reader=said)))


def test_every_fault_of_a_contract_is_listed_with_the_line_of_its_member(tmp_path: Path) -> None:
    contract = "{0}:\n  type: object\n  properties:\n    a: {{type: strng}}\n    b:\n      minimum: x\n  requird: [a]\n"
    pipeline = PIPELINE.replace(
        "input: {type: object, required: [file], properties: {file: {type: string}}, additionalProperties: false}\n", contract.format("input")
    )
    found = problems_of(numbers(tmp_path / "one", team="", reader=READER + contract.format("input"), pipeline=pipeline), publish=True)
    assert [at for each in found if " schema of agent 'reader': " in each for at in [each.split(":")[1]]] == ["12", "14", "15"]
    assert [at for each in found if "the input contract can't be used: " in each for at in [each.split(":")[1]]] == ["32", "34", "35"]


def test_a_verifier_derived_from_a_performer_is_refused(tmp_path: Path) -> None:
    publish(numbers(tmp_path / "agents", pipeline=""))
    middle = AUDITOR.replace("name: auditor", "name: middle") + "derived_from: reader\n"
    publish(numbers(tmp_path / "middle", team="", reader="", auditor=middle, pipeline=""))
    found = problems_of(numbers(tmp_path / "one", team="", reader="", auditor=AUDITOR + "derived_from: middle\n"), publish=True)
    assert any("reader" in problem and "auditor" in problem for problem in found)


# What is refused -------------------------------------------------------------------------------------------------------------------


def test_all_problems_are_listed_at_once_with_file_and_line(tmp_path: Path) -> None:
    folder = numbers(
        tmp_path / "one",
        reader=READER.replace("team: platform", "team: platfrom") + "tiemout: 3s\n",
        auditor=AUDITOR.replace("auditing:audit", "auditing:audits"),
        pipeline=PIPELINE.replace("team: platform", "team: plattform"),
    )
    found = problems_of(folder)
    assert all(problem.startswith("numbers.yaml:") for problem in found)
    assert any("tiemout" in problem and "timeout" in problem for problem in found)
    assert any("audits" in problem for problem in found)
    assert any("there is no team 'plattform'; did you mean 'platform'?" in problem for problem in found)
    assert not Agent.objects.exists()


def test_what_publishing_refuses_is_listed_beside_problems_of_other_documents(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one", reader=READER + "tiemout: 3s\n")
    (folder / "other.yaml").write_text(
        "kind: pipeline\nname: other\nteam: platform\ninput: {type: object}\nsteps:\n  - {id: a, agent: ghost}\n  - {id: b, agent: reader}\n"
        "limits: {timeout: 1m}\n",
        encoding="utf-8",
    )
    found = problems_of(folder, publish=True)
    assert any("tiemout" in problem for problem in found)
    assert any(problem.startswith("other.yaml:") and "'ghost'" in problem for problem in found)
    assert any(problem.startswith("other.yaml:") and "verify" in problem for problem in found)
    assert not any("no agent 'reader'" in problem for problem in found), "it is there, with a problem of its own"


def test_what_publishing_refuses_is_a_warning_for_a_draft(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one", reader=READER.replace("timeout: 5s\n", ""))
    applied = registry.apply_folder(folder, actor=SYSTEM)
    assert any("timeout" in warning.message for warning in applied.warnings)
    assert problems_of(folder, publish=True) == [str(warning) for warning in applied.warnings]


def test_a_refused_publication_changes_nothing_and_is_recorded(folder: Path) -> None:
    publish(folder)
    before = len(verbs())
    problems_of(
        numbers(folder, reader=READER.replace("timeout: 5s\n", "timeout: 9s\n"), pipeline=PIPELINE.replace("agent: auditor", "agent: reader")),
        publish=True,
    )
    assert verbs()[before:] == ["agents.version.refused"]
    assert facts_of("agents.version.refused")[0]["code"] == "not-publishable"
    assert "reader" in bytes(Opening.objects.get(path="problems").value).decode()
    assert Agent.objects.get(name="reader").versions.count() == 1


def test_a_verifier_that_is_a_copy_under_another_name_is_refused(tmp_path: Path) -> None:
    copy = AUDITOR.replace("auditing:audit", "reading:read")
    assert problems_of(numbers(tmp_path / "one", auditor=copy), publish=True)


def test_a_module_that_does_not_import_is_a_problem_of_its_agents_line(tmp_path: Path) -> None:
    found = problems_of(numbers(tmp_path / "one", reading="import nothing_like_this\n"))
    assert len(found) == 1
    assert found[0].startswith("numbers.yaml:9: ")
    assert "nothing_like_this" in found[0]


def test_a_function_without_hints_needs_contracts_in_the_file(tmp_path: Path) -> None:
    bare = "def read(file):\n    return {}\n"
    found = problems_of(numbers(tmp_path / "one", reading=bare), publish=True)
    assert any("no output contract" in problem for problem in found)
    said = READER + "input: {type: object}\noutput: {type: object, required: [number], properties: {number: {type: integer}}}\n"
    registry.apply_folder(numbers(tmp_path / "one", reading=bare, reader=said), actor=SYSTEM, publish=True)


@pytest.mark.parametrize("odd", ['"a\\0b"', '"\\uD800"'])
def test_text_that_a_database_can_not_keep_is_a_problem_with_its_line(tmp_path: Path, odd: str) -> None:
    found = problems_of(numbers(tmp_path / "one", reader=READER.replace("Read a number.", odd)))
    assert found
    assert found[0].startswith("numbers.yaml:")


def test_a_number_without_a_canonical_form_is_a_problem(tmp_path: Path) -> None:
    huge = PIPELINE.replace("file: {type: string}", "file: {type: string, maxLength: 90071992547409931}")
    assert problems_of(numbers(tmp_path / "one", pipeline=huge))


def test_a_number_that_postgresql_gives_back_as_another_is_a_problem(tmp_path: Path) -> None:
    odd = PIPELINE.replace("file: {type: string}", "file: {type: string}, most: {type: number, maximum: 1.0e+22}")
    assert any("1e+22 is whole and beyond 2^53" in problem for problem in problems_of(numbers(tmp_path / "one", pipeline=odd)))
    registry.apply_folder(numbers(tmp_path / "one", pipeline=odd.replace("1.0e+22", "1.0e+12")), actor=SYSTEM, publish=True)


def test_two_who_apply_at_once_do_not_mix(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_the_race(*_: Any, **__: Any) -> None:
        raise IntegrityError

    monkeypatch.setattr("agents.registry.versions.draft", lose_the_race)
    with pytest.raises(Conflict, match="look and repeat"):
        publish(folder)
    assert not Agent.objects.exists()
    assert facts_of("agents.version.refused") == [{"code": "conflict", "publish": True, "problems": 1}]


def test_a_publication_that_the_ledger_can_not_hold_is_refused_and_recorded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.ledger.MAX_BODY_BYTES", 470)
    with pytest.raises(Invalid, match="above the ledger's limit of 470"):
        publish(folder)
    assert not Agent.objects.exists()
    assert facts_of("agents.version.refused") == [{"code": "invalid", "publish": True, "problems": 1}]


def test_a_folder_with_a_long_name_is_refused_for_its_problems_and_recorded(tmp_path: Path) -> None:
    folder = numbers(tmp_path / ("n" * 220), pipeline=PIPELINE.replace("agent: reader", "agent: nobody"))
    assert any("nobody" in problem for problem in problems_of(folder, publish=True))
    assert Entry.objects.get(verb="agents.version.refused").subject == "folder:" + "n" * 100


def test_an_unused_agent_needs_its_contracts_too(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one", auditor="", pipeline="", reading="def read(file):\n    return {}\n")
    assert any("contract" in problem for problem in problems_of(folder, publish=True))


def test_a_name_belongs_to_one_object(tmp_path: Path) -> None:
    both = problems_of(numbers(tmp_path / "both", pipeline=PIPELINE.replace("name: numbers", "name: reader")))
    assert any("'reader' is also an agent" in problem for problem in both)
    publish(numbers(tmp_path / "one"))
    found = problems_of(numbers(tmp_path / "two", pipeline="", reader=READER.replace("name: reader", "name: numbers")))
    assert any("'numbers' is the name of a pipeline already" in problem for problem in found)
    found = problems_of(numbers(tmp_path / "three", reader="", auditor="", pipeline=PIPELINE.replace("name: numbers", "name: reader")))
    assert any("'reader' is the name of an agent already" in problem for problem in found)


# Which release a run gets ----------------------------------------------------------------------------------------------------------


def test_an_unknown_pipeline_names_the_nearest(folder: Path) -> None:
    with pytest.raises(UnknownPipeline) as unknown:
        registry.release_for("numbers", draft=False, actor=SYSTEM)
    assert "there is none yet that you may see" in unknown.value.message
    publish(folder)
    with pytest.raises(UnknownPipeline) as unknown:
        registry.release_for("nubmers", draft=False, actor=SYSTEM)
    assert "did you mean 'numbers'?" in unknown.value.message
    with pytest.raises(UnknownPipeline) as unknown:
        registry.release_for("xyz", draft=False, actor=SYSTEM)
    assert "there is 'numbers'" in unknown.value.message


def test_a_foreign_pipeline_is_unknown_and_not_named(folder: Path) -> None:
    publish(folder)
    with pytest.raises(UnknownPipeline) as unknown:
        release(actor=OUTSIDER)
    assert "none yet that you may see" in unknown.value.message
    assert release(actor=MEMBER) == release()


def test_a_draft_runs_only_when_asked_for(folder: Path) -> None:
    registry.apply_folder(folder, actor=SYSTEM)
    with pytest.raises(NotPublished):
        release()
    drafted = release(draft=True)
    assert drafted.published_at is None
    assert release(draft=True) == drafted
    assert facts_of("agents.release.made")[0]["digest"] == drafted.digest
    publish(folder)
    assert release() == drafted  # the same versions: the same manifest


def test_a_draft_release_takes_published_agents_where_there_is_no_draft(folder: Path) -> None:
    publish(folder)
    registry.apply_folder(numbers(folder, reader=READER.replace("5s", "9s")), actor=SYSTEM)
    assert pinned(release(draft=True)) == {"auditor": 1, "reader": 2}
    assert pinned(release()) == {"auditor": 1, "reader": 1}


def test_a_draft_that_breaks_the_rules_does_not_run(tmp_path: Path) -> None:
    registry.apply_folder(numbers(tmp_path / "one", reader=READER.replace("timeout: 5s\n", "")), actor=SYSTEM)
    with pytest.raises(NotPublishable) as refused:
        release(draft=True)
    assert "timeout" in str(refused.value.details["problems"][0])


def test_a_release_is_not_put_in_the_place_of_one_that_was_not_looked_at(folder: Path) -> None:
    publish(folder)
    stale = Pipeline.objects.get(name="numbers")
    publish(numbers(folder, pipeline=PIPELINE.replace("1m", "2m")))
    made = publish(numbers(folder, pipeline=PIPELINE.replace("1m", "3m"))).releases[0]
    wanted = Release.objects.exclude(pk__in=[stale.current_release_id, release().pk]).get()
    with pytest.raises(Conflict, match="pipeline 'numbers' was published by somebody else at this moment; look and repeat"):
        releases.make_current(Turn(SYSTEM, clock.now()), stale, wanted)
    assert release().digest == made.digest


def test_a_release_of_hundreds_of_agents_with_long_names_fits_into_its_entry(folder: Path) -> None:
    publish(folder)
    reader, pipeline = Agent.objects.get(name="reader").versions.get(), Pipeline.objects.get().versions.get()
    many = {f"{'a' * 59}{number:04}": reader for number in range(500)}
    with transaction.atomic():
        turn = Turn(SYSTEM, clock.now())
        made = releases.make(turn, Composition(pipeline, many))
        turn.close()
    assert facts_of("agents.release.made")[-1] == {"digest": made.digest, "version": 1, "agents": 500}


def test_an_agent_that_the_pipeline_misspells_is_suggested_though_the_pipeline_names_it_nowhere_else(tmp_path: Path) -> None:
    """The only agents that it names rightly are others."""
    found = problems_of(numbers(tmp_path, pipeline=PIPELINE.replace("agent: reader", "agent: raeder")), publish=True)
    assert any("there is no agent 'raeder'; did you mean 'reader'?" in problem for problem in found), found
