"""The commands members, person, publish, retire and reinstate: what a person reads, and the exit status."""

import os
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from agents.registry.roles import ROLES
from audit.management.typed import manage
from tests.agents.folders import PIPELINE, numbers

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    run("apply", "-f", numbers(tmp_path / "one"), "--publish")
    return tmp_path / "one"


def run(command: str, *arguments: Any) -> list[str]:
    out = StringIO()
    call_command(command, *map(str, arguments), stdout=out)
    return out.getvalue().splitlines()


def refused(command: str, *arguments: str) -> str:
    with pytest.raises(CommandError) as error:
        call_command(command, *arguments, stdout=StringIO(), stderr=StringIO())
    assert error.value.returncode == 2
    return str(error.value)


def test_a_teams_people_are_shown_and_changed(alice: User, bob: User) -> None:
    assert run("members", "platform") == ["team platform", "  members   none", "  shown to  nobody else"]
    assert run("members", "platform", "--add", "alice")[1] == "  members   alice"
    assert run("members", "platform", "--show", "bob")[2] == "  shown to  bob"
    assert run("members", "platform", "--hide", "bob")[2] == "  shown to  nobody else"
    assert run("members", "platform", "--remove", "alice")[1] == "  members   none"
    assert "did you mean 'platform'" in refused("members", "platfrom")
    assert "no person 'zoe'" in refused("members", "platform", "--add", "zoe")


def test_a_team_is_shown_to_a_group_and_hidden_again(bob: User) -> None:
    assert run("group", "auditors", "--create") == ["group auditors", "  people       nobody", "  shown teams  none"]
    assert run("group", "auditors", "--add", "bob")[1] == "  people       bob"
    assert run("members", "platform", "--show-group", "auditors")[2] == "  shown to  group auditors"
    assert run("group", "auditors") == ["group auditors", "  people       bob", "  shown teams  platform"]
    assert run("group") == sorted(["auditors", *ROLES])
    assert run("person", "bob")[2:3] + run("person", "bob")[4:] == [
        "  shown teams  platform",
        "  permissions  none beyond their teams",
        "  groups       auditors",
    ]
    assert "has 1 people" in refused("group", "auditors", "--delete") and "did you mean 'auditors'" in refused("group", "auditers", "--add", "bob")
    assert run("members", "platform", "--hide-group", "auditors")[2] == "  shown to  nobody else"
    assert run("group", "auditors", "--remove", "bob")[1] == "  people       nobody"
    assert run("group", "auditors", "--delete") == ["group auditors: deleted"] and "say which group" in refused("group", "--create")


def test_a_person_is_made_and_the_password_shown_once() -> None:
    said = run("person", "erin", "--create")
    assert User.objects.get(username="erin").check_password(said[0].rsplit(" ", 1)[1]) and said[1] == "It is shown this once."
    assert run("person", "erin", "--give", "see-everything") == ["person erin: may see everything"]
    assert run("person", "erin", "--take", "see-everything") == ["person erin: may not see everything"]
    assert run("person", "erin", "--deactivate") == ["person erin: inactive"]
    assert run("person", "erin", "--activate") == ["person erin: active"]
    assert run("person", "erin", "--password")[1] == "It is shown this once."
    assert "already" in refused("person", "erin", "--create")


def test_a_persons_address_is_set_shown_and_taken_away(alice: User, bob: User) -> None:
    assert run("person", "alice", "--email", "alice@example.com") == ["person alice: is written to at alice@example.com"]
    assert run("person", "alice")[3] == "  e-mail       alice@example.com"
    assert "another account has this e-mail address" in refused("person", "bob", "--email", "alice@example.com")
    assert "this is no e-mail address" in refused("person", "bob", "--email", "bob")
    assert run("person", "alice", "--email", "") == ["person alice: is written to no more"]


def test_a_name_that_differs_from_another_only_in_capitals_is_refused(alice: User) -> None:
    assert "a person 'alice' already, and 'ALICE' differs from that only in capital letters" in refused("person", "ALICE", "--create")
    assert refused("person", "alice", "--create") == "there is a person 'alice' already"
    assert "al_ce" in run("person", "al_ce", "--create")[0]  # no letter that stands for any other


def test_people_are_listed_and_shown(alice: User) -> None:
    run("person", "root", "--create", "--administrator")
    run("members", "platform", "--add", "alice")
    run("person", "alice", "--give", "see-everything")
    assert run("person", "alice") == [
        "person alice: active, never signed in",
        "  teams        platform",
        "  shown teams  none",
        "  e-mail       none",
        "  permissions  see-everything",
        "  groups       none",
    ]
    assert run("people") == ["active    alice  signed in last: never", "active    root (administrator)  signed in last: never"]
    run("person", "alice", "--deactivate")
    assert run("people", "--inactive") == ["inactive  alice  signed in last: never"]
    assert "no person 'zoe'" in refused("person", "zoe")


NO_TEXT = os.fsdecode(b"\xff")
"""How Python hands on an argument of bytes that are no text."""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("members", NO_TEXT), "no team '<U\\+DCFF>'"),
        (("members", "platform", "--add", NO_TEXT), "no person '<U\\+DCFF>'"),
        (("person", NO_TEXT, "--password"), "no person '<U\\+DCFF>'"),
        (("person", NO_TEXT, "--create"), "can't be a name"),
        (("token", NO_TEXT), "no person '<U\\+DCFF>'"),
        (("token", NO_TEXT, "--revoke", "0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10"), "no token"),
        (("publish", NO_TEXT), "no pipeline or agent"),
        (("publish", NO_TEXT, "--dry-run"), "no pipeline or agent"),
        (("retire", NO_TEXT, "--reason", "old"), "no pipeline or agent"),
        (("reinstate", NO_TEXT), "no pipeline or agent"),
    ],
)
def test_a_name_that_is_no_text_is_nobodys(arguments: tuple[str, ...], says: str) -> None:
    assert re.search(says, refused(*arguments))


def test_tokens_are_listed_of_somebody_who_is_there(alice: User) -> None:
    assert run("token", "alice", "--list") == ["'alice' has no token"]
    for nobody, shown in ((NO_TEXT, "<U+DCFF>"), ("zoe", "zoe")):
        assert f"there is no person '{shown}' whose tokens you may see" in refused("token", nobody, "--list")


def test_a_draft_is_looked_at_and_then_published(folder: Path) -> None:
    run("apply", "-f", numbers(folder, pipeline=PIPELINE.replace("1m", "2m")))
    told = run("publish", "numbers", "--dry-run")
    assert told[:2] == ["pipeline numbers: would publish version 2 instead of version 1", "  limits.timeout_ms: 60000 → 120000"]
    seen = told[2].rpartition(" ")[2]
    assert told[2:] == [f"to publish exactly this: {manage()} publish numbers --number 2 --seen {seen}"]
    assert "has changed since it was shown" in refused("publish", "numbers", "--seen", "0" * 64)
    assert run("publish", "numbers", "--seen", seen)[0] == "pipeline numbers: version 2 published instead of version 1"
    assert "nothing was changed" in refused("publish", "numbers")
    assert "no version 9" in refused("publish", "numbers", "--number", "9")


def test_retiring_says_how_to_take_it_back() -> None:
    assert "needed by 'numbers'" in refused("retire", "reader", "--reason", "old")
    said = run("retire", "numbers", "--reason", "old")
    assert said == ["pipeline numbers: retired", f"{manage()} reinstate numbers brings it back"]
    with pytest.raises(SystemExit) as ended:
        call_command("runpipeline", "numbers", "--input", "file=a")
    assert ended.value.code == 2
    assert run("reinstate", "numbers") == ["pipeline numbers: reinstated, active"]
