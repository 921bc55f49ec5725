"""Requests that fifty people decide at once over REST, two of them each: one was first, the other is told, and nothing is lost.

A hundred of them, or as many as ORCHESTRA_TEST_REQUESTS says: continuous integration plays a thousand.
"""

import asyncio
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from approvals import services
from approvals.models import Decision, Request
from audit import reports
from runs.models import Call, Run, Wait
from runs.services import start_run
from runs.worker import Engine, EngineOptions
from tests import approving
from tests.approvals.test_at_once import at_once
from tests.pipelines import SYSTEM
from tests.rest import Answer, Caller

pytestmark = pytest.mark.django_db(transaction=True)

REQUESTS, CLIENTS = int(os.environ.get("ORCHESTRA_TEST_REQUESTS", "100")), 50
PATIENCE_S = 60 + REQUESTS
WORDS = ("approved", "declined")


def decided_by(who: Caller, request: str, word: str) -> Answer:
    """A client comes again where it is told that the database is busy."""
    for _ in range(50):
        answer = who.post(f"/approvals/{request}/decide/", {"decision": word, "reason": "looked at it"})
        if answer.status != 503:
            return answer
        time.sleep(float(answer.headers["Retry-After"]))
    raise AssertionError("the database stayed busy")


def driven(**options: float) -> None:
    asyncio.run(Engine(EngineOptions(children=2, idle_s=1.0, **options)).run())  # type: ignore[arg-type]


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """The ids of as many requests, each of a run that waits for it."""
    approving.publish(tmp_path)
    for number in range(REQUESTS):
        start_run(pipeline="sample", input={"feed": f"place-{number}"}, actor=SYSTEM, ring=False)
    driven()
    while Request.objects.count() < min(REQUESTS, Wait.objects.filter(kind="approval").count()):
        services.tend()
    return [str(request) for request in Request.objects.values_list("pk", flat=True)]


def test_many_requests_are_decided_by_fifty_clients_each_once(asked: list[str]) -> None:
    assert len(asked) == REQUESTS
    callers = []
    for number in range(CLIENTS):
        approving.member(f"p{number}", "platform")
        callers.append(Caller.of(User.objects.get(username=f"p{number}")))
    shares: list[list[tuple[str, str]]] = [[] for _ in range(CLIENTS)]
    for number, request in enumerate(asked):
        shares[number % CLIENTS].append((request, "approved"))
        shares[(number + 1 + number // CLIENTS) % CLIENTS].append((request, WORDS[number % 2]))
    for number, share in enumerate(shares):
        random.Random(number).shuffle(share)

    def decide(number: int) -> Counter[str]:
        said: Counter[str] = Counter()
        for request, word in shares[number]:
            answer = decided_by(callers[number], request, word)
            said["taken" if answer.status == 200 else answer.code] += 1
        return said

    came_to = sum(at_once([lambda number=number: decide(number) for number in range(CLIENTS)], PATIENCE_S), Counter[str]())  # type: ignore[misc]
    assert came_to == {"taken": REQUESTS, "already-decided": REQUESTS}
    assert Decision.objects.count() == REQUESTS and not Wait.objects.filter(kind="approval", state="open").exists()

    driven()
    decided = dict(Decision.objects.values_list("request__wait__run", "decision"))
    called = Counter(Call.objects.filter(step="work").values_list("run", flat=True))
    assert called == {run: 1 for run, word in decided.items() if word == "approved"}
    ended = Counter(Run.objects.values_list("outcome", "failure_cause"))
    approved = sum(word == "approved" for word in decided.values())
    assert ended == {("verified", ""): approved, ("failed", "declined"): REQUESTS - approved}
    assert not any(reports.chain_problems(run) for run in random.Random(1).sample(sorted(decided), 20))
