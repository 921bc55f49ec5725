"""Deployment mistakes as Django system checks, each with an id and a hint.

Owns the ids orchestra.E0xx and orchestra.W0xx; must not change anything. Run by each of our commands, and by `check`; the ones tagged
for deployment by `check --deploy` and by long-lived workers only, so that a demo stays quiet.
"""

import difflib
import os
import socket
import sqlite3
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.checks import check_admin_app
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import DatabaseError, connection

from agents import registry
from audit import clock, guard
from audit.management.teaching import CHECKS
from audit.visible import visible
from orchestra_site import env
from runs.models import Engine

SQLITE_WITHOUT_WAL_RESET_BUG = (3, 51, 3)
LONGEST_CHORE_S = 30
MOST_NAMED = 5


def check_admin(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Django's own look at the pages, which are found for it. In the place of Django's, which would see none."""
    admin.autodiscover()
    found: list[CheckMessage] = check_admin_app(app_configs, **kwargs)
    return found


@register(CHECKS)
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


@register(CHECKS)
def check_queue_net(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """What the queue owes to runs that no engine takes: its schedule, and that a chore which fails comes to an end."""
    queue = settings.Q_CLUSTER
    owed = {"scheduler": queue.get("scheduler", True), "ack_failures": queue.get("ack_failures", False), "max_attempts": queue.get("max_attempts", 0)}
    return [
        Error(f"Q_CLUSTER turns '{name}' off: {_LOST[name]}.", hint=f"Leave '{name}' as orchestra_site.settings has it.", id="orchestra.E004")
        for name, value in owed.items()
        if not value
    ]


_LOST = {
    "scheduler": "nobody sweeps where no engine lives, so a run whose ring was lost waits until its deadline",
    "ack_failures": "a chore that fails is handed out again for ever",
    "max_attempts": "a chore that kills its worker is handed out again for ever",
}


@register(CHECKS)
def check_chores(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    if settings.Q_CLUSTER["timeout"] >= LONGEST_CHORE_S:
        return []
    return [
        Error(
            f"The queue ends a chore after {settings.Q_CLUSTER['timeout']} s, but a sweep may rightly take {LONGEST_CHORE_S} s.",
            hint=f"Make ORCHESTRA_QUEUE_TIMEOUT_S at least {LONGEST_CHORE_S} (default: 60).",
            id="orchestra.E005",
        )
    ]


@register(CHECKS)
def check_connections(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """The ORM broker closes old connections at every call, so with an age of 0 each chore and each idle look connects anew."""
    database = settings.DATABASES["default"]
    found: list[CheckMessage] = []
    if "orm" in settings.Q_CLUSTER and database.get("CONN_MAX_AGE") == 0:
        said = "CONN_MAX_AGE is 0: the queue in the database connects anew for every chore and every look."
        found.append(Warning(said, hint="Set it to some minutes (default: 600).", id="orchestra.W005"))
    if database.get("ATOMIC_REQUESTS"):
        said = "ATOMIC_REQUESTS wraps each request in a transaction, in which no use-case can commit and record a refusal."
        found.append(Error(said, hint="Leave it off.", id="orchestra.E006"))
    if database["ENGINE"].endswith("sqlite3") and database.get("OPTIONS", {}).get("transaction_mode") != "IMMEDIATE":
        said = "SQLite's transactions are not IMMEDIATE: one that reads and then writes is refused as locked as soon as two processes write."
        found.append(Error(said, hint="Keep transaction_mode: IMMEDIATE in the OPTIONS of the database.", id="orchestra.E007"))
    return found


@register(CHECKS)
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


@register(CHECKS)
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


@register(CHECKS, deploy=True)
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


@register(CHECKS, deploy=True)
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


@register(CHECKS, deploy=True)
def check_one_host(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """A file on a network is not SQLite's: its locks don't hold there, and two hosts' write-ahead logs are not one."""
    if connection.vendor != "sqlite":
        return []
    try:
        others = Engine.objects.alive(clock.now()).exclude(host=socket.gethostname()[:200])
        hosts = sorted(set(others.values_list("host", flat=True)[:10]))
    except DatabaseError:  # not migrated yet: whoever needs the tables says so
        return []
    hint = "Set ORCHESTRA_DATABASE_URL to a PostgreSQL, the same on every host. Where that host is gone, wait for three heartbeats."
    said = f"Another host ({', '.join(visible(host, 80) for host in hosts)}) works on this SQLite file, which only one may use."
    return [Error(said, hint=hint, id="orchestra.E008")] if hosts else []


@register(CHECKS, deploy=True)
def check_ledger(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """A dump that was restored without its triggers, or a replica that skips them, would let an entry be changed without a word."""
    try:
        missing = guard.unguarded()
    except DatabaseError:  # nobody answers: whoever needs the tables says so
        return []
    hint = "`manage.py migrate` puts them back. Find out who took them away: what was written meanwhile had no guard."
    return [Error(f"The ledger is not guarded: {', '.join(missing)} missing or off.", hint=hint, id="orchestra.E009")] if missing else []


@register(CHECKS, deploy=True)
def check_words(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Rows in force from before words were registered: whoever updates hears of them before a run is denied."""
    try:
        found = registry.unregistered_in_force()
    except DatabaseError:  # not migrated yet
        return []
    listed = "; ".join(f"{visible(name, 80)}: {visible(problem, 200)}" for name, problem in found[:MOST_NAMED])
    more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    hint = "Register them in the team's document (`verbs`, `resources`), or change the permission, and apply with --publish."
    return [Warning(f"Permissions in force say nothing: {listed}{more}.", hint=hint, id="orchestra.W007")] if found else []


@register(CHECKS, deploy=True)
def check_observed(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Meant for the first days: whoever puts it into production should know that nothing is refused there for want of a permission."""
    try:
        found = registry.observed_teams()
    except DatabaseError:  # not migrated yet
        return []
    listed = ", ".join(f"'{visible(name, 80)}'" for name in found[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    hint = "Grant them what they need (`manage.py can AGENT` lists it), write `observe: false` in the team's document, apply with --publish."
    said = f"The agents of team {listed}{more} are only observed: what no permission allows is carried out and recorded."
    return [Warning(said, hint=hint, id="orchestra.W010")] if found else []


@register(CHECKS, deploy=True)
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


@register(CHECKS, deploy=True)
def check_proxies(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Behind a proxy that isn't counted, everybody has the proxy's address: one person's wrong passwords would keep all others out."""
    if settings.ORCHESTRA_PROXIES or not (settings.ORCHESTRA_HTTPS or settings.SECURE_PROXY_SSL_HEADER):
        return []
    return [
        Warning(
            "TLS ends before Orchestra, but no proxy is counted: all sign-ins seem to come from one address, and too many wrong ones lock it.",
            hint="Set ORCHESTRA_PROXIES to how many proxies of yours a request passes (mostly 1); each must add to X-Forwarded-For.",
            id="orchestra.W006",
        )
    ]


@register(CHECKS)
def check_notices(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """What makes e-mail less than it could be, without a word."""
    if not settings.ORCHESTRA_EMAIL:
        return []
    found: list[CheckMessage] = []
    if settings.ORCHESTRA_PUBLIC_URL is None:
        said = "E-mail is sent, but its notices can't link to the admin: nobody says where that is reached."
        found.append(Warning(said, hint="Set ORCHESTRA_PUBLIC_URL, such as https://orchestra.example.com.", id="orchestra.W008"))
    if settings.ORCHESTRA_EMAIL_FROM.endswith("@localhost"):
        said = f"E-mail is sent from {settings.ORCHESTRA_EMAIL_FROM}, which most servers refuse."
        found.append(Warning(said, hint="Set ORCHESTRA_EMAIL_FROM to an address that your server may send from.", id="orchestra.W009"))
    return found


@register(CHECKS, deploy=True)
def check_debug(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    if not settings.DEBUG:
        return []
    return [Error("ORCHESTRA_DEBUG shows settings and code to whoever meets an error.", hint="Unset ORCHESTRA_DEBUG.", id="orchestra.E003")]
