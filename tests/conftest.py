"""What every test may ask for: three people, the clean database, the environment of a command.

Owns fixtures; data is made by tests/factories.py.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from agents.models import Team
from agents.registry import preparing
from tests import described, emptying, factories, servers
from tests.reached import (  # noqa: F401 - hooks: pytest finds them here
    ON_ANOTHER,
    pytest_configure,
    pytest_runtest_teardown,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)

ROOT = Path(__file__).resolve().parent.parent
# A browser's loop keeps the main thread: those tests run in a process of their own, `make browser`.
collect_ignore = [] if os.environ.get("ORCHESTRA_TEST_BROWSER") else ["browser"]

# No deadline: a shared machine pauses. Derandomised in the ordinary run, so that a change fails for what it changed;
# ORCHESTRA_TEST_PROFILE=nightly looks further.
hypothesis_settings.register_profile("ordinary", max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.register_profile("nightly", max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile(os.environ.get("ORCHESTRA_TEST_PROFILE", "ordinary"))


_ASK_A_DATABASE = frozenset({"db", "transactional_db", "live_server", "django_db_setup", "private_postgresql", "private_redis"})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a second database the whole suite is those tests that ask a database: to the others, more than half of it, it is all the same."""
    if not ON_ANOTHER or config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    asking = [item for item in items if item.get_closest_marker("django_db") or _ASK_A_DATABASE & set(getattr(item, "fixturenames", ()))]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(asking)])
    items[:] = asking


@pytest.fixture(autouse=True)
def _typed_by_nobody_in_particular(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a token of theirs in the shell."""
    monkeypatch.delenv("ORCHESTRA_TOKEN", raising=False)


@pytest.fixture
def alice(db: None) -> User:
    """Operates: member of the team 'platform'."""
    return factories.person("alice")


@pytest.fixture
def bob(db: None) -> User:
    """Approves: another member of the team 'platform', who starts nothing."""
    return factories.person("bob")


@pytest.fixture
def charlie(db: None) -> User:
    """An outsider, who must see nothing."""
    return factories.person("charlie")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """As after any flush: no team is there but those that a test makes. What a fresh installation has is made where that is tested."""
    with django_db_blocker.unblock():
        Team.objects.filter(name="dev").delete()


@pytest.fixture(scope="session", autouse=True)
def _quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", emptying.empty_database)
        patch.setattr(preparing, "_describe", described.once(preparing._describe))
        yield


@pytest.fixture
def shell_environment(transactional_db: None) -> dict[str, str]:
    """The environment in which `manage.py` (run with sys.executable, in the folder `project_folder`) meets this test's database."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRA_TEST_")},
        "DJANGO_SETTINGS_MODULE": "orchestra_site.settings",
        "ORCHESTRA_HOME": str(settings.ORCHESTRA_HOME),
        "ORCHESTRA_DATABASE_URL": _database_url(),
    }


def _database_url() -> str:
    of = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{of['NAME']}"
    return f"postgresql://{quote(of['USER'], '')}:{quote(of['PASSWORD'], '')}@{of['HOST']}:{of['PORT']}/{of['NAME']}"


@pytest.fixture
def project_folder() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def private_postgresql() -> Iterator[servers.Server]:
    """A PostgreSQL for a test that needs one whatever the suite runs on."""
    if reason := servers.why_no_postgresql():
        pytest.skip(reason)
    with servers.postgresql(durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def private_redis() -> Iterator[servers.Server]:
    if reason := servers.why_no_redis():
        pytest.skip(reason)
    with servers.redis_server() as server:
        yield server
