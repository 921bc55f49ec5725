"""What the session's tests really reached: verbs that were written, causes and outcomes that runs ended with, states that their waits came to,
exit statuses of commands.

Read from each test's own database before it is emptied, so what workers and commands of other processes wrote counts as well. pytest hooks,
taken over by conftest; product code knows nothing of it. A complete run that left something registered unreached fails at its end.
"""

import functools
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from django.core.management.base import BaseCommand, CommandError
from django.db import Error

from audit import ledger
from audit.management.database import TRY_LATER
from runs.engine.states import EXIT_STATUS, Cause, Outcome, WaitState

KINDS = ("verb", "cause", "outcome", "wait state", "exit status")
reached: dict[str, set[str]] = {kind: set() for kind in KINDS}

# Tests that write entries with their own hands: that the product can write them is for others to show.
BY_HAND = ("tests/audit/", "tests/test_isolation.py", "tests/runs/engine/")
NOT_BY_HAND = ("tests/audit/test_exports.py",)
ON_ANOTHER: Final = os.environ.get("ORCHESTRA_TEST_DATABASE", "sqlite") != "sqlite"
"""Whether the suite runs on another database than the one that asks for nothing."""
_NARROWED = ("keyword", "markexpr", "deselect", "ignore", "ignore_glob", "lf", "stepwise", "collectonly")
_OURS = ("audit", "agents", "runs", "approvals", "orchestra_site")


def wanted() -> dict[str, set[str]]:
    """Everything that is registered, by kind. Beside the outcomes' own exit statuses: 1 (not written), 2 (refused), 75 (try later)."""
    verbs = {verb.name for verb in ledger.registered() if not verb.name.startswith("audit.test.")}
    statuses = {str(status) for status in (1, 2, TRY_LATER, *EXIT_STATUS.values())}
    words = {"cause": Cause, "outcome": Outcome, "wait state": WaitState}
    return {"verb": verbs, **{kind: set(map(str, each)) for kind, each in words.items()}, "exit status": statuses}


def unreached() -> list[str]:
    return [f"{kind} {word}" for kind, words in wanted().items() for word in sorted(words - reached[kind])]


# --- recording -----------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    uses_rows = item.get_closest_marker("django_db") or {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
    if uses_rows and (item.nodeid.startswith(NOT_BY_HAND) or not item.nodeid.startswith(BY_HAND)):
        try:
            _read_ledger()
        except (Error, RuntimeError):
            return  # a test that broke its transaction, or never got so far as to have a database


def _read_ledger() -> None:
    from audit.models import Entry
    from runs.models import Wait

    reached["wait state"] |= set(Wait.objects.values_list("state", flat=True))
    for verb, body in Entry.objects.values_list("verb", "body"):
        reached["verb"].add(verb)
        facts = _facts(bytes(body))
        reached["cause"] |= _cause(facts)
        reached["outcome"] |= {facts["outcome"]} if isinstance(facts.get("outcome"), str) else set()


def _cause(facts: Mapping[str, Any]) -> set[str]:
    """A step's or a call's entry names it itself, a run's end within its failure."""
    failure = facts.get("failure")
    said = (failure if isinstance(failure, dict) else facts).get("cause")
    return {said} if isinstance(said, str) else set()


def _facts(body: bytes) -> Mapping[str, Any]:
    """None in a body that a test has tampered with."""
    try:
        facts = json.loads(body)["facts"]
    except (ValueError, KeyError, TypeError):
        return {}
    return facts if isinstance(facts, dict) else {}


def pytest_configure() -> None:
    BaseCommand.execute = _noting_its_end(BaseCommand.execute)  # type: ignore[method-assign]
    subprocess.Popen.wait = _noting_its_status(subprocess.Popen.wait)  # type: ignore[method-assign]


def _noting_its_end(execute: Callable[..., Any]) -> Callable[..., Any]:
    """A command in this process, as a shell would see it end."""

    @functools.wraps(execute)
    def noting(command: BaseCommand, *args: Any, **options: Any) -> Any:
        status: object = 0
        try:
            return execute(command, *args, **options)
        except SystemExit as left:
            status = left.code or 0
            raise
        except CommandError as error:
            status = error.returncode
            raise
        except BaseException:
            status = None  # a traceback is no status that anybody was promised
            raise
        finally:
            if status is not None and type(command).__module__.startswith(_OURS):
                reached["exit status"].add(str(status))

    return noting


def _noting_its_status(wait: Callable[..., int]) -> Callable[..., int]:
    """A command in a process of its own."""

    @functools.wraps(wait)
    def noting(process: "subprocess.Popen[Any]", *args: Any, **options: Any) -> int:
        status = wait(process, *args, **options)
        argv = process.args if isinstance(process.args, str) else " ".join(map(str, process.args))  # type: ignore[arg-type]
        if "manage.py" in argv and status >= 0:
            reached["exit status"].add(str(status))
        return status

    return noting


# --- the end of the session ----------------------------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist hands over what its tests reached."""
    for kind, words in getattr(node, "workeroutput", {}).get("reached", {}).items():
        reached[kind] |= set(words)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["reached"] = {kind: sorted(words) for kind, words in reached.items()}
    elif exitstatus == pytest.ExitCode.OK and is_complete(session.config) and unreached():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error") or not is_complete(config):
        return
    for missed in unreached():
        terminalreporter.write_line(f"NOT REACHED by any test: {missed}. Reach it, or don't register it yet.", red=True)


def is_complete(config: pytest.Config) -> bool:
    """Whether all tests were asked for, and run: a part of them reaches a part."""
    options: Mapping[str, Any] = vars(config.option)
    return not ON_ANOTHER and config.args_source is pytest.Config.ArgsSource.TESTPATHS and not any(options.get(name) for name in _NARROWED)
