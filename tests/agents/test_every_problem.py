"""A folder tells all that is wrong with it at once, and nothing that only follows from something else that is wrong."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents import children, registry
from agents.children import Described
from agents.errors import ArtifactRefused
from agents.models import Agent
from tests.agents.folders import AUDITOR, PIPELINE, READER, numbers
from tests.agents.inventory import SYSTEM, problems_of
from tests.agents.test_editor_schema import EVERYTHING

pytestmark = pytest.mark.django_db

STEP = "  - {id: read, agent: reader, with: {file: =input.file}}\n"
VERIFY = "verify: {agent: auditor, with: {file: =input.file, claim: =result}}"
UNTIMED = READER.replace("timeout: 5s\n", "")


def messages(folder: Path) -> list[str]:
    """Without the places."""
    return [problem.split(": ", 1)[1] for problem in problems_of(folder, publish=True)]


def test_an_odd_key_hides_no_rule_that_the_same_pipeline_breaks(tmp_path: Path) -> None:
    steps = "  - {id: odd, agent: reader, with: {file: =input.file}, colour: red, timeout: soon}\n" + STEP.replace("reader", "raeder")
    steps += "  - {id: last, agent: reader, with: {file: =steps.nowhere.file}}\n"
    pipeline = PIPELINE.replace(STEP, steps).replace("agent: auditor", "agent: reader")
    found = problems_of(numbers(tmp_path / "one", reader=UNTIMED, pipeline=pipeline), publish=True)
    assert [problem.split(":")[1] for problem in found] == ["28", "28", "29", "30", "30", "31", "31", "31", "31"], found
    for words in (
        "no key 'colour'",
        "'timeout' of the step 'odd' is 'soon'",
        "there is no agent 'raeder'; did you mean 'reader'?",
        "no earlier step produces steps.nowhere",
        "this turn of agent 'reader' has no timeout",
        "'reader' has a part in the work and would verify it",
        "only an agent of role check verifies",
    ):
        assert sum(words in problem for problem in found) >= 1, (words, found)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("agent: reader, ", "agent: reader, tiemout: 3s, ", ["no key 'tiemout'"]),
        ("agent: reader, ", "agent: reader, timeout: soon, ", ["'timeout' of the step"]),
        ("agent: reader, ", "agent: Reader, ", ["'agent' of the step"]),
        ("with: {file: =input.file}}", "wiht: {file: =input.file}}", ["no key 'wiht'"]),
        ("with: {file: =input.file}}", "with: =input.file}", ["'with' of the step"]),
        ("id: read, ", "id: Read, ", ["'id' of a node is 'Read'"]),
        ("id: read, ", "", ["has no 'id'"]),
        ("{id: read, agent: reader, ", "{id: read, ", ["says nothing to do"]),
        ("agent: reader, ", "agent: reader, when: =input.file, ", ["is a condition already"]),
        ("agent: reader, ", "agent: reader, retry: [3], ", ["'retry' of the step"]),
        (VERIFY, "verfy: {agent: auditor, with: {claim: =result}}", ["no key 'verfy'"]),
        (VERIFY, "verify: auditor", ["'verify' of the pipeline 'numbers' must be a mapping"]),
        ("agent: auditor, with", "agent: Auditor, with", ["'agent' of 'verify'"]),
        ("input: {type: object, ", "inptu: {type: object, ", ["no key 'inptu'"]),
        ("steps:\n" + STEP, "steps: none\n", ["'steps' must be a list"]),
        ("result.number > 0", "'=result.number > 0'", ["is a condition already"]),
        (STEP, "  - {for_each: input.files, as: file, do: [{id: read, agent: reader, with: {file: =file}}]}\n", ["must be an expression for a list"]),
        (STEP, "  - {for_each: '=[input.file]', as: A, do: [{id: read, agent: reader, with: {file: =A}}]}\n", ["'as' of a for_each"]),
        (STEP, "  - {parallel: {a: no}}\n", ["the branch 'a' must be a list"]),
        (STEP, "  - {wait: {fro: 10m}}\n" + STEP, ["no key 'fro'"]),
    ],
)
def test_nothing_is_told_that_only_follows_from_a_part_that_can_not_be_read(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert old in PIPELINE
    tail = "  - {id: other, agent: reader, with: {file: =input.file}, timeout: 3s, when: steps.read.number > 0}\n"
    pipeline = PIPELINE if STEP in old else PIPELINE.replace("verify:", tail + "verify:")
    found = messages(numbers(tmp_path / "one", pipeline=pipeline.replace(old, new, 1)))
    assert len(found) == len(words), found
    assert all(word in each for word, each in zip(words, found, strict=True)), found


@pytest.mark.parametrize(
    "line",
    ["colour: red", "tiemout: 3s", "cost: much", "uses: [5]", "permissions: [allow]", "input: none", "output: none", "mode: odd", "timeout: soon"],
)
def test_a_pipeline_is_not_blamed_for_what_is_wrong_with_its_agent(tmp_path: Path, line: str) -> None:
    key = line.partition(":")[0]
    bare = "".join(one for one in UNTIMED.splitlines(keepends=True) if not one.startswith(f"{key}:"))
    found = messages(numbers(tmp_path / "one", reader=f"{bare}{'' if key in ('tiemout', 'timeout') else 'timeout: 5s'}\n{line}\n"))
    assert len(found) == 1, found


def test_an_agents_odd_key_hides_neither_its_function_nor_its_pipelines_faults(tmp_path: Path) -> None:
    reader = UNTIMED.replace("reading:read", "raeding:read") + "colour: red\n"
    auditor = AUDITOR.replace("auditing:audit", "auditing:adit") + "colour: red\n"
    found = messages(numbers(tmp_path / "one", reader=reader, auditor=auditor))
    assert len(found) == 5, found
    assert sum("no key 'colour'" in each for each in found) == 2
    for words in ("raeding", "adit", "this turn of agent 'reader' has no timeout"):
        assert sum(words in each for each in found) == 1, (words, found)


@pytest.mark.parametrize("name", ["link.py", "link.yaml"])
def test_a_file_that_is_refused_hides_nothing_of_the_others_and_nothing_follows_from_it(tmp_path: Path, name: str) -> None:
    folder = numbers(tmp_path / "one", team="", auditor="", reader=READER + "tiemout: 3s\n", pipeline=PIPELINE.replace("id: read", "id: Read"))
    (folder / "reading.py").unlink()
    (folder / name).symlink_to("/etc/passwd")
    (folder / "other.yaml").write_text("kind: [", encoding="utf-8")
    with pytest.raises(ArtifactRefused) as refused:
        registry.apply_folder(folder, actor=SYSTEM, publish=True)
    found = [str(problem) for problem in refused.value.details["problems"]]
    assert [each.split(":")[0] for each in found] == [name, "numbers.yaml", "numbers.yaml", "other.yaml"], found
    assert "is a link" in found[0]
    assert not Agent.objects.exists()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


@pytest.mark.parametrize("odd", [None, 5, "Odd x", [], {}, {"a": 5}])
def test_no_odd_value_in_any_place_crashes_what_judges_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: Any) -> None:
    async def describe(_folder: Path, _functions: list[str], sources: list[str], **_: Any) -> Described:
        return Described({}, dict.fromkeys(sources))

    monkeypatch.setattr(children, "describe", describe)
    sound = list(yaml.load_all(EVERYTHING, yaml.SafeLoader))
    every = [(number, path) for number, document in enumerate(sound) for path in places(document) if path]
    for number, path in every[len(str(odd)) % 7 :: 7]:
        documents = copy.deepcopy(sound)
        at = documents[number]
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = odd
        (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(documents), encoding="utf-8")
        assert problems_of(tmp_path, publish=True, dry_run=True)


CONDITION = 'permissions: ["allow read feed:* when args.file == \\"x\\""]\n'
CALLER = "---\nkind: pipeline\nname: outer\nteam: platform\ninput: {type: object}\nsteps:\n  - {id: sub, pipeline: numbers, with: {file: x}}\n"


@pytest.mark.parametrize(
    ("side", "words"),
    [
        ("{type: 5}", "/type: 5 is not valid"),
        ("{additionalProperties: false, properties: [[a]]}", '/properties: [["a"]] is not of type "object"'),
        ("{required: 7}", "/required: 7 is not of type"),
    ],
)
def test_who_relies_on_a_contract_that_is_none_is_judged_without_it(side: str, words: str, tmp_path: Path) -> None:
    """By a condition of the same agent, and by a pipeline that runs another."""
    reader = re.sub(r"^permissions:.*\n", CONDITION, READER, flags=re.MULTILINE) + f"input: {side}\n"
    found = messages(numbers(tmp_path / "agent", reader=reader))
    assert [words in said for said in found] == [True], found
    pipeline = re.sub(r"^input:.*(\n  .*)*", f"input: {side}", PIPELINE, flags=re.MULTILINE) + CALLER + VERIFY + "\n"
    found = messages(numbers(tmp_path / "pipeline", pipeline=pipeline))
    assert sum(words in said for said in found) == 1 and not [said for said in found if "outer" in said or "sub" in said]
