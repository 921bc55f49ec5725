"""An upgrade with runs in flight: a newer engine that can't carry out an old run leaves it waiting, and an older one goes on with it."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from approvals.services import decide
from audit import reports
from audit.actors import Actor
from runs import services
from runs.engine.states import SUPPORTED_ABIS, UNFORESEEN_WAITS, WaitKind
from runs.models import Engine, Run, Wait
from tests import approving, pipelines
from tests.pipelines import agent
from tests.workers import SHORT_LEASES, until, worker

pytestmark = pytest.mark.django_db(transaction=True)

WORK = "def run(got: object = None) -> dict:\n    return {'got': got}\n"
NEXT = """
import os, sys
import runs.engine.states as states
states.SUPPORTED_ABIS = frozenset(%s)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra_site.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "worker", "--no-queue"])
"""


NEWER = {99}
"""The engine of a release to come: it carries out releases that need its own semantics, and no older ones."""
OLDER = {1, 2, 3}
"""That of the release before approvals."""


@contextmanager
def another_worker(environment: Mapping[str, str], root: Path, abis: set[int]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", NEXT % abis], cwd=root, env={**environment, **SHORT_LEASES})
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


def start(tmp_path: Path) -> Run:
    steps = "- {id: paid, wait: {signal: payment, timeout: 1h}}\n- {id: work, agent: worker, with: {got: =steps.paid}}"
    pipelines.publish(tmp_path / "p", steps=steps, agents=[agent("worker", "work:run")], functions=WORK)
    return pipelines.start()


def test_a_run_in_flight_waits_for_an_engine_that_can_go_on_with_it(tmp_path: Path, shell_environment: dict[str, str], project_folder: Path) -> None:
    run = start(tmp_path)
    with worker(shell_environment, project_folder):
        until(lambda: Run.objects.get(id=run.id).state == "waiting", "the run to wait for its signal")
    with another_worker(shell_environment, project_folder, NEWER):
        until(lambda: [99] in Engine.objects.values_list("abis", flat=True), "the newer engine")
        Engine.objects.exclude(abis=[99]).delete()  # the older one was killed, and its heartbeat is old by now
        services.send_signal(run=str(run.id), signal="payment", payload=7, actor=Actor.system())
        until(lambda: Wait.objects.filter(run=run, kind="incompatible", state="open").exists(), "the run to wait for its engine")
        said = pipelines.document(run)
        assert (said["state"], [wait["kind"] for wait in said["waits"]], said["waits"][0]["subject"]) == ("waiting", ["incompatible"], "abi:2")
    with worker(shell_environment, project_folder):
        until(lambda: Run.objects.get(id=run.id).outcome is not None, "the end of the run")
    assert (pipelines.document(run)["outcome"], pipelines.document(run)["result"]) == ("verified", {"got": 7})
    assert reports.chain_problems(run.id) == []


def test_while_an_engine_lives_that_can_go_on_a_newer_one_leaves_its_runs_alone(
    tmp_path: Path, shell_environment: dict[str, str], project_folder: Path
) -> None:
    with another_worker(shell_environment, project_folder, NEWER), worker(shell_environment, project_folder):
        until(lambda: Engine.objects.count() == 2, "both engines")
        run = start(tmp_path)
        until(lambda: Run.objects.get(id=run.id).state == "waiting", "the run to wait for its signal")
        services.send_signal(run=str(run.id), signal="payment", payload=7, actor=Actor.system())
        until(lambda: Run.objects.get(id=run.id).outcome is not None, "the end of the run")
    assert pipelines.document(run)["outcome"] == "verified"
    assert not Wait.objects.filter(kind="incompatible").exists()


def test_an_older_engine_leaves_alone_what_waits_for_something_that_it_does_not_know(
    tmp_path: Path, shell_environment: dict[str, str], project_folder: Path
) -> None:
    """Its release needs no more than the first engine could do. What an agent's permission asks people for came later."""
    approving.publish(tmp_path / "p")
    run = pipelines.start(input={"feed": "production"})
    assert run.engine_abi == 1
    with worker(shell_environment, project_folder):
        until(lambda: Run.objects.get(id=run.id).state == "waiting", "the run to wait for an approval")
    assert Run.objects.get(id=run.id).engine_abi == 4
    request = approving.request_of(run)
    with another_worker(shell_environment, project_folder, OLDER):
        until(lambda: sorted(OLDER) in Engine.objects.values_list("abis", flat=True), "the older engine")
        Engine.objects.exclude(abis=sorted(OLDER)).delete()
        decide(request=str(request.pk), decision="approved", reason="looked at it", actor=approving.member("bob", "platform"))
        until(lambda: Wait.objects.filter(run=run, kind="incompatible", state="open").exists(), "the run to wait for its engine")
    with worker(shell_environment, project_folder):
        until(lambda: Run.objects.get(id=run.id).outcome is not None, "the end of the run")
    assert (pipelines.document(run)["outcome"], approving.calls(run)) == ("verified", 1)
    assert reports.chain_problems(run.id) == []


def test_each_kind_of_wait_is_in_a_release_s_abi_or_raises_its_run_s() -> None:
    """A new kind needs an engine of a new ABI: an older one could only end what waits for it."""
    assert UNFORESEEN_WAITS.keys() | {"timer", "signal", "remote", "incompatible"} == {*WaitKind}
    assert {*UNFORESEEN_WAITS.values()} <= SUPPORTED_ABIS
