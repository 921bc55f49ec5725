"""Fills an installation for the browser's stories with real runs and people; says on stdout, as JSON, where things are and how to sign in.

Run by path in a process of its own, with ORCHESTRA_HOME set.
"""

# ruff: noqa: E402 - Django is set up before its models are imported

import json
import os
import shutil
import sys
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]
os.environ["DJANGO_SETTINGS_MODULE"] = "orchestra_site.settings"

import django

django.setup()

from agents import registry
from audit import clock
from audit.actors import Actor
from runs import services
from runs.models import Call, Run
from tests import pipelines, waiting
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
WOVEN = f"""
- id: outer
  parallel:
    left:
      - id: inner
        parallel: {{{"upper_" * 6}half: [{{id: {"a_step_with_a_long_name_" * 2}x, agent: reader}}], lower: [{{id: low, agent: reader}}]}}
    right: [{{id: alone, agent: reader}}]
"""
LETTERS = """
kind: team
name: letters
publishing: two-eyes
---
kind: policy
name: two-eyes
team: letters
approvers: {teams: [letters]}
within: 2h
---
kind: model
name: recorded
team: letters
provider: scripted
model: recorded
endpoint: replies.json
---
kind: agent
name: reminder
team: letters
role: decide
purpose: Remind customers of what they owe.
run: {model: {alias: recorded, instructions: remind.md}}
input: {type: object}
output: {type: object, required: [text], properties: {text: {type: string}}}
timeout: 20s
permissions: ["allow call model:recorded"]
"""
READER = 'permissions: ["allow read feed:*", "allow call tool:fetch"]\nrisk_tier: low\naccountable: maria@example.com'


def publish(home: Path, name: str, *, steps: str, agents: list[str], draft: bool = False) -> None:
    folder = pipelines.folder(home / "made" / name, name=name, functions=WORK, agents=agents, steps=steps)
    registry.apply_folder(folder, actor=SYSTEM, publish=not draft)


def waiting_runs(home: Path) -> dict[str, Run]:
    """What alice started: one that waits for a signal, one for a word on its call, one for an approval; and one that undid what it did."""
    alice = Actor(kind="person", id="alice", auth="session", teams=frozenset({"platform"}))
    evil = f"description: {json.dumps(HOSTILE)}"
    contract = f"{{type: object, required: [amount], properties: {{amount: {{type: integer, {evil}}}, note: {{type: string}}}}}}"
    step = f"- {{id: paid, wait: {{signal: payment, timeout: 2d, output: {contract}}}}}"
    parts = {"agents": waiting.agents(), "functions": waiting.WORK}
    pipelines.publish(home / "made" / "orders", name="orders", steps=f"{step}\n{waiting.WORKED}", **parts)
    later = "- {id: later, wait: {signal: someday, timeout: 2d}}\n- {id: work, agent: worker, with: {got: =steps.later}}"
    pipelines.publish(home / "made" / "shelved", name="shelved", steps=later, **parts)
    pipelines.publish(home / "made" / "payouts", name="payouts", steps="- {id: pay, agent: payer, with: {text: =input.text}}", **parts)
    flight = f"- {{id: flight, agent: booker, with: {{what: flight}}, {waiting.UNDO % 'flight'}}}"
    steps = f"{flight}\n- {{id: hotel, agent: booker, with: {{what: hotel}}}}\n- {{id: pay, agent: loser, with: {{}}}}"
    pipelines.publish(home / "made" / "trips", name="trips", steps=steps, **parts)
    inputs: dict[str, dict[str, str]] = {name: {"text": HOSTILE} for name in ("orders", "payouts", "trips", "shelved")}
    inputs["deployment"] = deploying(home)
    runs = {name: services.start_run(pipeline=name, input=given, actor=alice, ring=False) for name, given in inputs.items()}
    for run in runs.values():
        pipelines.drive(run)
    Call.objects.filter(run=runs["payouts"]).update(not_after=clock.now() - timedelta(minutes=1))
    return runs


def deploying(home: Path) -> dict[str, str]:
    """The deployer of the examples, whose policy asks bob too and lets him edit; and what alice would deploy through a link."""
    folder = home / "made" / "deployer"
    shutil.copytree(ROOT / "examples" / "deployer", folder)
    file = folder / "pipeline.yaml"
    asks = "approvers: {teams: [platform]}"
    text = file.read_text(encoding="utf-8")
    assert asks in text
    file.write_text(text.replace(asks, "approvers: {teams: [platform], people: [bob]}\nedits: true"), encoding="utf-8")
    registry.apply_folder(folder, actor=SYSTEM, publish=True)
    (home / "environments").mkdir()
    (home / "link").symlink_to("environments")
    return {"build": str(folder / "build"), "environment": "production", "root": str(home / "link")}


def reviewed(home: Path) -> None:
    """Team letters, whose policy asks its members before something is published; and a milder prompt that alice has stored as a draft."""
    folder, prompt = home / "made" / "letters", home / "made" / "letters" / "remind.md"
    folder.mkdir()
    (folder / "letters.yaml").write_text(LETTERS, encoding="utf-8")
    (folder / "replies.json").write_text('{"otherwise": [{"value": {"text": "Dear customer"}}]}', encoding="utf-8")
    prompt.write_text("Remind whoever has not paid.\nName the sum and the day.\n", encoding="utf-8")
    registry.apply_folder(folder, actor=SYSTEM, publish=True)
    for name in ("alice", "bob"):
        registry.add_member("letters", name, actor=SYSTEM)
    prompt.write_text(f"Remind whoever has not paid, kindly.\nName the sum and the day.\n{HOSTILE}\n", encoding="utf-8")
    registry.apply_folder(folder, actor=Actor(kind="person", id="alice", auth="session", teams=frozenset({"platform", "letters"})))


def main() -> None:
    home = Path(os.environ["ORCHESTRA_HOME"])
    reader = agent("reader", "work:read", role="gather", more=READER)
    publish(home, "digest", steps=FAN, agents=[reader, agent("finder", "work:look")])
    for name in ("fine", "neat"):
        publish(home, name, steps="- {id: only, agent: reader}", agents=[reader])
        publish(home, name, steps="- {id: only, agent: reader, timeout: 9s}", agents=[reader], draft=True)
    publish(home, "evil", steps="- {id: only, agent: shouter}", agents=[agent("shouter", "work:shout").replace("Test.", json.dumps(HOSTILE))])
    publish(home, "woven", steps=WOVEN, agents=[reader])
    publish(home, "slow", steps="- {id: wait, agent: waiter}", agents=[agent("waiter", "work:wait", timeout="20m")])
    world.red(home / "made" / "red")
    runs: dict[str, Run] = {}
    for name in ("digest", "fine", "evil", "secret"):
        runs[name] = pipelines.start(name, input={"text": HOSTILE})
        pipelines.drive(runs[name])
    world.people()
    for name in ("carol", "cleo"):
        registry.create_person(name, actor=SYSTEM)
        registry.add_member("platform", name, actor=SYSTEM)
    registry.add_to_group("compliance", "cleo", actor=SYSTEM)
    registry.create_person("ruth", actor=SYSTEM)
    registry.add_member("red", "ruth", actor=SYSTEM)
    reviewed(home)
    runs |= waiting_runs(home)
    passwords = {name: registry.reset_password(name, actor=SYSTEM)[1] for name in (*world.PEOPLE, "carol", "cleo", "ruth")}
    told = {"home": str(home), "passwords": passwords, "runs": {name: str(run.id) for name, run in runs.items()}}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
