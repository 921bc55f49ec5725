"""What must hold of a call: its intent before it goes out, at most one end, its price, and what goes out at all."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.simulation.scenarios import ASKING

from .families import FamilyRules
from .seeing import WRITES_FAIL, Row
from .stops import StopRules

RESOLVED = {"resolved_done": "done", "resolved_not_done": "not_done"}
NOT_DONE = frozenset({"refused", "unresolved", "resolved_not_done"})
GIVEN_UP = frozenset({"unresolved", *RESOLVED})


class CallRules(FamilyRules, StopRules):
    """`_call` looks at each row that has changed, `sending` at each call as it goes out, `answered` at each answer."""

    def _call(self, before: Row | None, row: Row, run: Row, steps: Mapping[Any, Row], writer: int) -> None:
        if before is None:
            self._must(row["state"] == "dispatched" and self.dispatched[row["key"]] == 1, "an intent is told once", row["key"])
            self._intent(row, run, steps[row["run_id"], row["step"]], writer)
        elif before["state"] == "unresolved" and before["state"] != row["state"]:
            self._resolved(before, row)
        elif before["state"] == row["state"] and before["cost_nano"] != row["cost_nano"]:
            self._corrected(before, row)
        elif before["state"] in GIVEN_UP:
            self._told_late(before, row)
        else:
            self._must(before["state"] == "dispatched", "a call that has ended never changes", f"{dict(before)} became {dict(row)}")
            if row["state"] != "dispatched":
                self._settled(before, row)

    def _intent(self, row: Row, run: Row, step: Row, writer: int) -> None:
        earlier, what = self.runs[row["run_id"]], f"{row['step']} {row['attempt']}.{row['ordinal']}"
        self._sends(row, run, what)
        self._must(run["state"] == "running", "no intent after the finish, and none while a run waits", what)
        self._must(earlier["cancel_requested_at"] is None, "no intent after a cancel", what)
        self._must(row["dispatched_at"] < row["not_after"], "no intent after the deadline", f"{what} at {row['dispatched_at']}")
        self._must((step["state"], step["attempt"]) == ("running", row["attempt"]), "an intent is that of a step at work", what)
        self._must(row["not_after"] <= run["deadline_at"], "no call outlives its run", what)
        self._must(self.holders.get(row["run_id"]) == writer, "only the holder writes intents", what)
        self._approved(row, what)

    def _approved(self, row: Row, what: str) -> None:
        """What needs people's yes goes out with one: asked for by this step, said by somebody, denied by nobody, and used by nothing else."""
        if not self._needs_approval(row["agent"]) or row["ordinal"]:
            return
        waits = self._read("SELECT run_id, step, kind, state FROM runs_wait WHERE id = ?", row["approval_id"])
        asked = [tuple(wait) for wait in waits] == [(row["run_id"], row["step"], "approval", "answered")]
        self._must(asked, "what needs an approval is sent only with one", what)
        said = [each["decision"] for each in self._read("SELECT decision FROM approvals_decision WHERE request_id = ?", row["approval_id"])]
        self._must(set(said) == {"approved"}, "what needs an approval is sent only after people said yes", f"{what}: {said}")
        used = self._read("SELECT key FROM runs_call WHERE approval_id = ?", row["approval_id"])
        self._must(len(used) == 1, "an approval is used once", f"{what}: by {len(used)}")

    def _needs_approval(self, agent: str) -> bool:
        return self.world.scenario.asks and agent in ASKING

    def _settled(self, before: Row, row: Row) -> None:
        what = f"{row['step']} {row['attempt']}.{row['ordinal']}"
        self._must(self.ends["call:" + row["key"]] == 1, "a call's end is told", what)
        self._must(row["reserved_nano"] == 0, "what has ended reserves nothing", what)
        answers = [sent for sent in self.world.outside.sent if sent.request.key == row["key"]]
        bound = before["reserved_nano"]
        costs = {bound, *([] if answers else [0])} | {cost for sent in answers for cost in _costs(sent.answer)}
        self._must(row["cost_nano"] in costs, "a call costs its bound, or what was said", f"{what} cost {row['cost_nano']}, its bound was {bound}")
        unsent = row["kind"] == "model" and not answers  # its provider says that it has done nothing
        if row["state"] == "confirmed" and not unsent:
            self._must(any(sent.answered_at is not None for sent in answers), "what is confirmed was answered", what)
        if row["mode"] == "at_most_once":
            self._must(row["state"] != "refused" or not answers, "what may have acted is never called refused", what)

    def _resolved(self, before: Row, row: Row) -> None:
        """Somebody has said what became of it: a person, or a look-up."""
        what = f"{row['step']} {row['attempt']}.{row['ordinal']}"
        decision = self.resolved.get(row["key"], {}).get("decision")
        self._must(RESOLVED.get(row["state"]) == decision, "an unresolved call becomes what somebody said", f"{what}: {row['state']}, {decision}")
        same = ("cost_nano", "reserved_nano", "cause", "dispatched_at", "attempt", "response_entry")
        self._must(all(before[name] == row[name] for name in same), "a call that has ended never changes", what)

    def _told_late(self, before: Row, row: Row) -> None:
        """The worker that made it has had an answer after all: it stands beside the call, once, and nothing else of it changes."""
        what = f"{row['step']} {row['attempt']}.{row['ordinal']}"
        told = before["response_entry"] is None is not row["response_entry"] and self.late[row["key"]] == 1
        self._must(told and {**before, "response_entry": None} == {**row, "response_entry": None}, "a call that has ended never changes", what)

    def _corrected(self, before: Row, row: Row) -> None:
        """It was paid for when it was given up, and never went out: it costs nothing, and nothing else of it changes."""
        what = f"{row['step']} {row['attempt']}.{row['ordinal']}"
        told = row["state"] in NOT_DONE and row["cost_nano"] == 0 and self.corrected[row["key"]] == 1
        self._must(told and {**before, "cost_nano": 0} == {**row}, "a call that has ended never changes", what)
        self._must(not self._sent(row["key"]) or row["kind"] == "model", "what went out is paid for", what)

    def _account(self, run: Row) -> None:
        """Its own calls, what is held for its children, and what those took that have ended."""
        mine = [row for row in self.calls.values() if row["run_id"] == run["id"]]
        held_below, spent_below, calls_below = self._share_of_children(run)
        held = sum(row["reserved_nano"] for row in mine) + held_below
        self._must(run["reserved_nano"] == held, "what is reserved is what is out", f"the run says {run['reserved_nano']}, its calls {held}")
        spent = self._read("SELECT COALESCE(SUM(amount_nano), 0) AS spent FROM audit_charge WHERE run = ?", run["id"])[0]["spent"]
        costs = sum(row["cost_nano"] for row in mine)
        told = f"{run['spent_nano']}, charges {spent}, calls {costs}, children {spent_below}"
        self._must(run["spent_nano"] - spent_below == spent == costs, "what is spent is what was charged", told)
        counted = len(mine) + calls_below
        self._must(run["calls_used"] == counted, "each call is counted", f"{run['calls_used']} of {counted}")
        out = [row["step"] for row in mine if row["state"] == "dispatched"]
        self._must(run["state"] != "finished" or not out, "a run ends with its calls settled", str(out))

    # --- when something is sent ---

    def sending(self, request: Any) -> None:
        what = f"{request.step} {request.attempt}.{request.ordinal}"
        rows = self._read("SELECT state, mode FROM runs_call WHERE key = ?", request.key)
        self._must(bool(rows), "the intent stands before the call goes out", what)
        in_time = self.world.now() < request.not_after or (self._clocks_jump and request.may_wait)  # it waits for a child by another clock
        self._must(in_time, "nothing is sent when its time is over", what)
        times = self.world.outside.times[request.key] + 1
        self._must(times <= 1 + self.resent[request.key], "what is sent again is told", f"{what}: {times} times")
        if request.mode == "at_most_once":
            self._acts(request, what)
        if self._needs_approval(request.agent.name) and request.kind != "tool":
            first = "SELECT 1 FROM runs_call WHERE run_id = ? AND step = ? AND attempt = ? AND ordinal = 0 AND approval_id IS NOT NULL"
            told = self._read(first, request.run.hex, request.step, request.attempt)
            self._must(bool(told), "what needs an approval is sent only with one", what)

    def _acts(self, request: Any, what: str) -> None:
        """Once per attempt; another attempt only after somebody has said that the one before was not done, or nothing of it was sent."""
        place = (request.run.hex, request.step, request.attempt)
        self.acted[place] += 1
        self._must(self.acted[place] == 1, "at most once", f"{what} is sent for the {self.acted[place]}nd time")
        earlier = self._read("SELECT * FROM runs_call WHERE run_id = ? AND step = ? AND attempt < ? AND ordinal = 0", *place)
        settled = all(call["state"] == "resolved_not_done" or (call["state"] == "refused" and not self._sent(call["key"])) for call in earlier)
        self._must(settled, "what may have acted is made anew only where somebody says that it was not done", what)

    def _sent(self, key: str) -> int:
        return self.world.outside.times[key]

    def answered(self, sent: Any) -> None:
        """To a process that lives: it has to write that down, whoever holds the run by now."""
        if not set(self.world.scenario.faults) & WRITES_FAIL:
            self.unwritten[sent.request.key] = sent

    def _writes_what_was_answered(self) -> None:
        for key, sent in list(self.unwritten.items()):
            process = self.world.processes[sent.process - 1]
            if not process.alive or key not in self.calls or self._knows_its_answer(self.calls[key]):
                del self.unwritten[key]
                continue
            free_since = max(sent.answered_at, process.hindered_until, process.stopped_until)
            soon = free_since + 2.0 + 5 * self.world.scenario.latency
            told = f"{sent.request.kind} {key} of {sent.request.step} to {sent.process}, answered at {sent.answered_at:.3f}: {self.calls[key]}"
            self._must(bool(process.busy) or self.world.seconds <= soon, "what was answered is written", told)

    def _knows_its_answer(self, call: Row) -> bool:
        """A call that somebody gave up may have been answered to the worker that made it: that is told beside it.

        Where a clock jumps, what came in time may be late by it, and is then no answer.
        """
        told = call["state"] not in GIVEN_UP or call["response_entry"] is not None or self._clocks_jump
        return call["state"] != "dispatched" and told

    def left(self, process: Any) -> None:
        """Who was asked to go writes first what was answered to it."""
        for key, sent in self.unwritten.items():
            out = self._read("SELECT step FROM runs_call WHERE key = ? AND state = 'dispatched'", key)
            told = f"{sent.request.step} to {sent.process}"
            self._must(sent.process != process.number or not out, "who leaves writes what was answered", told)

    def _acts_at_most_once(self) -> None:
        """Each attempt, and all attempts together unless a person was wrong; where clocks jump, nobody knows when a call's time is over."""
        for key, many in self.world.outside.acts().items():
            self._must(many <= 1, "at most once", f"{key} was done {many} times")
        if self._clocks_jump:
            return
        for place, many in self.world.outside.acts_by_place().items():
            allowed = 1 + self.world.outside.misled[place]
            self._must(many <= allowed, "at most once over all attempts", f"{place} was done {many} times")


def _costs(answer: Any) -> Iterable[int]:
    """What a model's answer costs at a price of one nano-dollar a token; what a provider gives for free."""
    tokens = getattr(answer, "tokens", None)
    if tokens is not None:
        yield tokens.input + tokens.output
    if getattr(answer, "free", False):
        yield 0
