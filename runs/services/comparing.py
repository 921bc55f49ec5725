"""Comparing: whether a run's rows say what its entries state, of a run that is read whole. Never writes.

Held is what an entry states and nothing changes afterwards; `docs/reference/run-document.md` says which facts these are, and which no entry states.
Called by the run document, by the sweep and before a run is judged again; lists ask `integrity_of`, which reads the last entry alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db.models import prefetch_related_objects

from audit import clock, reports
from audit.actors import AGENT
from runs.engine.states import Integrity, RunState, StepState, Verb
from runs.engine.values import instant_text
from runs.models import Run, Step
from runs.models.run import CLOCKS_APART, integrity_of

Envelope = Mapping[str, Any]

MOST: Final = 5_000
"""Entries that a sweep reads at most, which looks at a hundred runs at once. The steps of those with more are held against theirs where somebody
reads such a run."""
_STATES: Final[Mapping[str, StepState]] = {
    Verb.STEP_STARTED: StepState.RUNNING,
    Verb.STEP_RETRIED: StepState.RETRYING,
    Verb.STEP_WAITING: StepState.WAITING,
    Verb.STEP_RETURNED: StepState.RETURNED,
    Verb.STEP_JUDGED: StepState.RETURNED,
    Verb.STEP_SKIPPED: StepState.SKIPPED,
    Verb.STEP_FAILED: StepState.FAILED,
    Verb.STEP_CANCELLED: StepState.CANCELLED,
}
"""What a step is after each of its entries."""
_READ: Final = (*_STATES, Verb.RUN_CANCEL_REQUESTED)
_QUEUED: Final = ("pipeline", "version", "release", "input", "draft", "as_of", "trigger", "reverifies", "parent", "parent_step", "root")
"""The facts of a first entry that a row repeats; a run that somebody started has no parent."""
_OF_A_FAILURE: Final = ("cause", "owner", "team")


@dataclass(slots=True)
class _StepTold:
    """What a step's entries say: the last of them, the one that holds its input, and those of its failures."""

    last: Envelope
    given: str | None = None
    failures: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Told:
    """What an ended run's entries say of its steps, by key, and who asked for its end."""

    steps: dict[str, _StepTold] = field(default_factory=dict)
    cancelled_by: str = ""
    is_evidence: bool = True

    def add(self, entry: Envelope | None) -> None:
        """The next one in sequence; None for one that is no evidence."""
        if entry is None:
            self.is_evidence = False
        elif entry["verb"] == Verb.RUN_CANCEL_REQUESTED:
            self.cancelled_by = _named(entry)
        else:
            told = self.steps.setdefault(entry["subject"].removeprefix("step:"), _StepTold(entry))
            told.last = entry
            if entry["verb"] == Verb.STEP_STARTED and "input" in entry["commitments"]:
                told.given = told.given or entry["id"]
            if entry["verb"] in (Verb.STEP_FAILED, Verb.STEP_RETRIED):
                told.failures.add(entry["id"])


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run's rows are held against: its first and its last entry, the first of the run that somebody started above it, and what it says of
    its steps; of these nothing while it lives, since rows and entries are read one after the other."""

    first: Envelope | None
    last: dict[str, Any] | None
    root: Envelope | None
    told: _Told | None


def evidence_of(runs: Collection[Run], *, only: Collection[str] | None = None, most: int | None = None) -> dict[UUID, Evidence]:
    """Two statements however many there are. `only` these steps; of so many runs that they have `most` entries together."""
    root = {run.id: run.root_run_id or run.id for run in runs}
    found = reports.envelopes_at([(id_, seq) for run in runs for id_, seq in ((run.id, 1), (run.id, run.seq), (root[run.id], 1))])
    ended = _with_few_entries([run for run in runs if run.state == RunState.FINISHED], most)
    told = _told(ended, only)
    return {run.id: Evidence(found.get((run.id, 1)), found.get((run.id, run.seq)), found.get((root[run.id], 1)), told.get(run.id)) for run in runs}


def _with_few_entries(runs: Sequence[Run], most: int | None) -> list[Run]:
    """Those that fit, the first first."""
    fitting: list[Run] = []
    for run in runs:
        if most is None or run.seq <= most:
            fitting.append(run)
            most = None if most is None else most - run.seq
    return fitting


def _told(runs: Collection[Run], only: Collection[str] | None) -> dict[UUID, _Told]:
    told = {run.id: _Told() for run in runs}
    subjects = None if only is None else [*(run.subject for run in runs), *(f"step:{key}" for key in only)]
    for run, entry in reports.said_in(list(told), verbs=_READ, subjects=subjects) if told else ():
        told[run].add(entry)
    return told


def held_whole(runs: Sequence[Run]) -> dict[UUID, Integrity]:
    """As `integrity_of`, of every fact that these runs' entries state. Five statements for all, and one for values that lie apart."""
    evidence = evidence_of(runs, most=MOST)
    found = integrity_of(runs, {run: each.last for run, each in evidence.items() if each.last is not None})
    prefetch_related_objects(runs, "release")  # each once: a manifest is long, and many runs have the same
    steps: dict[UUID, list[Step]] = {}
    for step in Step.objects.filter(run__in=[run for run, each in evidence.items() if each.told is not None]):
        steps.setdefault(step.run_id, []).append(step)
    for run in runs:
        if differs(run, evidence[run.id], steps.get(run.id, [])):
            found[run.id] = Integrity.BROKEN
    return found


def differs(run: Run, evidence: Evidence, steps: Iterable[Step]) -> bool:
    """Whether the row of a run, or of one of these steps, says something else than the evidence. `steps` are all that it was read of."""
    first, last, root = evidence.first, evidence.last, evidence.root
    if first is None or last is None or root is None or not _is_as_queued(run, first, root):
        return True
    if run.state == RunState.FINISHED and not _is_in_time(run, first, last):
        return True
    told = evidence.told
    return told is not None and not _is_as_told(run, told, {step.key: step for step in steps})


# --- the run -------------------------------------------------------------------------------------------------------


def _is_as_queued(run: Run, first: Envelope, root: Envelope) -> bool:
    """What is fixed before its work starts. Of a child who started it says the first entry of the run that somebody started."""
    said = (first["verb"], root["verb"], first["id"], first["at"], first["team"], *(first["facts"].get(name) for name in _QUEUED))
    here = (Verb.RUN_QUEUED, Verb.RUN_QUEUED, str(run.input_entry), instant_text(run.created_at), run.team.name, *_queued(run))
    return said == here and _starter(root) == (run.started_by, run.started_with, run.on_behalf_of)


def _queued(run: Run) -> tuple[Any, ...]:
    """The row's side of `_QUEUED`."""
    parents = (run.parent_run_id, run.parent_step or None, run.root_run_id)
    version = run.release.manifest["pipeline"]["version"]
    started = (run.pipeline.name, version, run.release.digest, run.input_digest, run.draft, instant_text(run.as_of), run.trigger)
    return (*started, *(None if each is None else str(each) for each in (run.reverifies_id, *parents)))


def _starter(root: Envelope) -> tuple[str, str, str]:
    if root["actor"]["kind"] != AGENT:
        return _named(root), "", ""
    return _named(root), root["actor"]["auth"].removeprefix("key:"), f"person:{root['on_behalf_of']}"


def _named(entry: Envelope) -> str:
    return f"{entry['actor']['kind']}:{entry['actor']['id']}"


def _is_in_time(run: Run, first: Envelope, last: Envelope) -> bool:
    """No entry states when it began and ended by its worker's clock; that lies between its entries, as far as clocks agree."""
    earliest, latest = clock.from_text(first["at"]) - CLOCKS_APART, clock.from_text(last["at"]) + CLOCKS_APART
    return run.finished_at is not None and all(earliest <= at <= latest for at in (run.started_at, run.finished_at) if at is not None)


# --- its steps -----------------------------------------------------------------------------------------------------


def _is_as_told(run: Run, told: _Told, steps: Mapping[str, Step]) -> bool:
    """One row for each step that there are entries of, and none more."""
    if not told.is_evidence or told.cancelled_by != run.cancel_requested_by or told.steps.keys() != steps.keys():
        return False
    agents = run.release.manifest["agents"]
    return all(_is_step_as_told(steps[key], each, agents) for key, each in told.steps.items())


def _is_step_as_told(step: Step, told: _StepTold, agents: Mapping[str, Any]) -> bool:
    facts, verb = told.last["facts"], told.last["verb"]
    again = verb == Verb.STEP_RETRIED  # its row says already what is tried next, and with whom
    agent = (facts.get("agent") if again else told.last["agent"]) or ""
    said = (_STATES[verb], agent, agents[agent]["version"] if agent in agents else 0, told.given)
    here = (step.state, step.agent, step.version, _text(step.input_entry))
    if said != here or facts.get("next_attempt" if again else "attempt", step.attempt) != step.attempt:
        return False
    return _has_result_as_told(step, told) and _has_failure_as_told(step, told)


def _has_result_as_told(step: Step, told: _StepTold) -> bool:
    here = (step.result_digest, instant_text(step.as_of), _text(step.result_entry))
    if step.state != StepState.RETURNED:
        return here == ("", None, None)
    facts = told.last["facts"]
    return here == (facts.get("result"), facts.get("as_of"), told.last["id"]) and step.judges == (told.last["verb"] == Verb.STEP_JUDGED)


def _has_failure_as_told(step: Step, told: _StepTold) -> bool:
    """What has failed says its last failure; another step perhaps one that it has got over."""
    entry, facts = _text(step.failure_entry), told.last["facts"]
    if step.state != StepState.FAILED:
        return entry is None or entry in told.failures
    here = (step.failure_cause, step.failure_owner, step.failure_team)
    return entry == told.last["id"] and here == tuple(facts.get(name) or "" for name in _OF_A_FAILURE)


def _text(entry: UUID | None) -> str | None:
    return None if entry is None else str(entry)
