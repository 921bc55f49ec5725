"""An upgrade with runs in flight: a newer engine that can't carry out an old run leaves it waiting, and an older one goes on with it."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from audit import reports
from audit.actors import Actor
from runs import services
from runs.models import Engine, Run, Wait
from tests import pipelines
from tests.pipelines import agent
from tests.workers import SHORT_LEASES, until, worker

pytestmark = pytest.mark.django_db(transaction=True)

WORK = "def run(got: object = None) -> dict:\n    return {'got': got}\n"
NEXT = """
import os, sys
import runs.engine.states as states
states.SUPPORTED_ABIS = frozenset({99})
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra_site.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "worker", "--no-queue"])
"""


@contextmanager
def newer_worker(environment: Mapping[str, str], root: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The engine of a release to come: it carries out releases that need its own semantics, and no older ones."""
    process = subprocess.Popen([sys.executable, "-c", NEXT], cwd=root, env={**environment, **SHORT_LEASES})
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
    with newer_worker(shell_environment, project_folder):
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
    with newer_worker(shell_environment, project_folder), worker(shell_environment, project_folder):
        until(lambda: Engine.objects.count() == 2, "both engines")
        run = start(tmp_path)
        until(lambda: Run.objects.get(id=run.id).state == "waiting", "the run to wait for its signal")
        services.send_signal(run=str(run.id), signal="payment", payload=7, actor=Actor.system())
        until(lambda: Run.objects.get(id=run.id).outcome is not None, "the end of the run")
    assert pipelines.document(run)["outcome"] == "verified"
    assert not Wait.objects.filter(kind="incompatible").exists()
