"""Commands in agent files: what is refused when they are applied, and what makes one command the copy of another."""

import shutil
from pathlib import Path

import pytest

from agents import registry
from agents.errors import ArtifactRefused, NotPublishable
from agents.models import Agent
from agents.registry import folders
from tests.agents.folders import AUDITOR, READER, numbers
from tests.agents.inventory import SYSTEM, problems_of, publish

pytestmark = pytest.mark.django_db

FOUND = "{type: object, required: [number], properties: {number: {type: integer}}}"
CONTRACTS = f"input: {{type: object, properties: {{file: {{type: string}}}}}}\noutput: {FOUND}\n"
SCRIPT = b"import json, sys\njson.load(sys.stdin)\nprint(json.dumps({'number': 1}))\n"


def reader(command: str, contracts: str = CONTRACTS) -> str:
    return READER.replace('{python: "reading:read"}', f"{{command: {command}}}") + contracts


def auditor(command: str) -> str:
    return AUDITOR.replace('{python: "auditing:audit"}', f"{{command: {command}}}") + "input: {type: object}\n"


def folder(path: Path, command: str, *, check: str = AUDITOR, contracts: str = CONTRACTS) -> Path:
    made = numbers(path, reader=reader(command, contracts), auditor=check)
    (made / "scan.py").write_bytes(SCRIPT)
    (made / "copied.py").write_bytes(SCRIPT)
    (made / "other.py").write_bytes(SCRIPT + b"# another program\n")
    (made / "bare.sh").write_text("echo 1\n")
    return made


def executable(name: str = "reader") -> object:
    return Agent.objects.get(name=name).versions.latest("number").spec["executable"]


def test_a_command_is_published_with_its_words_as_they_are_written(tmp_path: Path) -> None:
    publish(folder(tmp_path / "one", "[python, scan.py, -v]"))
    spec = Agent.objects.get(name="reader").versions.get().spec
    assert spec["run"] == {"command": ["python", "scan.py", "-v"]}
    assert spec["artifact"] is not None
    assert registry.unpacked(spec["artifact"]).joinpath("scan.py").stat().st_mode & 0o777 == 0o555


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("[no-such-program]", "there is no program 'no-such-program' here"),
        ("[python, ./nothing.py]", "the folder has no file './nothing.py'"),
        ("[./nothing.sh]", "the folder has no file './nothing.sh'"),
        ("[../scan.py]", "the folder has no file '../scan.py'"),
        ("[./numbers.yaml]", "the folder has no file './numbers.yaml'"),
        ("[bare.sh]", "begin it with a line such as #!/bin/sh"),
        ("[python, -m, no_such_module.main]", "there is no module 'no_such_module.main' beside Orchestra"),
    ],
)
def test_what_can_not_be_started_is_a_problem_of_its_line(tmp_path: Path, command: str, said: str) -> None:
    with pytest.raises(NotPublishable) as refused:
        registry.apply_folder(folder(tmp_path / "one", command), actor=SYSTEM)
    problem = refused.value.details["problems"][0]
    assert said in problem.message
    lines = (tmp_path / "one" / "numbers.yaml").read_text().splitlines()
    assert "run: {command" in lines[problem.line - 1]


def test_a_program_of_the_folder_needs_no_right_to_be_executed(tmp_path: Path) -> None:
    made = folder(tmp_path / "one", "[./run.sh]")
    (made / "run.sh").write_text("#!/bin/sh\necho 1\n")
    (made / "run.sh").chmod(0o600)
    publish(made)
    assert executable() == {"kind": "command", "argv": [{"file_digest": folders.digest_bytes((made / "run.sh").read_bytes())}]}


def test_a_command_without_contracts_can_not_be_published(tmp_path: Path) -> None:
    problems = problems_of(folder(tmp_path / "one", "[cat]", contracts=""), publish=True)
    assert [problem for problem in problems if "a command has no type hints; write `output:`" in problem]
    assert [problem for problem in problems if "a command has no type hints; write `input:`" in problem]


def test_a_check_that_is_a_command_gives_a_verdict(tmp_path: Path) -> None:
    publish(folder(tmp_path / "one", "[python, scan.py]", check=auditor("[python, other.py]")))
    spec = Agent.objects.get(name="auditor").versions.get().spec
    assert spec["output"]["required"] == ["checks"]


@pytest.mark.parametrize("check", ["[python, scan.py]", "[python, ./scan.py]", "[python, copied.py]"])
def test_a_copy_under_another_name_verifies_nothing(tmp_path: Path, check: str) -> None:
    problems = problems_of(folder(tmp_path / "one", "[python, scan.py]", check=auditor(check)), publish=True)
    assert [problem for problem in problems if "the verifier 'auditor' runs the same code as 'reader'" in problem]


def test_a_copy_of_a_program_outside_the_folder_verifies_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "kitten"
    shutil.copy(str(shutil.which("cat")), copy)
    problems = problems_of(folder(tmp_path / "one", "[cat, -u]", check=auditor(f"[{copy}, -u]")), publish=True)
    assert [problem for problem in problems if "the verifier 'auditor' runs the same code as 'reader'" in problem]


@pytest.mark.parametrize("check", ["[python, other.py]", "[python, scan.py, --again]"])
def test_another_file_or_other_words_are_another_program(tmp_path: Path, check: str) -> None:
    publish(folder(tmp_path / "one", "[python, scan.py]", check=auditor(check)))
    assert executable("reader") != executable("auditor")


def test_a_link_as_a_script_is_refused_as_everywhere(tmp_path: Path) -> None:
    made = folder(tmp_path / "one", "[python, linked.py]")
    (made / "linked.py").symlink_to(made / "scan.py")
    with pytest.raises(ArtifactRefused):
        registry.apply_folder(made, actor=SYSTEM)
