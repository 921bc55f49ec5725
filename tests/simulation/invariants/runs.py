"""What must hold of a run's row and of its events."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from audit import canonical
from runs import store

from .families import FamilyRules
from .seeing import FINISHED, LIVE, UNDO, Row
from .steps import dashed
from .stops import StopRules

ENDS = ("runs.call.confirmed", "runs.call.refused", "runs.call.unresolved")
MOST_CLAIMS = store.MAX_ATTEMPTS
_NO_PROGRESS = ("runs.run.resumed", "runs.call.resent", "runs.call.resolved", "runs.run.cancel_requested")
"""What claims, and what people write beside a run that is at work: neither says that a worker got anywhere."""


class RunRules(FamilyRules, StopRules):
    """`_run` looks at each row that has changed, `_entry` at each new entry of a run."""

    def _run(self, before: Row | None, row: Row, writer: int) -> None:
        name = row["id"]
        if before is None:
            self._must(row["state"] == "queued" and row["fence"] == 0, "a run begins queued", name)
            return
        if before["state"] == "finished":
            final = ("state", "outcome", "result_digest", "finished_at", "seq", "failure_cause", "fence")
            self._must(all(before[field] == row[field] for field in final), "finished is final", f"{dict(before)} became {dict(row)}")
        if row["fence"] != before["fence"]:
            self._claimed(before, row, writer)
        elif row["lease_until"] != before["lease_until"] and before["state"] != "waiting":
            holder = self.holders.get(name)
            self._must(writer in (holder, 0), "only its holder prolongs a lease or gives it back", f"{writer} did, and {holder} holds it")
            if row["lease_until"] is None and writer == holder:
                self.claims[name] = max(self.claims[name] - 1, 0)  # whoever gives a run back has not died of it
        if row["cancel_requested_at"] is not None and before["cancel_requested_at"] is None:
            in_time = before["state"] in LIVE and row["cancel_requested_at"] < row["deadline_at"]
            self._must(in_time, "only what lives and is in time is cancelled", name)
        if row["state"] == "finished" and before["state"] != "finished":
            self._ended(before, row)
        self._clock(before, row)
        self._limits(row)

    def _claimed(self, before: Row, row: Row, writer: int) -> None:
        self._must(row["fence"] == before["fence"] + 1, "each claim has a fence of its own", f"{before['fence']} became {row['fence']}")
        if before["state"] == "waiting":
            self._must(before["wake_at"] <= self._now, "a run that waits is nobody's to take before its time", f"{writer} took it")
        else:
            free = before["lease_until"] is None or before["lease_until"] <= self._now
            self._must(free, "a lease that holds is nobody else's to take", f"{writer} took it before {before['lease_until']}")
        self._must(before["state"] in LIVE and self._now < before["deadline_at"], "only what lives and is in time is claimed", before["state"])
        self.holders[row["id"]] = writer
        self.claims[row["id"]] += 1

    def _ended(self, before: Row, row: Row) -> None:
        name = row["id"]
        undoing = any(key.startswith(UNDO) for key in self._steps_of(name))  # its end was decided before
        if row["outcome"] == "cancelled":
            self._must(before["cancel_requested_at"] is not None, "a run is cancelled because somebody asked", name)
        told = f"{name} is {row['outcome']} {row['failure_cause']}, finished {row['finished_at']}"
        # A clock that has gone back since: it was overdue when that was decided, and everybody has read it so.
        was_over = before["deadline_at"] <= self.world.latest().replace(tzinfo=None) and row["finished_at"] >= before["deadline_at"]
        if before["deadline_at"] <= self._now or was_over:
            waits = before["state"] == "waiting"
            causes = ("deadline", "tampered", *(("expired", "unresolved", "input") if waits else ()))  # what a wait's end decides needs no work
            with_its_wait = waits and before["wake_at"] == before["deadline_at"]  # and with whatever had failed before
            is_so = row["outcome"] != "verified" and (with_its_wait or row["failure_cause"] in causes)
            self._must(undoing or is_so, "past its deadline a run has failed", told)
        elif before["cancel_requested_at"] is not None:
            came_first = before["state"] == "waiting" and before["wake_at"] <= before["cancel_requested_at"] and row["outcome"] == "failed"
            self._must(undoing or came_first or row["outcome"] == "cancelled", "what was cancelled ends so", told)
        if row["failure_cause"] == "lost" and self._loses(name):
            self._must(self.claims[name] > MOST_CLAIMS, "a run is lost only after as many claims", f"lost after {self.claims[name]}")

    def _loses(self, name: str) -> bool:
        """Whether the run itself was given up, and not one of its steps."""
        failed = [row for (run, _), row in self.steps.items() if run == name and row["failure_cause"] == "lost"]
        fresh = self._read("SELECT 1 FROM runs_step WHERE run_id = ? AND failure_cause = 'lost'", name)
        return not failed and not fresh

    def _limits(self, row: Row) -> None:
        calls, money = row["calls_limit"], row["cost_limit_nano"]
        self._must(calls is None or row["calls_used"] <= calls, "no more calls than the limit", f"{row['calls_used']} of {calls}")
        held = row["spent_nano"] + row["reserved_nano"]
        self._must(money is None or held <= money, "no more money than the limit", f"{held} of {money}")
        self._must(min(row["spent_nano"], row["reserved_nano"]) >= 0, "no account is negative", str(dict(row)))

    # --- the clock of its work ---

    def _clock(self, before: Row, row: Row) -> None:
        """It stands still while the run waits, goes on with the answer, and changes at no other time."""
        was, now = before["state"], row["state"]
        if now == "waiting" and (was != "waiting" or row["wake_at"] != before["wake_at"]):
            self._parked(before, row)
        elif was == now == "waiting" and (row["remaining_ms"], row["deadline_at"]) != (before["remaining_ms"], before["deadline_at"]):
            self._clock_of_family(before, row)
        elif was == "waiting" and now in ("running", "queued") and row["fence"] == before["fence"]:
            self._brought_back(before, row)
        else:
            self._must(row["deadline_at"] == before["deadline_at"], "only a wait moves a deadline", f"{row['id']}: {was} became {now}")
        self._must(row["deadline_at"] <= row["lifetime_until"], "no run outlives its lifetime", f"{row['id']}: until {row['deadline_at']}")

    def _parked(self, before: Row, row: Row) -> None:
        wake = row["wake_at"]
        if row["remaining_ms"] is None:  # its clock runs on: a child is at work
            due = self._since_it_stood(row) or before["deadline_at"]
            told = f"{row['id']} waits for a child until {row['deadline_at']}, and not {due}"
            self._must(row["deadline_at"] == due, "only a wait moves a deadline", told)
            return
        left = timedelta(milliseconds=row["remaining_ms"])
        told = f"{row['id']} wakes {wake} with {row['remaining_ms']} ms left, and its deadline is {row['deadline_at']}"
        self._must(
            row["deadline_at"] in (wake, min(wake + left, row["lifetime_until"])), "a waiting run's deadline is its wait's, or what follows", told
        )
        ends = [end for each in self._open_waits(row["id"]) for end in (each["expires_at"], each["look_at"]) if end is not None]
        self._must(wake in ends, "a waiting run wakes when one of its waits ends", told)
        self._must(before["deadline_at"] > self._now, "past its deadline a run has failed", told)
        if not self._clocks_jump:  # it was decided before it was written
            least = before["deadline_at"] - self._now - timedelta(milliseconds=1)
            self._must(least <= left <= before["deadline_at"] - before["created_at"], "the work clock stands still while a run waits", told)

    def _since_it_stood(self, row: Row) -> Any:
        """Its deadline where one commit let its clock stand, as it had been decided, and run again for a child that was taken up or has ended."""
        written = self._read("SELECT verb, body FROM audit_entry WHERE run = ? AND seq > ? ORDER BY seq", row["id"], self.heads[row["id"]][0])
        facts = [json.loads(bytes(entry["body"]))["facts"] for entry in written if entry["verb"] == "runs.run.waiting"]
        stood = next((each["remaining_ms"] for each in facts if each["remaining_ms"] is not None), None)
        return None if stood is None else min(self._now + timedelta(milliseconds=stood), row["lifetime_until"])

    def _brought_back(self, before: Row, row: Row) -> None:
        told = f"{row['id']} goes on until {row['deadline_at']}, with {before['remaining_ms']} ms left"
        if row["lease_until"] is None:
            left = before["remaining_ms"]
            ran_on = self._since_it_stood(row) or before["deadline_at"]  # in whole milliseconds from where it stood
            due = ran_on if left is None else min(self._now + timedelta(milliseconds=left), row["lifetime_until"])
            self._must(row["deadline_at"] == due, "the work clock goes on with the answer", told)
        else:
            self._must(row["deadline_at"] == before["deadline_at"], "only a wait moves a deadline", told)

    def _open_waits(self, run: str) -> list[sqlite3.Row]:
        return self._read("SELECT * FROM runs_wait WHERE run_id = ? AND state = 'open'", run)

    # --- entries ---

    def _entry(self, entry: sqlite3.Row, run: Row, writer: int) -> None:
        name, verb, body = entry["run"], entry["verb"], bytes(entry["body"])
        self.world.tell(f"{verb.removeprefix('runs.')} {entry['subject'][:24]}")
        said = json.loads(body)
        seq, digest, last = self.heads.get(name, (0, None, ""))
        if entry["seq"] is not None:
            self._must(entry["seq"] == seq + 1, "events are without a gap", f"{verb} has seq {entry['seq']} after {seq}")
            self._must(said["prev"] == digest, "each event names the one before", f"{verb} {entry['seq']}")
            self._must(last != FINISHED, "the finish is the last event", f"{verb} after it")
            self.heads[name] = (entry["seq"], canonical.digest_bytes(body), verb)
            from_outside = self._comes_from_family(verb, said["facts"], run) or self._comes_late(verb, entry["subject"]) or self._is_unattended(name)
            if said["actor"]["auth"] == "worker" and not from_outside:
                told = f"{writer} wrote {verb}; {self.holders.get(name)} holds it"
                self._must(self.holders.get(name) == writer, "only the holder writes events", told)
            self._progress(name, verb, said["facts"])
        self._told(verb, entry["subject"], said["facts"])
        if verb == "runs.call.resent":
            self._sends(self.calls[entry["subject"].removeprefix("call:")], run, f"{entry['subject']}, once more")
        if verb == FINISHED:
            self.finishes[name] = said["facts"]

    def _told(self, verb: str, subject: str, facts: Any) -> None:
        _, _, key = subject.partition(":")
        if verb in ENDS:
            self.ends[subject] += 1
            self._must(self.ends[subject] == 1, "a call ends once", subject)
        elif verb == "runs.call.resent":
            self.resent[key] += 1
        elif verb == "runs.call.dispatched":
            self.dispatched[key] += 1
        elif verb == "runs.call.told_late":
            self.late[key] += 1
        elif verb == "runs.call.corrected":
            self.corrected[key] += 1
        elif verb == "runs.call.resolved":
            self._must(self.resolved.get(key, facts)["decision"] in ("unknown", facts["decision"]), "what became of a call is said once", subject)
            self.resolved[key] = facts
        elif verb == "runs.wait.answered":
            self._must(key not in self.said, "each wait is answered at most once", subject)
            self.said[key] = facts["answer"]

    @staticmethod
    def _comes_from_family(verb: str, facts: Mapping[str, Any], run: Row) -> bool:
        """What the holder of another run of the family writes: a child's start and its cancel, its end as an answer, its clock."""
        answers = verb == "runs.wait.answered" and facts["kind"] == "remote"
        clock = verb == "runs.run.waiting" and "because_of" in facts
        below = run["parent_run_id"] is not None and verb in ("runs.run.queued", "runs.run.cancel_requested")
        return answers or clock or below

    def _comes_late(self, verb: str, subject: str) -> bool:
        """Who has lost a run still says what became of its calls: that answers the wait for it."""
        key = subject.partition(":")[2]
        return (verb == "runs.call.resolved" and key in self.late) or (verb == "runs.wait.answered" and self._waits_for(key) in self.late)

    def _is_unattended(self, name: str) -> bool:
        """Cancelled, and nobody's: whoever has cancelled it, the holder of the run above, writes its end too."""
        row = self.runs.get(name)
        if row is None or row["cancel_requested_at"] is None:
            return False
        return row["state"] == "waiting" or row["lease_until"] is None or row["lease_until"] <= self._now

    def _waits_for(self, wait: str) -> str:
        return next((row["subject"] for row in self.waits.values() if dashed(row["id"]) == wait), "")

    def _progress(self, name: str, verb: str, facts: Mapping[str, Any]) -> None:
        if verb == "runs.run.resumed":
            many = self.claims[name]
            self._must(many <= MOST_CLAIMS, "who takes a run after so many claims ends it", f"resumed at claim {many} without progress")
        stands = verb == "runs.wait.answered" and name in self.runs and self.runs[name]["state"] != "waiting"
        clock = verb == "runs.run.waiting" and "because_of" in facts
        if not stands and not clock and verb not in _NO_PROGRESS:
            self.claims[name] = 0
