"""Requests as people find them: what waits for somebody, what was decided, and why somebody can't decide one.

Reads, but for taking in what is new. Called by doors.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from agents import registry
from approvals import rules
from approvals.errors import UnknownApproval
from approvals.models import Approver, Decision, Request, RequestQuerySet
from approvals.rules import Person, Said
from approvals.services import parts
from approvals.services.intake import tend
from audit import clock
from audit.actors import Actor
from audit.visible import visible
from runs.models import WaitState

NO_PERSON = "an approval is a person's to give: sign in, or give a token of yours (a command takes it from ORCHESTRA_TOKEN, or asks for it)"
OPEN, ENDED = "open", "ended"
MOST_JUDGED = 200
UNREADABLE = "what was asked for can't be read any more, so nobody can decide it"
_BESIDE = ("wait", "wait__run", "wait__run__team", "wait__run__pipeline", "wait__run__release")


@dataclass(frozen=True, slots=True)
class Inbox:
    """Which requests; all that are given must hold. `state`: OPEN or ENDED. `mine`: put to this person and theirs to decide, as far as rows tell."""

    state: str | None = None
    pipeline: str | None = None
    agent: str | None = None
    run: UUID | None = None
    mine: bool = False


def visible_to(actor: Actor) -> RequestQuerySet:
    return Request.objects.visible_to(actor).select_related(*_BESIDE)


def find_request(request: str, *, actor: Actor) -> Request:
    """A request by its id, which is that of the wait. UnknownApproval."""
    tend()
    try:
        return visible_to(actor).get(pk=UUID(request))
    except (ValueError, Request.DoesNotExist):
        raise UnknownApproval(f"there is no request for an approval '{visible(request, 60)}' that you may see") from None


def requests_wanted(wanted: Inbox, *, actor: Actor, now: datetime) -> RequestQuerySet:
    """Not evaluated yet, in no order."""
    found = visible_to(actor)
    if wanted.mine:
        found = _for_now(found, actor, now)
    if wanted.state == OPEN:
        found = found.open(now)
    elif wanted.state == ENDED:
        found = found.exclude(pk__in=found.open(now).values("pk"))
    given = {"agent": wanted.agent, "wait__run__pipeline__name": wanted.pipeline, "wait__run": wanted.run}
    return found.filter(**{name: value for name, value in given.items() if value is not None})


def _for_now(requests: RequestQuerySet, actor: Actor, now: datetime) -> RequestQuerySet:
    """Never less than what this person may decide; the rules have the last word."""
    if not registry.may_be_asked(actor):
        return requests.none()
    said = Decision.objects.filter(request=OuterRef("pk"), person=actor.id, stage=OuterRef("escalated_to"))
    put = Approver.objects.naming(actor).filter(request=OuterRef("pk"), stage=OuterRef("escalated_to"))
    others = ~Q(wait__run__started_by=f"person:{actor.id}")
    return requests.open(now).filter(Exists(put), others, ~Exists(said))


def waiting_for(actor: Actor, *, most: int) -> list[Request]:
    """What this person may decide at this moment, what ends soonest first, of the first that are put to them: each is judged by itself."""
    if actor.kind != "person":
        return []
    tend()
    rows = requests_wanted(Inbox(mine=True), actor=actor, now=clock.now()).order_by("wait__expires_at", "pk")
    found: list[Request] = []
    for request in rows[:MOST_JUDGED]:
        if why_not(request, actor=actor) is None:
            found.append(request)
        if len(found) >= most:
            break
    return found


def decided(actor: Actor) -> RequestQuerySet:
    """Those that are open no more."""
    return visible_to(actor).exclude(wait__state=WaitState.OPEN)


def said_of(request: Request) -> list[Said]:
    return [Said(each.person, each.decision, each.stage, each.binding) for each in request.decisions.all()]


def why_not(request: Request, *, actor: Actor) -> str | None:
    """Why this actor can't decide it at this moment, as a refusal would say it; None where they can. Records nothing."""
    if request.wait.state != WaitState.OPEN or clock.now() >= request.wait.expires_at:
        return "this is decided, or its time is over"
    return hindrance(request, parts.asked_for(request), said_of(request), actor=actor, now=clock.now())


def hindrance(request: Request, asked: dict[str, Any], said: Collection[Said], *, actor: Actor, now: datetime) -> str | None:
    """The rule that keeps this actor from it."""
    if actor.kind != "person":
        return NO_PERSON
    if not asked:
        return UNREADABLE
    if not registry.may_be_asked(actor):
        return f"your {'roles' if len(actor.roles) > 1 else 'role'} in this installation ({', '.join(sorted(actor.roles))}) gives no approval"
    person = Person(actor.id, actor.teams)
    return rules.hindrance(person, request.governing, request.stage_at(now), parts.parts_of(request, asked), list(said))
