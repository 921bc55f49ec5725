"""Who asks how runs do, and runs of two teams to ask about."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from orchestra_site.health.metrics import COLLECTOR
from runs.models import Run
from tests.doors import world
from tests.doors.watching import TOKEN


@pytest.fixture
def asks(settings: Any) -> Client:
    """Somebody who has nothing but what a request says."""
    settings.ORCHESTRA_MONITOR_TOKEN = TOKEN
    COLLECTOR.forget()
    return Client()


@pytest.fixture
def both(transactional_db: None, tmp_path: Path) -> tuple[Run, Run]:
    """A verified run of team platform, and one of team red."""
    found = world.runs_of_both(tmp_path)
    for run in found:
        run.refresh_from_db()
    return found
