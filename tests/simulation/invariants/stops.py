"""What must hold of stops: nothing is sent under one that was set before, and what is at work under one is soon in nobody's hands."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from runs import store

from .seeing import Row, Seeing

FELT_WITHIN_S = 1.5
"""Engines look every second."""


class StopRules(Seeing):
    """`_stops` looks at what is in force after each commit, `_sends` at each call that was sent by it, `_feels` at what a process has in hand."""

    def _sends(self, call: Row, run: Row, what: str) -> None:
        """Under the stops of before this commit."""
        told = [stop["scope"] + " " + stop["name"] for stop in self.in_force.values() if self._covers(stop, call, run)]
        self._must(not told, "nothing is sent under a stop that was set before", f"{what}, and {told} was stopped")

    def _stops(self) -> None:
        rows = {row["id"]: row for row in self._read("SELECT * FROM agents_stop WHERE lifted_at IS NULL")}
        for stop in rows.keys() - self.in_force.keys():
            self.stopped_since[stop] = self.world.seconds
        self.in_force = rows

    def _covers(self, stop: Row, call: Mapping[str, Any], run: Row) -> bool:
        line = list(self._line(run))
        match stop["scope"]:
            case "everything":
                return True
            case "run":
                return any(UUID(each["id"]) == UUID(stop["name"]) for each in line)
            case "pipeline":
                return any(self._pipeline(each) == stop["name"] for each in line)
            case "version":
                agent = store.plan_of(UUID(run["release_id"]))[0].agents[call["agent"]]
                named = {f"{agent.name}@{agent.version}", *(f"{self._pipeline(each)}@1" for each in line)}
                return stop["name"] in named
            case "agent":
                return bool(call["agent"] == stop["name"])
            case "tool":
                return bool(call["kind"] == "tool" and call["name"] == stop["name"])
        return bool(stop["scope"] == "team" and stop["name"] == "lines")

    def _line(self, run: Row) -> Iterator[Row]:
        above: Row | None = run
        while above is not None:
            yield above
            above = self.runs.get(above["parent_run_id"] or "")

    def _feels(self, process: Any) -> None:
        """A process that has nothing else to do has cut short what it was doing."""
        free_since = max(process.hindered_until, process.stopped_until, process.began_at)
        for call in self.calls.values():
            holds = UUID(call["run_id"]) in process.engine._driving and self.holders.get(call["run_id"]) == process.number
            if call["state"] != "dispatched" or not holds:
                continue
            for stop in self.in_force.values():
                since = max(self.stopped_since[stop["id"]], free_since)
                late = self.world.seconds > since + FELT_WITHIN_S + 3 * self.world.scenario.latency
                told = f"{call['step']} is out {self.world.seconds - since:.1f} s after {stop['scope']} {stop['name']} was stopped"
                self._must(not late or not self._covers(stop, call, self.runs[call["run_id"]]), "a stop is soon felt", told)
