"""The verdict on a run: what it came to beside what it would have come to, what the world has seen of it, and whether its record is whole.

Reads rows, ledger and world; changes nothing.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.db.models import Sum

from audit import reports
from audit.models import Charge, Entry
from runs import services
from runs.models import Call, Run, Wait
from tests.chaos import workload

ONCE = frozenset({"runs.step.returned", "runs.step.judged", "runs.run.finished", "runs.call.confirmed", "runs.run.queued", "runs.wait.answered"})


@dataclass(frozen=True, slots=True)
class Order:
    """A run under test, what pipeline it is of, its world, and the outcomes that it may have (`failed: CAUSE` where it fails)."""

    run: Run
    pipeline: str
    name: str
    world: Path
    outcomes: frozenset[str]


def lost(order: Order) -> list[str]:
    """What is missing: an end, the right end, or an act that belongs to it."""
    run = Run.objects.get(id=order.run.id)
    if run.outcome is None:
        waits = [str(wait) for wait in Wait.objects.filter(run=run, state="open").values_list("kind", "step", "subject")]
        return [f"{_named(order)} has not ended: {run.state}, attempt {run.attempt}, waits {waits}"]
    outcome, ends = f"{run.outcome}: {run.failure_cause}" if run.failure_cause else run.outcome, workload.ENDS[order.pipeline]
    if outcome not in order.outcomes:
        return [f"{_named(order)} is {outcome}, not {' or '.join(sorted(order.outcomes))}"]
    done = workload.acts_of(order.world, order.name)
    return [f"{_named(order)} never did '{act}'" for act in ends.once if outcome == ends.outcome and not done[act]]


def duplicated(order: Order) -> list[str]:
    """What happened more than once: an act in the world, a key of one, an entry that says the same."""
    acts = [f"{_named(order)} did '{act}' {times} times" for act, times in workload.acts_of(order.world, order.name).items() if times > 1]
    keys = [f"{_named(order)} asked for '{act}' under {count} keys" for act, count in workload.keys_of(order.world, order.name).items() if count > 1]
    said = Counter((entry["verb"], entry["subject"]) for entry in reports.entries_of(order.run.id) if entry["verb"] in ONCE)
    return acts + keys + [f"{_named(order)} says {verb} of {subject} {times} times" for (verb, subject), times in said.items() if times > 1]


def unsound(order: Order) -> Iterator[str]:
    """What of its record does not fit together."""
    run = Run.objects.get(id=order.run.id)
    yield from (f"{_named(order)}: {problem}" for problem in reports.chain_problems(run.id))
    if services.held_whole([run])[run.id] != "intact":
        yield f"{_named(order)} is broken"
    charged = Charge.objects.filter(run=run.id).aggregate(sum=Sum("amount_nano"))["sum"] or 0
    if run.spent_nano != charged:
        yield f"{_named(order)} has spent {run.spent_nano} and was charged {charged}"
    if run.outcome is None:
        return
    if run.reserved_nano:
        yield f"{_named(order)} still holds {run.reserved_nano}"
    out = Call.objects.filter(run=run, state="dispatched").count() + Wait.objects.filter(run=run, state="open").count()
    if out:
        yield f"{_named(order)} has ended, and {out} calls or waits have not"


def story(order: Order) -> str:
    """The ledger's account of a run and the world's, for whoever has to find out what went wrong."""
    entries = Entry.objects.filter(run=order.run.id).order_by("at", "id")
    said = [f"  {entry.at:%H:%M:%S.%f} {entry.seq or '-'} {entry.verb} {entry.subject} {_facts(entry)}" for entry in entries]
    world = [line for line in (order.world / "effects").read_text(encoding="utf-8").splitlines() if order.name in line.split()]
    return "\n".join([f"--- {_named(order)} ({order.run.id})", *said, *(f"  world: {line}" for line in world)])


def _facts(entry: Entry) -> str:
    facts = (entry.trusted_envelope() or {}).get("facts", {})
    return " ".join(
        f"{name}={facts[name]}" for name in ("cause", "outcome", "attempt", "worker", "undone", "not_undone") if facts.get(name) is not None
    )


def _named(order: Order) -> str:
    return f"{order.pipeline} {order.name}"
