"""`manage.py worker`: an engine that takes every ready run, with the queue's cluster beside it."""

import asyncio
import contextlib
import logging
import signal
from argparse import SUPPRESS, ArgumentParser
from typing import Any
from uuid import UUID, uuid4

from django.core.management.base import BaseCommand

from runs import queue
from runs.worker import Engine, EngineOptions
from runs.worker.spawn import Cluster

TEND_S = 5.0
log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "Run pipelines until stopped. Start it on as many machines as you like (on SQLite: on one): each takes runs as it has room, "
        "and takes over those of a worker that died once its lease has run out. SIGTERM and Ctrl-C give the runs at work back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--idle", type=float, metavar="SECONDS", help="leave when nothing has been ready for so long (default: never)")
        parser.add_argument("--no-queue", action="store_true", help="only the engine, without the queue's cluster (scheduled chores) beside it")

        parser.add_argument("--engine", type=UUID, metavar="ID", help=SUPPRESS)  # said by the chore that starts a short-lived one

    def handle(self, *args: Any, idle: float | None, no_queue: bool, engine: UUID | None, **options: Any) -> None:
        self.check(tags=["orchestra"], include_deployment_checks=True)
        cluster = None if no_queue else Cluster()
        engine_options = EngineOptions(idle_s=idle, id=engine or uuid4())
        log.info("engine: up to %d runs and %d child interpreters at once", engine_options.concurrency, engine_options.children)
        try:
            asyncio.run(_work(engine_options, cluster))
        finally:
            if cluster is not None:
                cluster.stop()


async def _work(options: EngineOptions, cluster: Cluster | None) -> None:
    engine = Engine(options)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, engine.stop)
    tending = asyncio.create_task(_tend(cluster)) if cluster is not None else None
    try:
        await engine.run()
    finally:
        if tending is not None:
            tending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await tending


async def _tend(cluster: Cluster) -> None:
    await asyncio.to_thread(queue.ensure_schedule)
    while True:
        await asyncio.to_thread(cluster.tend)
        await asyncio.sleep(TEND_S)
