"""What the doors of proposals take and give, as JSON Schema. Pure values."""

from __future__ import annotations

from typing import Final

from agents.models import ProposalKind, ProposalState
from approvals.rules import APPROVED, DECLINED
from audit.api.shapes import Shape, anything, flag, given, ident, instant, listing, maybe, named, one_of, page_of, ref, text, whole

_SHORT: Final[dict[str, Shape]] = {
    "id": ident("of the proposal"),
    "kind": one_of(*ProposalKind, meaning="that something be published or granted, or that what was stopped go on"),
    "about": text("what would be done, for people", example="publish agent deployer 3"),
    "team": text("whose policy has people decide it"),
    "state": one_of(*ProposalState, meaning="as it reads now; void: it can't be done any more as it was shown, or its policy is another one"),
    "by": text("who proposed it", example="person:alice"),
    "created_at": instant(),
    "expires_at": instant("silence has denied it then"),
    "ended_at": maybe(instant()),
    "why": maybe(text("of one that is void or withdrawn: what made it so")),
    "shown": text("SHA-256 of what would be done and what people see of it: give it back as `seen`"),
    "policy": given(
        name=text(example="two-people"),
        version=whole(),
        said=text("for people"),
        reason=flag("whoever approves says why"),
        meaning="The policy that it was asked under.",
    ),
    "stage": whole("which of the policy's stages holds now, from 1"),
    "stages": whole("how many it has"),
    "asks": text("how many of whom must approve now", example="1 of team 'platform'"),
    "lacks": whole("how many more must approve"),
}
LISTED: Final = given(_SHORT, meaning="A proposal in a list; `GET /api/v1/proposals/{proposal}/` gives all of it.")
_STOP: Final = given(
    id=ident(),
    what=text(example="agent 'price-reader'"),
    reason=maybe(text("null where it was erased")),
    stopped_at=instant(),
    stopped_by=text(example="person:alice"),
    lifted_at=maybe(instant()),
    meaning="The stop that would be lifted.",
)
PROPOSAL: Final = given(
    _SHORT,
    changes=listing(
        given(
            subject=text("what changes", example="agent:deployer"),
            from_version=maybe(whole("what runs until then; null where nothing does, or it has no versions")),
            to_version=maybe(whole()),
            fields=listing(given(path=text(example="permissions"), old=anything(), new=anything()), "the fields that differ"),
            hidden=flag("it belongs to a team that is not shown to whoever asks, so its fields are not here"),
            denied=listing(text(), "what runs already and would be refused from then on"),
            stop=maybe(_STOP),
        ),
        "each thing that would change",
    ),
    code=listing(ref("Code"), "in which files the code of agents differs"),
    authors=listing(text(), "who wrote what would be published; `system`: a command without a person's token"),
    decisions=listing(
        given(
            person=text(),
            at=instant(),
            reason=maybe(text()),
            decision=one_of(APPROVED, DECLINED),
            stage=whole(),
            instead_of=maybe(text("in whose stead; null where that person was asked")),
            shown=text("SHA-256 of what that person was shown"),
            meaning="What somebody decided.",
        )
    ),
    why_not=maybe(text("why you can't decide it now; null where you can")),
    instead_of=maybe(text("in whose stead you would decide it; null where you are asked yourself, or can't", example="alice")),
    may_withdraw=flag("you may take it back: you proposed it, or may change what the team owns"),
    deciders=listing(text("who can decide it at this moment; at most twenty")),
    stuck=maybe(text("that these are too few, why, and what to do about it; null where they are enough")),
    meaning="A change that waits, or waited, for people's yes.",
)
DECISION: Final = given(
    decision=one_of(APPROVED, DECLINED),
    reason=text("why; needed where the policy asks for it, and of whoever declines", most=2_000),
    seen=text("the `shown` that you have looked at: nothing else is decided then", pattern="^[0-9a-f]{64}$"),
    optional=("reason", "seen"),
    examples=[{"decision": "approved", "reason": "Read the diff."}, {"decision": "declined", "reason": "Not before the audit."}],
    meaning="A person's word on it.",
)
FILTERS: Final[dict[str, Shape]] = {
    "state": one_of("open", "ended", meaning="only those that can be decided, or only those that can't any more"),
    "mine": flag("true: only what you may decide at this moment"),
    "team": named("only those of this team"),
}
COMPONENTS: Final = {"Proposal": PROPOSAL, "ProposalPage": page_of(LISTED)}
