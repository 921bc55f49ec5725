"""What must hold of a wait's row: opened once, ended once, by an answer in time or by time itself."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .seeing import LIVE, Row, Seeing
from .steps import dashed


class WaitRules(Seeing):
    """`_wait` looks at each row that has changed, `_waiting` at a run with all its steps and waits."""

    def _wait(self, before: Row | None, row: Row, runs: Mapping[str, Row]) -> None:
        what, earlier = f"{row['kind']} {row['subject']} of {row['step']}", self.runs.get(row["run_id"])
        if before is None:
            self._must(row["state"] == "open", "a wait begins open", what)
            lifetime = runs[row["run_id"]]["lifetime_until"]
            self._must(row["expires_at"] <= lifetime, "no wait outlives its run's lifetime", what)
            return
        self._must(before["state"] == "open", "a wait ends once", f"{what} was {before['state']} and became {row['state']}")
        fixed = ("run_id", "step", "kind", "subject", "opened_at", "expires_at", "look_at", "goes_on")
        self._must(all(before[name] == row[name] for name in fixed), "what was asked for never changes", what)
        if row["state"] == "answered":
            told = dashed(row["id"]) in self.said and row["ended_at"] < row["expires_at"]
            self._must(told, "a late answer changes nothing", f"{what} was answered at {row['ended_at']}, and ended {row['expires_at']}")
            self._takes_answers(earlier, row, what)
        elif row["state"] == "expired" and not self._clocks_jump:
            self._must(row["ended_at"] >= row["expires_at"], "nothing expires before its time", what)

    def _takes_answers(self, earlier: Row | None, row: Row, what: str) -> None:
        lives = earlier is not None and earlier["state"] in LIVE and earlier["cancel_requested_at"] is None
        in_time = earlier is not None and row["ended_at"] < earlier["deadline_at"]
        self._must(lives and in_time, "only what lives takes an answer", what)

    def _waiting(self, run: Row, steps: Mapping[str, Row], waits: list[Any]) -> None:
        """A step waits exactly while it has a wait that is open, or answered and not yet taken in; a waiting run does nothing else."""
        many = Counter(wait["step"] for wait in waits if wait["state"] == "open")
        for key, count in many.items():
            state = "waiting" if key == "" and run["started_at"] is None else steps[key]["state"] if key in steps else ""
            self._must(count == 1 and state == "waiting", "whoever waits has one open wait", f"{count} of {key}, which is {state}")
        for key, row in steps.items():
            if row["state"] == "waiting":
                newest = max((wait for wait in waits if wait["step"] == key), key=lambda wait: wait["id"], default=None)
                told = f"{key}: {'none' if newest is None else newest['state']}"
                self._must(newest is not None and newest["state"] in ("open", "answered"), "whoever waits has one open wait", told)
        if run["state"] == "waiting":
            busy = [key for key, row in steps.items() if row["state"] in ("running", "retrying")]
            self._must(not busy and bool(many), "a run waits only when none of it can go on", f"{run['id']}: {busy}")
            out = [call["step"] for call in self.calls.values() if call["run_id"] == run["id"] and call["state"] == "dispatched"]
            self._must(not out, "while a run waits nothing of it is out", f"{run['id']}: {out}")
