"""Commands are the person's whose token the shell holds: what they publish there they don't approve; a bad token is refused, not the system."""

import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command, load_command_class
from django.utils.module_loading import import_string

from agents import registry
from agents.models import Version
from approvals.models import Decision
from audit.actors import Actor
from audit.models import Entry
from orchestra_site.tokens import create_token
from tests import approving, pipelines, shell
from tests.approving import member
from tests.documents import ROOT
from tests.doors import typed
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)
BAD = "not one"


@pytest.fixture
def shell_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put the token of a member of the team into the environment; without a name none."""
    monkeypatch.setenv("COLUMNS", "200")

    def given(name: str) -> None:
        if name:
            member(name, "platform")
        monkeypatch.setenv("ORCHESTRA_TOKEN", create_token(name, actor=SYSTEM).text if name else "")

    return given


def type_in(command: str, *arguments: Any) -> tuple[str, str]:
    """What it says when it is done, and what it is refused with."""
    out, err = StringIO(), StringIO()
    try:
        call_command(command, *map(str, arguments), stdout=out, stderr=err)
    except (CommandError, SystemExit) as left:
        refused, status = f"{left} {err.getvalue()}", left.returncode if isinstance(left, CommandError) else left.code
    else:
        refused, status = "", 2
    assert status == 2, refused
    return out.getvalue(), refused


def publish(path: Path, shell_of: Callable[[str], None]) -> None:
    """The folder stands there as nobody's; alice makes a newer version of it what runs."""
    approving.publish(path / "first")
    shell_of("alice")
    assert not type_in("apply", "-f", changed(path, "timeout: 21s"))[1]
    assert not type_in("publish", "sample")[1]


def grant(path: Path, shell_of: Callable[[str], None]) -> None:
    """Alice grants the permission that asks for the approval; somebody else puts what runs in force again, so that this alone is hers."""
    approving.publish(path / "first", rule="allow write deploy:*")
    shell_of("alice")
    assert not type_in("apply", "-f", folder(path / "granted"), "--publish")[1]
    shell_of("")
    assert not type_in("apply", "-f", changed(path, "timeout: 21s"), "--publish")[1]


def roll_back(path: Path, shell_of: Callable[[str], None]) -> None:
    approving.publish(path / "first")
    assert not type_in("apply", "-f", changed(path, "timeout: 21s"), "--publish")[1]
    shell_of("alice")
    assert not type_in("rollback", "sample")[1]


def folder(path: Path) -> Path:
    worker = pipelines.agent("worker", "work:act", role="act", more=f'uses: ["write deploy:{{input.feed}}"]\npermissions: ["{approving.RULE}"]\n')
    return pipelines.folder(path, functions=approving.WORK, agents=[worker], steps=approving.STEPS)


def changed(path: Path, timeout: str) -> Path:
    """Another version of the verifier."""
    made = folder(path / "changed")
    file = made / "pipeline.yaml"
    text = file.read_text(encoding="utf-8")
    assert "timeout: 20s" in text
    file.write_text(text.replace("timeout: 20s", timeout), encoding="utf-8")
    return made


@pytest.mark.parametrize(
    ("deed", "rule"),
    [(publish, "you wrote or published"), (grant, "you granted the permission"), (roll_back, "you wrote or published")],
)
def test_whoever_puts_something_in_force_from_a_shell_does_not_approve_it(
    deed: Callable[..., None], rule: str, tmp_path: Path, shell_of: Callable[[str], None]
) -> None:
    deed(tmp_path, shell_of)
    request = approving.started(by=member("dora", "platform"))[1]
    shell_of("alice")
    refused = " ".join(type_in("decide", request.pk, "approve", "--reason", "x")[1].split())
    assert f"you can't decide this: {rule}" in refused
    assert not Decision.objects.exists()
    shell_of("bob")
    assert not type_in("decide", request.pk, "approve", "--reason", "x")[1]


def test_the_ledger_and_the_rows_name_whoever_publishes_from_a_shell(tmp_path: Path, shell_of: Callable[[str], None]) -> None:
    publish(tmp_path, shell_of)
    assert Version.objects.filter(agent__name="judge").latest("number").author == "alice"
    entry = Entry.objects.filter(verb="agents.release.published").latest("at")
    assert (entry.actor_kind, entry.actor) == ("person", "alice")


def test_a_token_that_is_no_good_is_refused_by_every_command_and_never_taken_for_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRA_TOKEN", BAD)
    for line in typed.lines():
        words = line.text.partition(" → ")[0].replace("<folder>", str(tmp_path))
        out, refused = type_in(*re.sub("<(token|lock)>", str(UUID(int=1)), words).split())
        assert "the token in ORCHESTRA_TOKEN is unknown, has ended, was revoked" in " ".join(refused.split()), line
        assert not out and BAD not in refused, line
    assert not Entry.objects.exists()


def test_only_what_sets_the_installation_up_is_typed_by_the_system_itself() -> None:
    sources = [path for app in ("audit", "agents", "runs", "approvals", "orchestra_site") for path in (ROOT / app).glob("management/**/*.py")]
    assert len(sources) > 40
    assert {path.name for path in sources if "Actor.system(" in path.read_text(encoding="utf-8")} == {"createfirstadmin.py"}
    assert typed.of_nobody() == {"changepassword", "chores", "createfirstadmin", "createsuperuser", "new", "sweep", "worker", "workers"}


def test_the_setting_names_what_knows_whose_a_shell_is() -> None:
    found = import_string(settings.ORCHESTRA_ACTOR_OF_SHELL)()
    assert found == Actor.system("shell")


@pytest.mark.parametrize("name", sorted(typed.persons_commands()))
def test_the_help_of_a_command_that_is_somebodys_says_so_before_its_examples(name: str) -> None:
    app = next(each for each in ("agents", "audit", "runs", "orchestra_site") if (ROOT / each / "management" / "commands" / f"{name}.py").exists())
    said, _, examples = load_command_class(app, name).taught().partition("\nexample")
    assert "whose command it is:" in said and "ORCHESTRA_TOKEN" in said and examples


@pytest.mark.parametrize("command", ["approvals", "inventory", "locks", "prices", "runs", "stops", "waits"])
def test_an_empty_list_says_nothing_of_what_somebody_may_not_see(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "you may see" not in said_by(command)
    registry.create_person("charlie", actor=SYSTEM)
    monkeypatch.setenv("ORCHESTRA_TOKEN", create_token("charlie", actor=SYSTEM).text)
    assert "that you may see" in said_by(command)


def said_by(command: str) -> str:
    done = shell.typed(command)
    return f"{done.out}{done.err}"


def test_an_export_gives_a_person_what_they_may_see_and_names_no_account_that_they_may_not(
    tmp_path: Path, shell_of: Callable[[str], None], bob: User, charlie: User
) -> None:
    approving.publish(tmp_path)
    shell_of("alice")
    out, _ = type_in("auditexport")
    assert '"agent":"worker"' in out and '"verb":"agents.person.created"' not in out
    assert (Entry.objects.latest("at").verb, Entry.objects.latest("at").actor) == ("audit.export.made", "alice")
    for name in ("charlie", "charli"):
        refused = type_in("auditexport", "--person", name)[1]
        assert f"there is no person '{name}' that you may see" in refused and "charlie" not in refused.partition("did you mean")[2]
    shell_of("")
    assert "did you mean 'charlie'" in type_in("auditexport", "--person", "charli")[1]
