"""An agent that starts a run in the moment in which its key is taken back, or it is suspended: whoever began comes first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from agents import registry
from agents.errors import NotGranted
from agents.models import AgentKey
from agents.registry import keys, stopping
from audit.actors import Actor
from runs import services
from runs.models import Run
from runs.services import starting
from tests.agents.test_at_once import Meeting
from tests.doors import world
from tests.holders import acting, key_of
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _several_writers() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer: whoever comes second waits at BEGIN")


@pytest.fixture
def actor(tmp_path: Path) -> Actor:
    """The agent `worker`, whose request has come and been looked at."""
    world.platform(tmp_path)
    world.people()
    return acting(key_of())


def start(actor: Actor) -> Callable[[], Run]:
    return lambda: services.start_run(pipeline="sample", input={}, actor=actor, ring=False)


def revoke(actor: Actor) -> Callable[[], Any]:
    return lambda: registry.revoke_key(actor.key, actor=SYSTEM)


def test_a_revocation_waits_for_the_start_that_began_before(actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Meeting(monkeypatch, starting, "_insert").of(start(actor), revoke(actor)) == {}
    assert Run.objects.get().started_with == actor.key and AgentKey.objects.get().revoked_at is not None


def test_a_start_that_meets_a_revocation_is_refused(actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Meeting(monkeypatch, keys, "_key").of(revoke(actor), start(actor))
    assert list(refused) == ["second"] and isinstance(refused["second"], NotGranted) and "it was revoked at" in str(refused["second"])
    assert not Run.objects.exists()


def test_a_start_that_meets_a_suspension_is_refused(actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Meeting(monkeypatch, stopping, "_set").of(lambda: registry.suspend("worker", actor=SYSTEM, reason="odd"), start(actor))
    assert list(refused) == ["second"] and "agent 'worker' is suspended" in str(refused["second"]) and not Run.objects.exists()
