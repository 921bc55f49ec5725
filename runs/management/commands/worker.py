"""`manage.py worker`: an engine that takes every ready run and the queue's cluster, both watched over; or the engine alone."""

import asyncio
import contextlib
import gc
import logging
import signal
from argparse import SUPPRESS, ArgumentParser
from typing import Any
from uuid import UUID, uuid4

from audit.management.teaching import TeachingCommand
from runs.worker import Engine, EngineOptions, watch
from runs.worker.supervisor import Supervisor

log = logging.getLogger(__name__)


EPILOG = """\
examples:
  manage.py worker
  manage.py worker --no-queue --idle 60

exit status: 0 it was told to end, 1 the deployment has a mistake that `manage.py check --deploy` names, 2 bad input,
75 the database is busy or out of reach
"""


class Command(TeachingCommand):
    epilog = EPILOG
    help = (
        "Run pipelines until stopped. Start it on as many machines as you like (on SQLite: on one): each takes runs as it has room, "
        "and takes over those of a worker that died once its lease has run out. SIGTERM and Ctrl-C let what is at work end for some "
        "seconds and give the rest back; a second one gives back at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--idle", type=float, metavar="SECONDS", help="leave when nothing has been ready for so long (default: never)")
        parser.add_argument(
            "--no-queue", action="store_true", help="only the engine, in this process: no scheduled chores, and nobody who restarts it"
        )

        parser.add_argument("--engine", type=UUID, metavar="ID", help=SUPPRESS)  # said by whoever starts it and knows it by that
        parser.add_argument("--watched", type=int, metavar="FD", help=SUPPRESS)  # said by the supervisor

    def handle(self, *args: Any, idle: float | None, no_queue: bool, engine: UUID | None, watched: int | None, **options: Any) -> None:
        if watched is None:
            self.check(tags=["orchestra"], include_deployment_checks=True)
        if not no_queue:
            Supervisor(idle_s=idle).run()
            return
        engine_options = EngineOptions(idle_s=idle, id=engine or uuid4())
        log.info("engine: up to %d runs and %d child interpreters at once", engine_options.concurrency, engine_options.children)
        gc.collect()
        gc.freeze()  # what is loaded by now lives as long as the process: nobody need look for rubbish in it again
        asyncio.run(_work(engine_options, watched))


async def _work(options: EngineOptions, watched: int | None) -> None:
    engine = Engine(options)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _leaving, engine)
    if watched is not None:
        watch.hold_lifeline(engine, watched)
    ticking = asyncio.create_task(watch.ticking(engine, watched))
    try:
        await engine.run()
    finally:
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking


def _leaving(engine: Engine) -> None:
    """Asked once: what is at work may end. Asked again: now."""
    if engine.is_draining:
        engine.stop()
    else:
        engine.drain(watch.DRAIN_S)
