"""What tests of the registry ask and do: people, publishing, the current release, the ledger's facts."""

import json
from pathlib import Path
from typing import Any

import pytest

from agents import registry
from agents.errors import NotPublishable
from agents.models import Release
from audit.actors import Actor
from audit.models import Entry

SYSTEM = Actor.system("test")
OUTSIDER = Actor(kind="person", id="9", auth="test", teams=frozenset({"other"}))
MEMBER = Actor(kind="person", id="7", auth="test", teams=frozenset({"platform"}))
ONLOOKER = Actor(kind="person", id="8", auth="test", permissions=frozenset({"see-everything"}))


def publish(folder: Path, actor: Actor = SYSTEM) -> registry.Applied:
    return registry.apply_folder(folder, actor=actor, publish=True)


def problems_of(folder: Path, **options: Any) -> list[str]:
    with pytest.raises(NotPublishable) as refused:
        registry.apply_folder(folder, actor=SYSTEM, **options)
    return [str(problem) for problem in refused.value.details["problems"]]


def release(*, draft: bool = False, actor: Actor = SYSTEM) -> Release:
    return registry.release_for("numbers", draft=draft, actor=actor)


def pinned(one: Release) -> dict[str, int]:
    return {name: agent["version"] for name, agent in one.manifest["agents"].items()}


def verbs() -> list[str]:
    return list(Entry.objects.order_by("id").values_list("verb", flat=True))


def facts_of(verb: str) -> list[dict[str, Any]]:
    return [json.loads(bytes(entry.body))["facts"] for entry in Entry.objects.filter(verb=verb).order_by("id")]
