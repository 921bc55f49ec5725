"""What an agent runs, as its page says it: values in, words out; and the card itself, with texts of people who mean no good."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from agents import registry
from agents.admin.running import MOST_INSTRUCTIONS, running
from agents.models import Agent
from tests import models, pipelines
from tests.pipelines import SYSTEM, agent

NOW = datetime(2026, 11, 27, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\u202e"


def spec(run: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"run": run, "timeout_ms": 20_000, "memory_mb": 512, "mode": "read", "input": {}, "output": {}, **more}


@pytest.mark.parametrize(
    ("run", "kind", "words"),
    [
        ({"python": "feed:read"}, "function", ["feed:read"]),
        ({"command": ["python", "scan.py", "a b"]}, "command", ["python", "scan.py", "a b"]),
        ({"tool": "fetch"}, "tool", ["fetch"]),
        ({"model": {"alias": "reasoning"}}, "model", ["reasoning"]),
    ],
)
def test_what_runs_is_named_as_its_version_says(run: dict[str, Any], kind: str, words: list[str]) -> None:
    said = running(spec(run), [], now=NOW)
    assert (said.kind, said.words) == (kind, words)


def test_bounds_are_said_in_words_and_what_is_not_bounded_is_left_out() -> None:
    pace = {"rate": {"calls": 60, "window_ms": 60_000}, "breaker": {"failures": 5, "rest_ms": 60_000}}
    said = dict(running(spec({"python": "a:b"}, mode={"idempotent": "=input.order"}, **pace), [], now=NOW).bounds)
    assert (said["Timeout"], said["Memory"], said["Rate"]) == ("20.0 s", "512 MiB", "60 calls in a minute")
    assert said["Breaker"] == "after 5 failures in a row it rests for 60.0 s" and said["Mode"].startswith("idempotent: the same input.order")
    assert not {"Rate", "Breaker", "Cost"} & dict(running(spec({"python": "a:b"}), [], now=NOW).bounds).keys()


@pytest.mark.parametrize(
    ("permissions", "network"),
    [
        ([], "none of its own"),
        (["allow read network:example.com:443"], "none of its own"),
        (["allow connect network:*"], "all of it, by a permission to connect"),
        (["allow connect network:*", "require_approval connect network:a:443"], "none of its own"),
        (["nonsense"], "none of its own"),
        (["nonsense", "allow connect network:*"], "none of its own"),
        (["allow connect network:a", "deny connect *"], "none of its own"),
        (["allow connect network:a", "deny connect network:b until 2020-01-01"], "all of it, by a permission to connect"),
        (["allow connect network:a until 2020-01-01"], "none of its own"),
        (["allow connect network:a", "deny connect net* when args.x == 1"], "all of it, by a permission to connect, unless args.x == 1"),
    ],
)
def test_the_network_is_said_as_the_boundary_reads_the_permissions(permissions: list[str], network: str) -> None:
    assert dict(running(spec({"python": "a:b"}), permissions, now=NOW).bounds)["Network"] == network


def test_long_instructions_are_cut_and_it_is_said_by_how_much() -> None:
    said = running(spec({"model": {"alias": "reasoning"}}, instructions="x" * (MOST_INSTRUCTIONS + 7)), [], now=NOW)
    assert (len(said.instructions), said.longer_by) == (MOST_INSTRUCTIONS, 7)


@pytest.fixture
def looking(db: None, client: Client) -> Client:
    client.force_login(User.objects.create_superuser("alice", password="alice-password"))
    return client


def page_of(client: Client, name: str) -> str:
    return client.get(reverse("admin:agents_agent_change", args=[Agent.objects.get(name=name).pk])).content.decode()


@pytest.mark.django_db
def test_the_page_of_an_agent_says_what_is_published_or_else_the_draft(looking: Client, tmp_path: Path) -> None:
    functions = "def one(**_) -> dict:\n    return {}\n\ndef two(**_) -> dict:\n    return {}\n"
    parts = {"functions": functions, "steps": "- {id: only, agent: worker}"}
    registry.apply_folder(pipelines.folder(tmp_path / "a", agents=[agent("worker", "work:one")], **parts), actor=SYSTEM)
    assert "work:one" in page_of(looking, "worker") and ">1</a>, draft" in page_of(looking, "worker")
    pipelines.publish(tmp_path / "a", agents=[agent("worker", "work:one")], **parts)
    registry.apply_folder(pipelines.folder(tmp_path / "b", agents=[agent("worker", "work:two")], **parts), actor=SYSTEM)
    card = page_of(looking, "worker").partition('id="running"')[2].partition('id="runs"')[0]
    assert "work:one" in card and "work:two" not in card and ">1</a>, published" in card


@pytest.mark.django_db
def test_instructions_contracts_and_words_of_commands_are_text_and_nothing_else(looking: Client, tmp_path: Path) -> None:
    words = json.dumps({"type": "object", "required": ["words"], "properties": {"words": {"type": "string", "description": HOSTILE}}})
    teller = f"{agent('teller', 'work:no')}".replace("run: {python: work:no}", f"run: {{command: [echo, {json.dumps(HOSTILE)}]}}")
    documents = [models.alias(), models.agent(output=words), teller]
    steps = "- {id: only, agent: writer, with: {about: =input.about}}\n- {id: tell, agent: teller, with: {}}"
    models.priced()
    models.publish(
        tmp_path / "p", *documents, steps=steps, files={"say.md": f"Say it.\n{HOSTILE}\n"}, functions="def no(**_) -> dict:\n    return {}\n"
    )
    for name in ("writer", "teller"):
        page = page_of(looking, name)
        assert "&lt;script&gt;alert(1)" in page and "<script>alert(1)" not in page and "\u202e" not in page, name
    assert "some-model of anthropic" in page_of(looking, "writer") and "Say it." in page_of(looking, "writer")
