"""Reading: one run as one document, the same for every door. Never writes; what is overdue reads as failed."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count, Max, Min, Q

from agents.errors import NotGranted
from audit import canonical, clock, reports
from audit.actors import Actor
from runs import store
from runs.engine.asides import POLICY
from runs.engine.limits import failure
from runs.engine.states import OPEN_STEP, CallKind, Cause, Effective, Integrity, StepState, WaitKind
from runs.engine.values import instant_text
from runs.errors import UnknownRun
from runs.models import Call, Run, RunQuerySet, Step, Wait
from runs.models.run import integrity_of
from runs.services import comparing, phrases, relatives
from runs.services.containing import observing
from runs.services.waits import WantedWaits, cause_in_vain, unanswered, wait_records, waited_seconds, waits_wanted

SHORTEST_PREFIX = 8


def runs_visible_to(actor: Actor) -> RunQuerySet:
    return Run.objects.visible_to(actor).select_related("pipeline", "team")


def find_run(run: str, *, actor: Actor) -> Run:
    """A run by its id or by an unambiguous beginning of it (eight characters or more)."""
    found = list(_matching(run.strip().lower(), actor)[:2])
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownRun(f"'{run}' is the beginning of more than one run's id; give more of it")
    raise UnknownRun(f"there is no run '{run}' that you may see")


def require_member(run: Run, actor: Actor) -> None:
    """NotGranted for whoever may look at this run and not answer for it."""
    require(actor.may_operate(run.team.name), run, actor)


def require(may: bool, run: Run, actor: Actor) -> None:
    """NotGranted unless `may`; says what the actor lacks."""
    team = run.team.name
    if not may:
        raise NotGranted(f"run {run.id} belongs to team '{team}', and {actor.lacks(team)}; ask one of its people", team=team)


def _matching(run: str, actor: Actor) -> RunQuerySet:
    runs = runs_visible_to(actor).select_related("pipeline", "team", "release", "reverifies")
    digits = run.replace("-", "")
    if not digits or len(digits) > 32 or any(character not in "0123456789abcdef" for character in digits):
        raise UnknownRun(f"'{run}' is not a run's id")
    if len(digits) < SHORTEST_PREFIX:
        raise UnknownRun(f"'{run}' is too short: give at least {SHORTEST_PREFIX} characters of the run's id")
    return runs.filter(id__gte=UUID(digits.ljust(32, "0")), id__lte=UUID(digits.ljust(32, "f"))).order_by("id")


class StepInShort(NamedTuple):
    """What a run of tens of thousands of steps is sorted by."""

    id: int
    key: str
    state: str


def steps_in_short(run: Run) -> list[StepInShort]:
    """All steps of a run in the order in which they were opened; one statement."""
    return [StepInShort(*row) for row in Step.objects.filter(run=run).order_by("id").values_list("id", "key", "state")]


def extent_of_work(run: Run) -> tuple[str | None, str | None]:
    """From the first beginning of a step to the last end, the verifier that ends the run apart; no end while one of them is open."""
    work = Step.objects.filter(run=run).exclude(key="verify", judges=True)
    said = work.aggregate(began=Min("started_at"), ended=Max("finished_at"), open=Count("id", filter=Q(finished_at__isnull=True)))
    return instant_text(said["began"]), None if said["open"] else instant_text(said["ended"])


def run_document(run: Run, *, actor: Actor, only: Collection[int] | None = None) -> dict[str, Any]:
    """Everything that a run has to say, as JSON: outcome, steps with time and cost, verdict with evidence, failure with owner.

    Of the run that it judges, and of those that judge it, only what the actor may see. With `only` some steps, by id, beside the verifier's.
    """
    now = clock.now()
    steps, calls = _steps_and_calls(run, only)
    evidence = comparing.evidence_of([run], only=None if only is None else [step.key for step in steps])[run.id]
    finish = evidence.last if run.outcome else None
    told = reports.told_openings_of([entry for entry in _entries(run, steps, calls, finish) if entry is not None])
    opened = told.values
    end = opened.get(UUID(finish["id"]), {}) if finish is not None else {}
    usage = reports.usage_of(run.id) if any(call.kind == CallKind.MODEL for call in calls) else {}
    made: dict[str, list[Call]] = {}
    for call in calls:
        made.setdefault(call.step, []).append(call)
    waited = waited_seconds(run)
    judged = [step for step in steps if step.judges]
    verdict = opened.get(judged[-1].result_entry, {}).get("result") if judged and judged[-1].result_entry else None
    integrity = _integrity(run, verdict, told.contradicted, evidence, steps)
    [(_, effective)] = phrases.with_waits([(run, run.effective(now, integrity))])
    return {
        **_header(run, effective),
        "input": opened.get(run.input_entry, {}).get("input"),
        "result": end.get("result"),
        "result_digest": run.result_digest or None,
        "verdict": verdict,
        "failure": end.get("failure") or (_overdue(run, steps) if effective.overdue else None),
        "missing": end.get("missing", []),
        **_undone(finish, end),
        "waits": _waits(run, actor, now),
        "observing": observing(step.agent for step in steps),
        "steps": [{**_step(step, made.get(step.key, ()), opened, usage), "waited_seconds": waited.get(step.key)} for step in steps],
        "parent": relatives.parent_of(run, actor=actor),
        **relatives.below(run, actor=actor, now=now),
        "reverifies": _judged_run(run, actor),
        "reverified_by": _judgements(run, actor, now),
        "entries": run.seq,
    }


def _steps_and_calls(run: Run, only: Collection[int] | None) -> tuple[list[Step], list[Call]]:
    steps, calls = Step.objects.filter(run=run), Call.objects.filter(run=run)
    if only is None:
        return list(steps), list(calls)
    rows = list(steps.filter(Q(id__in=only) | Q(key="verify", judges=True)))
    return rows, list(calls.filter(step__in=[row.key for row in rows]))


def _integrity(run: Run, verdict: Any, contradicted: Collection[UUID], evidence: comparing.Evidence, steps: Sequence[Step]) -> Integrity:
    """As every list says it, and also whether the verdict on show is the one that ended the run, every value what its entry committed to, and
    every fact what an entry states."""
    bound = None if evidence.last is None or not run.outcome else evidence.last["facts"].get("verdict")
    if contradicted or (bound is not None and (verdict is None or canonical.digest(verdict) != bound)):
        return Integrity.BROKEN
    if comparing.differs(run, evidence, steps):
        return Integrity.BROKEN
    return integrity_of([run], {} if evidence.last is None else {run.id: evidence.last})[run.id]


def _header(run: Run, effective: Effective) -> dict[str, Any]:
    return {
        "id": str(run.id),
        "pipeline": run.pipeline.name,
        "version": run.release.manifest["pipeline"]["version"],
        "team": run.team.name,
        "release": run.release.digest,
        "state": str(effective.state),
        "outcome": None if effective.outcome is None else str(effective.outcome),
        "integrity": str(effective.integrity),
        "label": effective.label,
        "exit_status": effective.exit_status,
        "draft": run.draft,
        "trigger": run.trigger,
        "started_by": run.started_by,
        "started_with": run.started_with or None,
        "on_behalf_of": run.person,
        "cancelled_by": run.cancel_requested_by or None,
        "as_of": instant_text(run.as_of),
        "created_at": instant_text(run.created_at),
        "started_at": instant_text(run.started_at),
        "finished_at": instant_text(run.finished_at),
        "deadline_at": instant_text(run.deadline_at),
        "calls": run.calls_used,
        "cost_nano": str(run.spent_nano),
    }


def _entries(run: Run, steps: Sequence[Step], calls: Sequence[Call], finish: Mapping[str, Any] | None) -> list[UUID | None]:
    wanted: list[UUID | None] = [run.input_entry, UUID(finish["id"]) if finish is not None else None]
    for step in steps:
        wanted += [step.input_entry, step.result_entry, step.failure_entry]
    return [*wanted, *(call.observed_entry for call in calls)]


def _overdue(run: Run, steps: Sequence[Step]) -> dict[str, Any]:
    """What the engine will write: the deadline is owned by the agent at work, or by the pipeline where none is."""
    plan, _ = store.plan_of(run.release_id)
    silent = unanswered([run]).get(run.id)
    if silent is not None:
        return failure(plan, cause=cause_in_vain(silent), message=_in_vain(silent), step=silent.step or None).as_record()
    message = f"the run was to be finished by {instant_text(run.deadline_at)} and is not; no worker has written that yet"
    is_at_work = (step for step in steps if step.state in OPEN_STEP and not (step.agent and step.state == StepState.WAITING))
    at_work = min(is_at_work, key=lambda step: step.key, default=None)
    step, agent = (None, None) if at_work is None else (at_work.key, at_work.agent)
    return failure(plan, cause=Cause.DEADLINE, message=message, agent=agent, step=step).as_record()


def _undone(finish: Mapping[str, Any] | None, opened: Mapping[str, Any]) -> dict[str, Any]:
    """Which of its acts a run that came to nothing has undone, and which it has not, and why. Where that was erased, the first of them."""
    acts = opened.get("acts") or ({} if finish is None else finish["facts"])
    return {"undone": acts.get("undone", []), "not_undone": acts.get("not_undone", [])}


def _waits(run: Run, actor: Actor, now: datetime) -> list[dict[str, Any]]:
    """What it waits for and who can end that; only while it can still be answered."""
    return [] if run.outcome is not None else wait_records(waits_wanted(WantedWaits(run=run.id), actor=actor, now=now))


def _in_vain(wait: Wait) -> str:
    what = f"sent the signal '{wait.subject}'" if wait.kind == WaitKind.SIGNAL else "answered"
    return f"nobody {what} until {instant_text(wait.expires_at)}; no worker has written that yet"


def _judged_run(run: Run, actor: Actor) -> str | None:
    seen = run.reverifies_id is not None and Run.objects.visible_to(actor).filter(id=run.reverifies_id).exists()
    return str(run.reverifies_id) if seen else None


def _judgements(run: Run, actor: Actor, now: datetime) -> list[dict[str, Any]]:
    ids = list(Run.objects.filter(reverifies=run).order_by().values_list("id", flat=True))  # by its index: with the teams, all of theirs were read
    newer = Run.objects.visible_to(actor).filter(id__in=ids) if ids else ()
    rows = sorted(newer, key=lambda each: each.created_at)
    intact = integrity_of(rows)
    readings = phrases.with_waits([(each, each.effective(now, intact[each.id])) for each in rows])
    return [{"run": str(each.id), "label": reads.label, "finished_at": instant_text(each.finished_at)} for each, reads in readings]


def _step(step: Step, calls: Sequence[Call], opened: Mapping[UUID, Mapping[str, Any]], usage: Mapping[UUID, Mapping[str, Any]]) -> dict[str, Any]:
    def value(entry: UUID | None, path: str) -> Any:
        return None if entry is None else opened.get(entry, {}).get(path)

    ended = step.finished_at
    return {
        "key": step.key,
        "agent": "" if step.agent.startswith(POLICY) else step.agent,
        "version": step.version,
        "state": step.state,
        "attempt": step.attempt,
        "judges": step.judges,
        "started_at": instant_text(step.started_at),
        "finished_at": instant_text(ended),
        "seconds": None if ended is None else f"{(ended - step.started_at).total_seconds():.3f}",
        "deadline_at": instant_text(step.deadline_at),
        "as_of": instant_text(step.as_of),
        "input": value(step.input_entry, "input"),
        "result": value(step.result_entry, "result"),
        "result_digest": step.result_digest or None,
        "failure": value(step.failure_entry, "failure"),
        "cost_nano": str(sum(call.cost_nano for call in calls)),
        "calls": [_call(call, usage.get(call.id), _observed(call, opened)) for call in calls],
    }


def _observed(call: Call, opened: Mapping[UUID, Mapping[str, Any]]) -> list[str]:
    """What would have refused it, if it were enforced."""
    if call.observed_entry is None:
        return []
    return list(opened.get(call.observed_entry, {}).get("observed", ["what that was has been erased"]))


def _call(call: Call, usage: Mapping[str, Any] | None, observed: Sequence[str]) -> dict[str, Any]:
    return {
        "id": str(call.id),
        "kind": call.kind,
        "name": call.name,
        "mode": call.mode,
        "state": call.state,
        "attempt": call.attempt,
        "ordinal": call.ordinal,
        "cause": call.cause or None,
        "contained": call.contained,
        "observed": observed,
        "cost_nano": str(call.cost_nano),
        "usage": usage,
        "dispatched_at": instant_text(call.dispatched_at),
        "settled_at": instant_text(call.settled_at),
    }
