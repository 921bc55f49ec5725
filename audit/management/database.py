"""A database that is busy for longer than its timeout, or can't be reached: the one trouble that every door has to say in its own way.

Knows drivers' errors and no door. Used by the commands of every app, by REST, and by the page that the site shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import InterfaceError, OperationalError

from audit.errors import NotSetUp, OrchestraError, Unavailable
from audit.management.tables import tables_expected
from audit.visible import visible

BAD_INPUT: Final = 2
TRY_LATER: Final = 75
"""As sysexits.h has it: nothing is wrong with what was asked but its moment."""
_LONGEST: Final = 300


def database_trouble(raised: BaseException) -> NotSetUp | Unavailable | None:
    """What to say where this is the database's doing; None for every other error. Nothing of the driver's words: they name hosts and people."""
    try:
        with tables_expected():
            raise raised
    except NotSetUp as error:
        return error
    except BaseException as error:  # noqa: BLE001 - it is looked at, not dealt with
        return Unavailable() if _is_out_of_reach(error) else None


@contextmanager
def database_expected() -> Iterator[None]:
    """For a shell: NotSetUp or Unavailable instead of a driver's error, whose words whoever runs commands may read."""
    try:
        with tables_expected():
            yield
    except (OperationalError, InterfaceError) as error:
        if not _is_out_of_reach(error):
            raise
        words = " ".join(str(error).split())
        raise Unavailable(
            f"the database is busy or can't be reached ({visible(words, _LONGEST)}); look what became of it, and try again in a moment"
        ) from error


def exit_status(refusal: OrchestraError) -> int:
    """What a command ends with that was refused."""
    return TRY_LATER if refusal.details.get("seconds") or isinstance(refusal, Unavailable) else BAD_INPUT


def _is_out_of_reach(error: BaseException) -> bool:
    return isinstance(error, OperationalError) or (isinstance(error, InterfaceError) and "connection" in str(error))
