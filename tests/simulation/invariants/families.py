"""What must hold of a run that a step of another run has started, and of the run above it: place, share, clock, end, and who still waits for it."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from audit import canonical
from runs.engine.states import SPREAD

from .seeing import LIVE, WRITES_FAIL, Row, Seeing

SWEPT_WITHIN_S = 4.0
"""Engines sweep every three seconds."""


class FamilyRules(Seeing):
    """`_begins_below`, `_ends_below` look at a child's row, `_family` at a run that has changed, `_orphans` whenever nothing is ready."""

    def _begins_below(self, row: Row, above: Row, writer: int) -> None:
        what, node = f"{row['id']}, {row['parent_step']} of {above['id']}", self._node_of(above, row["parent_step"])
        earlier = self.runs[above["id"]]
        self._must(self.holders.get(above["id"]) == writer, "a child is started by the holder of the run above", what)
        at_work = earlier["state"] in LIVE and earlier["cancel_requested_at"] is None and above["state"] != "finished"
        self._must(at_work and row["created_at"] < earlier["deadline_at"], "only what lives and is in time starts a child", what)
        root = above["root_run_id"] or above["id"]
        self._must((row["root_run_id"], row["depth"]) == (root, above["depth"] + 1), "a child stands in its place", what)
        if row["trigger"] == SPREAD:
            self._begins_a_share(row, above, what)
        else:
            pinned = self.world.scenario.manifests[self._pipeline(above)]["pipelines"][node["pipeline"]]
            said = self._read("SELECT digest FROM agents_release WHERE id = ?", row["release_id"])[0]["digest"]
            self._must(said == pinned["release"], "a child is what was pinned above", what)
            self._must(row["input_digest"] == canonical.digest(node["with"]), "a child is given what its node says", what)
        self._must(row["deadline_at"] <= earlier["deadline_at"], "a child's first deadline is not later than that of the run above", what)
        self._must(row["lifetime_until"] <= above["lifetime_until"], "no child outlives the lifetime of the run above", what)

    def _begins_a_share(self, row: Row, above: Row, what: str) -> None:
        """Some items of a loop of the run above, by the same release; no two runs do the same one."""
        self._must(row["release_id"] == above["release_id"], "a share is done by the release of the run above", what)
        told, items = self._given(row), self._given(above)["list"]
        first, last = map(int, row["parent_step"].rpartition("/")[2].split("-"))
        self._must(told["items"] == items[first : last + 1] and told["first"] == first, "a share is given its own items", what)
        self._must(told["of"] == len(items), "a share knows of how many items it is a part", what)
        loop = row["parent_step"].rpartition("/")[0]
        beside = [each["parent_step"] for each in self._read("SELECT parent_step FROM runs_run WHERE parent_run_id = ?", above["id"])]
        shares = [each.rpartition("/")[2].split("-") for each in beside if each.rpartition("/")[0] == loop]
        done_by = [item for start, end in shares for item in range(int(start), int(end) + 1)]
        self._must(len(done_by) == len(set(done_by)), "no item is done by two runs", f"{shares} of {above['id']}")

    def _ends_below(self, row: Row, above: Row) -> None:
        """In the transaction in which it ends: whoever waits for it is answered, unless that run is at its end itself."""
        waits = self._read("SELECT * FROM runs_wait WHERE run_id = ? AND step = ? AND state = 'open'", above["id"], row["parent_step"])
        over = above["state"] == "finished" or above["cancel_requested_at"] is not None or above["deadline_at"] <= self._now
        self._must(over or not waits, "an ended child answers the run above", f"{row['parent_step']} of {above['id']} waits on")
        self._must(above["state"] != "waiting" or over or bool(self._open_waits(above["id"])), "an answered run goes on", above["id"])

    def _family(self, run: Row) -> None:
        """A run with the runs that it has started."""
        children = self._read("SELECT * FROM runs_run WHERE parent_run_id = ?", run["id"])
        waits = {wait["step"]: wait for wait in self._open_waits(run["id"]) if wait["kind"] == "remote"}
        places = {child["parent_step"]: child for child in children}
        self._must(len(places) == len(children), "a step starts one child", run["id"])
        self._must(waits.keys() <= places.keys(), "who waits for a child has one", f"{sorted(waits.keys() - places.keys())} of {run['id']}")
        # Whose child ended when it was overdue was not answered, and isn't when the clock goes back: it ends at its deadline.
        over = run["cancel_requested_at"] is not None or run["deadline_at"] <= self.world.latest().replace(tzinfo=None)
        if run["state"] == "waiting" and waits and not over:
            working = [step for step in sorted(waits) if step in places and _works(places[step])]
            told = f"{run['id']} has {run['remaining_ms']} ms left, at work are {working}"
            self._must((run["remaining_ms"] is None) == bool(working), "a clock runs while a child is at work, and stands while none is", told)

    def _accounted_below(self, run: Row, said: Mapping[str, Any]) -> None:
        """A run that comes to nothing says which of its children may have acted."""
        named = {*said.get("undone", ()), *(each["step"] for each in said.get("not_undone", ()))}
        children = self._read("SELECT * FROM runs_run WHERE parent_run_id = ?", run["id"])
        acted = {child["parent_step"] for child in children if self._acted_within(child["id"])}
        self._must(acted <= named, "what a run's children did and it came to nothing is accounted for", f"{sorted(acted - named)} of {run['id']}")

    def _acted_within(self, run: str) -> bool:
        below = self._read("SELECT id FROM runs_run WHERE parent_run_id = ?", run)
        return bool(self.world.outside.acted_in(run)) or any(self._acted_within(child["id"]) for child in below)

    def _share_of_children(self, run: Row) -> tuple[int, int, int]:
        """What a run's children have of its account: reserved, spent, calls."""
        children = self._read("SELECT * FROM runs_run WHERE parent_run_id = ?", run["id"])
        live, ended = [row for row in children if row["state"] in LIVE], [row for row in children if row["state"] not in LIVE]
        calls = sum(row["held_calls"] for row in live) + sum(row["calls_used"] for row in ended)
        held = sum(row["held_nano"] for row in live) + sum(
            min(row["reserved_nano"], row["held_nano"]) for row in ended
        )  # what runs below those hold still
        return held, sum(row["spent_nano"] for row in ended), calls

    def _orphans(self) -> None:
        """Nobody waits for them any more; whoever sweeps tells them so."""
        lost = [row["id"] for row in self.runs.values() if self._is_orphan(row)]
        self.orphaned_since = {run: self.orphaned_since.get(run, self.world.seconds) for run in lost}
        if not lost or self._writes_fail:
            return
        free = [self._free_since(process) for process in self.world.processes if process.alive and not process.busy]
        free_since = min(free, default=self.world.seconds)
        for run, since in self.orphaned_since.items():
            soon = max(since, free_since) + SWEPT_WITHIN_S + 5 * self.world.scenario.latency
            self._must(self.world.seconds <= soon, "what nobody waits for is told so", f"{run} since {since:.3f}")

    def _free_since(self, process: Any) -> float:
        """Since when it could sweep."""
        healed_at = self.world.healed_at if set(self.world.scenario.faults) & WRITES_FAIL else 0.0
        return max(process.hindered_until, process.stopped_until, process.began_at, healed_at)

    @property
    def _writes_fail(self) -> bool:
        return bool(set(self.world.scenario.faults) & WRITES_FAIL) and not self.world.healed

    def _is_orphan(self, row: Row) -> bool:
        above = self.runs.get(row["parent_run_id"] or "")
        if above is None or row["state"] not in LIVE or row["cancel_requested_at"] is not None or row["deadline_at"] <= self._now:
            return False
        waits = [wait for wait in self.waits.values() if (wait["run_id"], wait["step"], wait["state"]) == (above["id"], row["parent_step"], "open")]
        return above["state"] == "finished" or above["cancel_requested_at"] is not None or not waits

    def _node_of(self, run: Row, step: str) -> dict[str, Any]:
        return self.world.scenario.node(self._pipeline(run), step.rpartition("/")[2])

    def _given(self, run: Row) -> dict[str, Any]:
        """The input of a run: what its start gave it, its node, or the run that it judges again."""
        if run["reverifies_id"] is not None:
            return self._given(self._row(run["reverifies_id"]))
        if run["parent_run_id"] is None:
            return self.world.scenario.inputs[int(self._pipeline(run).removeprefix("line"))]
        if run["trigger"] == SPREAD:
            told: dict[str, Any] = json.loads(
                self._read("SELECT value FROM audit_opening WHERE entry = ? AND path = 'input'", run["input_entry"])[0]["value"]
            )
            return told
        given: dict[str, Any] = self._node_of(self._row(run["parent_run_id"]), run["parent_step"])["with"]
        return given

    def _row(self, run: str) -> Row:
        return self._read("SELECT * FROM runs_run WHERE id = ?", run)[0]

    def _pipeline(self, run: Row) -> str:
        return str(self._read("SELECT name FROM agents_pipeline WHERE id = ?", run["pipeline_id"])[0]["name"])

    def _clock_of_family(self, before: Row, row: Row) -> None:
        """The clock of a run that waits for a child: it runs on as it was, or goes on from where it stood, or stops where it is."""
        was, now, told = before["remaining_ms"], row["remaining_ms"], f"{row['id']}: {before['deadline_at']} became {row['deadline_at']}"
        if was is None and now is None:
            self._must(row["deadline_at"] == before["deadline_at"], "only a wait moves a deadline", told)
        elif was is not None and now is None:
            due = min(self._now + timedelta(milliseconds=was), row["lifetime_until"])
            self._must(row["deadline_at"] == due, "a clock goes on with the child's", told)
        elif was is None and not self._clocks_jump:
            left = max(before["deadline_at"] - self._now, timedelta(0))
            self._must(abs(timedelta(milliseconds=now) - left) <= timedelta(milliseconds=1), "a clock stops where the child's does", told)


def _works(child: Row) -> bool:
    return child["state"] in ("queued", "running") or (child["state"] == "waiting" and child["remaining_ms"] is None)
