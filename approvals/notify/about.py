"""What a message of the outbox is about as things stand now: what there is to tell, who may hear it, and that there is nothing to tell any more.

Reads only. A message holds ids; all else is found here at the moment of sending, so nobody is asked for what they can't do. Called by delivering.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Q

from agents.models import AgentNotice, Ground
from agents.models.agent import WORKING
from agents.registry.lapsing import TOPIC as AGENTS
from agents.registry.proposing import TOPIC as PROPOSALS
from approvals import rules
from approvals.models import Request
from approvals.notify import about_proposals
from approvals.notify.notice import Notice, NotYet, Place, Told
from approvals.services import documents, inbox, intake, parts
from approvals.services.announcing import TOPIC as REQUESTS
from approvals.services.announcing import Event
from audit.instants import to_the_second
from audit.visible import visible
from runs.models import WaitState

LAPSING: Final = "agent.lapsing"
MOST_USES: Final = 10
_TITLES: Final = {
    Event.REQUESTED: "Approval needed: {}",
    Event.REMINDER: "Still waiting for an approval: {}",
    Event.ESCALATED: "Approval needed, put to the next stage: {}",
}
_ENDS: Final = {
    rules.APPROVED: ("Approved: {}", "People have approved it, and the run goes on with exactly that."),
    rules.DECLINED: ("Declined: {}", "People have declined it, and the step fails. The reason stands beside the request."),
    rules.CHANGES: ("Sent back: {}", "It is made anew, with what people want of it. What that is stands beside the request."),
    documents.VOID: ("Asked anew: {}", "Nobody has decided it: what was asked for would not be done so any more, so its step asks again."),
    str(WaitState.EXPIRED): ("Not approved in time: {}", "Nobody has decided it in time, and silence denies it."),
    str(WaitState.CANCELLED): ("Needed no more: {}", "Its run was ended before anybody had decided."),
}
_GROUNDS: Final = {
    Ground.REVIEW: "the day by which it is to be reviewed is near",
    Ground.ACCOUNTABLE: "the person who answers for it was deactivated or is no longer in its team",
}
_MENDS: Final = {
    Ground.REVIEW: "Review it, and apply it with a later review_by.",
    Ground.ACCOUNTABLE: "Apply it with somebody else as accountable, or let them into the team again.",
}


def found(topic: str, key: str, payload: Told, now: datetime) -> Notice | None:
    """None where there is nothing to tell any more. NotYet."""
    return {REQUESTS: _of_request, AGENTS: _of_agent, PROPOSALS: about_proposals.found}[topic](key, payload, now)


def event_of(topic: str, payload: Told) -> str:
    return LAPSING if topic == AGENTS else str(payload["event"])


def place_of(topic: str, payload: Told) -> Place:
    if topic == AGENTS:
        return Place(f"agent:{payload['agent']}", payload["team"], payload["agent"])
    if topic == PROPOSALS:
        return about_proposals.place_of(payload)
    request = _request(payload)
    if request is None:
        return Place("wait:?")
    return Place(request.subject, request.team, request.agent or None, request.wait.run_id)


# --- requests ----------------------------------------------------------------------------------------------------------


def _request(payload: Told) -> Request | None:
    return Request.objects.prefetch_related(*inbox.BESIDE).filter(pk=UUID(payload["request"])).first()


def _of_request(_: str, payload: Told, now: datetime) -> Notice | None:
    request, event = _request(payload), Event(payload["event"])
    if request is None:
        return None
    state = documents.state_of(request, now)
    if event is Event.ENDED:
        if state == WaitState.OPEN:
            raise NotYet
        return _ended(request, state, now)
    if state != WaitState.OPEN or request.stage_at(now) != payload["stage"] or intake.why_outdated(request) is not None:
        return None
    return _open(request, event, now)


def _open(request: Request, event: Event, now: datetime) -> Notice:
    asked, said = parts.asked_for(request), documents.listed([request], now)[0]
    stage = request.governing.stages[request.stage_at(now)]

    def people() -> frozenset[str]:
        return frozenset(inbox.deciders_of(request, asked, now=now).free) if asked else frozenset()

    sentence = f"{request.about[0].upper()}{request.about[1:]} waits for people's yes."
    lines = (
        *_uses(asked),
        ("Risk", request.risk or "not said"),
        ("Pipeline", f"{said['pipeline']}, of team '{request.team}'"),
        ("Run", f"{said['run']}, step '{said['step']}'"),
        ("Asked under", f"{request.governing.said}, stage {said['stage']} of {said['stages']}"),
        ("Who decides", said["asks"]),
        ("Waits since", to_the_second(request.wait.opened_at)),
        ("Silence", said["silence"]),
    )
    advice = f"Or type: manage.py approvals {request.pk}"
    return _notice(request, event, _TITLES[event], sentence, lines, advice, _data(said, asked), frozenset({request.team, *stage.teams}), people)


def _ended(request: Request, state: str, now: datetime) -> Notice:
    said, asked = documents.listed([request], now)[0], parts.asked_for(request)
    title, sentence = _ENDS[state]
    lines = (*_uses(asked), ("Pipeline", f"{said['pipeline']}, of team '{request.team}'"), ("Run", f"{said['run']}, step '{said['step']}'"))
    reached = request.governing.stages[: request.stage_at(now) + 1]
    teams = frozenset({request.team, *(team for stage in reached for team in stage.teams)})

    def people() -> frozenset[str]:
        return _starter(request) if state != WaitState.CANCELLED else frozenset()

    return _notice(request, Event.ENDED, title, sentence, lines, f"Or type: manage.py showrun {said['run']}", _data(said, asked), teams, people)


def _notice(
    request: Request, event: Event, title: str, sentence: str, lines: tuple[tuple[str, str], ...], advice: str, data: Told, teams: frozenset[str],
    people: Callable[[], frozenset[str]],
) -> Notice:  # fmt: skip
    about = f"{request.about} in {visible(data['pipeline'], 63)} (team {visible(request.team, 63)})"
    return Notice(event, title.format(about), sentence, lines, f"/admin/approvals/request/{request.pk}/change/", advice, data, teams, people)


def _starter(request: Request) -> frozenset[str]:
    """On whose behalf the run is, as long as they may look at it."""
    name = (request.wait.run.person or "").removeprefix("person:")
    person = User.objects.filter(username=name, is_active=True).filter(Q(is_superuser=True) | Q(orchestra_teams__name=request.team))
    return frozenset({name}) if person.exists() else frozenset()


def _uses(asked: parts.Asked) -> tuple[tuple[str, str], ...]:
    """What the call would touch; of its arguments nothing else is told."""
    uses = list(asked.get("uses", ()))
    more = [("", f"and {len(uses) - MOST_USES} more")] if len(uses) > MOST_USES else []
    return (*(("It would" if not index else "", f"{use['verb']} {use['resource']}") for index, use in enumerate(uses[:MOST_USES])), *more)


def _data(said: Told, asked: parts.Asked) -> Told:
    kept = (
        "id",
        "run",
        "pipeline",
        "team",
        "step",
        "kind",
        "agent",
        "risk",
        "binding",
        "state",
        "stage",
        "stages",
        "asks",
        "opened_at",
        "expires_at",
    )
    uses = [{"verb": use["verb"], "resource": use["resource"]} for use in list(asked.get("uses", ()))[:MOST_USES]]
    policy = {name: said["policy"][name] for name in ("name", "version")}
    return {**{name: said[name] for name in kept}, "policy": policy, "uses": uses}


# --- agents ------------------------------------------------------------------------------------------------------------


def _of_agent(key: str, _: Told, __: datetime) -> Notice | None:
    """As long as what was noticed holds."""
    row = AgentNotice.objects.select_related("agent__team").filter(pk=UUID(key), agent__state__in=WORKING).first()
    if row is None:
        return None
    agent, day, ground = row.agent, row.suspends_on.isoformat(), Ground(row.ground)
    data = {"agent": agent.name, "team": agent.team.name, "ground": str(ground), "suspends_on": day}
    sentence = f"Unless somebody acts before, no call of it is sent from that day on, for {_GROUNDS[ground]}. {_MENDS[ground]}"
    title = f"Agent {visible(agent.name, 63)} (team {visible(agent.team.name, 63)}) will be suspended on {day}"
    path, advice = f"/admin/agents/agent/{agent.pk}/change/", f"Or type: manage.py inventory {agent.name}"

    def people() -> frozenset[str]:
        """The team's, and whoever answers for it, where they are an administrator; nobody else may look at it."""
        answers = Q(is_superuser=True) & (Q(username__iexact=agent.accountable) | Q(email__iexact=agent.accountable)) if agent.accountable else Q()
        rows = User.objects.filter(Q(orchestra_teams=agent.team) | answers if answers else Q(orchestra_teams=agent.team), is_active=True)
        return frozenset(rows.values_list("username", flat=True))

    return Notice(LAPSING, title, sentence, (("Purpose", agent.purpose),), path, advice, data, frozenset({agent.team.name}), people)
