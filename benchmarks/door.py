"""Orchestra's door as contestant: it publishes, starts runs and waits for their ends; engines are processes of their own.

`door.py` with ORCHESTRA_HOME and ORCHESTRA_DATABASE_URL set. A round is {"way": "publish", "folder": path}, {"way": "engines",
"count": n}, {"way": "start", "pipeline": name, "input": {…}, "runs": n, "doors": m}, or {"way": "end", "since": time}, which is answered
when all that were started have finished: all verified, or no figure.
"""

# ruff: noqa: E402 - Django is set up before its models are imported

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "sdk")]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra_site.settings")

import django

django.setup()

from django.core.management import call_command
from django.db import connection

from agents import registry
from agents.prices import Price
from audit.actors import Actor
from runs.engine.states import Outcome
from runs.models import Engine, Run
from runs.services import start_run

ACTOR = Actor.system("shell")
LONGEST_S, LOOK_S = 300, 0.02
MOST_DOORS = 20

_doors = ThreadPoolExecutor(MOST_DOORS)
_ids: list[UUID] = []
_before = 0


def publish(folder: str) -> dict[str, Any]:
    registry.set_price(Price("anthropic", "bench-1", 0, *[1_000] * 4), actor=ACTOR)
    registry.apply_folder(Path(folder), actor=ACTOR, publish=True)
    return {}


def engines(count: int) -> dict[str, Any]:
    """Answered when so many have announced themselves."""
    _wait(lambda: Engine.objects.filter(stopped_at=None).count() >= count)
    return {}


def start(pipeline: str, input: dict[str, Any], runs: int, doors: int) -> dict[str, Any]:  # noqa: A002 - the word of the round
    global _before
    _before, begun, at = _transactions(), time.time(), time.perf_counter()
    _ids.extend(_started(pipeline, input, runs, doors))
    return {"begun": begun, "seconds": time.perf_counter() - at}


def end(since: float) -> dict[str, Any]:
    """`since`: the instant from which it is measured."""
    _wait(lambda: not Run.objects.live().exists())
    transactions, found = _transactions() - _before, Run.objects.filter(id__in=_ids)
    verified, last = found.filter(outcome=Outcome.VERIFIED).count(), found.latest("finished_at").finished_at
    if verified != len(_ids) or last is None:
        raise AssertionError(f"{verified} of {len(_ids)} runs are verified; others: {set(found.values_list('outcome', 'failure_cause'))}")
    _ids.clear()
    return {"seconds": last.timestamp() - since, "transactions": transactions}


def _started(pipeline: str, given: Mapping[str, Any], runs: int, at_once: int) -> list[UUID]:
    def share(number: int) -> list[UUID]:
        count = runs // at_once + (1 if number < runs % at_once else 0)
        return [start_run(pipeline=pipeline, input=given, actor=ACTOR).id for _ in range(count)]

    return [one for each in _doors.map(share, range(at_once)) for one in each]


def _wait(done: Callable[[], bool]) -> None:
    until = time.monotonic() + LONGEST_S
    while not done():
        if time.monotonic() > until:
            raise TimeoutError(f"not done within {LONGEST_S} s")
        time.sleep(LOOK_S)


def _transactions() -> int:
    """How many PostgreSQL has committed, by everybody; 0 on SQLite, which doesn't count."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot(), xact_commit FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[1])


def main() -> None:
    call_command("migrate", verbosity=0, interactive=False)
    ways: Mapping[str, Callable[..., dict[str, Any]]] = {way.__name__: way for way in (publish, engines, start, end)}
    _say({"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        _say(ways[asked.pop("way")](**asked))


def _say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
