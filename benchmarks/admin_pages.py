"""Orchestra's admin as contestant: a hundred thousand runs and a million entries made by bulk statements, then pages asked for by URL.

`admin_pages.py` with ORCHESTRA_HOME and ORCHESTRA_DATABASE_URL set. A round is {"page": name, "as": person}; the answer is the median and the
95th percentile of twenty requests through Django's whole stack, in this process, and its processor time, which a busy machine changes little.
Rows are copies of one real run and read intact as it does; one in fifty is given another outcome than its entries say, and reads broken.
Ten thousand more are parked before their end, with what each waits for.
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
from agents.models import Agent, Pipeline, Team
from audit.actors import Actor
from audit.models import Entry, Opening
from orchestra_site.serving import get_ready
from runs.models import Call, Run, Step, Wait
from tests import pipelines

ACTOR = Actor.system("shell")
TEAMS, RUNS, ENTRIES = 10, int(os.environ.get("BENCH_RUNS", "100000")), int(os.environ.get("BENCH_ENTRIES", "1000000"))
WAITS = int(os.environ.get("BENCH_WAITS", "10000"))
"""Runs that wait: four in ten for a time, five for a signal, one for a word on a call. In the last team all wait for a time, but for three."""
AGENTS = 5
"""Of each team; each has a pipeline of its own."""
DAYS, BATCH = 30, 20_000
LONG = 20_000
"""Steps of the one long run."""
WORK = "def work(**_) -> dict:\n    return {'n': 1}\n"


def prepare() -> None:
    call_command("migrate", verbosity=0, interactive=False)
    folder = Path(os.environ["ORCHESTRA_HOME"]) / "made"
    for team in range(TEAMS):
        for number in range(AGENTS):
            _publish(folder, f"t{team}", f"p{team}-{number}")
    for name, teams in (("root", range(0)), ("member", range(1)), ("wide", range(3)), ("few", range(TEAMS - 1, TEAMS))):
        registry.create_person(name, actor=ACTOR, administrator=name == "root")
        for team in teams:
            registry.add_member(f"t{team}", name, actor=ACTOR)
    run = pipelines.start("p0-0")
    pipelines.drive(run)
    _multiply(Run.objects.get(pk=run.pk))
    _park(Run.objects.get(pk=run.pk))
    _lengthen(Run.objects.get(pk=run.pk))
    if connection.vendor == "postgresql":  # it does so by itself within a minute, which nobody waits here; SQLite never does
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _publish(folder: Path, team: str, name: str) -> None:
    worker = pipelines.agent(f"{name}-worker", "work:work")
    made = pipelines.folder(folder / name, functions=WORK, agents=[worker], steps=f"- {{id: only, agent: {name}-worker}}", name=name)
    file = made / "pipeline.yaml"
    text = file.read_text(encoding="utf-8").replace("team: platform", f"team: {team}").replace("name: platform", f"name: {team}")
    file.write_text(text.replace("name: judge", f"name: {name}-judge").replace("agent: judge", f"agent: {name}-judge"), encoding="utf-8")
    registry.apply_folder(made, actor=ACTOR, publish=True)


# --- many from one ------------------------------------------------------------------------------------------------------------------


def _multiply(run: Run) -> None:
    """Copies of the run under every pipeline, spread over the last thirty days, oldest first as they would have been written."""
    entries = list(Entry.objects.filter(run=run.pk).order_by("seq"))
    steps = list(Step.objects.filter(run=run).order_by("id"))
    openings = list(Opening.objects.filter(entry=entries[-1].id))
    owners = list(Pipeline.objects.order_by("name").select_related("current_release"))
    spare = max(ENTRIES - RUNS * len(entries), 0) // RUNS  # more entries than the real run had: copies of its first, without a seq
    with transaction.atomic():
        for start in range(0, RUNS, BATCH):
            places = [_Place(number, owners[number % len(owners)]) for number in range(start, min(start + BATCH, RUNS))]
            insert(Run, ([place.run_of(run)] for place in places))
            insert(Step, ([place.step_of(step) for step in steps] for place in places))
            insert(Entry, (place.entries_of(run, entries, spare) for place in places))
            insert(Opening, (place.openings_of(entries, openings) for place in places))


def _park(run: Run) -> None:
    """Copies without their last entry, begun within the last week, and what each waits for; whatever the last team waits for, ends last."""
    entries = list(Entry.objects.filter(run=run.pk).order_by("seq"))[:-1]
    call = Call.objects.filter(run=run.pk)[0]
    owners = list(Pipeline.objects.order_by("name").select_related("current_release"))
    places = [_Parked(number, owners[number % len(owners)]) for number in range(WAITS)]
    with transaction.atomic():
        insert(Run, ([place.run_of(run) | {"seq": len(entries)}] for place in places))
        insert(Entry, (place.entries_of(run, entries, 0) for place in places))
        insert(Call, (place.calls_of(call) for place in places))
        insert(Wait, ([place.wait_of()] for place in places))


def _lengthen(run: Run) -> None:
    """The real run gets the steps of a fan, copies of its own, of which a hundredth has failed."""
    (worked,) = Step.objects.filter(run=run, judges=False)
    row = values(worked)
    del row["id"]
    broken = {"state": "failed", "result_entry": None, "result_fence": None, "result_digest": "", "failure_cause": "missing"}
    rows = [row | {"key": f"each/{number}/look"} | (broken if number % 100 == 7 else {}) for number in range(LONG)]
    insert(Step, iter([rows]))


class _Place:
    """One copy: its instant, its ids, its owner."""

    def __init__(self, number: int, owner: Pipeline) -> None:
        self.number, self.owner = number, owner
        self.at = BEGIN + timedelta(seconds=number * DAYS * 86_400 / RUNS)
        self.id = id_at(self.at, number, 0)

    def run_of(self, run: Run) -> dict[str, Any]:
        row = values(run)
        outcome = "rejected" if self.number % 5_000 == 1 else "verified" if self.number % 50 else "failed"
        return row | {
            "id": self.id, "pipeline_id": self.owner.pk, "release_id": self.owner.current_release_id, "team_id": self.owner.team_id,
            "outcome": outcome, "created_at": self.at, "started_at": self.at, "finished_at": self.at, "deadline_at": self.at,
            "checked_at": self.at, "input_entry": id_at(self.at, self.number, 1),
        }  # fmt: skip

    def step_of(self, step: Step) -> dict[str, Any]:
        row = values(step)
        del row["id"]
        agent = f"{self.owner.name}-{'judge' if step.judges else 'worker'}"
        return row | {"run_id": self.id, "agent": agent, "started_at": self.at, "finished_at": self.at}

    def entries_of(self, run: Run, entries: list[Entry], spare: int) -> list[dict[str, Any]]:
        made = [self._entry(run, entry, number, entry.seq) for number, entry in enumerate(entries, start=1)]
        return made + [self._entry(run, entries[0], 100 + number, None) for number in range(spare)]

    def _entry(self, run: Run, entry: Entry, number: int, seq: int | None) -> dict[str, Any]:
        new, text = id_at(self.at, self.number, number), bytes(entry.body).decode()
        text = text.replace(str(entry.id), str(new)).replace(str(run.id), str(self.id)).replace('"team":"t0"', f'"team":"{self.owner.team.name}"')
        text = text.replace(_text(entry.at), _text(self.at)).replace("p0-0-", f"{self.owner.name}-")
        if seq is None:
            text = text.replace('"seq":1,', '"seq":null,')
        agent = None if entry.agent is None else entry.agent.replace("p0-0", self.owner.name)
        subject = entry.subject.replace(str(run.id), str(self.id))
        changed = {"id": new, "at": self.at, "team": self.owner.team.name, "agent": agent, "subject": subject, "run": self.id, "seq": seq}
        return values(entry) | changed | {"body": text.encode()}

    def openings_of(self, entries: list[Entry], openings: list[Opening]) -> list[dict[str, Any]]:
        rows = [values(opening) | {"entry": id_at(self.at, self.number, len(entries))} for opening in openings]
        return [{name: value for name, value in row.items() if name != "id"} for row in rows]


class _Parked(_Place):
    """One copy that waits: its numbers follow those of the runs that have ended."""

    def __init__(self, number: int, owner: Pipeline) -> None:
        super().__init__(RUNS + number, owner)
        self.at = BEGIN + timedelta(days=DAYS - 6, seconds=number)
        self.id = id_at(self.at, self.number, 0)
        self.until = datetime.now(UTC) + timedelta(days=1, seconds=number)
        turn = number // (TEAMS * AGENTS) % 10
        self.kind = "timer" if turn < 4 else "signal" if turn < 9 else "unresolved"
        if owner.team.name == f"t{TEAMS - 1}":
            self.kind = "signal" if number >= WAITS - 3 else "timer"

    def run_of(self, run: Run) -> dict[str, Any]:
        open_still = {"outcome": None, "finished_at": None, "checked_at": None, "result_digest": "", "state": "waiting", "remaining_ms": 1_000}
        later = self.until + timedelta(days=1)
        return super().run_of(run) | open_still | {"wake_at": self.until, "deadline_at": later, "lifetime_until": later}

    def calls_of(self, call: Call) -> list[dict[str, Any]]:
        """Of one that waits for a word on it."""
        if self.kind != "unresolved":
            return []
        ids = {"key": f"key-{self.number}", "id": id_at(self.at, self.number, 2), "run_id": self.id, "agent": f"{self.owner.name}-worker"}
        said = {"state": "unresolved", "mode": "at_most_once", "not_after": self.at, "dispatched_at": self.at, "settled_at": self.at}
        return [values(call) | ids | said]

    def wait_of(self) -> dict[str, Any]:
        ids = {"id": id_at(self.at, self.number, 3), "run_id": self.id, "step": "only", "kind": self.kind}
        subject = {"signal": "payment", "unresolved": f"key-{self.number}", "timer": ""}[self.kind]
        times = {"opened_at": self.at, "expires_at": self.until, "look_at": None, "ended_at": None}
        nobody = {"failure_entry": None, "answer_entry": None, "answered_by": ""}
        return ids | times | nobody | {"subject": subject, "state": "open", "goes_on": False}


BEGIN = datetime.now(UTC).replace(microsecond=0) - timedelta(days=DAYS)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# --- pages --------------------------------------------------------------------------------------------------------------------------


def _urls() -> dict[str, str]:
    middle = BEGIN + timedelta(days=DAYS / 2)
    run = Run.objects.filter(team__name="t0", created_at__gte=middle).order_by("created_at").first()
    assert run is not None
    agent, pipeline = Agent.objects.get(name="p0-0-worker"), Pipeline.objects.get(name="p0-0")
    return {
        "runs_list": "/admin/runs/run/",
        "runs_middle": f"/admin/runs/run/?before={middle.isoformat().replace('+', '%2B')}~{run.id}",
        "runs_failed": "/admin/runs/run/?reads_as=failed",
        "runs_rejected": "/admin/runs/run/?reads_as=rejected",
        "runs_live": "/admin/runs/run/?reads_as=live",
        "runs_broken": "/admin/runs/run/?reads_as=broken",
        "runs_pipeline": "/admin/runs/run/?of=p0-0",
        "runs_pipeline_rejected": "/admin/runs/run/?of=p0-0&reads_as=rejected",
        "run_long": f"/admin/runs/run/{Run.objects.order_by('-created_at').values_list('pk', flat=True)[0]}/change/",
        "run_page": f"/admin/runs/run/{run.id}/change/",
        "entries_list": "/admin/audit/entry/",
        "entries_agent": "/admin/audit/entry/?q=p0-0-worker",
        "entries_person": "/admin/audit/entry/?q=person:member",
        "versions": "/admin/agents/version/",
        "releases": "/admin/agents/release/",
        "inventory": "/admin/agents/agent/",
        "agent_page": f"/admin/agents/agent/{agent.pk}/change/",
        "pipeline_page": f"/admin/agents/pipeline/{pipeline.pk}/change/",
        "overview": "/admin/",
        "waits_list": "/admin/runs/wait/",
        "team_page": f"/admin/agents/team/{Team.objects.get(name='t0').pk}/change/",
    }


def main() -> None:
    prepare()
    get_ready()
    asked = [[page, person] for page in _urls() for person in ("root", "member", "wide")] + [[page, "few"] for page in ("overview", "waits_list")]
    counted = {"runs": Run.objects.count(), "entries": Entry.objects.count(), "waits": Wait.objects.count(), "asked": asked}
    print(json.dumps({"ready": True, **counted}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(measure(_urls()[asked["page"]], asked["as"])), flush=True)


if __name__ == "__main__":
    main()
