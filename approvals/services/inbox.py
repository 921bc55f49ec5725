"""Requests as people find them: what waits for somebody, what was decided, and why somebody can't decide one.

Reads, but for taking in what is new. Called by doors.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TypeVar
from uuid import UUID

from django.db.models import prefetch_related_objects

from agents import registry
from agents.models import Agent, SamePerson
from agents.spec.policies import Policy, Stage
from approvals import rules
from approvals.errors import NotYours, UnknownApproval
from approvals.models import Kind, Request, RequestQuerySet
from approvals.rules import Parts, Person, Said
from approvals.services import parts
from approvals.services.intake import tend
from audit import clock
from audit.actors import Actor
from audit.visible import visible
from runs.models import WaitState

Key = TypeVar("Key", bound=Hashable)
NO_PERSON = "an approval is a person's to give: sign in, or give a token of yours (a command takes it from ORCHESTRA_TOKEN, or asks for it)"
OPEN, ENDED = "open", "ended"
LOW = "low"
"""The risk tier, as an agent's file says it, of which equal calls are decided together."""
MOST_TOGETHER = 100
"""Whoever has more decides once more."""
MOST_JUDGED = 1_000
"""So many are looked at to find what somebody may decide; what is beyond them is found page by page."""
AT_ONCE = 50
UNREADABLE = "what was asked for can't be read any more, so nobody can decide it"
BESIDE = ("wait__run__team", "wait__run__pipeline", "decisions")
"""Read in statements of their own: a join would have a database begin with the runs, and sort what it finds."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """Which requests; all that are given must hold. `state`: OPEN or ENDED. `mine`: put to this person and theirs to decide, as far as rows tell."""

    state: str | None = None
    pipeline: str | None = None
    agent: str | None = None
    run: UUID | None = None
    mine: bool = False


def visible_to(actor: Actor) -> RequestQuerySet:
    return Request.objects.visible_to(actor, person_of(actor)).prefetch_related(*BESIDE)


def person_of(actor: Actor) -> Person | None:
    """The person who asks, with whom they stand in for now; None of whoever is none."""
    if actor.kind != "person":
        return None
    covered = registry.covered_by([actor.id], now=clock.now()).get(actor.id, {})
    [person] = _persons({actor.id: actor.teams}, {actor.id: covered})
    return person


def _persons(teams: Mapping[str, frozenset[str]], stands_in: Mapping[str, Mapping[str, frozenset[str]]]) -> list[Person]:
    """By name, each with whom they stand in for, and all with their other accounts."""
    also = SamePerson.objects.others_of({*teams, *(name for covered in stands_in.values() for name in covered)})

    def person(name: str, teams: frozenset[str], instead: tuple[Person, ...] = ()) -> Person:
        return Person(name, teams, instead, also.get(name, frozenset()))

    stead = {name: tuple(person(*each) for each in covered.items()) for name, covered in stands_in.items()}
    return [person(name, teams[name], stead.get(name, ())) for name in sorted(teams)]


def find_request(request: str, *, actor: Actor) -> Request:
    """A request by its id, which is that of the wait. UnknownApproval."""
    tend()
    try:
        return visible_to(actor).get(pk=UUID(request))
    except (ValueError, Request.DoesNotExist):
        raise UnknownApproval(f"there is no request for an approval '{visible(request, 60)}' that you may see") from None


def requests_wanted(wanted: Inbox, *, actor: Actor, now: datetime) -> RequestQuerySet:
    """Not evaluated yet, in no order."""
    found = _for_now(actor, now) if wanted.mine else visible_to(actor)
    if wanted.state == OPEN:
        found = found.open(now)
    elif wanted.state == ENDED:
        found = found.over(now)
    given = {"agent": wanted.agent, "wait__run__pipeline__name": wanted.pipeline, "wait__run": wanted.run}
    return found.filter(**{name: value for name, value in given.items() if value is not None})


def _for_now(actor: Actor, now: datetime) -> RequestQuerySet:
    """Never less than what this person may decide; the rules have the last word. What is put to somebody they may see."""
    requests, person = Request.objects.prefetch_related(*BESIDE), person_of(actor)
    if person is None or not registry.may_be_asked(actor):
        return requests.none()
    names = {name for each in (person, *person.stands_in_for) for name in each.names}
    return requests.for_now(person, now, published=registry.versions_published_by(names))


def waiting_for(actor: Actor, *, most: int) -> list[Request]:
    """What this person may decide at this moment, what is theirs for the shortest time first, of the first MOST_JUDGED that are put to them."""
    if actor.kind != "person":
        return []
    tend()
    now = clock.now()
    rows = requests_wanted(Inbox(mine=True), actor=actor, now=now).order_by("look_at", "pk").prefetch_related(None)
    found = list(islice(_decidable(list(rows.values_list("pk", flat=True)[:MOST_JUDGED]), actor, now), most))
    prefetch_related_objects(found, *BESIDE)
    return found


def alike(request: Request, *, actor: Actor) -> list[Request]:
    """Others of low risk that wait for exactly the same call, and that this person may decide at this moment; the first of them."""
    if not is_of_low_risk(request):
        return []
    same = Request.objects.open(clock.now()).asking_for(request.binding).filter(risk=LOW).exclude(pk=request.pk)
    return decidable(same, actor=actor, most=MOST_TOGETHER - 1)


def is_of_low_risk(request: Request) -> bool:
    """A call whose agent was of low risk as it asked, and is now: so are those that are bound to the same, for they ask for the same agent."""
    return request.kind == Kind.CALL and request.risk == LOW and Agent.objects.filter(name=request.agent, risk_tier=LOW).exists()


def decidable(requests: RequestQuerySet, *, actor: Actor, most: int) -> list[Request]:
    """Which of these this person may decide at this moment, the first of them."""
    if person_of(actor) is None:
        return []
    ids = list(requests.order_by("look_at", "pk").values_list("pk", flat=True)[:MOST_JUDGED])
    return list(islice(_decidable(ids, actor, clock.now()), most))


def _decidable(ids: Sequence[UUID], actor: Actor, now: datetime) -> Iterator[Request]:
    """Judged some at a time: as many statements for fifty as for one."""
    for start in range(0, len(ids), AT_ONCE):
        some = Request.objects.filter(pk__in=ids[start : start + AT_ONCE]).order_by("look_at", "pk")
        yield from _free(list(some.prefetch_related("wait", "decisions")), actor, now)


def decided(actor: Actor) -> RequestQuerySet:
    """Those that are open no more."""
    return visible_to(actor).exclude(wait__state=WaitState.OPEN)


def _free(some: Collection[Request], actor: Actor, now: datetime) -> Iterator[Request]:
    """Those of which the ledger has to be asked for what they are about are few: most of what somebody has a part in is known without."""
    who = person_of(actor)
    rest = [request for request, had in zip(some, parts.parts_of_each(some, {}).values(), strict=True) if who and not rules.part_of(who, had)]
    asked = parts.asked_for_each(rest)
    had = parts.parts_of_each(rest, asked)
    for request in rest:
        if not isinstance(_seat(request, asked[request.pk], had[request.pk], said_of(request), actor, who, now), str):
            yield request


def said_of(request: Request) -> list[Said]:
    """All that was said of it, in order."""
    return [Said(each.person, each.decision, each.stage, each.binding, each.instead_of) for each in request.decisions.all()]


def counting(requests: Collection[Request]) -> dict[UUID, list[Said]]:
    """Of each what counts now of what was said, by its key: nothing that somebody said who has a part in it."""
    said = counting_of({request.pk: (request.governing, said_of(request)) for request in requests})
    some = [request for request in requests if said[request.pk]]
    had = parts.parts_of_each(some, parts.asked_for_each(some)) if some else {}
    return said | without_part_each({key: (said[key], of) for key, of in had.items()})


def counting_of(every: Mapping[UUID, tuple[Policy, Sequence[Said]]]) -> dict[UUID, list[Said]]:
    """Of what was said what counts now: a yes counts as long as its person would be asked still. Four statements at most."""
    people = {name for _, said in every.values() for each in said for name in (each.person, each.seat)}
    asked, also = (registry.people_asked(people, ()), SamePerson.objects.others_of(people)) if people else ({}, {})
    counting = {key: [each for each in said if _counts(each, policy, asked)] for key, (policy, said) in every.items()}
    return {key: rules.once_each(said, also) for key, said in counting.items()}


def without_part(said: Sequence[Said], had: Parts) -> list[Said]:
    """Without what was said by, or in the stead of, somebody who has a part in it: it may have been found out since."""
    return without_part_each({"": (said, had)})[""]


def without_part_each(every: Mapping[Key, tuple[Sequence[Said], Parts]]) -> dict[Key, list[Said]]:
    """The same for many, by their keys."""
    names = {name for said, _ in every.values() for each in said for name in (each.person, each.seat)}
    also = SamePerson.objects.others_of(names) if names else {}
    people = {name: Person(name, frozenset(), also=also.get(name, frozenset())) for name in names}

    def counts(each: Said, had: Parts) -> bool:
        return all(rules.part_of(people[name], had) is None for name in (each.person, each.seat))

    return {key: [each for each in said if counts(each, had)] for key, (said, had) in every.items()}


def _counts(said: Said, policy: Policy, asked: Mapping[str, frozenset[str]]) -> bool:
    """Also in somebody's stead: that stays said when they are back."""
    return {said.person, said.seat} <= asked.keys() and rules.may_speak(Person(said.seat, asked[said.seat]), policy.stages[said.stage])


def seat_now(request: Request, *, actor: Actor) -> Person | str:
    """Whose say the actor has at this moment; or why none, as a refusal would say it. Records nothing."""
    now = clock.now()
    if request.wait.state != WaitState.OPEN or now >= request.wait.expires_at:
        return "this is decided, or its time is over"
    return seat_of(request, parts.asked_for(request), said_of(request), actor=actor, now=now)


def seat_of(request: Request, asked: parts.Asked, said: Collection[Said], *, actor: Actor, now: datetime) -> Person | str:
    """Whose say the actor has: their own, or that of somebody whom they stand in for; or the rule that keeps them from any."""
    return _seat(request, asked, parts.parts_of(request, asked), said, actor, person_of(actor), now)


def _seat(
    request: Request, asked: parts.Asked, had: Parts, said: Collection[Said], actor: Actor, person: Person | None, now: datetime
) -> Person | str:  # fmt: skip
    if person is None:
        return NO_PERSON
    if not asked:
        return UNREADABLE
    if not registry.may_be_asked(actor):
        return never_asked(actor)
    return rules.seat_of(person, request.governing, request.stage_at(now), had, list(said))


def refuse_gone(stage: Stage, actor: Actor, seat: str, now: datetime) -> None:
    """NotYours for whoever was let out of the team, or deactivated, or whose cover was ended, since then; the same of whom they stand in for."""
    asked = registry.people_asked({actor.id, seat}, ())
    stands = seat == actor.id or seat in registry.covered_by([actor.id], now=now).get(actor.id, {})
    if not {actor.id, seat} <= asked.keys() or not stands or not rules.may_speak(Person(seat, asked[seat]), stage):
        raise NotYours("you can't decide this: you were one of whom it asks until just now, and are none of them any more")


def never_asked(actor: Actor) -> str:
    return f"your {'roles' if len(actor.roles) > 1 else 'role'} in this installation ({', '.join(sorted(actor.roles))}) gives no approval"


# --- who can -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deciders:
    """Who may decide a request at this moment, by name, and whom it is put to and something keeps from it: each with the rule."""

    free: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]


def deciders_of(request: Request, asked: parts.Asked, *, now: datetime) -> Deciders:
    """Among all whom the policy asks now."""
    return deciders(request.governing, request.stage_at(now), parts.parts_of(request, asked), said_of(request), now=now)


def deciders(policy: Policy, stage: int, had: Parts, said: Sequence[Said], *, now: datetime) -> Deciders:
    put = _put(policy.stages[stage], now)
    why = {each.name: rules.hindrance(each, policy, stage, had, said) for each in put}
    free, kept = (name for name, rule in why.items() if rule is None), ((name, rule) for name, rule in why.items() if rule is not None)
    return Deciders(tuple(free), tuple(kept))


def most_left(policy: Policy, stage: int, had: Parts, said: Sequence[Said], *, enough: int, now: datetime) -> int:
    """So many can approve it together, up to `enough`: whoever stands in for somebody has no second say beside theirs."""
    return rules.most_of(_put(policy.stages[stage], now), policy, stage, had, said, enough=enough)


def _put(stage: Stage, now: datetime) -> list[Person]:
    """Whom a stage asks, and whoever stands in for one of them, by name."""
    put = registry.people_asked(stage.people, stage.teams)
    deputies = registry.deputies_of(put, now=now)
    return _persons(put | registry.people_asked(deputies.keys() - put.keys(), ()), deputies)
