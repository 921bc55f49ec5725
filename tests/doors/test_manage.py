"""`manage.py` without a command, and what a web server gets for HEAD."""

import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.core.management.base import OutputWrapper
from django.core.wsgi import get_wsgi_application
from django.test import Client

from agents.management.showing import Shown
from audit.management.typed import ROOT, interpreter, manage, typeable
from orchestra_site.commands import APPS, Utility
from runs.management.terminal.screen import Screen


@pytest.mark.parametrize("words", [["manage.py"], ["manage.py", "help"], ["manage.py", "--help"]])
def test_without_a_command_our_own_come_first_with_a_line_each_and_djangos_below(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Utility(words).execute()
    lines = capsys.readouterr().out.splitlines()
    ours = {name for name, app in get_commands().items() if app in APPS}
    told = {line.split()[0]: line for line in lines if line.startswith("  ")}
    assert told.keys() == ours and "runpipeline" in ours
    assert all(len(line.split()) > 3 for line in told.values())
    last = max(number for number, line in enumerate(lines) if line.startswith("  "))
    assert any("migrate" in line for line in lines[last + 1 :]) and not any("makemigrations" in line for line in lines[: last + 1])


def test_a_command_of_django_is_still_found(capsys: pytest.CaptureFixture[str]) -> None:
    Utility(["manage.py", "help", "--commands"]).execute()
    assert {"migrate", "runpipeline"} <= set(capsys.readouterr().out.split())


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing/", "/api/v1/runs/", "/admin/login/"])
def test_the_answer_to_head_has_the_length_of_get_and_no_body(path: str) -> None:
    client, sent = Client(), []

    def application_sent(path: str) -> list[bytes]:
        """As a server gets it: Django's test client would take a body away by itself."""
        environ = {**client._base_environ(), "REQUEST_METHOD": "HEAD", "PATH_INFO": path}
        return list(get_wsgi_application()(environ, lambda status, headers: sent.append((status, dict(headers)))))

    assert b"".join(application_sent(path)) == b""
    whole = client.get(path)
    assert sent[0][0].split()[0] == str(whole.status_code)
    if "csrf" not in whole.content.decode():
        assert sent[0][1]["Content-Length"] == str(len(whole.content))


def test_a_command_that_is_interrupted_leaves_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agents.management.commands.can.Command.handle", interrupted)
    with pytest.raises(SystemExit) as ended:
        Utility(["manage.py", "can", "reader", "read", "feed:a"]).execute()
    assert ended.value.code == 130 and capsys.readouterr().err == ""


def test_until_a_command_is_at_work_an_interrupt_just_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # as manage.py does
    try:
        Utility(["manage.py"]).fetch_command("can")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
@pytest.mark.parametrize("answer", ["show", "document"])
def test_an_answer_that_cant_be_written_is_said_so_and_is_no_success(answer: str) -> None:
    said = StringIO()
    with Path("/dev/full").open("w") as full:
        screen = Screen({"stdout": full, "stderr": said})
        with pytest.raises(SystemExit) as ended:
            getattr(screen, answer)("all of it")
    assert (ended.value.code, said.getvalue()) == (1, "the answer can't be written: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
def test_a_line_of_an_answer_that_cant_be_written_is_said_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    with Path("/dev/full").open("w", buffering=1) as full, pytest.raises(SystemExit) as ended:
        Shown(OutputWrapper(full)).line("all of it")
    assert (ended.value.code, capsys.readouterr().err) == (1, "the answer can't be written: No space left on device\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&-"])
def test_a_command_whose_streams_are_closed_does_its_work(closed: str, project_folder: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$0" manage.py help {closed}', sys.executable], cwd=project_folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, "runpipeline" in done.stdout) == (0, "", closed == "2>&-")


@pytest.mark.parametrize(
    ("runs", "found", "said"),
    [
        (ROOT / ".venv/bin/python3", str(ROOT / ".venv/bin/python"), "python"),
        (ROOT / ".venv/bin/python3", "/usr/bin/python", ".venv/bin/python3"),
        (ROOT / ".venv/bin/python", None, ".venv/bin/python"),
        (Path("/an env/bin/python"), None, "'/an env/bin/python'"),
    ],
)
def test_the_interpreter_is_said_as_a_shell_here_finds_it(runs: Path, found: str | None, said: str) -> None:
    assert interpreter(runs, found) == said


def test_another_interpreter_of_the_same_folder_is_another_one(tmp_path: Path) -> None:
    for name in ("python3.11", "python3.14"):
        (tmp_path / name).touch()
    (tmp_path / "python").symlink_to("python3.11")
    assert interpreter(tmp_path / "python3.11", str(tmp_path / "python")) == "python"
    assert interpreter(tmp_path / "python3.14", str(tmp_path / "python")) == str(tmp_path / "python3.14")


def test_in_another_folder_a_command_is_typed_with_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    manage.cache_clear()
    try:
        assert manage().endswith(f" {ROOT / 'manage.py'}")
    finally:
        manage.cache_clear()


@pytest.mark.parametrize("said", ["type `manage.py runs`", "manage.py runs", "next:\n  manage.py runs --all; manage.py waits"])
def test_what_a_sentence_says_to_type_can_be_typed(said: str) -> None:
    assert typeable(said) == said.replace("manage.py", manage())


@pytest.mark.parametrize(
    "said", ["python manage.py runs", ".venv/bin/python manage.py runs", "/app/manage.py runs", "manage.py, gone", "my-manage.py x"]
)
def test_what_is_typed_otherwise_or_no_command_stays_as_it_is(said: str) -> None:
    assert typeable(said) == said
