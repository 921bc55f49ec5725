"""The OpenAPI document held against the real application: whatever is sent, answers are as documented, and nothing of ours breaks.

Generated requests go through the whole site in this process, two thirds of them at addresses that exist. Each is rolled back, so that
one does not change what the next one meets; all of them are the same in every run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import Phase, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test

from agents import registry
from agents.models import Release
from audit import clock
from audit.models import Entry
from orchestra_site.models import Tries
from orchestra_site.tokens import create_token
from orchestra_site.wsgi import application
from runs import services
from tests import factories, pipelines, waiting
from tests.holders import key_of
from tests.pipelines import SYSTEM, agent

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# Every boundary of every parameter as a member; for the others, who are refused before most of them, fewer of all kinds.
FEW = [HypothesisTestMode.EXAMPLES, HypothesisTestMode.FUZZING]
WHO = {"alice": [*FEW, HypothesisTestMode.COVERAGE], "charlie": FEW, "agent": FEW, "nobody": FEW}
BOUNDED = settings(max_examples=4, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])


@dataclass(frozen=True)
class Installation:
    """Tokens by person and the key of an agent, and what exists, by the name that paths give it."""

    tokens: dict[str, str]
    places: dict[str, Any]


@contextmanager
def rolled_back() -> Iterator[None]:
    """What happens within is undone; as Django's own test case does it, so that durable transactions may be opened inside."""
    block = transaction.atomic()
    block._from_testcase = True
    with block:
        yield
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def _connections_stay_open() -> Iterator[None]:
    """As Django's test client does: the end of a request would close the connection of the open transaction."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def installation(db: None, tmp_path: Path) -> Installation:
    """A published pipeline with a run that has ended, and one that waited; a member who may manage people, an outsider, an agent."""
    steps, functions = "- {id: only, agent: worker}", "def work() -> dict:\n    return {}\n"
    pipelines.publish(tmp_path / "p", functions=functions, agents=[agent("worker", "work:work")], steps=steps)
    for name in ("alice", "charlie", "bob"):
        factories.person(name)
    registry.add_member("platform", "alice", actor=SYSTEM)
    registry.permit_person("alice", "manage-people", allowed=True, actor=SYSTEM)
    run = services.cancel_run(run=str(pipelines.start().id), actor=SYSTEM)
    made = {name: create_token(name, actor=SYSTEM) for name in ("alice", "charlie")}
    ends = clock.now() + timedelta(hours=1)
    lock = Tries.objects.create(key="of bob", scope="name", ends=ends, locked=True, person=User.objects.get(username="bob"), address="192.0.2.1")
    entry = Entry.objects.filter(run=run.id).first()
    places = {"team": "platform", "agent": "worker", "pipeline": "sample", "person": "bob", "number": 1, "run": str(run.id)}
    places |= waiting.rows(run)
    ids = {"release": Release.objects.get().digest, "entry": str(entry and entry.id), "token": str(made["alice"].token.id), "lock": str(lock.pk)}
    key = key_of()
    return Installation({**{name: each.text for name, each in made.items()}, "agent": key.text}, {**places, **ids, "key": key.key.id})


@dataclass
class Holding:
    """Sends the requests that are generated for an operation, and undoes what they did."""

    installation: Installation
    token: str | None
    modes: list[HypothesisTestMode]
    sent: int = 0

    def __call__(self, case: Any) -> None:
        self.sent += 1
        if case.path_parameters and self.sent % 3:
            case.path_parameters = {name: self.installation.places.get(name, value) for name, value in case.path_parameters.items()}
        with rolled_back():
            case.call_and_validate(headers={"Authorization": f"Bearer {self.token}"} if self.token else {})

    def failures(self, operation: Any, project: Any) -> list[str]:
        def hold(case: Any) -> None:
            self(case)

        test = create_test(operation=operation, test_func=BOUNDED(hold), config=HypothesisTestConfig(project=project, modes=self.modes, seed=1))
        try:
            test()
        except (Exception, BaseExceptionGroup) as failure:  # noqa: BLE001 - told together with those of the other operations
            return [f"{operation.label}: {failure}"]
        return []


@pytest.mark.parametrize("who", WHO)
def test_every_answer_is_as_documented(who: str, installation: Installation) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/v1/schema/", application, config=SchemathesisConfig(seed=1))
    # 422 is the answer to what has the right shape and can't be done: a run's input by its own contract, a cursor that nobody gave out.
    schema.config.checks.positive_data_acceptance.expected_statuses += ["422"]
    holding = Holding(installation, installation.tokens.get(who), WHO[who])
    failures, unasked = list[str](), list[str]()
    for operation in (found.ok() for found in schema.get_all_operations()):
        before = holding.sent
        failures += holding.failures(operation, schema.config)
        unasked += [operation.label] if holding.sent == before else []
    assert not failures, "\n".join(failures)
    assert not unasked, "each operation is asked at least once"
