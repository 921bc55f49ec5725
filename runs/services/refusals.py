"""What was asked and not done is recorded too, after the rollback, in a transaction of its own (R7)."""

from django.db import transaction

from audit import clock, ledger
from audit.actors import Actor
from audit.errors import OrchestraError
from audit.ledger import Draft
from runs.engine.states import Verb
from runs.models import Run


def record_refusal(verb: Verb, subject: str, refusal: OrchestraError, actor: Actor, *, run: Run | None = None) -> None:
    """The code stands openly, the message in an opening: it may repeat what somebody typed."""
    draft = Draft(
        verb=verb,
        actor=actor,
        subject=subject,
        team=None if run is None else run.team.name,
        run=None if run is None else run.id,
        facts={"code": refusal.code},
        openings={"message": refusal.message},
    )
    with transaction.atomic(durable=True):
        ledger.record([draft], now=clock.now())
