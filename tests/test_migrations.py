"""A new installation takes its tables in one step, an older one goes on from its own migrations: both end with the same."""

import pytest
from django.apps import apps
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

OURS = {"agents", "approvals", "audit", "orchestra_site", "runs"}


@pytest.mark.parametrize("new", [True, False])
def test_both_ways_end_with_the_models_of_the_code(new: bool) -> None:
    loader = MigrationLoader(None, replace_migrations=new)
    made = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps)).changes(loader.graph)
    assert not OURS & made.keys(), made


def test_a_new_installation_takes_few_steps() -> None:
    steps = [name for app, name in MigrationLoader(None).graph.nodes if app in OURS]
    assert len(steps) < 20, steps
