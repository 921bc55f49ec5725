"""What was asked and not done is recorded too, after the rollback, in a transaction of its own (R7)."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from audit import clock, ledger
from audit.actors import Actor
from audit.errors import OrchestraError
from audit.ledger import Draft
from audit.visible import named, visible
from runs.engine.states import Verb
from runs.errors import UnknownRun
from runs.models import Run

MAX_MESSAGE = 4_000


@contextmanager
def refused_starts(*, pipeline: str, actor: Actor) -> Iterator[None]:
    """A start that a door could not even read: its refusal is an entry too. Only around reading; `start_run` records its own."""
    try:
        yield
    except OrchestraError as refusal:
        record_refusal(Verb.START_REFUSED, named("pipeline", pipeline), refusal, actor)
        raise


@contextmanager
def refused_lookups(verb: Verb, *, run: str, actor: Actor) -> Iterator[None]:
    """The same for a run that is asked for and isn't there, or may not be seen."""
    try:
        yield
    except UnknownRun as refusal:
        record_refusal(verb, named("run", run), refusal, actor)
        raise


def record_refusal(verb: Verb, subject: str, refusal: OrchestraError, actor: Actor, *, run: Run | None = None) -> None:
    """The code stands openly, the message in an opening, as a door shows it: it may repeat what somebody typed, whatever that was."""
    draft = Draft(
        verb=verb,
        actor=actor,
        subject=subject,
        team=None if run is None else run.team.name,
        run=None if run is None else run.id,
        facts={"code": refusal.code},
        openings={"message": visible(refusal.message, MAX_MESSAGE)},
    )
    with transaction.atomic(durable=True):
        ledger.record([draft], now=clock.now())
