"""Deployment mistakes as Django system checks, each with an id and a hint.

Owns the ids orchestra.E0xx and orchestra.W0xx; must not change anything. Run by every command; the ones tagged
for deployment by `check --deploy` and by long-lived workers only, so that a demo stays quiet.
"""

import difflib
import os
import sqlite3
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import connection

from orchestra_site import env

TAG = "orchestra"
SQLITE_WITHOUT_WAL_RESET_BUG = (3, 51, 3)


@register(TAG)
def check_queue(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    timeout, retry = settings.Q_CLUSTER["timeout"], settings.Q_CLUSTER["retry"]
    if retry > timeout:
        return []
    return [
        Error(
            f"The queue would start a task again ({retry} s) before it has timed out ({timeout} s), so it runs twice.",
            hint="Make ORCHESTRA_QUEUE_RETRY_S larger than ORCHESTRA_QUEUE_TIMEOUT_S.",
            id="orchestra.E001",
        )
    ]


@register(TAG)
def check_lease(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    ttl, heartbeat = settings.ORCHESTRA_LEASE_TTL_S, settings.ORCHESTRA_HEARTBEAT_S
    if heartbeat * 2 < ttl:
        return []
    return [
        Error(
            f"A worker renews its leases every {heartbeat} s, but they end after {ttl} s: one late heartbeat loses all its runs.",
            hint="Make ORCHESTRA_LEASE_TTL_S more than twice ORCHESTRA_HEARTBEAT_S (defaults: 30 and 10).",
            id="orchestra.E002",
        )
    ]


@register(TAG)
def check_names(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt variable would otherwise leave its default in force without a word."""
    unread = sorted(name for name in os.environ if name.startswith(env.PREFIX) and name not in env.KNOWN)
    return [
        Warning(f"{name} is set, but nothing reads it.", hint=_nearest(name), id="orchestra.W003")
        for name in unread
        if not name.startswith("ORCHESTRA_TEST_")  # read by tests/ and benchmarks/
    ]


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, env.KNOWN, n=1)
    return f"Did you mean {near[0]}?" if near else "Unset it."


@register(TAG, deploy=True)
def check_sqlite(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    if connection.vendor != "sqlite" or sqlite3.sqlite_version_info >= SQLITE_WITHOUT_WAL_RESET_BUG:
        return []
    return [
        Warning(
            f"SQLite {sqlite3.sqlite_version} can, rarely, damage its file when several processes write to it (fixed in 3.51.3).",
            hint="Run one worker, use a Python with a newer SQLite, or set ORCHESTRA_DATABASE_URL to a PostgreSQL.",
            id="orchestra.W001",
        )
    ]


@register(TAG, deploy=True)
def check_sqlite_is_local(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    if connection.vendor != "sqlite" or not settings.ORCHESTRA_REDIS_URL:
        return []
    return [
        Warning(
            "A Redis queue lets several machines work, but a SQLite file can be used from one only.",
            hint="Set ORCHESTRA_DATABASE_URL to a PostgreSQL, or unset ORCHESTRA_REDIS_URL.",
            id="orchestra.W002",
        )
    ]


@register(TAG, deploy=True)
def check_secret(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """A generated key lives on one machine: queue tasks are signed with it, so another machine's would be refused."""
    if os.environ.get("ORCHESTRA_SECRET_KEY") or connection.vendor != "postgresql":
        return []
    return [
        Warning(
            f"The secret key is the default one that this machine made for itself ({settings.ORCHESTRA_HOME / 'secret_key'}).",
            hint="Give every machine the same ORCHESTRA_SECRET_KEY, else they refuse each other's tasks and sessions.",
            id="orchestra.W004",
        )
    ]


@register(TAG, deploy=True)
def check_proxies(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Behind a proxy that isn't counted, everybody has the proxy's address: one person's wrong passwords would keep all others out."""
    if settings.ORCHESTRA_PROXIES or not (settings.ORCHESTRA_HTTPS or settings.SECURE_PROXY_SSL_HEADER):
        return []
    return [
        Warning(
            "TLS ends before Orchestra, but no proxy is counted: all sign-ins seem to come from one address, and too many wrong ones lock it.",
            hint="Set ORCHESTRA_PROXIES to how many proxies of yours a request passes (mostly 1); each must add to X-Forwarded-For.",
            id="orchestra.W005",
        )
    ]


@register(TAG, deploy=True)
def check_debug(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    if not settings.DEBUG:
        return []
    return [Error("ORCHESTRA_DEBUG shows settings and code to whoever meets an error.", hint="Unset ORCHESTRA_DEBUG.", id="orchestra.E003")]
