"""An idle engine in a process of its own, and a door in this one: how long a queued run lies until the engine has it.

A contestant: `wakes.py` with ORCHESTRA_HOME, ORCHESTRA_DATABASE_URL and perhaps ORCHESTRA_REDIS_URL set. A round is {"runs": n}, answered
with the median from the row's `created_at` to its `started_at`, or {"idle_s": n}, answered with the engine's share of a processor meanwhile.
"""

# ruff: noqa: E402 - Django is set up before its models are imported

import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "sdk")]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra_site.settings")

import django

django.setup()

import psutil
from django.core.management import call_command

from agents import registry
from audit.actors import Actor
from runs.models import Engine, Run
from runs.services import start_run

ACTOR = Actor.system("shell")
LONGEST_S = 30.0


def woken(runs: int) -> dict[str, Any]:
    waited = [_waited(number) for number in range(runs)]
    return {"p50_ms": statistics.median(waited), "most_ms": max(waited)}


def _waited(number: int) -> float:
    time.sleep(0.1 + random.random() * 0.4)  # idle again, and in step with nothing
    run = start_run(pipeline="bench-inline", input={"value": number}, actor=ACTOR)
    end = time.monotonic() + LONGEST_S
    while run.outcome is None:
        assert time.monotonic() < end, f"run {run.id} did not end"
        time.sleep(0.02)
        run = Run.objects.get(id=run.id)
    assert run.outcome == "verified"
    assert run.started_at is not None
    return (run.started_at - run.created_at).total_seconds() * 1000


def idle(engine: psutil.Process, seconds: float) -> dict[str, Any]:
    before = engine.cpu_times()
    time.sleep(seconds)
    after = engine.cpu_times()
    return {"percent": (after.user + after.system - before.user - before.system) / seconds * 100}


def main() -> None:
    call_command("migrate", verbosity=0, interactive=False)
    registry.apply_folder(HERE / "pipelines" / "inline", actor=ACTOR, publish=True)
    command = [sys.executable, str(HERE.parent / "manage.py"), "worker", "--no-queue"]
    engine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        while not Engine.objects.exists():
            time.sleep(0.05)
        _say({"ready": True})
        for line in sys.stdin:
            asked = json.loads(line)
            _say(woken(asked["runs"]) if "runs" in asked else idle(psutil.Process(engine.pid), asked["idle_s"]))
    finally:
        engine.terminate()
        engine.wait()


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
