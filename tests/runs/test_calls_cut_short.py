"""Calls whose step ends without them, in the very moment in which they answer or another one is asked for."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit import reports
from runs.models import Call
from runs.worker import Event
from runs.worker.driver import Driver
from runs.worker.messages import Ended, Input, Settled
from tests import messages_server as server
from tests import models, pipelines
from tests.runs.test_models_failing import BAD, GOOD, REPORTED

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import pathlib, time

def fail(wait: str, **_) -> dict:
    work(wait)
    raise ValueError("no")

def work(wait: str, **_) -> dict:
    while not pathlib.Path(wait).exists():
        time.sleep(0.01)
    return {"n": 1}
"""
PART = "{id: part, parallel: {a: [{id: fails, agent: failer, with: {wait: =input.fail}}], b: [{id: ask, agent: writer}]}}"
ALONE = f"- {PART}"
BESIDE = f"- {{id: both, min_success: any, parallel: {{one: [{PART}], two: [{{id: work, agent: worker, with: {{wait: =input.go}}}}]}}}}"


def driven(
    folder: Path, behave: Callable[[server.Exchange], None], *, steps: str = BESIDE, on_event: Callable[[Event], None] = lambda _: None
) -> tuple[dict[str, Any], int]:
    """A run in which a branch fails beside a model's, and how often the model was asked. `fail` and `go` are files that let functions go on."""
    documents = [pipelines.agent("failer", "work:fail"), pipelines.agent("worker", "work:work")]
    models.priced()
    with server.serving(behave) as there:
        models.publish(folder / "p", models.alias(endpoint=there.url), models.agent(), *documents, steps=steps, functions=WORK)
        run = pipelines.start(input={"fail": str(folder / "fail"), "go": str(folder / "go")})
        return pipelines.drive(run, on_event, children=3), len(there.asked)


async def arrival(driver: Driver) -> None:
    """Something lies in the inbox behind what the driver looks at."""
    async with asyncio.timeout(20):
        while driver.inbox.empty():  # noqa: ASYNC110 - it comes from a child or another thread
            await asyncio.sleep(0.01)


def test_a_repair_that_is_asked_for_while_its_step_is_cancelled_is_neither_sent_nor_charged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_end = Driver._write_end

    async def behind_it_a_failure(driver: Driver, ended: Settled) -> None:
        (tmp_path / "fail").touch()
        await arrival(driver)
        await write_end(driver, ended)

    def go(event: Event) -> None:
        if event.verb == "runs.step.cancelled":
            (tmp_path / "go").touch()

    monkeypatch.setattr(Driver, "_write_end", behind_it_a_failure)
    said, asked = driven(tmp_path, server.replies(BAD, GOOD), on_event=go)
    assert (said["label"], asked) == ("degraded", 1)
    assert list(Call.objects.filter(kind="model").values_list("ordinal", "state")) == [(0, "confirmed")]
    assert [(charge.amount_nano, charge.estimated) for charge in models.charges(said)] == [(REPORTED, False)]
    assert reports.chain_problems(pipelines.id_of(said)) == []


@pytest.mark.parametrize("steps", [ALONE, BESIDE], ids=["the run ends", "the run goes on"])
@pytest.mark.parametrize("reply", [GOOD, BAD], ids=["its step's answer", "an answer to be repaired"])
def test_an_answer_that_has_arrived_when_its_step_is_cancelled_is_evidence_and_is_paid_as_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: Any, steps: str
) -> None:
    react, answer = Driver._react, threading.Event()

    async def before_the_answer(driver: Driver, event: Input) -> None:
        if isinstance(event, Ended) and event.result.key.endswith("fails"):
            answer.set()
            await arrival(driver)
            (tmp_path / "go").touch()
        await react(driver, event)

    def answers_late(exchange: server.Exchange) -> None:
        (tmp_path / "fail").touch()
        answer.wait(20)
        server.replies(reply)(exchange)

    monkeypatch.setattr(Driver, "_react", before_the_answer)
    said, asked = driven(tmp_path, answers_late, steps=steps)
    assert (said["outcome"], asked) == ("failed" if steps is ALONE else "degraded", 1)
    (call,) = Call.objects.filter(kind="model")
    assert (call.state, call.step) == ("confirmed", pipelines.step(said, call.step)["key"])
    assert pipelines.step(said, call.step)["state"] == "cancelled"
    assert [(charge.amount_nano, charge.estimated) for charge in models.charges(said)] == [(REPORTED, False)]
    assert reports.chain_problems(pipelines.id_of(said)) == []
