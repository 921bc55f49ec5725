"""Every verb, cause, outcome and exit status is reached by a test of a whole run of the suite, recorded and not read in its sources."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import reached
from tests.shell import typed

HOOKS = "pytest_configure, pytest_runtest_teardown, pytest_sessionfinish, pytest_terminal_summary, pytest_testnodedown"
PARTLY = """
from tests import reached

def test_reaches_some():
    for kind, words in reached.wanted().items():
        reached.reached[kind] |= set(sorted(words){part})
"""


def session(folder: Path, parts: list[str], root: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """pytest in a process of its own, over one file for each part of the words."""
    (folder / "pytest.ini").write_text(f"[pytest]\ntestpaths = .\npythonpath = {root}\nDJANGO_SETTINGS_MODULE = tests.settings\n")
    (folder / "conftest.py").write_text(f"from tests.reached import {HOOKS}\n")
    for number, part in enumerate(parts):
        (folder / f"test_part_{number}.py").write_text(PARTLY.format(part=part))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("parts", "options"), [(["[1:]"], ()), (["[1::2]", "[2::2]"], ("-n", "2", "--dist", "loadfile"))], ids=["alone", "by two workers together"]
)
def test_a_complete_session_that_leaves_words_unreached_fails_and_lists_them(
    tmp_path: Path, project_folder: Path, parts: list[str], options: tuple[str, ...]
) -> None:
    done = session(tmp_path, parts, project_folder, *options)
    missed = [f"NOT REACHED by any test: {kind} {min(words)}. " for kind, words in reached.wanted().items()]
    assert done.returncode == 1, done.stdout + done.stderr
    assert all(line in done.stdout for line in missed)
    assert done.stdout.count("NOT REACHED") == len(missed)


@pytest.mark.parametrize("options", [("-k", "some"), ("test_part_0.py",)])
def test_a_part_of_the_suite_may_reach_a_part(tmp_path: Path, project_folder: Path, options: tuple[str, ...]) -> None:
    done = session(tmp_path, ["[:0]"], project_folder, *options)
    assert (done.returncode, "NOT REACHED" in done.stdout) == (0, False), done.stdout + done.stderr


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    monkeypatch.setattr(reached, "reached", {kind: set() for kind in reached.KINDS})
    return reached.reached


def test_what_a_command_wrote_and_ended_with_is_recorded_wherever_it_ran(
    fresh: dict[str, set[str]], shell_environment: dict[str, str], project_folder: Path
) -> None:
    typed("cancel", "no-run-of-ours")
    assert fresh["exit status"] == {"2"}
    subprocess.run([sys.executable, "manage.py", "reverify", "no-run"], cwd=project_folder, env=shell_environment, capture_output=True, check=False)
    subprocess.run([sys.executable, "manage.py", "runs"], cwd=project_folder, env=shell_environment, capture_output=True, check=True)
    reached._read_ledger()
    assert (fresh["verb"], fresh["exit status"]) == ({"runs.cancel.refused", "runs.start.refused"}, {"0", "2"})


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"facts": 1}'])
def test_an_entry_that_was_tampered_with_says_nothing_and_stops_no_test(body: bytes) -> None:
    assert reached._facts(body) == {}


@pytest.mark.parametrize(
    ("facts", "cause"), [({"cause": "stale"}, {"stale"}), ({"failure": {"cause": "lost"}}, {"lost"}), ({"failure": None}, set())]
)
def test_a_cause_is_found_in_the_entry_of_a_step_and_of_a_runs_end(facts: dict[str, Any], cause: set[str]) -> None:
    assert reached._cause(facts) == cause


def test_what_is_not_of_ours_counts_for_nothing(fresh: dict[str, set[str]]) -> None:
    subprocess.run([sys.executable, "-c", "raise SystemExit(16)"], check=False)
    assert not any(fresh.values())
