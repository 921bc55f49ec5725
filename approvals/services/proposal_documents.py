"""A proposal as every door shows it: what would change, field by field, who asks for it, under which policy, and what was said of it.

What people see was fixed as it was proposed, and its digest with it. Reads only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from agents import registry
from agents.models import Proposal, ProposalKind, ProposalState, Stop
from approvals import rules
from approvals.services import proposals
from approvals.services.documents import said_by, who_can
from audit import clock
from audit.actors import Actor
from audit.clock import to_text
from runs import services as runs

_WHAT: Final[Mapping[str, str]] = {
    "publish": "publish {kind} {name} {number}",
    "policy": "put policy {name} {number} in force",
    "rollback": "roll {kind} {name} back to {number}",
    "restore": "let what version {number} of {kind} {name} says hold again",
    "reinstate": "bring {kind} {name} back",
    "permit": "change what team {team} grants",
    "rule": "change who decides for team {team}",
    "resume": "let {what} go on",
}
MOST_NAMED: Final = 3
_OF_STOPS: Final = ("id", "what", "reason", "stopped_at", "stopped_by", "lifted_at")


def listed(found: Collection[Proposal], now: datetime) -> list[dict[str, Any]]:
    """Each in short, for lists."""
    states = registry.states_of(found, now)
    counting = proposals.counting([each for each in found if states[each.pk][0] == ProposalState.OPEN])
    return [_short(each, now, *states[each.pk], counting.get(each.pk)) for each in found]


def document(proposal: Proposal, *, actor: Actor) -> dict[str, Any]:
    """All of it. `shown` is what a decision is bound to: whoever decides may give it back, so that nothing else is decided."""
    now = clock.now()
    [short] = listed([proposal], now)
    is_open = short["state"] == ProposalState.OPEN
    return {
        **short,
        "changes": [{**_seen(item, proposal, actor), "stop": stop} for item, stop in zip(proposal.shown, _stops(proposal), strict=True)],
        "code": registry.code_of([item for item in proposal.shown if _may_see(item, proposal, actor)]),
        "authors": sorted({_author(who) for who in registry.authors_of(proposal.deeds)}),
        "decisions": said_by(proposal.decisions.all()),
        **_yours(proposal, actor, now, is_open=is_open),
        **(_who_can(proposal, now) if is_open else {"deciders": [], "stuck": None}),
    }


def _author(who: str) -> str:
    """A name; `system` for every command without a person's token, whether it wrote something or put it in force."""
    kind, _, name = who.partition(":")
    return name if kind == "person" else kind if kind == "system" else who


def about(proposal: Proposal) -> str:
    """What would be done, in a line."""
    said = [_deed(deed) for deed in proposal.deeds]
    more = len(said) - MOST_NAMED
    return f"{'; '.join(said[:MOST_NAMED])}{f'; and {more} more' if more > 0 else ''}"


def _deed(deed: Mapping[str, Any]) -> str:
    return _WHAT[deed["do"]].format(**deed)


def _short(proposal: Proposal, now: datetime, state: str, why: str, counting: list[rules.Said] | None) -> dict[str, Any]:
    """`counting`: of one that is open, what counts of what was said."""
    policy, stage = proposal.governing, proposal.stage_at(now)
    return {
        "id": str(proposal.pk),
        "kind": proposal.kind,
        "about": about(proposal),
        "team": proposal.team.name,
        "state": state,
        "by": proposal.by,
        "created_at": to_text(proposal.created_at),
        "expires_at": to_text(proposal.expires_at),
        "ended_at": None if proposal.ended_at is None else to_text(proposal.ended_at),
        "why": why or None,
        "shown": proposal.digest,
        "policy": {"name": policy.name, "version": policy.number, "said": policy.said, "reason": policy.reason},
        "stage": stage + 1,
        "stages": len(policy.stages),
        "asks": policy.stages[stage].said,
        "lacks": 0 if counting is None else rules.lacking(policy, stage, counting),
    }


def _may_see(item: Mapping[str, Any], proposal: Proposal, actor: Actor) -> bool:
    """What is the proposing team's everybody may who may see the proposal."""
    return actor.sees_everything or not {proposal.team.name, *actor.sees}.isdisjoint(item["teams"])


def _seen(item: Mapping[str, Any], proposal: Proposal, actor: Actor) -> dict[str, Any]:
    """Of what belongs to a team that isn't shown to whoever looks only that it changes."""
    hidden = not _may_see(item, proposal, actor)
    kept = {**item, "fields": [], "denied": []} if hidden else item
    return {name: value for name, value in kept.items() if name != "teams"} | {"hidden": hidden}


def _stops(proposal: Proposal) -> list[dict[str, Any] | None]:
    """What would go on of it, and why it was stopped as far as that is kept; nothing where nothing is lifted."""
    if proposal.kind != ProposalKind.RESUME:
        return [None for _ in proposal.shown]
    rows = list(Stop.objects.select_related("team").filter(pk__in=[deed["stop"] for deed in proposal.deeds if deed.get("stop")]))
    told = {stop["id"]: {name: stop[name] for name in _OF_STOPS} for stop in runs.stop_records(rows)}
    return [told.get(deed.get("stop") or "") for deed in proposal.deeds]


def _yours(proposal: Proposal, actor: Actor, now: datetime, *, is_open: bool) -> dict[str, Any]:
    """`why_not`: why whoever looks can't decide it; `instead_of`: in whose stead they would; `may_withdraw`: whether they may take it back."""
    seat = proposals.seat_now(proposal, actor=actor, now=now)
    may = is_open and registry.may_withdraw(proposal, actor)
    if isinstance(seat, str):
        return {"why_not": seat, "instead_of": None, "may_withdraw": may}
    return {"why_not": None, "instead_of": None if seat.name == actor.id else seat.name, "may_withdraw": may}


def _who_can(proposal: Proposal, now: datetime) -> dict[str, Any]:
    said, counting = proposals.said_of(proposal), proposals.counting([proposal])[proposal.pk]
    return who_can(proposal.governing, proposal.stage_at(now), proposals.parts_of(proposal), said, counting, now)
