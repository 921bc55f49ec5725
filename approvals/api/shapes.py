"""What the doors of approvals take and give, as JSON Schema. Pure values."""

from __future__ import annotations

from typing import Final

from approvals.api import proposal_shapes
from approvals.models import Kind
from approvals.rules import APPROVED, DECISIONS, DECLINED
from audit.api.shapes import NANO, Shape, anything, flag, given, ident, instant, listing, mapping, maybe, named, one_of, page_of, text, whole
from runs.models import Mode

STATES: Final = ("open", "approved", "declined", "changes", "void", "expired", "cancelled")
_SHORT: Final[dict[str, Shape]] = {
    "id": ident("of the request, and of the wait that it answers"),
    "run": ident(),
    "pipeline": text("the pipeline's name", example="deployment"),
    "team": text(),
    "step": text("the step that waits", example="deploy"),
    "kind": one_of(*Kind, meaning="about a call, what an agent gave (`approve_when`), or what the pipeline puts to people (`approval`)"),
    "about": text("the same for people", example="a call of 'deployer'"),
    "agent": maybe(text("who would make the call, or gave the result; null where the pipeline itself asks", example="deployer")),
    "risk": maybe(text("the agent's risk tier")),
    "binding": text("SHA-256 over RFC 8785 of agent, version, uses, arguments, policy and release: what an approval is bound to"),
    "state": one_of(*STATES, meaning="as it reads now; void: what was asked for is not what would be done any more, and is asked anew"),
    "opened_at": instant(),
    "expires_at": instant("silence has denied it then"),
    "ended_at": maybe(instant()),
    "policy": given(
        name=maybe(text("null: the default policy", example="production")),
        version=whole(),
        said=text("for people"),
        reason=flag("whoever approves says why"),
        edits=flag("whoever approves may change the arguments"),
        meaning="The policy that it was asked under.",
    ),
    "stage": whole("which of the policy's stages holds now, from 1"),
    "stages": whole("how many it has"),
    "asks": text("how many of whom must approve now", example="1 of team 'platform'"),
    "lacks": whole("how many more must approve"),
    "silence": text("what silence means, in words"),
}
LISTED: Final = given(_SHORT, meaning="A request for an approval in a list; `GET /api/v1/approvals/{approval}/` gives all of it.")
_EVIDENCE: Final = given(
    step=text(),
    agent=text(),
    result=anything("what the step gave; null where it was erased"),
    digest=text("SHA-256 of the result"),
    as_of=maybe(instant("the newest observation in it")),
    age_s=maybe(whole("how old that is now, in seconds")),
    best_before=maybe(instant("from then on it is too old to be acted on")),
    meaning="What a step of the run had given when the approval was asked for.",
)
APPROVAL: Final = given(
    _SHORT,
    uses=listing(
        given(
            verb=text(),
            resource=text(),
            permission=text(),
            holder=text("who holds that permission, where it is neither the agent nor its team", example="pipeline:deploy"),
            optional=("holder",),
            meaning="What the call would touch, and a permission that asks for this.",
        )
    ),
    version=maybe(whole("the agent's version")),
    rounds_left=whole("how often it can still be sent back to be made anew"),
    version_digest=maybe(text()),
    release=maybe(text("the digest of the release that the run executes")),
    mode=maybe(one_of(*Mode, meaning="what becomes of it if the worker dies")),
    role=maybe(text()),
    purpose=maybe(text("as the agent's file says it")),
    uncontained=flag("nothing kept the agent's code from the network when it was last called"),
    started_by=text("who started the run", example="person:alice"),
    on_behalf_of=maybe(text("the person whose run it is: who started it, or owned the key with which an agent did", example="person:alice")),
    waits_since_s=whole("how long it has waited, in seconds"),
    cost_nano=given(spent=NANO, reserved=NANO, this=NANO, limit=maybe(NANO), meaning="What the run has cost, and the most that this call may."),
    shown=text("SHA-256 of what a decision is about, as it is shown here: give it back as `seen`"),
    arguments=anything("what the call would be given, as Orchestra computed it"),
    criteria=listing(mapping("a criterion of the pipeline")),
    evidence=listing(_EVIDENCE),
    decisions=listing(
        given(
            person=text(),
            at=instant(),
            reason=maybe(text()),
            decision=one_of(*DECISIONS),
            stage=whole(),
            instead_of=maybe(text("in whose stead; null where that person was asked")),
            shown=text("SHA-256 of what that person was shown"),
            binding=text("the digest of what was approved; with edits another one than was asked for"),
            edits=maybe(
                listing(given(path=text(), old=anything(), new=anything(), meaning="A field."), "in which fields the arguments were changed")
            ),
            meaning="What somebody decided.",
        )
    ),
    comments=listing(given(person=text(), at=instant(), text=maybe(text()), meaning="What somebody said about it.")),
    alike=listing(ident(), "others of low risk that ask for exactly the same, and that you may decide: `decide-alike/` decides them with it"),
    why_not=maybe(text("why you can't decide it now; null where you can")),
    instead_of=maybe(text("in whose stead you would decide it; null where you are asked yourself, or can't", example="alice")),
    deciders=listing(text("who can decide it at this moment; at most twenty")),
    stuck=maybe(text("that these are too few, why, and what to do about it; null where they are enough")),
    meaning="What waits, or waited, for people's yes.",
)
DECISION: Final = given(
    decision=one_of(*DECISIONS),
    reason=text("why; needed where the policy asks for it, and of whoever declines or asks for changes: the agent is told", most=2_000),
    seen=text("the `shown` that you have looked at: nothing else is decided then", pattern="^[0-9a-f]{64}$"),
    arguments=mapping("of one that approves, where the policy allows edits: what the call is given instead"),
    optional=("reason", "seen", "arguments"),
    examples=[
        {"decision": "approved", "reason": "The change window is open."},
        {"decision": "declined", "reason": "Not on a Friday."},
        {"decision": "changes", "reason": "Name the author."},
    ],
    meaning="A person's word on it.",
)
ALIKE_DECISION: Final = given(
    decision=one_of(APPROVED, DECLINED),
    reason=text("why, kept with each of them", most=2_000),
    also=listing(ident(), "which others, of its `alike`", most=99),
    seen=text("the `shown` of this request that you have looked at: nothing is decided then if it has changed", pattern="^[0-9a-f]{64}$"),
    optional=("reason", "seen"),
    examples=[{"decision": "approved", "reason": "The same as yesterday.", "also": ["0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10"]}],
    meaning="A person's word on all that ask for the same.",
)
DECIDED_ALIKE: Final = given(
    decided=listing(ident(), "what was decided, this request first"),
    refused=listing(given(id=ident(), why=text(), meaning="One that was not."), "what was not, and why"),
    meaning="What became of requests that were decided together.",
)
COMMENT: Final = given(text=text("what you have to say", least=1, most=2_000), examples=[{"text": "Is the window open?"}], meaning="A comment.")
FILTERS: Final[dict[str, Shape]] = {
    "state": one_of("open", "ended", meaning="only those that can be decided, or only those that can't any more"),
    "mine": flag("true: only what is put to you at this moment and that you have not decided"),
    "pipeline": named("only those of runs of this pipeline"),
    "agent": named("only those of calls of this agent"),
    "run": ident("only this run's"),
}
COMPONENTS: Final = {"Approval": APPROVAL, "ApprovalPage": page_of(LISTED), "DecidedAlike": DECIDED_ALIKE, **proposal_shapes.COMPONENTS}
