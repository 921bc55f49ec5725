"""Two teams with pipelines of the same shape, people of every kind, and the admin as each of them sees it."""

import textwrap
from pathlib import Path

from django.contrib.auth.models import User
from django.test import Client

from agents import registry
from runs.models import Run
from tests import pipelines
from tests.pipelines import SYSTEM, agent

PEOPLE = ("alice", "bob", "charlie", "dora", "root")
WORK = "def work(**_) -> dict:\n    return {'n': 1}\n\ndef fail(**_) -> dict:\n    raise ValueError('no')\n"
STEPS = "- {id: only, agent: worker}"


def platform(path: Path, *, function: str = "work", more: str = "") -> None:
    """Team platform with the pipeline `sample` and its agent `worker`."""
    pipelines.publish(path, functions=WORK, agents=[agent("worker", f"work:{function}", more=more)], steps=STEPS)


def red(path: Path) -> None:
    """Team red, of which only the administrator and the auditor know: pipeline `secret`, agent `hidden`."""
    folder = pipelines.folder(path, functions=WORK, agents=[agent("hidden", "work:work")], steps="- {id: only, agent: hidden}", name="secret")
    file = folder / "pipeline.yaml"
    text = file.read_text(encoding="utf-8").replace("platform", "red").replace("name: judge", "name: umpire").replace("agent: judge", "agent: umpire")
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    registry.apply_folder(folder, actor=SYSTEM, publish=True)


def people() -> dict[str, Client]:
    """alice belongs to platform, bob may look at it, charlie is an outsider, dora sees everything, root administers."""
    for name in PEOPLE:
        registry.create_person(name, actor=SYSTEM, administrator=name == "root")
    registry.add_member("platform", "alice", actor=SYSTEM)
    registry.show_team("platform", "bob", actor=SYSTEM)
    registry.permit_person("dora", "see-everything", allowed=True, actor=SYSTEM)
    return {name: signed_in(name) for name in PEOPLE}


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def runs_of_both(path: Path) -> tuple[Run, Run]:
    platform(path / "platform")
    red(path / "red")
    found = [pipelines.start("sample"), pipelines.start("secret")]
    for run in found:
        pipelines.drive(run)
    return found[0], found[1]
