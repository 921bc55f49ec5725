"""What must hold, looked at after every commit and whenever something is sent. Reads rows with its own hands; shares no code with the engine.

`Watch` keeps what it saw last and holds what it sees now against it. Each rule has a name, which is what a failing seed says.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from audit import canonical, reports
from runs import store
from runs.engine import planner
from runs.models import Run
from runs.models.run import integrity_of
from tests.runs.engine.random_runs import ABSENT, Model

if TYPE_CHECKING:
    from tests.simulation.world import World

Row = Mapping[str, Any]
LIVE, OPEN = ("queued", "running"), ("running", "retrying")
ENDS = ("runs.call.confirmed", "runs.call.refused", "runs.call.unresolved")
RESULTS = ("runs.step.returned", "runs.step.judged")
FINISHED = "runs.run.finished"
MOST_CLAIMS = store.MAX_ATTEMPTS
WRITES_FAIL = frozenset({"ambiguous", "full", "locked"})


class Broken(BaseException):
    """An invariant does not hold. No Exception: what it passes on its way must not handle it."""

    def __init__(self, seed: int, invariant: str, what: str, trace: list[str]) -> None:
        super().__init__(f"seed {seed}: {invariant}: {what}")
        self.seed, self.invariant, self.what, self.trace = seed, invariant, what, trace


class Watch:
    """One world's. `runs`, `steps`, `calls`: the rows as they were after the last commit."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.runs: dict[str, Row] = {}
        self.steps: dict[tuple[str, str], Row] = {}
        self.calls: dict[str, Row] = {}
        self.live: dict[str, datetime] = {}
        self.heads: dict[str, tuple[int, str | None, str]] = {}
        self.holders: dict[str, int] = {}
        self.claims: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.resent: Counter[str] = Counter()
        self.dispatched: Counter[str] = Counter()
        self.acted: Counter[tuple[str, str]] = Counter()
        self.unwritten: dict[str, Any] = {}
        self.read_to = 0
        self.problem: tuple[str, str] | None = None

    def complain(self, invariant: str, what: str) -> None:
        if self.problem is None:
            self.problem = (invariant, what)

    def raise_if_broken(self) -> None:
        if self.problem is not None:
            self.world.broken(*self.problem)

    def _must(self, holds: bool, invariant: str, what: str) -> None:
        if not holds:
            self.complain(invariant, what)

    # --- reading ---

    def _read(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        cursor = self.world.database.connection.cursor()
        cursor.row_factory = sqlite3.Row
        return cursor.execute(sql, values).fetchall()

    @property
    def _now(self) -> datetime:
        return self.world.now().replace(tzinfo=None)

    # --- after a commit ---

    def committed(self, writer: int) -> None:
        """`writer`: the number of the process, or that of a door."""
        runs = {row["id"]: row for row in self._read("SELECT * FROM runs_run")}
        for key, row in runs.items():
            before = self.runs.get(key)
            if before is None or tuple(before) != tuple(row):
                self._run(before, row, writer)
        entries = self._read("SELECT rowid, verb, actor, run, seq, subject, body FROM audit_entry WHERE rowid > ? ORDER BY rowid", self.read_to)
        if entries:
            self.read_to = entries[-1]["rowid"]
            self._rows(runs, entries, writer)
        self.runs = runs
        self.live = {key: _utc(row["deadline_at"], self.world) for key, row in runs.items() if row["state"] in LIVE}

    def _rows(self, runs: dict[str, Row], entries: list[sqlite3.Row], writer: int) -> None:
        steps = {(row["run_id"], row["key"]): row for row in self._read("SELECT * FROM runs_step")}
        calls = {row["key"]: row for row in self._read("SELECT * FROM runs_call")}
        for entry in entries:
            if entry["run"] is not None:
                self._entry(entry, runs[entry["run"]], writer)
        for place, row in steps.items():
            before = self.steps.get(place)
            if before is None or tuple(before) != tuple(row):
                self._step(before, row, runs[row["run_id"]], writer)
        for key, row in calls.items():
            before = self.calls.get(key)
            if before is None or tuple(before) != tuple(row):
                self._call(before, row, runs[row["run_id"]], steps, writer)
        self.steps, self.calls = steps, calls
        for key in {entry["run"] for entry in entries if entry["run"] is not None}:
            self._account(runs[key])
            self._shape(runs[key])

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
        elif row["lease_until"] != before["lease_until"]:
            holder = self.holders.get(name)
            self._must(writer in (holder, 0), "only its holder prolongs a lease or gives it back", f"{writer} did, and {holder} holds it")
        if row["cancel_requested_at"] is not None and before["cancel_requested_at"] is None:
            in_time = before["state"] in LIVE and row["cancel_requested_at"] < row["deadline_at"]
            self._must(in_time, "only what lives and is in time is cancelled", name)
        if row["state"] == "finished" and before["state"] != "finished":
            self._ended(before, row)
        self._limits(row)

    def _claimed(self, before: Row, row: Row, writer: int) -> None:
        self._must(row["fence"] == before["fence"] + 1, "each claim has a fence of its own", f"{before['fence']} became {row['fence']}")
        free = before["lease_until"] is None or before["lease_until"] <= self._now
        self._must(free, "a lease that holds is nobody else's to take", f"{writer} took it before {before['lease_until']}")
        self._must(before["state"] in LIVE and self._now < before["deadline_at"], "only what lives and is in time is claimed", before["state"])
        self.holders[row["id"]] = writer
        self.claims[row["id"]] += 1

    def _ended(self, before: Row, row: Row) -> None:
        name = row["id"]
        if row["outcome"] == "cancelled":
            self._must(before["cancel_requested_at"] is not None, "a run is cancelled because somebody asked", name)
        if before["deadline_at"] <= self._now:
            told = f"{name} is {row['outcome']} {row['failure_cause']}, finished {row['finished_at']}"
            self._must(row["failure_cause"] in ("deadline", "tampered"), "past its deadline a run has failed", told)
        elif before["cancel_requested_at"] is not None:
            self._must(row["outcome"] == "cancelled", "what was cancelled ends so", f"{name} is {row['outcome']} {row['failure_cause']}")
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
            if entry["actor"] == "worker":
                self._must(
                    self.holders.get(name) == writer, "only the holder writes events", f"{writer} wrote {verb}; {self.holders.get(name)} holds it"
                )
            self._progress(name, verb)
        if verb in ENDS:
            self.ends[entry["subject"]] += 1
            self._must(self.ends[entry["subject"]] == 1, "a call ends once", entry["subject"])
        elif verb == "runs.call.resent":
            self.resent[entry["subject"].removeprefix("call:")] += 1
        elif verb == "runs.call.dispatched":
            self.dispatched[entry["subject"].removeprefix("call:")] += 1

    def _progress(self, name: str, verb: str) -> None:
        if verb == "runs.run.resumed":
            many = self.claims[name]
            self._must(many <= MOST_CLAIMS, "who takes a run after so many claims ends it", f"resumed at claim {many} without progress")
        if verb not in ("runs.run.resumed", "runs.call.resent", "runs.run.cancel_requested"):
            self.claims[name] = 0

    # --- steps ---

    def _step(self, before: Row | None, row: Row, run: Row, writer: int) -> None:
        place, was = f"{row['key']} of {row['run_id']}", None if before is None else before["state"]
        earlier = self.runs.get(row["run_id"])
        if before is not None and was not in OPEN:
            self._must(tuple(before) == tuple(row), "a step that has ended never changes", place)
        if row["state"] == "returned" and was != "returned":
            self._returned(before, row, run, earlier, writer)
        if row["state"] in OPEN and (before is None or row["attempt"] != before["attempt"] or was == "retrying"):
            self._goes_on(row, earlier)
        if before is not None:
            again = was == "running" and row["state"] == "retrying"
            self._must(row["attempt"] == before["attempt"] + again, "each retry is an attempt of its own", place)

    def _returned(self, before: Row | None, row: Row, run: Row, earlier: Row | None, writer: int) -> None:
        place = f"{row['key']} of {row['run_id']}"
        self._must(
            row["result_fence"] == run["fence"], "a result is written under the current fence", f"{place}: {row['result_fence']}, {run['fence']}"
        )
        self._must(self.holders.get(row["run_id"]) == writer, "a result is written by the holder", place)
        deadline = row["deadline_at"] if before is None else before["deadline_at"]
        self._must(row["finished_at"] < min(deadline, run["deadline_at"]), "a late result is never used", f"{place} returned {row['finished_at']}")
        self._must(earlier is None or earlier["cancel_requested_at"] is None, "after a cancel no result is used", place)
        if not row["judges"]:
            self._must(self._was_answered(row), "a result is what somebody answered", place)

    def _was_answered(self, row: Row) -> bool:
        if row["agent"] == "echo":
            return True
        digests = set()
        for sent in self.world.outside.sent:
            request = sent.request
            if (request.run.hex, request.step, request.attempt) == (row["run_id"], row["key"], row["attempt"]) and sent.answer is not None:
                digests |= set(_values(sent.answer))
        return row["result_digest"] in digests

    def _goes_on(self, row: Row, earlier: Row | None) -> None:
        if earlier is not None:
            self._must(earlier["cancel_requested_at"] is None, "after a cancel nothing is opened", row["key"])
            self._must(earlier["state"] != "finished", "after the finish nothing is opened", row["key"])

    # --- calls ---

    def _call(self, before: Row | None, row: Row, run: Row, steps: Mapping[Any, Row], writer: int) -> None:
        if before is None:
            self._must(row["state"] == "dispatched" and self.dispatched[row["key"]] == 1, "an intent is told once", row["key"])
            self._intent(row, run, steps[row["run_id"], row["step"]], writer)
            return
        self._must(before["state"] == "dispatched", "a call that has ended never changes", f"{dict(before)} became {dict(row)}")
        if row["state"] != "dispatched":
            self._settled(before, row)

    def _intent(self, row: Row, run: Row, step: Row, writer: int) -> None:
        earlier, what = self.runs[row["run_id"]], f"{row['step']} {row['attempt']}.{row['ordinal']}"
        self._must(run["state"] == "running", "no intent after the finish", what)
        self._must(earlier["cancel_requested_at"] is None, "no intent after a cancel", what)
        self._must(row["dispatched_at"] < row["not_after"], "no intent after the deadline", f"{what} at {row['dispatched_at']}")
        self._must((step["state"], step["attempt"]) == ("running", row["attempt"]), "an intent is that of a step at work", what)
        self._must(row["not_after"] <= run["deadline_at"], "no call outlives its run", what)
        self._must(self.holders.get(row["run_id"]) == writer, "only the holder writes intents", what)

    def _settled(self, before: Row, row: Row) -> None:
        what = f"{row['step']} {row['attempt']}.{row['ordinal']}"
        self._must(self.ends["call:" + row["key"]] == 1, "a call's end is told", what)
        self._must(row["reserved_nano"] == 0, "what has ended reserves nothing", what)
        answers = [sent for sent in self.world.outside.sent if sent.request.key == row["key"]]
        bound = before["reserved_nano"]
        unsent = row["kind"] == "model" and not answers  # its provider says that it has done nothing
        costs = {bound, *([0] if unsent else [])} | {cost for sent in answers for cost in _costs(sent.answer)}
        self._must(row["cost_nano"] in costs, "a call costs its bound, or what was said", f"{what} cost {row['cost_nano']}, its bound was {bound}")
        if row["state"] == "confirmed" and not unsent:
            self._must(any(sent.answered_at is not None for sent in answers), "what is confirmed was answered", what)
        if row["mode"] == "at_most_once":
            self._must(row["state"] != "refused", "what may have acted is never called refused", what)

    def _account(self, run: Row) -> None:
        mine = [row for row in self.calls.values() if row["run_id"] == run["id"]]
        held = sum(row["reserved_nano"] for row in mine)
        self._must(run["reserved_nano"] == held, "what is reserved is what is out", f"the run says {run['reserved_nano']}, its calls {held}")
        spent = self._read("SELECT COALESCE(SUM(amount_nano), 0) AS spent FROM audit_charge WHERE run = ?", run["id"])[0]["spent"]
        costs = sum(row["cost_nano"] for row in mine)
        self._must(run["spent_nano"] == spent == costs, "what is spent is what was charged", f"{run['spent_nano']}, charges {spent}, calls {costs}")
        self._must(run["calls_used"] == len(mine), "each call is counted", f"{run['calls_used']} of {len(mine)}")
        out = [row["step"] for row in mine if row["state"] == "dispatched"]
        self._must(run["state"] != "finished" or not out, "a run ends with its calls settled", str(out))

    def _shape(self, run: Row) -> None:
        """If all of a node's predecessors are done and the run lives, the node exists; what has finished has nothing open."""
        mine = {key: row for (name, key), row in self.steps.items() if name == run["id"]}
        self._must(run["seq"] == self.heads[run["id"]][0], "the row names its last event", run["id"])
        is_told = self.heads[run["id"]][2] == FINISHED
        self._must((run["state"] == "finished") == is_told, "one finishing event, and the row says the same", run["id"])
        if run["state"] == "finished":
            self._must(not any(row["state"] in OPEN for row in mine.values()), "a finished run has nothing open", run["id"])
        if run["state"] == "running":
            self._must(Model(self._play(run, mine)).status != ABSENT, "what can go on exists", f"{run['id']}: {sorted(mine)}")

    def _play(self, run: Row, mine: Mapping[str, Row]) -> Any:
        """As the second opinion on the rows takes them."""
        plan, _ = store.plan_of(UUID(run["release_id"]))
        plan = planner.verification_only(plan) if run["reverifies_id"] else plan
        given = self.world.scenario.inputs[self._number(run)]
        steps = {key: SimpleNamespace(step=SimpleNamespace(state=row["state"])) for key, row in mine.items()}
        return SimpleNamespace(rows=SimpleNamespace(steps=steps, run=SimpleNamespace(input=given), plan=plan))

    def _number(self, run: Row) -> int:
        return int(self._read("SELECT name FROM agents_pipeline WHERE id = ?", run["pipeline_id"])[0]["name"].removeprefix("line"))

    # --- when something is sent ---

    def sending(self, request: Any) -> None:
        what = f"{request.step} {request.attempt}.{request.ordinal}"
        rows = self._read("SELECT state, mode FROM runs_call WHERE key = ?", request.key)
        self._must(bool(rows), "the intent stands before the call goes out", what)
        self._must(self.world.now() < request.not_after, "nothing is sent when its time is over", what)
        times = self.world.outside.times[request.key] + 1
        self._must(times <= 1 + self.resent[request.key], "what is sent again is told", f"{what}: {times} times")
        if request.mode == "at_most_once":
            place = (request.run.hex, request.step)
            self.acted[place] += 1
            self._must(self.acted[place] == 1, "at most once", f"{what} is sent for the {self.acted[place]}nd time")

    def answered(self, sent: Any) -> None:
        """To a process that lives: it has to write that down, whoever holds the run by now."""
        if not set(self.world.scenario.faults) & WRITES_FAIL:
            driving = self.world.processes[sent.process - 1].engine._driving
            self.unwritten[sent.request.key] = (sent, driving.get(sent.request.run))

    # --- when nothing is ready ---

    def idle(self) -> None:
        for process in self._lively():
            self._at_work(process.engine)
        for key, (sent, driving) in list(self.unwritten.items()):
            process = self.world.processes[sent.process - 1]
            gone = not process.alive or driving is None or driving.cancelled()  # its engine has let go of the run, with all that was under way
            if gone or key not in self.calls or self.calls[key]["state"] != "dispatched":
                del self.unwritten[key]
                continue
            free_since = max(sent.answered_at, process.hindered_until, process.stopped_until)
            soon = free_since + 2.0 + 5 * self.world.scenario.latency
            self._must(process.busy or self.world.seconds <= soon, "what was answered is written", f"{sent.request.step} to {sent.process}")

    def _lively(self) -> list[Any]:
        """Processes that have nothing in hand: whatever they should do by now they have done."""
        return [each for each in self.world.processes if each.alive and not each.busy and not each.jobs and each.stopped_until <= self.world.seconds]

    def _at_work(self, engine: Any) -> None:
        for run in engine._driving:
            driver = engine._drivers[run]
            running = {key for key in driver.snapshot.open if driver.snapshot.steps[key].state == "running"}
            if driver.inbox.empty() and not driver.finished:
                self._must(all(key in driver.performing for key in running), "what runs is in somebody's hands", f"{sorted(running)} of {run}")

    # --- at the end ---

    def at_the_end(self) -> None:
        runs = list(Run.objects.all())
        broken = [run.id for run, is_so in ((run, integrity_of([run])[run.id]) for run in runs) if is_so != "intact"]
        self._must(not broken, "a finished run is what its ledger says", str(broken))
        for run in runs:
            self._must(not (problems := reports.chain_problems(run.id)), "the ledger's chain holds", str(problems))
            self._must(run.reserved_nano == 0, "at the end nothing is reserved", str(run.id))
        for process in self._lively():
            free = process.engine.tools.boundary.children._free
            self._must(bool(process.engine._driving) or free == process.engine.options.children, "places are given back", f"{free} are free")
        self.raise_if_broken()


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


def _costs(answer: Any) -> Iterable[int]:
    """What a model's answer costs at a price of one nano-dollar a token; what a provider gives for free."""
    tokens = getattr(answer, "tokens", None)
    if tokens is not None:
        yield tokens.input + tokens.output
    if getattr(answer, "free", False):
        yield 0


def _utc(instant: datetime, world: "World") -> datetime:
    return instant.replace(tzinfo=world.now().tzinfo)
