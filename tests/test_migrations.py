"""A new installation takes its tables in one step for each app; an older one goes on from its own migrations. Both come to the same."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState
from django_q.models import Schedule

from agents.models import Team
from audit.models import triggers
from tests.simulation.database import simulated

OURS = ("agents", "approvals", "audit", "orchestra_site", "runs")


def in_one_step() -> dict[str, Any]:
    """Of each app the migration that stands for those before it."""
    whole = MigrationLoader(None, replace_migrations=False).replacements.values()
    return {migration.app_label: migration for migration in whole if migration.app_label in OURS}


def test_the_one_step_makes_the_models_that_those_before_it_make() -> None:
    steps = in_one_step()
    assert steps.keys() == set(OURS)
    old = _state(MigrationLoader(None, replace_migrations=False), [migration.replaces[-1] for migration in steps.values()])
    new = _state(MigrationLoader(None), [(app, migration.name) for app, migration in steps.items()])
    assert not set(OURS) & MigrationAutodetector(old, new).changes(MigrationLoader(None).graph).keys()


def _state(loader: MigrationLoader, upto: list[tuple[str, str]]) -> ProjectState:
    """Without what takes the place of others, where the loader was told to leave these be."""
    plan = [node for node in loader.graph._generate_plan(upto, at_end=True) if node in upto or not loader.disk_migrations[node].replaces]
    state = ProjectState(real_apps=loader.unmigrated_apps)
    for node in plan:
        loader.disk_migrations[node].mutate_state(state, preserve=False)
    return state


@pytest.mark.django_db
def test_a_new_installation_has_what_the_migrations_put_there() -> None:
    with simulated():
        assert set(Group.objects.values_list("name", flat=True)) == {"operator", "agent-owner", "approver", "compliance", "auditor", "integration"}
        assert Group.objects.filter(permissions__codename="stop_everything").get().name == "compliance"
        assert Team.objects.values_list("name", "observe").get() == ("dev", True)
        assert Schedule.objects.get(name="orchestra-sweep").func == "runs.tasks.sweep"
        assert triggers.missing(connection) == []


@pytest.mark.parametrize("app", OURS)
def test_one_app_may_be_brought_up_to_date_before_the_others(app: str) -> None:
    """No step stands after more of another app than those that it replaces do, so that one is never recorded before what it needs."""
    step = in_one_step()[app]
    loader = MigrationLoader(None, replace_migrations=False)
    needed = {node for replaced in step.replaces for node in loader.disk_migrations[replaced].dependencies if node[0] in OURS and node[0] != app}
    assert {node for node in step.dependencies if node[0] in OURS} <= needed


@pytest.mark.django_db
def test_what_the_steps_replace_is_recorded_with_them() -> None:
    with simulated() as database:
        applied = MigrationRecorder(database).applied_migrations()
        assert {node for migration in in_one_step().values() for node in migration.replaces} <= applied.keys()


@pytest.mark.django_db
def test_by_whom_it_is_decided_is_not_forgotten_on_the_way_back() -> None:
    before = [("agents", "0022_same_people")]
    with simulated() as database:
        Team.objects.update(resuming="careful")
        tables = set(database.introspection.table_names())
        for wanted in (before, [("approvals", "0006_in_a_stead")]):
            with pytest.raises(IrreversibleError, match="of 'dev', and this would forget it: an administrator takes it out"):
                MigrationExecutor(database).migrate(wanted)
        assert set(database.introspection.table_names()) == tables  # also what people have said of proposals
        assert Team.objects.get().resuming == "careful"
        Team.objects.update(resuming="")
        MigrationExecutor(database).migrate(before)
        assert "resuming" not in {column.name for column in database.introspection.get_table_description(database.cursor(), "agents_team")}
