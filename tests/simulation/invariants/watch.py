"""When each rule is asked: after a commit, whenever nothing is ready, and at the end."""

import sqlite3
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from audit import reports
from runs import services, store
from runs.engine import planner
from runs.engine.states import SPREAD
from runs.models import Run
from tests.runs.engine.random_runs import ABSENT, Model

from .calls import CallRules
from .runs import RunRules
from .seeing import FINISHED, LIVE, OPEN, UNDO, Row
from .steps import StepRules
from .undoing import UndoRules
from .waits import WaitRules

if TYPE_CHECKING:
    from tests.simulation.world import World


class Watch(RunRules, StepRules, WaitRules, UndoRules, CallRules):
    """One world's."""

    # --- after a commit ---

    def committed(self, writer: int) -> None:
        """`writer`: the number of the process, or that of a door."""
        runs = {row["id"]: row for row in self._read("SELECT * FROM runs_run")}
        for key, row in runs.items():
            before, above = self.runs.get(key), runs.get(row["parent_run_id"] or "")
            if before is None or tuple(before) != tuple(row):
                self._run(before, row, writer)
            if before is None and above is not None:
                self._begins_below(row, above, writer)
            elif above is not None and before is not None and row["state"] == "finished" != before["state"]:
                self._ends_below(row, above)
        entries = self._read("SELECT rowid, verb, actor, run, seq, subject, body FROM audit_entry WHERE rowid > ? ORDER BY rowid", self.read_to)
        if entries:
            self.read_from, self.read_to = self.read_to, entries[-1]["rowid"]
            self._rows(runs, entries, writer)
        self.runs = runs
        self._stops()
        self.live = {key: _utc(row["deadline_at"], self.world) for key, row in runs.items() if row["state"] in LIVE}

    def _rows(self, runs: dict[str, Row], entries: list[sqlite3.Row], writer: int) -> None:
        steps = {(row["run_id"], row["key"]): row for row in self._read("SELECT * FROM runs_step")}
        calls = {row["key"]: row for row in self._read("SELECT * FROM runs_call")}
        waits = {row["id"]: row for row in self._read("SELECT * FROM runs_wait")}
        for entry in entries:
            if entry["run"] is not None:
                self._entry(entry, runs[entry["run"]], writer)
        for wait, now in _changed(self.waits, waits):
            self._wait(self.waits.get(wait), now, runs)
        for place, now in _changed(self.steps, steps):
            self._step(self.steps.get(place), now, runs[now["run_id"]], writer)
            if now["key"].startswith(UNDO) and place not in self.steps:
                mine = {key: row for (name, key), row in steps.items() if name == now["run_id"]}
                self._undoes(now, mine, self._pipeline(runs[now["run_id"]]))
        for key, now in _changed(self.calls, calls):
            self._call(self.calls.get(key), now, runs[now["run_id"]], steps, writer)
        self.steps, self.calls, self.waits = steps, calls, waits
        told = {entry["run"] for entry in entries if entry["run"] is not None}
        for key in sorted(told | {runs[run]["parent_run_id"] for run in told if runs[run]["parent_run_id"] is not None}):
            self._account(runs[key])
            self._shape(runs[key])

    def _shape(self, run: Row) -> None:
        """If all of a node's predecessors are done and the run lives, the node exists; what has finished has nothing open."""
        mine = self._steps_of(run["id"])
        self._must(run["seq"] == self.heads[run["id"]][0], "the row names its last event", run["id"])
        is_told = self.heads[run["id"]][2] == FINISHED
        self._must((run["state"] == "finished") == is_told, "one finishing event, and the row says the same", run["id"])
        self._waiting(run, mine, [row for row in self.waits.values() if row["run_id"] == run["id"]])
        self._family(run)
        if run["state"] == "finished":
            self._must(not any(row["state"] in OPEN for row in mine.values()), "a finished run has nothing open", run["id"])
            self._accounted(run, mine)
        undoes = any(key.startswith(UNDO) for key in mine)
        begun = run["state"] in ("running", "waiting") and run["started_at"] is not None
        if begun and not undoes and run["trigger"] != SPREAD:
            lives_on_ms = (run["lifetime_until"] - self._now) / timedelta(milliseconds=1)
            self._must(
                Model(self._play(run, mine), lives_on_ms=lives_on_ms).status != ABSENT, "what can go on exists", f"{run['id']}: {sorted(mine)}"
            )

    def _play(self, run: Row, mine: Mapping[str, Row]) -> Any:
        """As the second opinion on the rows takes them."""
        plan, _ = store.plan_of(UUID(run["release_id"]))
        plan = planner.verification_only(plan) if run["reverifies_id"] else plan
        given = self._given(run)
        steps = {key: SimpleNamespace(step=SimpleNamespace(state=row["state"])) for key, row in mine.items()}
        return SimpleNamespace(rows=SimpleNamespace(steps=steps, run=SimpleNamespace(input=given), plan=plan))

    # --- when nothing is ready ---

    def idle(self) -> None:
        for process in self._lively():
            self._at_work(process)
            self._feels(process)
        self._writes_what_was_answered()
        self._orphans()

    def _lively(self) -> list[Any]:
        """Processes that have nothing in hand: whatever they should do by now they have done."""
        return [each for each in self.world.processes if each.alive and not each.busy and not each.jobs and each.stopped_until <= self.world.seconds]

    def _at_work(self, process: Any) -> None:
        for run in process.engine._driving:
            driver, row = process.engine._drivers[run], self.runs[run.hex]
            running = {key for key in driver.snapshot.open if driver.snapshot.steps[key].state == "running"}
            if driver.inbox.empty() and not driver.finished:
                self._must(all(key in driver.performing for key in running), "what runs is in somebody's hands", f"{sorted(running)} of {run}")
            current = (driver.seen.fence, driver.seen.revision) == (row["fence"], row["revision"])
            self._must(not current or row["state"] != "waiting", "a run that waits holds no worker", f"{run} is driven by {process.number}")

    # --- at the end ---

    def at_the_end(self) -> None:
        runs = list(Run.objects.all())
        broken = [run for run, is_so in services.held_whole(runs).items() if is_so != "intact"]
        self._must(not broken, "a finished run is what its ledger says", str(broken))
        for run in runs:
            self._must(not (problems := reports.chain_problems(run.id)), "the ledger's chain holds", str(problems))
            self._must(run.reserved_nano == 0, "at the end nothing is reserved", str(run.id))
        for process in self._lively():
            taken = process.engine.tools.boundary.children._taken
            self._must(bool(process.engine._driving) or not taken, "places are given back", f"{len(taken)} are taken")
        self._must(not any(row["state"] == "open" for row in self.waits.values()), "at the end nobody waits", str(len(self.waits)))
        self._writes_what_was_answered()
        self._acts_at_most_once()
        self.raise_if_broken()


def _changed(before: Mapping[Any, Row], after: Mapping[Any, Row]) -> list[tuple[Any, Row]]:
    return [(key, row) for key, row in after.items() if key not in before or tuple(before[key]) != tuple(row)]


def _utc(instant: datetime, world: "World") -> datetime:
    return instant.replace(tzinfo=world.now().tzinfo)
