"""Proposals as people find and decide them: what is to be published, or to go on, where a team has people say yes to it first.

The same rules as for what runs ask: by person, in stages, n of m. The last yes enacts it in its own transaction, exactly as it was shown, or
finds it void. Called by doors, and by every sweep (`tend`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Final
from uuid import UUID

from django.db import transaction

from agents import registry
from agents.errors import UnknownProposal
from agents.models import Proposal, ProposalKind, ProposalQuerySet, ProposalState
from agents.spec.policies import Policy
from approvals import rules
from approvals.errors import AlreadyDecided, BadDecision, ChangedSince, NotYours, Voided
from approvals.models import PROPOSAL_DECIDED, PROPOSAL_REFUSED, ProposalDecision
from approvals.rules import Parts, Person, Said
from approvals.services import inbox
from approvals.services.wording import refuse_text
from audit import clock, ledger
from audit.actors import Actor
from audit.errors import Conflict, OrchestraError
from audit.ledger import Draft
from audit.visible import named, visible
from runs import services as runs

RULES: Final[tuple[tuple[str, str], ...]] = (
    ("started", "you proposed it"),
    ("published", "you wrote what it would publish"),
    ("ruled", "you wrote or published the policy that it is asked under"),
)
"""The parts that keep somebody from deciding a proposal."""
MOST: Final = 200
_SELF: Final = Actor.system("approvals")


def find(proposal: str, *, actor: Actor) -> Proposal:
    """Also one that is put to somebody whose team it isn't, and one that is over. UnknownProposal."""
    found = registry.proposal_named(proposal)
    if found is not None and (actor.sees_everything or found.team.name in actor.sees or _asks(found.governing, inbox.person_of(actor))):
        return found
    return registry.proposal_shown(proposal, actor=actor)


def is_one(proposal: str) -> bool:
    """Whether an id is that of a proposal, whoever may see it: for doors that take either kind of id."""
    return registry.proposal_named(proposal) is not None


def wanted(*, actor: Actor, state: str | None = None, mine: bool = False, team: str | None = None) -> ProposalQuerySet:
    """Those that the actor sees, open ones that are put to them among them; `state`: open or ended. `mine`: only what they may decide at this
    moment. Not evaluated yet, in no order."""
    now = clock.now()
    if mine:
        seen = Proposal.objects.filter(pk__in=[each.pk for each in islice(_decidable(actor, now), MOST)]).select_related("team")
    else:
        seen = registry.proposals_visible_to(actor, also=_put_to(inbox.person_of(actor), now))
    if state is not None:
        seen = seen.open(now) if state == inbox.OPEN else seen.over(now)
    seen = seen.defer("shown")  # whole specs, of which a list says nothing
    return seen if team is None else seen.filter(team__name=team)


def waiting_for(actor: Actor, *, most: int) -> list[Proposal]:
    """What this person may decide now, the oldest first."""
    return list(islice(_decidable(actor, clock.now()), most))


def _put_to(person: Person | None, now: datetime) -> ProposalQuerySet:
    """Of what is open, what some stage asks this person, or somebody whom they stand in for: many are asked under few policies."""
    every = Proposal.objects.open(now)
    if person is None:
        return every.none()
    in_force = registry.policies_in_force(every.order_by().values_list("policy_name", flat=True).distinct())
    return every.under(each for each in in_force.values() if _asks(each, person))


def _decidable(actor: Actor, now: datetime) -> Iterator[Proposal]:
    """The oldest first; judged some at a time, as they are taken: as many statements for fifty as for one."""
    person = inbox.person_of(actor)
    ids = list(_put_to(person, now).order_by("created_at", "id").values_list("pk", flat=True))
    for start in range(0, len(ids), inbox.AT_ONCE):
        rows = Proposal.objects.filter(pk__in=ids[start : start + inbox.AT_ONCE]).select_related("team").defer("shown").order_by("created_at", "id")
        some = list(rows.prefetch_related("decisions"))
        had = parts_of_each(some)
        yield from (each for each in some if not isinstance(_seat(each, said_of(each), actor, person, had[each.pk], now), str))


def seat_now(proposal: Proposal, *, actor: Actor, now: datetime) -> Person | str:
    """Whose say the actor has at this moment; or why none."""
    state, why = registry.states_of([proposal], now)[proposal.pk]
    if state != ProposalState.OPEN:
        return f"it is {state} already{f': {why}' if why else ''}"
    return _seat(proposal, said_of(proposal), actor, inbox.person_of(actor), parts_of(proposal), now)


def said_of(proposal: Proposal) -> list[Said]:
    return [Said(each.person, each.decision, each.stage, each.shown, each.instead_of) for each in proposal.decisions.all()]


def counting(found: Collection[Proposal]) -> dict[UUID, list[Said]]:
    """Of each what counts now of what was said, by its key: nothing that somebody said who has a part in it."""
    said = inbox.counting_of({each.pk: (each.governing, said_of(each)) for each in found})
    had = parts_of_each([each for each in found if said[each.pk]])
    return said | inbox.without_part_each({key: (said[key], parts) for key, parts in had.items()})


def parts_of(proposal: Proposal) -> Parts:
    return parts_of_each([proposal])[proposal.pk]


def parts_of_each(found: Collection[Proposal]) -> dict[UUID, Parts]:
    """By key whoever proposed it or asked for it again, wrote one of the versions or what it was made from, or wrote or published the policy.

    Six statements for all.
    """
    ruled = registry.policy_publishers_of({(each.policy_name, each.policy_number) for each in found})
    published = registry.authors_of_each({each.pk: each.deeds for each in found})
    return {
        each.pk: Parts(
            started=frozenset({each.by, *each.asked_by}),
            published=published[each.pk],
            ruled=ruled.get((each.policy_name, each.policy_number), frozenset()),
            rules=RULES,
        )
        for each in found
    }


def _seat(proposal: Proposal, said: Sequence[Said], actor: Actor, person: Person | None, had: Parts, now: datetime) -> Person | str:
    if person is None:
        return inbox.NO_PERSON
    if not registry.may_be_asked(actor):
        return inbox.never_asked(actor)
    return rules.seat_of(person, proposal.governing, proposal.stage_at(now), had, said)


def _asks(policy: Policy, person: Person | None) -> bool:
    seats = () if person is None else (person, *person.stands_in_for)
    return any(rules.may_speak(seat, stage) for stage in policy.stages for seat in seats)


# --- deciding ----------------------------------------------------------------------------------------------------------


def decide(*, proposal: str, decision: str, reason: str = "", seen: str | None = None, actor: Actor) -> Proposal:
    """Approve or decline. The last yes that the policy asks for enacts it; a no ends it.

    `seen`: the digest that the person was shown. UnknownProposal; NotYours says which rule; AlreadyDecided and Conflict what happened meanwhile;
    ChangedSince; Voided where it could not be enacted as it was shown. Each refusal is an entry.
    """
    found = _found(proposal, actor)
    with _refusals(found, actor):
        _refuse_odd(decision, reason, found)
        try:
            with registry.proposal_held(found) as held:
                _say(held, decision, reason.strip(), seen, actor)
        except _CantBeEnacted as cant:
            void(found, cant.why, full=cant.full)
            raise Voided(f"it can't be done as it was shown: {cant.why}. Nothing was decided or done; it has to be proposed anew") from None
    done = Proposal.objects.select_related("team").get(pk=found.pk)
    if done.kind == ProposalKind.RESUME and done.state == ProposalState.ENACTED:
        runs.heed_stops(actor=_SELF)
    return done


def _found(proposal: str, actor: Actor) -> Proposal:
    try:
        return find(proposal, actor=actor)
    except UnknownProposal as refusal:
        _record(named("proposal", proposal), None, refusal, actor)
        raise


class _CantBeEnacted(Exception):
    """Rolls back the yes that it was to come to. `why` is for everybody who sees the proposal, `full` for the ledger."""

    def __init__(self, why: str, full: str = "") -> None:
        super().__init__(why)
        self.why, self.full = why, full


def _say(held: registry.HeldProposal, decision: str, reason: str, seen: str | None, actor: Actor) -> None:
    proposal, policy = held.proposal, held.proposal.governing
    _require_decidable(held, seen, actor)
    every, stage, had = said_of(proposal), proposal.stage_at(held.now), parts_of(proposal)
    seat = _seat(proposal, every, actor, inbox.person_of(actor), had, held.now)
    if isinstance(seat, str):
        raise NotYours(f"you can't decide this: {seat}")
    inbox.refuse_gone(policy.stages[stage], actor, seat.name, held.now)
    instead = "" if seat.name == actor.id else seat.name
    entry = _entry(held, decision, reason, instead, stage, actor)
    values = {"person": actor.id, "at": held.now, "entry": entry.id, "stage": stage, "decision": decision, "shown": proposal.digest}
    ProposalDecision.objects.create(proposal=proposal, **values, instead_of=instead)
    every.append(Said(actor.id, decision, stage, proposal.digest, instead))
    counting = inbox.without_part(inbox.counting_of({proposal.pk: (policy, every)})[proposal.pk], had)
    outcome = rules.outcome(policy, stage, counting)
    if outcome == rules.APPROVED:
        _enact(held)
    elif outcome is not None:
        registry.end_proposal(held, ProposalState.DECLINED, actor=actor)


def _require_decidable(held: registry.HeldProposal, seen: str | None, actor: Actor) -> None:
    """It is open, asked under the policy of now, and what the person has looked at; whoever decides may still decide."""
    proposal = held.proposal
    if actor.by is not None:
        actor.by.require_open(held.now)
    state, why = proposal.reads(held.now), f": {proposal.why}" if proposal.why else ""
    if state != ProposalState.OPEN:
        raise (Voided if state == ProposalState.VOID else AlreadyDecided)(f"this proposal is {state} already{why}")
    changed = why_void(proposal)
    if changed is not None:
        raise _CantBeEnacted(changed)
    if seen not in (None, proposal.digest):
        raise ChangedSince("what you were shown is not what is proposed; nothing was decided: look again")


def _enact(held: registry.HeldProposal) -> None:
    try:
        registry.enact(held)
    except OrchestraError as error:
        raise _CantBeEnacted(registry.told_of(error), error.message) from error


def _entry(held: registry.HeldProposal, decision: str, reason: str, instead: str, stage: int, actor: Actor) -> Draft:
    facts = {"decision": decision, "digest": held.proposal.digest, "stage": stage + 1, "policy": held.proposal.policy_name}
    openings = {name: words for name, words in (("reason", reason), ("instead_of", instead)) if words}
    draft = Draft(PROPOSAL_DECIDED.name, actor, held.proposal.subject, held.proposal.team.name, facts=facts, openings=openings)
    ledger.record([draft], now=held.now)
    return draft


def _refuse_odd(decision: str, reason: str, proposal: Proposal) -> None:
    if decision not in (rules.APPROVED, rules.DECLINED):
        raise BadDecision(f"a proposal is approved or declined; this is '{visible(decision, 40)}'")
    refuse_text(reason, needed=proposal.governing.reason or decision != rules.APPROVED, what="reason")


@contextmanager
def _refusals(proposal: Proposal, actor: Actor) -> Iterator[None]:
    try:
        yield
    except OrchestraError as error:
        _record(proposal.subject, proposal.team.name, error, actor)
        raise


def _record(subject: str, team: str | None, error: OrchestraError, actor: Actor) -> None:
    told = {"message": visible(error.message, 4_000)}
    draft = Draft(PROPOSAL_REFUSED.name, actor, subject, team, facts={"code": error.code}, openings=told)
    with transaction.atomic(durable=True):
        ledger.record([draft], now=clock.now())


# --- what time and others do to them -----------------------------------------------------------------------------------


def why_void(proposal: Proposal) -> str | None:
    in_force = registry.policies_in_force([proposal.policy_name]).get(proposal.policy_name)
    return registry.OLDER_POLICY if in_force is None or in_force.number != proposal.policy_number else None


def void(proposal: Proposal, why: str, *, full: str = "") -> None:
    try:
        with registry.proposal_held(proposal) as held:
            registry.end_proposal(held, ProposalState.VOID, actor=_SELF, why=why, full=full)
    except Conflict:
        return


def tend() -> None:
    """What time, or a policy that is another one by now, has done to what is open. Idempotent; what it does not reach, the next call does."""
    now = clock.now()
    for proposal in Proposal.objects.overdue(now).select_related("team")[:MOST]:
        _expire(proposal)
    for proposal in Proposal.objects.pending(now).under_older().select_related("team")[:MOST]:
        void(proposal, registry.OLDER_POLICY)
    for proposal in Proposal.objects.open(now).filter(look_at__lte=now).select_related("team").order_by("look_at")[:MOST]:
        registry.look_after(proposal, now=now)


def _expire(proposal: Proposal) -> None:
    try:
        with registry.proposal_held(proposal) as held:
            registry.end_proposal(held, ProposalState.EXPIRED, actor=_SELF)
    except Conflict:
        return
