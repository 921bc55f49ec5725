"""A database that the first version filled: it is migrated, and everything in it can be looked at, proven and gone on with."""

import json
import lzma
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FILLED = ROOT / "tests" / "data" / "first-version.sql.xz"

PAGES = """
import django
django.setup()
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
looking = Client(HTTP_HOST="localhost")
looking.force_login(User.objects.create_superuser("root"))
pages = [reverse("admin:index")]
for model in admin.site._registry:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    pages += [reverse(f"{name}_changelist"), *(reverse(f"{name}_change", args=[row.pk]) for row in model.objects.all()[:5])]
for page in pages:
    assert looking.get(page).status_code == 200, page
print(len(pages))
"""


class Installation:
    def __init__(self, home: Path) -> None:
        self.home = home
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORCHESTRA_", "DJANGO_"))}
        self.environment = {**kept, "ORCHESTRA_HOME": str(home), "DJANGO_SETTINGS_MODULE": "orchestra_site.settings", "PYTHONPATH": str(ROOT)}

    def said(self, *words: str, status: int = 0) -> str:
        return self._done([sys.executable, str(ROOT / "manage.py"), *words], status)

    def ran(self, script: str) -> str:
        return self._done([sys.executable, "-c", script], 0)

    def _done(self, command: list[str], status: int) -> str:
        done = subprocess.run(command, cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The old database under the present code, migrated."""
    home = tmp_path_factory.mktemp("old")
    with sqlite3.connect(home / "orchestra.sqlite3") as database:
        database.executescript(lzma.decompress(FILLED.read_bytes()).decode())
    database.close()
    installation = Installation(home)
    installation.said("migrate", "--verbosity", "0")
    return installation


@pytest.fixture(scope="module")
def runs(old: Installation) -> dict[str, str]:
    return {run["outcome"]: run["id"] for run in json.loads(old.said("runs", "--json"))}


def test_it_is_migrated_without_a_complaint_and_nothing_is_left_to_do(old: Installation) -> None:
    assert "no issues" in old.said("check")


def test_its_runs_read_as_they_did_and_their_entries_prove_them(old: Installation, runs: dict[str, str]) -> None:
    assert runs.keys() == {"verified", "failed"}
    verified = json.loads(old.said("showrun", runs["verified"], "--json"))
    assert (verified["integrity"], verified["verdict"]["verdict"]) == ("intact", "pass")
    failed = json.loads(old.said("showrun", runs["failed"], "--json", status=12))
    assert (failed["integrity"], failed["failure"]["cause"]) == ("intact", "missing")
    lines = [json.loads(line) for line in old.said("auditexport", "--run", runs["verified"]).splitlines()]
    assert len(lines) == verified["entries"]


def test_every_page_of_the_admin_shows_it(old: Installation) -> None:
    assert int(old.ran(PAGES)) > 40


def test_a_verdict_is_asked_for_again_over_a_result_of_then(old: Installation, runs: dict[str, str]) -> None:
    """Its source isn't here any more, so no verdict can be had; the run stays as it is and names the newer one."""
    run = runs["verified"]
    newer = json.loads(old.said("reverify", run, "--json", status=15))
    assert newer["reverifies"] == run
    assert [each["run"] for each in json.loads(old.said("showrun", run, "--json"))["reverified_by"]] == [newer["id"]]


def test_its_draft_is_published_and_what_it_published_is_gone_back_to(old: Installation) -> None:
    assert "version 2 published" in old.said("publish", "mine")
    assert "(version 1)" in old.said("rollback", "mine")
