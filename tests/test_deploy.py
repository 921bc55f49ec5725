"""What deploy/ says is so: files, commands, ports and variables that it names are there, and what the image holds is enough to work with."""

import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class
from django.test import Client
from gunicorn.config import Config

from orchestra_site import env, listening
from tests.documents import ROOT

CONTAINERFILE = (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "orchestra"}
SERVING = [name for name, service in OURS.items() if service["command"][0] == "gunicorn"]
SAID = {
    "POSTGRES_PASSWORD": "word",
    "ORCHESTRA_SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests",
    "ORCHESTRA_ALLOWED_HOSTS": "a.example.com",
}


def copied() -> list[str]:
    return [source for line in re.findall(r"^COPY (.+) \./\S*$", CONTAINERFILE, re.MULTILINE) for source in line.split()]


def filled(value: str) -> str:
    """As whoever starts the file fills it in; what it must be told is a KeyError here."""
    return re.sub(r"\$\{(\w+):([?-])([^}]*)\}", lambda found: SAID[found[1]] if found[2] == "?" else SAID.get(found[1], found[3]), value)


def environment_of(name: str) -> dict[str, str]:
    return {variable: filled(value) for variable, value in OURS[name]["environment"].items()}


def serving(name: str) -> Any:
    """The options of a web server, as gunicorn reads them."""
    return Config().parser().parse_args(OURS[name]["command"][1:])


def test_the_image_holds_only_what_is_there_and_its_build_sees_nothing_else() -> None:
    assert [source for source in copied() if not (ROOT / source).exists()] == []
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*" and {line[1:] for line in lines if line.startswith("!")} == set(copied())


def test_every_variable_is_one_that_is_read() -> None:
    named = set(re.findall(r"\bORCHESTRA_[A-Z_]+", COMPOSE + CONTAINERFILE))
    assert named and named <= env.KNOWN


@pytest.mark.parametrize("name", [name for name in OURS if name not in SERVING])
def test_every_command_is_understood(name: str) -> None:
    python, file, command, *options = OURS[name]["command"]
    assert (python, file) == ("python", "manage.py")
    parser = load_command_class(get_commands()[command], command).create_parser("manage.py", command)
    parser.called_from_command_line = False  # raise, don't exit
    parser.parse_args(options)


@pytest.mark.parametrize("name", SERVING)
def test_every_web_server_serves_what_is_there_where_its_port_leads(name: str) -> None:
    options = serving(name)
    module, _, application = options.args[0].partition(":")
    assert callable(getattr(import_module(module), application))
    [port] = OURS[name]["ports"]
    address, _, inside = filled(port).split(":")
    assert (address, options.bind) == ("127.0.0.1", [f"0.0.0.0:{inside}"])  # nobody else reaches it before somebody says so
    assert f"EXPOSE {inside}" in CONTAINERFILE


def test_the_health_check_asks_for_what_is_served(db: None) -> None:
    url = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", str(SERVICES["web"]["healthcheck"]["test"]))
    assert url is not None and f"0.0.0.0:{url[1]}" in serving("web").bind
    assert Client().get(url[2]).status_code == 200


def test_who_watches_leaves_threads_to_others_and_all_threads_find_a_connection() -> None:
    assert int(environment_of("streaming")["ORCHESTRA_WATCHERS"]) < serving("streaming").threads
    assert sum(options.threads * options.workers for options in map(serving, SERVING)) <= 75  # of PostgreSQL's hundred; the rest are workers'


@pytest.mark.slow
def test_what_the_image_holds_is_enough_to_run_a_pipeline(tmp_path: Path) -> None:
    for source in copied():
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy2
        copy(ROOT / source, tmp_path / source)
    settings = {name: value for name, value in environment_of("worker").items() if not name.endswith("_URL")}  # its own SQLite file, and no Redis
    others = {name: value for name, value in os.environ.items() if not name.startswith(("ORCHESTRA_", "DJANGO_", "PYTHONPATH"))}
    script = """
    python manage.py migrate --no-input --verbosity 0
    python manage.py new pipeline mine
    python manage.py apply -f mine --publish
    python manage.py runpipeline mine --input file=mine/orders.csv
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-euc", script],
        cwd=tmp_path,
        env={**others, **settings, "ORCHESTRA_HOME": str(tmp_path / "home"), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verified" in done.stdout


def test_serving_says_its_address_once_it_listens(project_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = (project_folder / "Makefile").read_text(encoding="utf-8").partition("\nserve: ")[2].partition("\n\n")[0]
    assert "Orchestra is at" not in recipe and "--config python:orchestra_site.listening " in recipe
    read = Config()
    read.set("when_ready", listening.when_ready)  # as gunicorn takes it from there
    read.when_ready(SimpleNamespace(LISTENERS=["http://127.0.0.1:8000"]))
    assert capsys.readouterr().out == "Orchestra is at http://127.0.0.1:8000/admin/ (Ctrl-C ends it)\n"
