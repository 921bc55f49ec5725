"""Notices in tests: put, spread and sent by hand, as a sweep and its threads do it, and time that passes for what waits."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db.models import F

from agents import registry
from agents.models import Team
from approvals import notify, services
from audit import clock
from audit.actors import Actor
from audit.models import Entry, Message
from tests import approving
from tests.pipelines import SYSTEM


def reachable(name: str, *teams: str) -> Actor:
    """A person with an address, who belongs to these teams, which need not be there yet."""
    for team in teams:
        Team.objects.get_or_create(name=team, defaults={"created_at": clock.now()})
    person = approving.member(name, *teams)
    if not User.objects.get(username=name).email:
        registry.set_email(name, f"{name}@example.com", actor=SYSTEM)
    return person


def tell() -> int:
    """Everything that is due now; how many messages were looked at."""
    services.tend()
    notify.spread()
    return notify.deliver_due()


def pass_time(seconds: float) -> None:
    """As if what waits had been put off so much earlier."""
    Message.objects.filter(done_at__isnull=True).update(due_at=F("due_at") - timedelta(seconds=seconds))


def given_up() -> list[dict[str, Any]]:
    """The facts of the entries."""
    return [entry.envelope()["facts"] for entry in Entry.objects.filter(verb="approvals.notice.given_up").order_by("at")]


def hooked(path: Path, *webhooks: str, team: str = "platform") -> None:
    """The team's document names these webhooks, each as a flow mapping."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "team.yaml").write_text(f"kind: team\nname: {team}\nnotices: [{', '.join(webhooks)}]\n", encoding="utf-8")
    registry.apply_folder(path, actor=SYSTEM)
