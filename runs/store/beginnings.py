"""The row and the first entry of a run: everything that is fixed before its work starts.

Of a run that somebody starts, and of one that a step of another run starts. Writes nothing itself: both go into one insert.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from agents.models import Release
from audit import bulk, canonical, clock
from audit.actors import Actor
from audit.ledger import Draft
from runs.engine.families import ShareNode
from runs.engine.states import SPREAD, Verb
from runs.engine.values import Step as StepValue
from runs.models import Run
from runs.store.transitions import Transition

TRIGGER: Final = "pipeline"
"""What starts a child run."""
PRIORITIES: Final = {"low": -1, "normal": 0, "high": 1}
_COLUMNS = {field.name: field.attname for field in Run._meta.concrete_fields}  # noqa: SLF001 - Django's documented way to a model's fields


def rows_of(runs: Sequence[Run]) -> bulk.Table:
    """New runs as rows for an insert."""
    return Run, tuple(_COLUMNS), [[getattr(run, attribute) for attribute in _COLUMNS.values()] for run in runs]


def queued(run: Run, spec: Mapping[str, Any], given: Mapping[str, Any], actor: Actor) -> Draft:
    """The first entry. A child's says which run and step it belongs to."""
    facts = {
        "pipeline": spec["name"],
        "version": run.release.manifest["pipeline"]["version"],
        "release": run.release.digest,
        "input": run.input_digest,
        "draft": run.draft,
        "as_of": None if run.as_of is None else clock.to_text(run.as_of),
        "trigger": run.trigger,
        "criteria": sorted(spec["criteria"]),
        "reverifies": None if run.reverifies_id is None else str(run.reverifies_id),
    }
    if run.parent_run_id is not None:
        facts |= {"parent": str(run.parent_run_id), "parent_step": run.parent_step, "root": str(run.root_run_id)}
    return Draft(
        verb=Verb.RUN_QUEUED,
        actor=actor,
        subject=run.subject,
        team=run.team.name,
        run=run.id,
        facts=facts,
        openings={"input": given},
        sequenced=True,
    )


def children_of(written: Iterable[Transition], now: datetime) -> tuple[list[Run], list[Draft]]:
    """The child runs that these transitions start, each with its first entry. Their parents' rows are locked, so there is one of each."""
    starting = [(each, step) for each in written for step in each.move.opened if step.start is not None]
    if not starting:
        return [], []
    releases = _releases({step.start.child.release for _, step in starting if step.start is not None})
    parents = Run.objects.defer("release").in_bulk([each.run for each, _ in starting])
    made = [_child(parents[each.run], step, releases, each.actor, now) for each, step in starting]
    return [run for run, _ in made], [draft for _, draft in made]


def _releases(digests: set[str]) -> dict[str, Release]:
    return {release.digest: release for release in Release.objects.select_related("pipeline__team").filter(digest__in=digests)}


def _child(parent: Run, step: StepValue, releases: Mapping[str, Release], actor: Actor, now: datetime) -> tuple[Run, Draft]:
    start = step.start
    assert start is not None
    release, given = releases[start.child.release], dict(step.arguments)
    spec = release.manifest["pipeline"]["spec"]
    root: UUID = parent.root_run_id or parent.id
    run = Run(
        pipeline=release.pipeline,
        release=release,
        team=release.pipeline.team,
        as_of=parent.as_of,
        draft=parent.draft,
        trigger=SPREAD if isinstance(step.node, ShareNode) else TRIGGER,
        started_by=parent.started_by,
        started_with=parent.started_with,
        on_behalf_of=parent.on_behalf_of,
        parent_run_id=parent.id,
        parent_step=step.key,
        root_run_id=root,
        depth=parent.depth + 1,
        held_nano=start.held_nano,
        held_calls=start.held_calls,
        created_at=now,
        deadline_at=start.deadline_at,
        lifetime_until=start.lifetime_until,
        priority=PRIORITIES[spec.get("priority", "normal")],
        engine_abi=release.manifest["engine_abi"],
        seq=1,
        calls_limit=start.calls_limit,
        cost_limit_nano=start.cost_limit,
        input_digest=canonical.digest(given),
    )
    first = queued(run, spec, given, actor)
    run.input_entry = first.id
    return run, first
