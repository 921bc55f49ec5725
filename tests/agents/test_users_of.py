"""Who uses an agent: asked of an index that is written with each release, and filled for those that were there before it."""

from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import ReleaseUse
from agents.registry.composing import users_of
from tests.agents.folders import PIPELINE, numbers
from tests.agents.inventory import publish

pytestmark = pytest.mark.django_db


def using(*names: str) -> dict[str, list[str]]:
    return {name: [pipeline.name for pipeline in pipelines] for name, pipelines in users_of(names).items()}


def test_whoever_uses_an_agent_now_is_found_by_one_statement(tmp_path: Path) -> None:
    publish(numbers(tmp_path / "one"))
    with CaptureQueriesContext(connection) as captured:
        found = using("reader", "nobody")
    assert found == {"reader": ["numbers"], "nobody": []} and len(captured) == 1
    assert 'FROM "agents_pipeline"' in captured[0]["sql"] and '"agents_releaseuse"."agent" IN' in captured[0]["sql"]


def test_a_release_that_is_no_longer_current_counts_no_more(tmp_path: Path) -> None:
    publish(numbers(tmp_path / "one"))
    before = ReleaseUse.objects.count()
    publish(numbers(tmp_path / "two", pipeline=PIPELINE.replace("1m", "2m")))
    assert using("reader") == {"reader": ["numbers"]} and ReleaseUse.objects.count() == 2 * before


def test_releases_from_before_the_index_are_found_after_the_migration(tmp_path: Path) -> None:
    publish(numbers(tmp_path / "one"))
    written = set(ReleaseUse.objects.values_list("release", "agent"))
    ReleaseUse.objects.all().delete()
    assert using("reader") == {"reader": []}
    import_module("agents.migrations.0009_release_uses").fill(apps, None)
    assert set(ReleaseUse.objects.values_list("release", "agent")) == written and using("reader") == {"reader": ["numbers"]}
