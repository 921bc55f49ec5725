"""The commands suspend and resume: what a person reads, and the exit status."""

import json
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from agents.models import Agent
from audit.management.typed import manage
from audit.models import Entry, Opening
from tests.agents.folders import numbers
from tests.documents import ROOT

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _applied(tmp_path: Path) -> None:
    run("apply", "-f", numbers(tmp_path / "one"), "--publish")


def run(command: str, *arguments: Any) -> list[str]:
    out = StringIO()
    call_command(command, *map(str, arguments), stdout=out)
    return out.getvalue().splitlines()


def refused(command: str, *arguments: str) -> str:
    with pytest.raises(CommandError) as error:
        call_command(command, *arguments, stdout=StringIO(), stderr=StringIO())
    assert error.value.returncode == 2
    return str(error.value)


def test_suspend_says_how_to_take_it_back_and_resume_does() -> None:
    assert run("suspend", "reader", "--reason", "reads nonsense") == ["agent reader: suspended", f"{manage()} resume reader lets it work again"]
    assert Agent.objects.get(name="reader").state == "suspended"
    assert run("resume", "reader") == ["agent reader: resumed, active"]
    assert Entry.objects.filter(verb__in=["agents.agent.suspended", "agents.agent.resumed"]).count() == 2


def test_what_cannot_be_done_ends_with_2_and_a_reason() -> None:
    assert "did you mean 'reader'" in refused("suspend", "raeder", "--reason", "x")
    assert "not suspended but active" in refused("resume", "reader")
    assert "a suspension needs a reason" in refused("suspend", "reader", "--reason", " ")


def test_a_database_that_has_no_time_ends_with_75_and_says_so() -> None:
    busy = OperationalError("canceling statement due to lock timeout")
    with mock.patch("agents.registry.locking._hold", side_effect=busy), pytest.raises(CommandError) as error:
        run("retire", "numbers", "--reason", "old")
    assert error.value.returncode == 75
    assert str(error.value).startswith("the database is busy or can't be reached (canceling statement due to lock timeout); look what became of it")


def test_the_export_says_who_and_when_and_only_the_opening_why_as_the_how_to_says(tmp_path: Path) -> None:
    run("suspend", "reader", "--reason", "reads nonsense")
    run("auditexport", "--agent", "reader", "-o", tmp_path / "reader.jsonl")
    entries = [json.loads(line) for line in (tmp_path / "reader.jsonl").read_text().splitlines()]
    entry = next(each for each in entries if each["verb"] == "agents.agent.suspended")
    assert (entry["actor"], list(entry["commitments"])) == ({"kind": "system", "id": "system", "auth": "shell"}, ["reason"])
    assert "nonsense" not in json.dumps(entries)
    assert bytes(Opening.objects.get(entry=entry["id"], path="reason").value) == b'"reads nonsense"'
    page = " ".join((ROOT / "docs" / "how-to" / "suspend-an-agent.md").read_text(encoding="utf-8").split())
    assert "Why is not in the export" in page and "recorded as `system`" in page
