"""Fills an installation for the browser's stories with real runs and people; says on stdout, as JSON, where things are and how to sign in.

Run by path in a process of its own, with ORCHESTRA_HOME set.
"""

# ruff: noqa: E402 - Django is set up before its models are imported

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]
os.environ["DJANGO_SETTINGS_MODULE"] = "orchestra_site.settings"

import django

django.setup()

from agents import registry
from runs.models import Run
from tests import pipelines
from tests.browser.stories import HOSTILE
from tests.doors import world
from tests.pipelines import SYSTEM, agent

WORK = f"""
import time
import orchestra

def read(**_) -> dict:
    return {{"items": [1, 2, 3]}}

def look(item: int = 0, **_) -> dict:
    if item == 3:
        raise orchestra.Missing("segment 3 isn't there: the feed ends at 2")
    return {{"seen": item}}

def shout(**_) -> dict:
    raise ValueError({HOSTILE!r})

def wait(**_) -> dict:
    for second in range(600):
        orchestra.progress(str(second))
        time.sleep(1)
    return {{}}
"""
FAN = """
- {id: read, agent: reader}
- {id: scan, for_each: =steps.read.items, as: item, do: [{id: look, agent: finder, with: {item: =item}, retry: {max: 1, backoff: 100ms}}]}
- {id: end, agent: reader}
"""
READER = 'permissions: ["allow read feed:*", "allow call tool:fetch"]\nrisk_tier: low\naccountable: maria@example.com'


def publish(home: Path, name: str, *, steps: str, agents: list[str], draft: bool = False) -> None:
    folder = pipelines.folder(home / "made" / name, name=name, functions=WORK, agents=agents, steps=steps)
    registry.apply_folder(folder, actor=SYSTEM, publish=not draft)


def main() -> None:
    home = Path(os.environ["ORCHESTRA_HOME"])
    reader = agent("reader", "work:read", role="gather", more=READER)
    publish(home, "digest", steps=FAN, agents=[reader, agent("finder", "work:look")])
    publish(home, "fine", steps="- {id: only, agent: reader}", agents=[reader])
    publish(home, "fine", steps="- {id: only, agent: reader, timeout: 9s}", agents=[reader], draft=True)
    publish(home, "evil", steps="- {id: only, agent: shouter}", agents=[agent("shouter", "work:shout").replace("Test.", json.dumps(HOSTILE))])
    publish(home, "slow", steps="- {id: wait, agent: waiter}", agents=[agent("waiter", "work:wait", timeout="20m")])
    world.red(home / "made" / "red")
    runs: dict[str, Run] = {}
    for name in ("digest", "fine", "evil", "secret"):
        runs[name] = pipelines.start(name, input={"text": HOSTILE})
        pipelines.drive(runs[name])
    world.people()
    passwords = {name: registry.reset_password(name, actor=SYSTEM)[1] for name in world.PEOPLE}
    told = {"passwords": passwords, "runs": {name: str(run.id) for name, run in runs.items()}}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
