"""What a folder's functions and expressions say of themselves, read in a child."""

import hashlib
import time
from pathlib import Path

import pytest

from agents.children import DescribedFunction, describe
from agents.spec.verdict import VERDICT_SCHEMA


async def _described(folder: Path, source: str, function: str = "team:work") -> DescribedFunction:
    (folder / "team.py").write_text(source)
    return (await describe(folder, [function])).functions[function]


async def test_hints_become_schemas(tmp_path: Path) -> None:
    source = "from typing import Literal\ndef work(feed: str, n: int = 3, mode: Literal['a', 'b'] = 'a') -> list[float]: ..."
    found = await _described(tmp_path, source)
    assert found.input is not None
    assert found.input["additionalProperties"] is False
    assert found.input["required"] == ["feed"]
    assert {name: said.get("type") for name, said in found.input["properties"].items()} == {"feed": "string", "n": "integer", "mode": "string"}
    assert found.output == {"items": {"type": "number"}, "type": "array"}
    assert found.problems == ()


@pytest.mark.parametrize(
    "source",
    [
        "from typing import TypedDict\nclass R(TypedDict):\n    n: int\n",
        "from dataclasses import dataclass\n@dataclass\nclass R:\n    n: int\n",
        "from pydantic import BaseModel\nclass R(BaseModel):\n    n: int\n",
    ],
)
async def test_records_become_objects(tmp_path: Path, source: str) -> None:
    found = await _described(tmp_path, f"{source}def work(r: R) -> R: ...")
    assert found.output is not None
    assert (found.output["type"], found.output["required"], found.output["properties"]["n"]["type"]) == ("object", ["n"], "integer")
    assert found.input is not None
    assert found.input["properties"]["r"] == {"$ref": "#/$defs/R"}


async def test_annotated_bounds_are_part_of_the_schema(tmp_path: Path) -> None:
    source = "from typing import Annotated\nfrom pydantic import Field\ndef work(n: Annotated[int, Field(ge=1)]) -> None: ..."
    found = await _described(tmp_path, source)
    assert found.input is not None
    assert found.input["properties"]["n"]["minimum"] == 1
    assert found.output == {"type": "null"}


async def test_the_sdks_verdict_has_the_contract_of_every_verifier(tmp_path: Path) -> None:
    found = await _described(tmp_path, "import orchestra\ndef work(claim: dict) -> orchestra.Verdict: ...")
    assert found.output == VERDICT_SCHEMA


async def test_file_digest_and_line_are_those_of_the_definition(tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text("\n\ndef real() -> int: ...\n")
    found = await _described(tmp_path, "from inner import real as work")
    digest = hashlib.sha256((tmp_path / "inner.py").read_bytes()).hexdigest()
    assert (found.file, found.line, found.defined_as, found.file_digest) == ("inner.py", 3, "real", digest)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def work(a) -> int: ...", "team.py:1: parameter 'a' of work has no type hint"),
        ("def work(*args: int) -> int: ...", "team.py:1: parameter *args: int of work: arguments are given by name, one by one"),
        ("def work(a: int, /) -> int: ...", "team.py:1: parameter a: int of work: arguments are given by name, one by one"),
        ("class C: ...\ndef work(a: C) -> int: ...", "team.py:2: its type hints give no schema: PydanticSchemaGenerationError"),
        ("def work(a: 'Nope') -> int: ...", "team.py:1: its type hints give no schema: NameError"),
    ],
)
async def test_an_input_that_hints_do_not_give_is_a_problem_with_its_line(tmp_path: Path, source: str, said: str) -> None:
    found = await _described(tmp_path, source)
    assert found.input is None
    assert found.input_problem is not None
    assert found.input_problem.startswith(said)


async def test_an_output_without_a_hint_leaves_the_input_alone(tmp_path: Path) -> None:
    found = await _described(tmp_path, "def work(a: int): ...")
    assert (found.output, found.output_problem) == (None, "team.py:1: work has no return type hint")
    assert found.input is not None


@pytest.mark.parametrize(
    ("source", "function", "said"),
    [
        ("", "team:work", "module 'team' has no function 'work'"),
        ("def work(): ...\nbork = 1", "team:wrok", "module 'team' has no function 'wrok'; did you mean 'work'?"),
        ("", "taem:work", "taem:work can't be imported: ModuleNotFoundError: No module named 'taem'; did you mean 'team'?"),
        ("work = 3", "team:work", "'team:work' is int, not a function"),
        ("", "nope:work", "nope:work can't be imported: ModuleNotFoundError: No module named 'nope'"),
        ("\nimport nope", "team:work", "team:work can't be imported: ModuleNotFoundError: No module named 'nope' (team.py:2 in <module>)"),
        ("\ndef work(:", "team:work", "team:work can't be imported: SyntaxError: invalid syntax (team.py, line 2) (team.py:2 (syntax))"),
        ("import sys\nsys.exit(3)", "team:work", "team:work can't be imported: SystemExit: 3 (team.py:2 in <module>)"),
        ("import os\nos._exit(3)", "team:work", "team:work: looking at it ended the process (exit 3)"),
        ("", "os:getcwd", "'os:getcwd' is builtin_function_or_method, not a function"),
        ("", "os:getenv", "os:getenv is defined in "),
    ],
)
async def test_what_cannot_be_found_is_said(tmp_path: Path, source: str, function: str, said: str) -> None:
    found = await _described(tmp_path, source, function)
    assert len(found.problems) == 1
    assert found.problems[0].startswith(said)
    assert (found.input, found.output) == (None, None)


async def test_a_module_that_takes_the_child_down_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    (tmp_path / "good.py").write_text("def work() -> int: ...")
    found = await describe(tmp_path, ["bad:work", "good:work"], ["1 + 1"])
    assert found.functions["bad:work"].problems == ("bad:work: looking at it ended the process (signal 9)",)
    assert found.functions["good:work"].output == {"type": "integer"}
    assert found.expressions == {"1 + 1": None}


async def test_a_module_that_hangs_is_a_problem_in_time(tmp_path: Path) -> None:
    (tmp_path / "team.py").write_text("import time\ntime.sleep(60)")
    started = time.monotonic()
    found = await describe(tmp_path, ["team:work", "team:other"], timeout_s=0.5)
    assert time.monotonic() - started < 1.5
    assert found.functions["team:work"].problems == ("team:work: importing it did not end in time",)
    assert found.functions["team:other"].problems == ("team:other: there was no time left to look at it",)


async def test_expressions_are_compiled_in_the_child(tmp_path: Path) -> None:
    found = await describe(tmp_path, [], ["size(result.x) == 3", "1 +"])
    assert found.expressions["size(result.x) == 3"] is None
    assert "1 +" in (found.expressions["1 +"] or "")


async def test_an_expression_that_crashes_the_compiler_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "cel.py").write_text("import os\ndef compile(source):\n    if source == 'bad': os.abort()")
    found = await describe(tmp_path, [], ["good", "bad", "fine"])
    assert found.expressions == {"good": None, "bad": "looking at it ended the process (signal 6)", "fine": None}


async def test_describing_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    await _described(tmp_path, "def work() -> int: ...")
    assert _names(tmp_path) == ["team.py"]


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]
