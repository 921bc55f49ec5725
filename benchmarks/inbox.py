"""Orchestra's inbox of approvals as contestant: a hundred thousand open requests and as many that are over, then pages asked for by URL.

`inbox.py` with ORCHESTRA_HOME and ORCHESTRA_DATABASE_URL set. A round is {"page": name, "as": person}, answered as `copies.measure` does.
The requests of each of ten teams are copies of one that a real run of it waits for: opened within the last day, half of them under a policy
that escalates. The people: `root` administers and is asked nothing, `member` is asked by the first team, `author` by the second and has
published what it runs, so that nothing is theirs to decide; `few` is named by the policy of the last one in three, `outsider` belongs nowhere.
"""

# ruff: noqa: E402 - Django is set up before its models are imported

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "sdk")]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra_site.settings")

import django

django.setup()

from copies import id_at, insert, measure, values
from django.core.management import call_command
from django.db import connection, transaction

from agents import registry
from approvals.models import Approver, Request
from audit.actors import Actor
from orchestra_site.serving import get_ready
from runs.models import Run, Wait
from tests import approving, pipelines

ACTOR = Actor.system("shell")
TEAMS, BATCH = 10, 20_000
OPEN = int(os.environ.get("BENCH_REQUESTS", "100000"))
ENDED = OPEN
NAMED = 3
"""Requests of the last team that are put to `few` as well."""
AUTHORS = 1
"""The number of the team whose author is asked too."""
DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)


def prepare() -> None:
    call_command("migrate", verbosity=0, interactive=False)
    folder = Path(os.environ["ORCHESTRA_HOME"]) / "made"
    for name in ("root", "member", "author", "few", "outsider"):
        registry.create_person(name, actor=ACTOR, administrator=name == "root")
    originals = [_original(folder, number) for number in range(TEAMS)]
    registry.add_member("t0", "member", actor=ACTOR)
    with transaction.atomic():
        for first in range(0, ENDED + OPEN, BATCH):
            made = [_Copy(number, originals[number % TEAMS]) for number in range(first, min(first + BATCH, ENDED + OPEN))]
            for model, rows in ((Run, "run"), (Wait, "wait"), (Request, "request"), (Approver, "approvers")):
                insert(model, iter([row for each in made for row in getattr(each, rows)()] for _ in range(1)))
    if connection.vendor == "postgresql":  # it does so by itself within a minute, which nobody waits here; SQLite never does
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _original(folder: Path, number: int) -> Request:
    """A request that a real run of team `t<number>` waits for; the author publishes that of the second."""
    team, name = f"t{number}", f"release-{number}"
    silence = f"silence: {{escalate: {{approvers: {{teams: [{team}]}}, within: 7d}}}}"
    policy = f"kind: policy\nname: {name}\nteam: {team}\napprovers: {{teams: [{team}]}}\nwithin: 7d\n{silence}"
    more = f'uses: ["write deploy:{{input.feed}}"]\npermissions: ["{approving.RULE}{f" policy {name}" if number % 2 else ""}"]'
    worker = pipelines.agent(f"{name}-worker", "work:act", role="act", more=more)
    steps = f"- {{id: work, agent: {name}-worker, with: {{feed: =input.feed}}}}"
    made = pipelines.folder(folder / name, functions=approving.WORK, agents=[worker, *([policy] if number % 2 else [])], steps=steps, name=name)
    file = made / "pipeline.yaml"
    text = file.read_text(encoding="utf-8").replace("team: platform", f"team: {team}").replace("name: platform", f"name: {team}")
    file.write_text(text.replace("name: judge", f"name: {name}-judge").replace("agent: judge", f"agent: {name}-judge"), encoding="utf-8")
    registry.apply_folder(made, actor=ACTOR)
    if number == AUTHORS:
        registry.add_member(team, "author", actor=ACTOR)
    registry.apply_folder(made, actor=approving.actor("author") if number == AUTHORS else ACTOR, publish=True)
    run = pipelines.start(name, input={"feed": "production"})
    pipelines.drive(run)
    return approving.request_of(run)


class _Copy:
    """One request with its run and its wait; the first `ENDED` were answered days ago."""

    def __init__(self, number: int, original: Request) -> None:
        self.number, self.original, self.is_open = number, original, number >= ENDED
        place = number - ENDED if self.is_open else number
        self.at = NOW - (DAY if self.is_open else 10 * DAY) + timedelta(seconds=place * DAY.total_seconds() / OPEN)
        self.until = self.at + timedelta(days=7)

    def run(self) -> list[dict[str, Any]]:
        later = {"created_at": self.at, "started_at": self.at, "deadline_at": self.until, "lifetime_until": self.until, "wake_at": self.until}
        over = {"state": "finished", "outcome": "verified", "finished_at": self.at, "checked_at": self.at, "wake_at": None, "remaining_ms": None}
        return [values(self.original.wait.run) | later | {"id": id_at(self.at, self.number, 0)} | ({} if self.is_open else over)]

    def wait(self) -> list[dict[str, Any]]:
        row = values(self.original.wait) | {"id": id_at(self.at, self.number, 1), "run_id": id_at(self.at, self.number, 0)}
        row |= {"opened_at": self.at, "expires_at": self.until}
        over = {"state": "answered", "ended_at": self.at, "answered_by": "person:somebody", "answer_entry": row["failure_entry"]}
        return [row | ({} if self.is_open else over)]

    def request(self) -> list[dict[str, Any]]:
        row = values(self.original) | {"wait_id": id_at(self.at, self.number, 1)}
        return [row | {"watched": self.is_open, "look_at": self.until}]

    def approvers(self) -> list[dict[str, Any]]:
        asked = {"request_id": id_at(self.at, self.number, 1), "stage": 0}
        last = self.number % TEAMS == TEAMS - 1 and self.number >= ENDED + OPEN - NAMED * TEAMS
        people = [{**asked, "kind": Approver.PERSON, "name": "few"}] if last else []
        return [each | {"watched": self.is_open} for each in ({**asked, "kind": Approver.TEAM, "name": f"t{self.number % TEAMS}"}, *people)]


def _urls() -> dict[str, str]:
    newest = Request.objects.filter(wait__run__team__name="t0").latest("look_at")
    return {
        "mine": "/admin/approvals/request/",
        "open": "/admin/approvals/request/?shows=open",
        "ended": "/admin/approvals/request/?shows=ended",
        "overview": "/admin/",
        "rest_open": "/api/v1/approvals/?state=open",
        "rest_mine": "/api/v1/approvals/?state=open&mine=true",
        "rest_run": f"/api/v1/approvals/?run={newest.wait.run_id}",
    }


def main() -> None:
    prepare()
    get_ready()
    asked = [[page, person] for page in _urls() for person in ("root", "member", "author", "few", "outsider")]
    print(json.dumps({"ready": True, "requests": Request.objects.count(), "asked": asked}), flush=True)
    for line in sys.stdin:
        said = json.loads(line)
        print(json.dumps(measure(_urls()[said["page"]], said["as"])), flush=True)


if __name__ == "__main__":
    main()
