"""A served installation with real runs, and people at a browser: the system's own Chromium, never one that is downloaded.

Everything that touches the database happens in other processes: the browser's loop would refuse it in this one.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.stories import Person, Site
from tests.reached import ON_ANOTHER

ROOT = Path(__file__).resolve().parent.parent.parent
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"),
    "--disable-dev-shm-usage",
]
CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="there is no Chromium here; Debian's package is called chromium"))


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": ARGUMENTS}


def _environment(home: str, database: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORCHESTRA_", "DJANGO_"))}
    return {**kept, **database, "ORCHESTRA_HOME": home, "ORCHESTRA_LEASE_TTL_S": "3", "ORCHESTRA_HEARTBEAT_S": "1", "ORCHESTRA_CHILDREN": "2"}


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    """The setting that names the installation's database: nothing, which is SQLite, or a private PostgreSQL where the suite runs on one."""
    return {"ORCHESTRA_DATABASE_URL": request.getfixturevalue("private_postgresql").url} if ON_ANOTHER else {}


@pytest.fixture(scope="session")
def site(database: dict[str, str]) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="orchestra-browser-") as home:
        environment, port = _environment(home, database), _free_port()

        def manage(*words: str, status: int = 0) -> str:
            done = subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == status, done.stdout + done.stderr
            return done.stdout

        manage("migrate", "--verbosity", "0")
        seeded = subprocess.run([sys.executable, "tests/browser/seed.py"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert seeded.returncode == 0, seeded.stderr
        said = json.loads(seeded.stdout.strip().split("\n")[-1])
        command = [sys.executable, "-m", "gunicorn", "orchestra_site.wsgi:application", "--bind", f"127.0.0.1:{port}", "--threads", "4"]
        worker = [sys.executable, "manage.py", "worker", "--no-queue"]
        with _running([*command, "--log-level", "error"], environment), _running(worker, environment):
            _wait_for(f"http://127.0.0.1:{port}/admin/login/")
            yield Site(f"http://127.0.0.1:{port}", said["passwords"], said["runs"], manage, said["home"])


class _running:  # noqa: N801 - a context manager that reads as a sentence
    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _wait_for(url: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} did not answer within a minute")


@pytest.fixture
def somebody(browser: Browser, site: Site) -> Iterator[Callable[..., Person]]:
    """Makes people at browsers of their own; afterwards each must have noticed nothing amiss."""
    people: list[Person] = []

    def make(name: str | None = None, **options: Any) -> Person:
        context = browser.new_context(viewport={"width": 1400, "height": 900}, **options)
        context.set_default_timeout(20_000)
        person = Person(context.new_page(), site)
        people.append(person)
        return person if name is None else person.sign_in(name)

    yield make
    for person in people:
        person.check()
        person.page.context.close()
