"""Servers that end without a word: PostgreSQL under load, and Redis, which only rings the bell."""

import json
import random
import time
from pathlib import Path

import redis

from tests import servers
from tests.chaos import outside, workload
from tests.chaos.arena import until
from tests.chaos.database import Opened
from tests.chaos.outside import patiently
from tests.chaos.results import Result
from tests.chaos.scene import scene

CRASHES = 4


def postgresql_crashes(folder: Path, opened: Opened, seed: int) -> Result:
    """PostgreSQL is shut down at once and started again under load, several times: what was acknowledged stands, and nothing happens twice."""
    if opened.server is None:
        return Result("postgresql crashes", skipped="SQLite has no server")
    chance = random.Random(f"crashes {seed}")
    with scene("postgresql crashes", folder, opened.environment) as played:
        played.order_many(12)
        played.work("first", "second", "third")
        for _ in range(CRASHES):
            until(lambda: _has_moved(played.orders), "a run at work", 30)
            time.sleep(chance.uniform(0.2, 2.0))
            servers.crash(opened.server)
            played.result.faults.append("crash")
            time.sleep(chance.uniform(0.2, 2.0))
            servers.revive(opened.server)
            played.order_many(1)
    return played.result


def _has_moved(orders: object) -> bool:
    from runs.models import Run

    return patiently(lambda: Run.objects.filter(state="running").exists() or not Run.objects.filter(outcome__isnull=True).exists())


def redis_gone(folder: Path, opened: Opened, seed: int) -> Result:
    """Redis is flushed, then killed, while runs are started and rung for: whole workers, with their clusters, go on without a bell."""
    if reason := servers.why_no_redis():
        return Result("redis gone", skipped=reason)
    with servers.redis_server() as server, scene("redis gone", folder, {**opened.environment, "ORCHESTRA_REDIS_URL": server.url}) as played:
        asked = [outside.asked(workload.JOURNEY, f"{played.prefix}-{number}", played.world) for number in range(9)]
        for name in ("first", "second"):
            played.arena.start(name, "manage", "worker")
        for number in range(3):
            played.arena.start(f"door{number}", "door", "start_run", json.dumps(asked[3 * number : 3 * number + 3]))
        played.arena.go("door0")
        played.arena.wait_for_end("door0")
        _flush(server)
        played.result.faults.append("flush")
        for name in ("first", "second", "door1"):
            played.arena.go(name)
        played.arena.wait_for_end("door1")
        servers.crash(server)
        played.result.faults.append("kill")
        played.arena.go("door2")
        played.arena.wait_for_end("door2")
        for _ in asked:
            played.order(workload.JOURNEY)
    return played.result


def _flush(server: servers.Server) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
