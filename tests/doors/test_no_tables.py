"""A database without this version's tables: every command that reads it says what to do, and ends with 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import OperationalError, ProgrammingError

from audit.errors import NotSetUp
from audit.management.tables import tables_expected
from audit.management.typed import manage
from tests.agents.folders import numbers

SAYS = f"the database is not set up for this version yet: run `{manage()} migrate`"
COMMANDS = ["apply -f one", "rollback x", "suspend x --reason y", "resume x", "auditexport", "auditexport -o ledger.jsonl"]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_says_that_the_database_is_not_set_up(line: str, tmp_path: Path, project_folder: Path) -> None:
    numbers(tmp_path / "one")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRA_")}
    variables = {**kept, "DJANGO_SETTINGS_MODULE": "orchestra_site.settings", "ORCHESTRA_HOME": str(tmp_path / "var")}
    argv = [sys.executable, str(project_folder / "manage.py"), *line.split()]
    done = subprocess.run(argv, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the database is not set up for this version yet: run `" in done.stderr
    assert f" {project_folder / 'manage.py'} migrate`" in done.stderr  # as it is typed in another folder than the project's
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "ledger.jsonl").exists()


class _Missing(Exception):
    def __init__(self, sqlstate: str) -> None:
        self.sqlstate = sqlstate


@pytest.mark.parametrize(("code", "is_about_tables"), [("42P01", True), ("42703", True), ("3D000", False), ("42601", False)])
def test_postgresql_is_known_by_its_codes_since_its_words_fit_an_absent_database_too(code: str, is_about_tables: bool) -> None:
    with pytest.raises(NotSetUp if is_about_tables else ProgrammingError), tables_expected():
        raise ProgrammingError("it does not exist") from _Missing(code)


def test_any_other_error_of_the_database_passes() -> None:
    with pytest.raises(OperationalError, match="locked"), tables_expected():
        raise OperationalError("database is locked")
