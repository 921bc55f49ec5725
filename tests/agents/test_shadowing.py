"""A file that would be imported in the place of a module of Python itself is refused by its name, and nothing that only follows is told."""

from pathlib import Path

import pytest

from agents import registry
from tests.agents.folders import AUDITOR, PIPELINE, READER, numbers
from tests.agents.inventory import SYSTEM, problems_of, publish

pytestmark = pytest.mark.django_db

COMMAND = "\nrun: {command: [python, platform.py]}\ninput: {type: object}\noutput: {type: object}\n"


def with_file(folder: Path, name: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("x = 1\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["queue.py", "inspect.py", "copy.py", "platform.py", "token.py", "calendar.py", "time.py", "queue.abi3.so"])
def test_a_file_with_the_name_of_a_module_of_python_is_one_problem(tmp_path: Path, name: str) -> None:
    (found,) = problems_of(with_file(numbers(tmp_path / "one"), name))
    assert found == f"{name}:1: '{name}' has the name of a module of Python itself, so that imports take one for the other; rename it"


def test_so_is_a_package(tmp_path: Path) -> None:
    (found,) = problems_of(with_file(numbers(tmp_path / "one"), "queue/__init__.py"))
    assert found.startswith("queue/__init__.py:1: the folder 'queue' has the name of a module of Python itself")


def test_it_hides_no_other_fault(tmp_path: Path) -> None:
    pipeline = PIPELINE.replace("result.number > 0", "result.number >").replace("agent: reader", "agent: raeder")
    found = problems_of(with_file(numbers(tmp_path / "one", pipeline=pipeline), "inspect.py"), publish=True)
    assert [problem.split(":")[0] for problem in found] == ["inspect.py", "numbers.yaml", "numbers.yaml"], found
    assert "expression 'result.number >'" in found[1]
    assert "no agent 'raeder'" in found[2]


@pytest.mark.parametrize(
    "name", ["test.py", "test/__init__.py", "tools/queue.py", "queue/one.py", "queue/notes.txt", "queue.txt", "queues.py", "token"]
)
def test_what_no_import_finds_under_such_a_name_is_let_through(tmp_path: Path, name: str) -> None:
    publish(with_file(numbers(tmp_path / "one"), name))


def test_where_no_function_is_imported_files_have_any_name(tmp_path: Path) -> None:
    """And expressions are compiled without them."""
    reader, auditor = (text.replace("role: check", "role: gather").partition("run:")[0] + COMMAND + "timeout: 5s\n" for text in (READER, AUDITOR))
    pipeline = PIPELINE.partition("verify:")[0].replace("is-positive: result.number > 0", "is-there: size(result) > 0")
    folder = with_file(numbers(tmp_path / "one", reader=reader, auditor=auditor, pipeline=pipeline), "platform.py")
    applied = registry.apply_folder(folder, actor=SYSTEM)
    assert {change.name for change in applied.changes} == {"platform", "auditor", "reader", "numbers"}
