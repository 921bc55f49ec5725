"""What a model's call leaves behind: receipts that outlive a worker, money that isn't lost with it, and never a secret."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from agents import registry
from agents.errors import NotPublishable
from agents.models import Agent
from audit import reports
from audit.models import Entry
from runs.models import Run
from runs.services import cancel_run
from runs.worker import Engine, EngineOptions
from tests import messages_server as server
from tests import models, pipelines

pytestmark = pytest.mark.django_db(transaction=True)

GOOD = {"words": "it will rain"}
BAD = {"words": ""}
KEY = "sk-not-a-real-key-1234567890"


@pytest.fixture(autouse=True)
def price(transactional_db: None) -> None:
    models.priced()


def published(there: server.MessagesServer, folder: Path, **agent: Any) -> Run:
    models.publish(folder, models.alias(endpoint=there.url), models.agent(timeout="30s", **agent))
    return pipelines.start(input={"about": "rain"})


def calls(said: dict[str, Any]) -> list[tuple[int, str, str | None]]:
    return [(call["ordinal"], call["state"], call["cause"]) for call in pipelines.step(said, "only")["calls"]]


def test_a_question_whose_worker_died_is_asked_again_in_a_call_of_its_own(tmp_path: Path) -> None:
    with server.serving(server.in_turn(server.never, server.replies(GOOD))) as there:
        run = published(there, tmp_path)
        pipelines.crash(run, at=lambda: len(there.asked) == 1)
        said = pipelines.drive(run)
    assert (said["label"], calls(said)) == ("verified", [(0, "refused", "lost"), (1, "confirmed", None)])
    lost, paid = models.charges(said)
    assert (lost.estimated, paid.estimated) == (True, False)
    assert lost.amount_nano > paid.amount_nano  # nobody knows what the first one came to, so it is its bound
    assert int(said["cost_nano"]) == lost.amount_nano + paid.amount_nano


def test_a_reply_that_was_written_down_is_not_asked_for_again(tmp_path: Path) -> None:
    with server.serving(server.in_turn(server.replies(BAD), server.never, server.replies(GOOD))) as there:
        run = published(there, tmp_path)
        pipelines.crash(run, at=lambda: len(there.asked) == 2)
        said = pipelines.drive(run)
    assert said["label"] == "verified"
    assert calls(said) == [(0, "confirmed", None), (1, "refused", "lost"), (2, "confirmed", None)]
    assert [len(request.body["messages"]) for request in there.asked] == [1, 3, 3]
    assert len(models.charges(said)) == 3


def test_a_cancelled_run_pays_what_was_held_for_the_question(tmp_path: Path) -> None:
    with server.serving(server.never) as there:
        run = published(there, tmp_path)

        async def cancelled() -> None:
            async with pipelines.at_work(run, at=lambda: len(there.asked) == 1) as (_, driving):
                await asyncio.to_thread(lambda: (cancel_run(run=str(run.id), actor=pipelines.SYSTEM), connection.close()))
                await asyncio.wait_for(driving, 20)

        asyncio.run(cancelled())
    said = pipelines.document(run)
    assert (said["outcome"], calls(said)) == ("cancelled", [(0, "refused", "stopped")])
    (charge,) = models.charges(said)
    assert charge.estimated and charge.amount_nano > 0


def test_what_the_model_said_is_kept_as_evidence(tmp_path: Path) -> None:
    with server.serving(server.replies(BAD, GOOD)) as there:
        said = pipelines.drive(published(there, tmp_path))
    entries = Entry.objects.filter(run=pipelines.id_of(said), verb="runs.call.confirmed").order_by("seq")
    opened = reports.openings_of([entry.id for entry in entries])
    replies = [opened[entry.id]["response"]["text"] for entry in entries if "response" in opened.get(entry.id, {})]
    assert [json.loads(reply) for reply in replies] == [BAD, GOOD]
    facts = entries[0].envelope()["facts"]
    assert facts["tokens"] == {"input": 1_000, "cache_read": 40, "cache_write": 8, "output": 200}
    assert facts["estimated"] is False


# --- secrets ---


def everything() -> str:
    """Every value of every table, as one text."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        parts = []
        for table in tables:
            cursor.execute(f'SELECT * FROM "{table}"')
            parts += [str(bytes(value) if isinstance(value, memoryview) else value) for row in cursor.fetchall() for value in row]
    return "\n".join(parts)


@pytest.mark.parametrize("kind", ["env", "file"])
@pytest.mark.parametrize("behave", [server.fails(401, words=f"bad key {KEY}"), server.replies({"words": f"your key is {KEY}"})], ids=["401", "echo"])
def test_a_key_goes_to_its_endpoint_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str, behave: Any
) -> None:
    caplog.set_level("DEBUG")
    (tmp_path / "key").write_text(f"{KEY}\n")
    monkeypatch.setenv("SOME_MODEL_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-another")
    reference = "env:SOME_MODEL_KEY" if kind == "env" else f"file:{tmp_path / 'key'}"
    with server.serving(behave) as there:
        models.publish(tmp_path / "folder", models.alias(endpoint=there.url, secret=reference), models.agent())
        said = models.run()
    assert KEY in str(there.asked[0].headers)
    assert "sk-another" not in str(there.asked[0].headers)
    assert KEY not in json.dumps(said) + everything() + caplog.text
    assert "[secret]" in json.dumps(said)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("before", [176, 188, 196])
def test_not_even_a_part_of_a_key_stays_where_a_message_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, stream: bool) -> None:
    def ends_its_stream(exchange: server.Exchange) -> None:
        exchange.begin_stream()
        exchange.event({"type": "error", "error": {"type": "api_error", "message": "x" * before + KEY}})

    monkeypatch.setenv("SOME_MODEL_KEY", KEY)
    with server.serving(ends_its_stream if stream else server.fails(401, words="x" * before + KEY)) as there:
        models.publish(tmp_path / "folder", models.alias(endpoint=there.url, secret="env:SOME_MODEL_KEY"), models.agent(stream=stream))
        said = models.run()
    assert "xxx" in said["failure"]["message"]
    assert KEY[:3] not in said["failure"]["message"]


@pytest.mark.parametrize(
    ("reference", "words"),
    [("env:NOT_SET_ANYWHERE", "env:NOT_SET_ANYWHERE is not set where the worker runs"), ("file:/not/there", "file:/not/there can't be read")],
)
def test_without_its_secret_a_model_is_not_asked(tmp_path: Path, reference: str, words: str) -> None:
    with server.serving(server.replies(GOOD)) as there:
        models.publish(tmp_path, models.alias(endpoint=there.url, secret=reference), models.agent())
        said = models.run()
    assert (said["failure"]["cause"], said["failure"]["owner"], there.asked) == ("upstream", "alias:reasoning", [])
    assert words in said["failure"]["message"]
    assert said["cost_nano"] == "0"


def test_what_orchestra_keeps_for_itself_goes_to_no_endpoint(tmp_path: Path, settings: Any) -> None:
    secret = Path(settings.ORCHESTRA_HOME) / "secret_key"
    secret.write_text(KEY)
    with server.serving(server.replies(GOOD)) as there:
        models.publish(tmp_path, models.alias(endpoint=there.url, secret=f"file:{secret}"), models.agent())
        said = models.run()
    assert "lies in Orchestra's own folder" in said["failure"]["message"]
    assert there.asked == []


def test_a_variable_of_orchestras_own_can_be_named_by_no_alias(tmp_path: Path) -> None:
    with pytest.raises(NotPublishable) as refused:
        models.publish(tmp_path, models.alias(secret="env:ORCHESTRA_SECRET_KEY"), models.agent())
    assert "a variable of Orchestra itself" in str(refused.value.details["problems"][0])


# --- permissions, and what is live ---


def test_asking_needs_a_permission_when_publishing_and_when_calling(tmp_path: Path) -> None:
    with server.serving(server.replies(GOOD)) as there:
        with pytest.raises(NotPublishable) as refused:
            models.publish(tmp_path, models.alias(endpoint=there.url), models.agent(permissions="[]"))
        assert "add: allow call model:reasoning" in str(refused.value.details["problems"][0])
        run = published(there, tmp_path)
        Agent.objects.filter(name="writer").update(permissions=[])
        said = pipelines.drive(run)
    assert (said["failure"]["cause"], there.asked) == ("denied", [])
    assert "may not call model:reasoning" in said["failure"]["message"]


def test_a_suspended_agent_asks_nothing(tmp_path: Path) -> None:
    with server.serving(server.replies(GOOD)) as there:
        run = published(there, tmp_path)
        registry.suspend("writer", actor=pipelines.SYSTEM, reason="looking into it")
        said = pipelines.drive(run)
    assert (said["state"], [wait["kind"] for wait in said["waits"]], there.asked) == ("waiting", ["stopped"], [])


def test_the_summary_says_what_a_model_has_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with server.serving(server.replies(GOOD)) as there:
        models.publish(tmp_path, models.alias(endpoint=there.url), models.agent())
        call_command("runpipeline", "sample", "--input", "about=rain")
    assert "0.006042 USD" in capsys.readouterr().out


def test_a_question_that_kills_its_workers_is_not_asked_for_ever(tmp_path: Path) -> None:
    with server.serving(server.never) as there:
        run = published(there, tmp_path)
        for number in range(1, 6):
            pipelines.crash(run, at=lambda wanted=number: len(there.asked) == wanted)
        said = pipelines.drive(run)
    assert (said["failure"]["cause"], said["failure"]["owner"], len(there.asked)) == ("lost", "platform", 5)
    assert [state for _, state, _ in calls(said)] == ["refused"] * 5


def test_the_sdk_is_no_part_of_a_process_that_asks_no_model(shell_environment: dict[str, str], project_folder: Path) -> None:
    code = (
        "import django; django.setup(); import sys, runs.worker, runs.tasks, agents.registry; print({'anthropic', 'genai_prices'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project_folder, env=shell_environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("depth", [200, 900, 3_000, 200_000])
def test_a_reply_nested_beyond_reason_breaks_the_contract_and_nothing_else(tmp_path: Path, depth: int) -> None:
    def behave(exchange: server.Exchange) -> None:
        deep = json.dumps(server.message({})).replace('"input": {}', '"input": {"words": ' + "[" * depth + "]" * depth + "}")
        exchange.send(200, deep.encode())

    with server.serving(behave) as there:
        models.publish(tmp_path, models.alias(endpoint=there.url), models.agent(output="{type: object}"))
        said = models.run()
    assert said["outcome"] in {"failed", "verified"}
    assert said["failure"] is None or said["failure"]["cause"] in {"contract", "upstream"}


@pytest.mark.parametrize("lacks", ["the SDK", "the provider"])
def test_a_provider_that_cant_get_ready_ends_the_runs_that_need_it_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacks: str) -> None:
    models.publish(tmp_path / "p", models.alias(endpoint="http://127.0.0.1:9"), models.agent())
    asking = pipelines.start(input={"about": "rain"})
    echo = "kind: agent\nname: echo\nteam: platform\nrole: decide\npurpose: Test.\nrun: {inline: noop}\ntimeout: 20s\ninput: {type: object}"
    pipelines.publish(tmp_path / "q", name="other", functions="", agents=[echo], steps="- {id: only, agent: echo, with: {n: 1}}")
    neighbour = pipelines.start("other")

    async def together() -> None:
        engine = Engine(EngineOptions(only=frozenset({asking.id, neighbour.id}), children=2))
        if lacks == "the SDK":
            monkeypatch.setitem(sys.modules, "anthropic", None)
        else:
            del engine.tools.boundary.models._providers["anthropic"]
        await engine.run()

    asyncio.run(together())
    said = pipelines.document(asking)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "incompatible", "platform")
    assert "the model provider 'anthropic' can't be used where the worker runs: " in said["failure"]["message"]
    assert pipelines.document(neighbour)["outcome"] == "verified"
