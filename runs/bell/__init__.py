"""The bell: tells engines at once which run has become ready or was changed, so that they need not wait for their next look.

Carries the id of a run and no truth: rows are the truth, a bell that is lost costs one look. Rung by `runs.queue` and the worker, who hears it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Never, Protocol
from uuid import UUID

from django.conf import settings
from django.db import connection

from runs.bell.data_version import DataVersion
from runs.bell.notify import Notify
from runs.bell.publish import Publish

log = logging.getLogger(__name__)

AGAIN_S = 1.0

Heard = Callable[[UUID | None], None]
"""Told which run; None: something may have changed, and nobody says what."""


class Bell(Protocol):
    """One method each side. Both may fail in whatever way the transport does."""

    def ring(self, *runs: UUID) -> None:
        """Tell every listening process which. Outside of a transaction: what is told must be there to be read."""

    async def listen(self, heard: Heard) -> None:
        """Until cancelled or cut off. Says None as soon as it listens: what was rung before that is lost."""


def bell() -> Bell:
    """The best of this installation: Redis where there is one, else what the database has."""
    if settings.ORCHESTRA_REDIS_URL:
        return Publish(settings.ORCHESTRA_REDIS_URL)
    return Notify() if connection.vendor == "postgresql" else DataVersion()


def ring(*runs: UUID) -> None:
    """A bell that can't be rung is a line in the log: engines look by themselves."""
    try:
        bell().ring(*runs)
    except Exception as error:  # noqa: BLE001 - whatever the transport raises, the run's rows are written
        log.warning("the bell could not be rung (%s); an engine finds what is ready at its next look", error)


async def listen(heard: Heard) -> Never:
    """Until cancelled. One that breaks is listened to again."""
    deaf = False

    def hearing(run: UUID | None) -> None:
        nonlocal deaf
        deaf = False
        heard(run)

    while True:
        try:
            await bell().listen(hearing)
        except Exception as error:  # noqa: BLE001 - as above
            log.log(logging.DEBUG if deaf else logging.WARNING, "the bell can't be heard (%s); runs are found at the next look", error)
        deaf = True
        await asyncio.sleep(AGAIN_S)


__all__ = ["Bell", "bell", "listen", "ring"]
