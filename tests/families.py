"""Pipelines that run other pipelines, for tests: folders of several, and what to look at in their runs."""

from pathlib import Path
from typing import Any

from agents import registry
from audit import reports
from runs.models import Run
from tests import pipelines
from tests.pipelines import agent

WORK = """
import orchestra, time
from pathlib import Path

def double(n: int) -> dict:
    return {"n": 2 * n}

def use(got: object = None) -> dict:
    return {"got": got}

def fail(lie: bool = False, unclear: bool = False) -> dict:
    if lie or unclear:
        return {"lie": lie, "unclear": unclear}
    raise ValueError("no luck")

def slow(log: str) -> dict:
    Path(log).touch()
    orchestra.progress("slow")
    for _ in range(600):
        if Path(log + ".go").exists():
            return {"slow": True}
        time.sleep(0.1)
    return {}
"""
AGENTS = [
    agent("doubler", "work:double"),
    agent("user", "work:use"),
    agent("loser", "work:fail"),
    agent("slow", "work:slow", timeout="60s"),
    agent("actor", "work:use", role="act"),
]
JUDGED = "verify: {agent: judge, with: {claim: =result}}"
ROOT = ("- {id: sub, pipeline: inner, with: {n: =input.n}}", "- {id: after, agent: user, with: {got: =steps.sub}}")


def pipeline(name: str, *steps: str, more: str = "", takes: str = pipelines.ANY, team: str = "platform", verify: str = JUDGED) -> str:
    listed = "\n".join(f"  {step}" for step in steps)
    return f"kind: pipeline\nname: {name}\nteam: {team}\ninput: {takes}\nsteps:\n{listed}\n{verify}\n{more}".rstrip()


INNER = pipeline("inner", "- {id: twice, agent: doubler, with: {n: =input.n}}")


def folder(path: Path, *documents: str, steps: tuple[str, ...] = ROOT, agents: tuple[str, ...] = (), **more: Any) -> Path:
    """The pipeline `sample` of these steps, with the documents of those that it runs."""
    return pipelines.folder(path, steps="\n".join(steps), agents=[*AGENTS, *agents, *documents], functions=WORK, **more)


def publish(path: Path, *documents: str, **parts: Any) -> None:
    registry.apply_folder(folder(path, *documents, **parts), actor=pipelines.SYSTEM, publish=True)


def child_of(run: Run) -> Run:
    return Run.objects.get(parent_run=run)


def generations(run: Run) -> list[Run]:
    """A run, its only child, the only child of that one and so on."""
    found = [run]
    while children := list(Run.objects.filter(parent_run=found[-1])):
        found += children
    return found


def verbs(run: Run) -> list[str]:
    return [entry["verb"] for entry in reports.entries_of(run.id)]
