"""What must hold of a step's row: how it goes on, and that its result is what somebody answered, in time."""

import json
from collections.abc import Iterable
from typing import Any

from audit import canonical
from runs.engine.asides import POLICY
from tests.simulation.scenarios import INSTANTS

from .seeing import LOOK, OPEN, UNDO, Row, Seeing


class StepRules(Seeing):
    """`_step` looks at each row that has changed."""

    def _step(self, before: Row | None, row: Row, run: Row, writer: int) -> None:
        place, was = f"{row['key']} of {row['run_id']}", None if before is None else before["state"]
        earlier = self.runs.get(row["run_id"])
        if before is not None and was not in OPEN:
            self._must(tuple(before) == tuple(row), "a step that has ended never changes", place)
        if row["state"] == "returned" and was != "returned":
            self._returned(before, row, run, earlier, writer)
        if row["state"] in OPEN and (before is None or row["attempt"] != before["attempt"] or was == "retrying"):
            self._goes_on(row, earlier)
        if was == row["state"] == "running" and row["deadline_at"] != before["deadline_at"]:
            self._must(self._is_taken_up(row), "only whoever takes a run up gives its steps their time once more", place)
        if before is not None:
            again = (was, row["state"]) in (("running", "retrying"), ("waiting", "running")) and not self._was_asked_for(row, was)
            if self._was_stopped(row) and {was, row["state"]} == {"running", "waiting"}:
                again = was == "running" and self._sent_of(row, before["attempt"])
            more = {again, again or row["state"] == "cancelled"}  # what ends a run may come with a retry, in one transaction
            self._must(row["attempt"] - before["attempt"] in more, "each retry is an attempt of its own", place)
        if before is None and row["key"].startswith(LOOK):
            self._looks(row)

    def _is_taken_up(self, row: Row) -> bool:
        """In this very commit."""
        resumed = "SELECT 1 FROM audit_entry WHERE run = ? AND verb = 'runs.run.resumed' AND rowid > ?"
        return bool(self._read(resumed, row["run_id"], self.read_from))

    def _was_asked_for(self, row: Row, was: str | None) -> bool:
        """It waited for people's yes to this attempt, of which nothing had been sent."""
        waits = self._read("SELECT kind FROM runs_wait WHERE run_id = ? AND step = ? ORDER BY id DESC", row["run_id"], row["key"])
        return was == "waiting" and bool(waits) and waits[0]["kind"] == "approval"

    def _returned(self, before: Row | None, row: Row, run: Row, earlier: Row | None, writer: int) -> None:
        place = f"{row['key']} of {row['run_id']}"
        if row["agent"] == "" and self._child_of(row) is not None:
            self._must(row["result_digest"] == self._child_of(row), "a node's result is that of its run", place)
        elif row["agent"] == "":
            self._must(row["result_digest"] in self._said_to(row), "a wait's result is its answer, or what silence means", place)
        if row["agent"] == "" and run["state"] == "finished":
            return  # time ended it before time or a cancel ended the run; whoever came along wrote down both
        told = f"{place}: {row['result_fence']}, {run['fence']}"
        self._must(row["result_fence"] == run["fence"], "a result is written under the current fence", told)
        self._must(self.holders.get(row["run_id"]) == writer, "a result is written by the holder", place)
        self._must(earlier is None or earlier["cancel_requested_at"] is None, "after a cancel no result is used", place)
        self._must(row["finished_at"] < run["deadline_at"], "a late result is never used", f"{place} returned {row['finished_at']}")
        if row["agent"] == "":
            return
        if row["agent"].startswith(POLICY):
            self._must(self._was_approved(row), "what people were asked about goes on only with their yes, and as they saw it", place)
            return
        parked = before is not None and before["state"] == "waiting" and not self._was_stopped(row)
        anew = before is None or before["state"] == "waiting" or self._is_taken_up(row)
        deadline = row["deadline_at"] if anew else before["deadline_at"]
        told = f"{place} returned {row['finished_at']}"
        self._must(parked or row["finished_at"] < deadline, "a late result is never used", told)
        if parked:
            self._must(row["result_digest"] in self._settled_with(row), "a result is what somebody said of its call", place)
        elif not row["judges"]:
            self._must(self._was_answered(row), "a result is what somebody answered", place)

    def _was_approved(self, row: Row) -> bool:
        """Its newest question was answered by a person who said yes; of a result, what goes on is what was made. Nobody edits anything here.

        A stop that came between the yes and its use is waited for, and asks nobody anew.
        """
        asked = "SELECT state, answered_by FROM runs_wait WHERE run_id = ? AND step = ? AND kind = 'approval' ORDER BY id DESC LIMIT 1"
        waits = self._read(asked, row["run_id"], row["key"])
        made = self.steps.get((row["run_id"], row["key"].removesuffix(".approval")))
        same = not row["key"].endswith(".approval") or (made is not None and made["result_digest"] == row["result_digest"])
        return bool(waits) and waits[0]["state"] == "answered" and waits[0]["answered_by"].startswith("person:") and same

    def _was_stopped(self, row: Row) -> bool:
        """Its newest wait was, or is, for the end of a stop: what it had sent was given up as it began, and what it had not is still to be sent."""
        rows = self._read("SELECT kind FROM runs_wait WHERE run_id = ? AND step = ? ORDER BY id DESC LIMIT 1", row["run_id"], row["key"])
        return bool(rows) and rows[0]["kind"] == "stopped"

    def _sent_of(self, row: Row, attempt: int) -> bool:
        return bool(self._read("SELECT 1 FROM runs_call WHERE run_id = ? AND step = ? AND attempt = ?", row["run_id"], row["key"], attempt))

    def _was_answered(self, row: Row) -> bool:
        if row["agent"] == "echo":
            return True
        digests = set()
        for sent in self.world.outside.sent:
            request = sent.request
            if (request.run.hex, request.step, request.attempt) == (row["run_id"], row["key"], row["attempt"]) and sent.answer is not None:
                digests |= set(_values(sent.answer))
        return row["result_digest"] in digests

    def _child_of(self, row: Row) -> str | None:
        """The digest of what the run gave that a step has started; None where it starts none."""
        children = self._read("SELECT result_digest FROM runs_run WHERE parent_run_id = ? AND parent_step = ?", row["run_id"], row["key"])
        return children[0]["result_digest"] if children else None

    def _said_to(self, row: Row) -> list[str]:
        """Digests of what its wait was answered; of the instant until which it slept, or null, where nobody was to say anything."""
        rows = self._read("SELECT * FROM runs_wait WHERE run_id = ? AND step = ?", row["run_id"], row["key"])
        if not rows:  # its instant was past when it was opened
            return [canonical.digest({"at": at}) for at in INSTANTS]
        wait = rows[-1]
        if wait["state"] == "answered":
            return [self.said[str(dashed(wait["id"]))]]
        at = wait["expires_at"].isoformat(timespec="microseconds") + "Z"
        silence = {"at": at} if wait["kind"] == "timer" else None
        return [canonical.digest(silence)] if wait["state"] == "expired" and wait["expires_at"] <= row["finished_at"] and wait["goes_on"] else []

    def _settled_with(self, row: Row) -> list[str]:
        """Digests of the results that people and look-ups gave calls of this attempt."""
        mine = self._read("SELECT key FROM runs_call WHERE run_id = ? AND step = ? AND attempt = ?", row["run_id"], row["key"], row["attempt"])
        said = [self.resolved[call["key"]] for call in mine if call["key"] in self.resolved]
        found = self._looked_up(row)
        return [each.get("result", found) for each in said if each["decision"] == "done"]

    def _looked_up(self, row: Row) -> str | None:
        """The digest of what a look-up says that a call gave: its own result has it, and is the answer that was taken."""
        key = f"{LOOK}{row['attempt']}:{row['key']}"
        looks = self._read("SELECT attempt, result_digest FROM runs_step WHERE run_id = ? AND key = ? AND state = 'returned'", row["run_id"], key)
        for sent in self.world.outside.sent if looks else ():
            answer, place = getattr(sent.answer, "value", None), (sent.request.run.hex, sent.request.step, sent.request.attempt)
            taken = isinstance(answer, dict) and canonical.digest(answer) == looks[0]["result_digest"]
            if place == (row["run_id"], key, looks[0]["attempt"]) and taken and answer.get("found"):
                return canonical.digest(answer.get("result"))
        return None

    def _goes_on(self, row: Row, earlier: Row | None) -> None:
        if earlier is not None:
            self._must(earlier["cancel_requested_at"] is None, "after a cancel nothing is opened", row["key"])
            self._must(earlier["state"] != "finished", "after the finish nothing is opened", row["key"])
            undoes = any(key.startswith(UNDO) for key in self._steps_of(row["run_id"]))
            self._must(not undoes or row["key"].startswith(UNDO), "once its end is decided a run only undoes", row["key"])

    def _looks(self, row: Row) -> None:
        """Not before its call can't be carried out any more, by whatever is still at work, as far as any clock has been."""
        attempt, _, key = row["key"].removeprefix(LOOK).partition(":")
        call = self._read("SELECT * FROM runs_call WHERE run_id = ? AND step = ? AND attempt = ? AND ordinal = 0", row["run_id"], key, attempt)
        self._must(
            bool(call) and (self.world.latest().replace(tzinfo=None) - call[0]["not_after"]).total_seconds() >= 5,
            "nobody looks before a call's time is up",
            row["key"],
        )


def dashed(value: str) -> str:
    return "-".join((value[:8], value[8:12], value[12:16], value[16:20], value[20:]))


def _values(answer: Any) -> Iterable[str]:
    """Digests of what an answer may have been taken for."""
    value = getattr(answer, "value", None)
    text = getattr(answer, "text", None)
    if value is not None:
        yield canonical.digest(value)
    if text is not None:
        try:
            yield canonical.digest(json.loads(text))
        except ValueError:
            return
