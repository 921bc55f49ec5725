"""DBOS as contestant: a durable workflow of three no-op steps. Runs in the peer's own environment, so it imports nothing of ours.

`dbos_runs.py postgresql URL | sqlite FILE`. A round is {"way": "sequential"|"concurrent", "runs": n}: one caller after the other,
or eight at once in threads. Each workflow's end is awaited by its caller, as DBOS's own documents do it.
"""

import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS, DBOSConfig

CALLERS = 8


@DBOS.step()
def first(value: int) -> int:
    return value


@DBOS.step()
def second(value: int) -> int:
    return value


@DBOS.step()
def third(value: int) -> int:
    return value


@DBOS.workflow()
def three(value: int) -> int:
    return third(second(first(value)))


def one(number: int) -> float:
    begun = time.perf_counter()
    assert three(number) == number
    return time.perf_counter() - begun


def answer(way: str, runs: int, callers: ThreadPoolExecutor) -> dict[str, float]:
    begun = time.perf_counter()
    took = list(callers.map(one, range(runs)) if way == "concurrent" else map(one, range(runs)))
    return {"seconds": time.perf_counter() - begun, "p50_ms": statistics.median(took) * 1000}


def main() -> None:
    kind, where = sys.argv[1:]
    url = f"sqlite:///{where}" if kind == "sqlite" else where
    config: DBOSConfig = {"name": "bench", "system_database_url": url, "log_level": "WARNING", "console_log_level": "WARNING"}
    DBOS(config=config)
    DBOS.launch()
    print(json.dumps({"ready": True}), flush=True)
    with ThreadPoolExecutor(CALLERS) as callers:
        for line in sys.stdin:
            asked = json.loads(line)
            print(json.dumps(answer(asked["way"], asked["runs"], callers)), flush=True)
    DBOS.destroy()


if __name__ == "__main__":
    main()
