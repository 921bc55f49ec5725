"""Loading: rows to frozen snapshots, checked against the ledger on the way.

A result whose digest differs from its entry's is never handed out: the run then comes back with a problem instead.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import DatabaseError

from agents.models import Release, Team
from agents.registry import Behalf
from agents.stops import Place
from audit import bulk, canonical, ledger, reports
from runs.engine import approving, looking, machine, places, planner
from runs.engine.answers import Answer
from runs.engine.families import PipelineNode, ShareNode
from runs.engine.patterns import spreading
from runs.engine.states import LIVE_RUN, OPEN_STEP, SPREAD, Approval, Cause, RunState, StepState, Verb, WaitKind, WaitState
from runs.engine.values import BestBefore, Failure, Held, Plan, RunView, Snapshot, Waiting, WaitNode
from runs.engine.values import Step as StepValue
from runs.models import Call, Run, Step, Wait
from runs.store import family, lines
from runs.store.transitions import Seen

log = logging.getLogger(__name__)

Opened = Mapping[UUID, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a run can't go on as it is."""

    cause: Cause
    message: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A run as rows and ledger say. With a `problem` its snapshot is only good for ending it.

    `is_broken`: its row lives and its ledger says that it has finished. Nobody may drive it or end it again.
    """

    run: Run
    snapshot: Snapshot
    seen: Seen
    calls: Mapping[str, Call]
    responses: Mapping[str, Any]
    problem: Problem | None = None
    is_broken: bool = False
    line: tuple[Place, ...] = ()
    """It and all above it, as far as a stop may be of them."""
    behalf: Behalf | None = None
    """On whose behalf it is made, where a person started it or the first run above it."""


@dataclass(frozen=True, slots=True)
class Waits:
    """The newest wait of each step that waits, by its place; where a child run is at work meanwhile; what steps at work were approved by."""

    rows: Mapping[tuple[UUID, str], Wait]
    works: frozenset[tuple[UUID, str]]
    approvals: Mapping[UUID, Wait]


class _Tampered(Exception):
    """A row and its ledger entry say different things."""


def load(ids: Sequence[UUID]) -> list[Loaded]:
    """Read runs whole: a few statements for all of them, and their releases once per process."""
    return load_rows(bulk.read(Run, match=["id"], rows=[[run] for run in ids]))


def load_rows(runs: Sequence[Run]) -> list[Loaded]:
    """The same for runs whose rows have just been read, in their order. A queued one has no steps and no calls yet."""
    teams = {team.id: team for team in bulk.read(Team, match=["id"], rows=[[run.team_id] for run in runs])}
    for run in runs:
        run.team = teams[run.team_id]
    begun = [[run.id] for run in runs if run.state != RunState.QUEUED]
    steps, calls = _by_run(bulk.read(Step, match=["run"], rows=begun)), _by_run(bulk.read(Call, match=["run"], rows=begun))
    waits = _waits(steps)
    works = _children_at_work(waits.values())
    approvals = _approvals(steps)
    heads = ledger.heads_at({run.id: run.seq for run in runs})
    opened = reports.openings_of(_entries(runs, steps, calls, [*waits.values(), *approvals.values()]))
    above, waiting = lines.above(runs), Waits(waits, works, approvals)
    loaded = [_loaded(run, steps.get(run.id, []), calls.get(run.id, []), heads.get(run.id), opened, waiting) for run in runs]
    return [_placed(each, (_place(each), *above.get(each.run.id, ()))) for each in loaded]


def _placed(loaded: Loaded, line: tuple[Place, ...]) -> Loaded:
    """A child run has been started by whoever started the first above it, for that one's team."""
    behalf = Behalf.of(loaded.run.person or "", line[-1].team, judges_again=loaded.run.reverifies_id is not None)
    return replace(loaded, line=line, behalf=behalf)


def _place(loaded: Loaded) -> Place:
    plan = loaded.snapshot.plan
    return Place(loaded.run.id, plan.pipeline, plan.version, loaded.run.team.name)


def _children_at_work(waits: Iterable[Wait]) -> frozenset[tuple[UUID, str]]:
    """The places of waiting steps whose child run is at work."""
    parents = {wait.run_id for wait in waits if wait.kind == WaitKind.REMOTE}
    return frozenset(family.at_work_below(parents)) if parents else frozenset()


def _waits(steps: Mapping[UUID, list[Step]]) -> dict[tuple[UUID, str], Wait]:
    """The newest wait of each step that waits. Most runs have none, and nobody asks the database for them."""
    waiting = [[step.run_id, step.key] for listed in steps.values() for step in listed if step.state == StepState.WAITING]
    rows = bulk.read(Wait, match=["run", "step"], rows=waiting) if waiting else []
    return {(wait.run_id, wait.step): wait for wait in sorted(rows, key=lambda wait: wait.id)}


def _approvals(steps: Mapping[UUID, list[Step]]) -> dict[UUID, Wait]:
    """Of steps that go on with a yes; most runs have none."""
    given = {step.approval for listed in steps.values() for step in listed if step.approval is not None and step.state in OPEN_STEP}
    return {wait.id: wait for wait in bulk.read(Wait, match=["id"], rows=[[each] for each in given])} if given else {}


def _by_run(rows: Sequence[Any]) -> dict[UUID, list[Any]]:
    """In the order in which they were made."""
    grouped: dict[UUID, list[Any]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        grouped.setdefault(row.run_id, []).append(row)
    return grouped


def _entries(runs: Sequence[Run], steps: Mapping[UUID, list[Step]], calls: Mapping[UUID, list[Call]], waits: Iterable[Wait]) -> list[UUID]:
    wanted: list[UUID | None] = [run.input_entry for run in runs]
    for step in (step for listed in steps.values() for step in listed):
        wanted += [step.result_entry, step.failure_entry, step.input_entry if step.state in OPEN_STEP else None]
    wanted += [entry for wait in waits for entry in (wait.failure_entry, wait.answer_entry)]
    wanted += [call.response_entry for listed in calls.values() for call in listed]
    return [entry for entry in wanted if entry is not None]


def _loaded(run: Run, steps: list[Step], calls: list[Call], head: ledger.Head | None, opened: Opened, waits: Waits) -> Loaded:
    plan, problem = plan_of_run(run)
    seen = Seen(run.revision, run.fence, head or ledger.head_of(run.id))
    view, values = _view(run), {}
    try:
        if head is None:
            raise _Tampered(f"its row says that entry {run.seq} of this run is the last, and the ledger says otherwise")
        view = _filled(view, run, opened)
        if problem is None:
            values = {step.key: _step(step, plan, opened, waits) for step in steps}
            values = {key: _unlooked(step, values) for key, step in values.items()}
    except _Tampered as tampered:
        problem = Problem(Cause.TAMPERED, str(tampered))
    except DatabaseError:
        raise  # it may pass
    except Exception as error:  # noqa: BLE001 - logged, and the run ends with it
        problem, values = _unreadable(run, error), {}
    keys = frozenset(key for key, step in values.items() if step.state in OPEN_STEP)
    answered = {call.key: opened.get(call.response_entry, {}) for call in calls if call.response_entry is not None}
    responses = {key: values["response"] for key, values in answered.items() if "response" in values}
    is_broken = run.state in LIVE_RUN and seen.head.verb == Verb.RUN_FINISHED
    return Loaded(run, Snapshot(plan, view, values, keys), seen, {call.key: call for call in calls}, responses, problem, is_broken)


def plan_of_run(run: Run) -> tuple[Plan, Problem | None]:
    """Of its release's plan, what this run does."""
    plan, problem = plan_of(run.release_id)
    if problem is not None or run.trigger != SPREAD:
        return (plan if problem is not None or not run.reverifies_id else planner.verification_only(plan)), problem
    share = places.share_of(plan, run.parent_step)
    if share is None:
        return plan, Problem(Cause.TAMPERED, f"it is to do '{run.parent_step}' of the run above, and its release spreads nothing there")
    return share, None


@lru_cache(maxsize=256)
def plan_of(release: UUID) -> tuple[Plan, Problem | None]:
    """A release's plan, compiled once per process; releases never change."""
    row = Release.objects.get(id=release)
    if canonical.digest(row.manifest) != row.digest:
        return planner.unrunnable(row.manifest, digest=row.digest), Problem(Cause.TAMPERED, "the release's manifest does not have its digest")
    try:
        return planner.compiled(row.manifest, digest=row.digest), None
    except planner.IncompatiblePlan as error:
        return planner.unrunnable(row.manifest, digest=row.digest), Problem(Cause.INCOMPATIBLE, str(error))
    except planner.PlanError as error:
        return planner.unrunnable(row.manifest, digest=row.digest), Problem(Cause.DENIED, str(error))
    except Exception as error:  # noqa: BLE001 - logged, and each run of it ends with it
        return planner.unrunnable(row.manifest, digest=row.digest), _unreadable(row, error)


def _unreadable(what: Run | Release, error: Exception) -> Problem:
    """What can't be read here would be no more readable to the next worker, and would only be seen to hang until its deadline."""
    log.error("%s %s can't be read", type(what).__name__.lower(), what.pk, exc_info=error)
    return Problem(Cause.LOST, f"the platform can't read this run ({type(error).__name__}); the log says how")


def _view(run: Run) -> RunView:
    """What the row says; also where its values can't be trusted, for its account is true."""
    return RunView(
        id=str(run.id),
        state=RunState(run.state),
        input={},
        created_at=run.created_at,
        deadline_at=run.deadline_at,
        started_at=run.started_at,
        as_of=run.as_of,
        draft=run.draft,
        lifetime_until=run.lifetime_until,
        remaining_ms=run.remaining_ms,
        wake_at=run.wake_at,
        cancel_by=run.cancel_requested_by or None,
        cancel_at=run.cancel_requested_at,
        parent=None if run.parent_run_id is None else str(run.parent_run_id),
        calls=run.calls_used,
        calls_limit=run.calls_limit,
        spent=run.spent_nano,
        reserved=run.reserved_nano,
        cost_limit=run.cost_limit_nano,
    )


def _filled(view: RunView, run: Run, opened: Opened) -> RunView:
    values = opened.get(run.input_entry, {})
    if "input" not in values:
        raise _Tampered("the stored input does not match its ledger entry")
    if run.trigger == SPREAD:
        given, held, share = spreading.read(values["input"])
        return replace(view, input=given, given=held, share=share)
    given, missing = _given(run.reverifies_id) if run.reverifies_id else ({}, ())
    return replace(view, input=values["input"], given=given, given_missing=missing)


def _given(run: UUID) -> tuple[Mapping[str, Held], tuple[Failure, ...]]:
    """The work of the run that is judged again."""
    judged = load([run])[0]
    if judged.problem is not None:
        raise _Tampered(judged.problem.message)
    return machine.work_of(judged.snapshot, judged.run.created_at)


def _step(step: Step, plan: Plan, opened: Opened, waits: Waits) -> StepValue:
    node = places.node_at(plan.root, step.key)
    if node is None or step.agent not in ({""} if isinstance(node, (WaitNode, PipelineNode, ShareNode)) else plan.agents):
        raise _Tampered(f"step '{step.key}' by '{step.agent}' has no place in the run's release")
    loaded = StepValue(
        key=step.key,
        node=node,
        agent=step.agent,
        state=StepState(step.state),
        attempt=step.attempt,
        started_at=step.started_at,
        deadline_at=step.deadline_at,
        arguments=_value(step, step.input_entry, "input", opened) if step.state in OPEN_STEP and step.agent else {},
        not_before=step.not_before,
        finished_at=step.finished_at,
        held=_held(step, opened),
        failure=_failure(step, opened),
        fell_back=step.fell_back,
        wait=_wait(step, waits, opened) if step.state == StepState.WAITING else None,
        undo=_beside(step, "undo", opened),
        lacks=None if (lacks := _beside(step, "lacks", opened)) is None else Failure.from_record(lacks),
    )
    return _approved(loaded, step, waits, opened) if step.approval is not None and step.state in OPEN_STEP else loaded


def _beside(step: Step, path: str, opened: Opened) -> Any:
    """What lies beside a step's result, where anything does."""
    return None if step.result_entry is None else opened.get(step.result_entry, {}).get(path)


def _unlooked(step: StepValue, steps: Mapping[str, StepValue]) -> StepValue:
    """A look-up that has begun does not begin again."""
    if step.wait is None or step.wait.look_at is None or looking.key_of(step) not in steps:
        return step
    return replace(step, wait=replace(step.wait, look_at=None))


def _wait(step: Step, waits: Waits, opened: Opened) -> Waiting:
    wait = waits.rows.get((step.run_id, step.key))
    if wait is None or wait.state not in (WaitState.OPEN, WaitState.ANSWERED):
        raise _Tampered(f"step '{step.key}' waits, and no wait of it is open or answered")
    failed = None if wait.failure_entry is None else Failure.from_record(_value(step, wait.failure_entry, "failure", opened))
    answer = None
    if wait.state == WaitState.ANSWERED:
        assert wait.ended_at is not None
        answer = Answer(wait.ended_at, wait.answered_by, _value(step, wait.answer_entry, "answer", opened))
    return Waiting(
        kind=WaitKind(wait.kind),
        opened_at=wait.opened_at,
        until=wait.expires_at,
        goes_on=wait.goes_on,
        subject=wait.subject,
        failure=failed,
        look_at=wait.look_at,
        answer=answer,
        id=str(wait.id),
        works=(step.run_id, step.key) in waits.works,
    )


def _approved(loaded: StepValue, step: Step, waits: Waits, opened: Opened) -> StepValue:
    """With what its row says that it was approved by: a wait of this step, answered so, by what the ledger holds."""
    wait = waits.approvals.get(step.approval) if step.approval is not None else None
    if wait is None or (wait.run_id, wait.step, wait.kind, wait.state) != (step.run_id, step.key, WaitKind.APPROVAL, WaitState.ANSWERED):
        raise _Tampered(f"step '{step.key}' goes on as approved, and no answered wait of it says so")
    said = _value(step, wait.answer_entry, "answer", opened)
    if said["decision"] != Approval.APPROVED:
        raise _Tampered(f"step '{step.key}' goes on as approved, and its answer says otherwise")
    return approving.approved(loaded, str(wait.id), wait.subject, said)


def _value(step: Step, entry: UUID | None, path: str, opened: Opened) -> Any:
    values = opened.get(entry, {}) if entry is not None else {}
    if path not in values:
        raise _Tampered(f"the stored {path} of step '{step.key}' does not match its ledger entry")
    return values[path]


def _held(step: Step, opened: Opened) -> Held | None:
    if step.state != StepState.RETURNED:
        return None
    value = _value(step, step.result_entry, "result", opened)
    if canonical.digest(value) != step.result_digest:
        raise _Tampered(f"the stored result of step '{step.key}' does not have the digest that its row says")
    fresh = BestBefore(step.best_before, step.best_before_step) if step.best_before is not None else None
    return Held(value, step.as_of, fresh)


def _failure(step: Step, opened: Opened) -> Failure | None:
    if step.failure_entry is None:
        return None
    return Failure.from_record(_value(step, step.failure_entry, "failure", opened))
