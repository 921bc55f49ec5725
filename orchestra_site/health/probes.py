"""`/healthz` and `/readyz`: for whoever starts and stops this process. They say nothing about runs, and tell nobody anything else.

A middleware before all others: a probe comes by an address, without the host's name, a session or a token.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse

log = logging.getLogger(__name__)

KEPT_S: Final = 5.0
"""However many probes ask, the database is asked no more often."""
HANGS_S: Final = 5.0
"""A look that takes so long is an answer: a connection that is half cut off says nothing for as long as the socket lives."""


def probes_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    readiness = Readiness()

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method in {"GET", "HEAD"}:
            if request.path == "/healthz":
                return _answer({"alive": True}, 200)
            if request.path == "/readyz":
                why = readiness.why_not()
                return _answer({"ready": why is None, **({} if why is None else {"why": why})}, 200 if why is None else 503)
        return get_response(request)

    return middleware


def _answer(body: dict[str, object], status: int) -> HttpResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})


class Readiness:
    """The last answer, kept for some seconds. One thread looks; the others get the answer before, and after some more that there is none."""

    def __init__(self) -> None:
        self._looking = threading.Lock()
        self._why: str | None = "it has not been looked yet"
        self._until = 0.0
        self._began: float | None = None
        self._wanted: frozenset[tuple[str, str]] | None = None

    def why_not(self) -> str | None:
        if time.monotonic() >= self._until and self._looking.acquire(blocking=False):
            try:
                self._began = time.monotonic()
                self._why = self._look()
                self._until = time.monotonic() + KEPT_S
            finally:
                self._began = None
                self._looking.release()
        began = self._began
        hangs = began is not None and time.monotonic() >= began + HANGS_S
        return "the database doesn't answer" if hangs else self._why

    def _look(self) -> str | None:
        """Nothing of an error's words: they name hosts and people."""
        try:
            missing = len(self._migrations() - set(MigrationRecorder(connection).applied_migrations()))
        except DatabaseError as error:
            log.warning("not ready: the database can't be asked (%s)", error)
            return "the database can't be reached"
        return f"{missing} migrations are not applied: run manage.py migrate" if missing else None

    def _migrations(self) -> frozenset[tuple[str, str]]:
        """Those of the code, which stays the same as long as the process lives."""
        if self._wanted is None:
            self._wanted = frozenset(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)
        return self._wanted
