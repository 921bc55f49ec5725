"""The commands apply, rollback and new: what a person reads, and the exit status."""

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from agents.models import Agent, Pipeline, Team
from audit.management.typed import manage
from tests.agents.folders import READER, READING, numbers

pytestmark = pytest.mark.django_db


def run(command: str, *arguments: Any) -> str:
    out = StringIO()
    call_command(command, *map(str, arguments), stdout=out)
    return out.getvalue()


def refused(command: str, *arguments: Any) -> tuple[list[str], CommandError]:
    err = StringIO()
    with pytest.raises(CommandError) as error:
        call_command(command, *map(str, arguments), stdout=StringIO(), stderr=err)
    assert error.value.returncode == 2
    return err.getvalue().splitlines(), error.value


def test_apply_says_what_it_did_and_what_to_add(tmp_path: Path) -> None:
    lines = run("apply", "-f", numbers(tmp_path / "one")).splitlines()
    assert lines == [
        "team platform: created",
        "agent reader: created (version 1, draft)",
        "agent auditor: created (version 1, draft)",
        "pipeline numbers: created (version 1, draft)",
        "not published yet: add --publish",
    ]


def test_apply_shows_old_and_new_of_each_field(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    run("apply", "-f", folder, "--publish")
    lines = run("apply", "-f", numbers(folder, reader=READER.replace("5s", "9s"))).splitlines()
    at = lines.index("agent reader: changed (version 2, draft)")
    assert lines[at + 1] == "    timeout_ms: 5000 → 9000"
    assert "pipeline numbers: unchanged (version 1, published)" in lines


def test_publishing_names_the_release(tmp_path: Path) -> None:
    out = run("apply", "-f", numbers(tmp_path / "one"), "--publish")
    assert "pipeline numbers now runs release " in out
    assert "version 1 with auditor 1, reader 1" in out


def test_a_dry_run_writes_nothing_and_says_so(tmp_path: Path) -> None:
    out = run("apply", "-f", numbers(tmp_path / "one"), "--dry-run", "--publish")
    assert "pipeline numbers would run release " in out
    assert "dry run: nothing was written" in out
    assert not Team.objects.exists()


def test_a_draft_that_could_not_be_published_says_why(tmp_path: Path) -> None:
    out = run("apply", "-f", numbers(tmp_path / "one", reader=READER.replace("timeout: 5s\n", "")))
    assert "before it can be published: numbers.yaml:" in out
    assert "correct the above, then add --publish" in out


def test_a_dry_run_says_with_its_last_line_which_one_fails_a_build(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one", reader=READER.replace("timeout: 5s\n", ""))
    lines = run("apply", "-f", folder, "--dry-run").splitlines()
    assert any(line.startswith("before it can be published: ") for line in lines)
    assert "apply --dry-run --publish: it ends with 2" in lines[-1]
    refused("apply", "-f", folder, "--dry-run", "--publish")
    assert lines[-1] in run("apply", "-f", numbers(tmp_path / "two"), "--dry-run")


def test_problems_go_to_stderr_each_with_file_and_line(tmp_path: Path) -> None:
    lines, error = refused("apply", "-f", numbers(tmp_path / "one", reader=READER + "tiemout: 1s\n", reading=READING + "\nimport nothing_here\n"))
    assert lines
    assert all(line.startswith("numbers.yaml:") for line in lines)
    assert "nothing was written" in str(error)
    assert not Agent.objects.exists()


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    _, error = refused("apply", "-f", tmp_path / "none")
    assert "is no folder" in str(error)


def test_hostile_text_reaches_the_terminal_as_text(tmp_path: Path) -> None:
    evil = '"\\e[2J\\u202Eevil"'
    folder = numbers(tmp_path / "one")
    run("apply", "-f", folder)
    out = run("apply", "-f", numbers(folder, reader=READER.replace("Read a number.", evil)))
    lines, _ = refused("apply", "-f", numbers(folder, reader=READER.replace("gather", evil)))
    assert "purpose: Read a number. → ␛[2J<U+202E>evil" in out
    for text in (out, *lines):
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_many_fields_and_many_problems_are_cut_and_counted(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    run("apply", "-f", folder)
    wide = "input: {type: object, properties: {" + ", ".join(f"p{number}: {{type: string}}" for number in range(60)) + "}}\n"
    assert "more fields" in run("apply", "-f", numbers(folder, reader=READER + wide))
    lines, _ = refused("apply", "-f", numbers(folder, reader=READER + "".join(f"k{number}: 1\n" for number in range(300))))
    assert lines[-1].endswith("more problems")


def test_a_discarded_draft_and_a_pipeline_left_behind_are_said(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    run("apply", "-f", folder, "--publish")
    changed = READER.replace("5s", "9s")
    run("apply", "-f", numbers(folder, reader=changed))
    assert "draft 2 discarded" in run("apply", "-f", numbers(folder))
    out = run("apply", "-f", numbers(tmp_path / "other", reader=changed, auditor="", pipeline=""), "--publish")
    assert "pipeline 'numbers' (team 'platform') keeps version 1 of 'reader'" in out


def test_rollback_says_from_where_to_where(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    run("apply", "-f", folder, "--publish")
    run("apply", "-f", numbers(folder, reader=READER.replace("5s", "9s")), "--publish")
    out = run("rollback", "reader")
    assert "agent reader: rolled back from version 2 to version 1" in out
    assert "now runs release" in out
    forth = run("rollback", "reader", "--to", "2")
    assert "agent reader: moved forward from version 1 to version 2" in forth
    assert re.search(
        r"^pipeline numbers: rolled back from release \w{12} \(version 1\) to release \w{12} \(version 1\)$", run("rollback", "numbers"), re.MULTILINE
    )


def test_rollback_says_whose_permissions_stay_and_forward_is_called_forward(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    run("apply", "-f", folder, "--publish")
    run("apply", "-f", numbers(folder, reader=READER.replace("read file:*", "read feed:*")), "--publish")
    newer = Pipeline.objects.get().current_release
    assert newer is not None
    assert "the permissions of reader stay as they are" in run("rollback", "numbers")
    out = run("rollback", "numbers", "--release", newer.digest[:8])
    assert "moved forward from release " in out
    assert "permissions" not in out


@pytest.mark.parametrize("options", [["--dry-run"], ["--dry-run", "--publish"], []])
def test_after_a_rollback_apply_says_that_publishing_would_change_what_runs(tmp_path: Path, options: list[str]) -> None:
    folder = numbers(tmp_path / "one")
    run("apply", "-f", folder, "--publish")
    run("apply", "-f", numbers(folder, reading=READING.replace("1}", "2}")), "--publish")
    assert "would run" not in run("apply", "-f", folder, *options)
    rejected = Pipeline.objects.get().current_release
    run("rollback", "numbers")
    current = Pipeline.objects.get().current_release
    assert rejected is not None and current is not None
    out = run("apply", "-f", folder, *options)
    assert "pipeline numbers: unchanged" in out
    assert f"pipeline numbers would run release {rejected.digest[:12]} instead of {current.digest[:12]}: version 1 with auditor 2, reader 2" in out
    assert Pipeline.objects.get().current_release == current


def test_rollback_of_nothing_is_refused_with_a_reason(tmp_path: Path) -> None:
    run("apply", "-f", numbers(tmp_path / "one"), "--publish")
    assert "only one that was ever published" in str(refused("rollback", "numbers")[1])
    assert "did you mean 'numbers'" in str(refused("rollback", "number")[1])


def test_new_writes_a_folder_and_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out = run("new", "pipeline", "monthly-report")
    assert f"\n  {manage()} apply -f monthly-report --publish" in out
    assert "runpipeline monthly-report --input file=monthly-report/orders.csv" in out
    assert "now runs release" in run("apply", "-f", "monthly-report", "--publish")
    assert "exists already" in str(refused("new", "pipeline", "monthly-report")[1])


def test_new_explains_its_names() -> None:
    assert "try my-report" in str(refused("new", "pipeline", "My Report")[1])
