"""What the doors of runs take and give, as JSON Schema. Pure values."""

from __future__ import annotations

from typing import Final

from agents.models import Scope
from audit.api.shapes import (
    NANO,
    PERSON_PATTERN,
    Shape,
    anything,
    flag,
    given,
    ident,
    instant,
    listing,
    mapping,
    maybe,
    named,
    one_of,
    page_of,
    ref,
    text,
    whole,
)
from runs.models import CallKind, CallState, Cause, Integrity, Mode, Outcome, Resolution, RunState, StepState, WaitKind, WaitState
from runs.services import OUTCOMES

_HEADER: Final[dict[str, Shape]] = {
    "id": ident(),
    "pipeline": text("the pipeline's name", example="ops-digest"),
    "team": text(),
    "state": one_of(*RunState, meaning="whether it is alive, at this moment"),
    "outcome": maybe(one_of(*Outcome, meaning="whether its result is verified; null until finished")),
    "integrity": one_of(*Integrity, meaning="broken: its rows and the ledger say different things, so nothing it says counts"),
    "label": text("one phrase for people: also `waiting for …` and `waiting until …`", example="verified as of 2014-02-28T14:25:00Z"),
    "draft": flag("it ran drafts, so the best it can be is unverified"),
    "trigger": text("what started it: cli, api, admin, reverify, pipeline (a step of another run) or spread (some items of a loop of another run)"),
    "started_by": text("person:NAME, agent:NAME or system:system", example="person:alice"),
    "started_with": maybe(text("of a run that an agent started the id of its key", example="3f9aK2mQ7xZ1")),
    "on_behalf_of": maybe(text("who started it, or owned the key with which an agent did; null for the system's", example="person:alice")),
    "as_of": maybe(instant("the past instant that it judges")),
    "created_at": instant(),
    "started_at": maybe(instant()),
    "finished_at": maybe(instant()),
    "deadline_at": maybe(instant("past it, the run has failed")),
}
_KINDS: Final = (
    "timer: for a time; signal: for somebody's word; remote: for a child run; unresolved: for a person who says what became of a call; "
    "approval: for people's yes to a call (its id is that of `/api/v1/approvals/{approval}/`); "
    "incompatible: for an engine that can go on with it; stopped: for the end of a stop"
)
_TOLD_LATE: Final = maybe(
    given(
        said=one_of("done", "not_done", "failed", meaning="done, it never went out, or it was answered with a failure, which settles nothing"),
        cause=maybe(text("of a failure, or of why it never went out", example="exception")),
        result=anything("what it gave, where it was done"),
        at=instant("when it was recorded"),
        meaning="What the worker that made the call was answered, after the call had been given up.",
    )
)
_WAIT: Final[dict[str, Shape]] = {
    "id": ident(),
    "step": maybe(text("the step that waits; null where the whole run does", example="paid")),
    "kind": one_of(*WaitKind, meaning=_KINDS),
    "subject": maybe(text("the signal's name, the agent of an unresolved call, or what was stopped (`agent:reader`)", example="payment")),
    "call": maybe(ident("the unresolved call, to be settled")),
    "opened_at": instant(),
    "expires_at": instant("time alone ends it then"),
    "on_expiry": one_of("continue", "fail", meaning="what silence means"),
    "who": text("who can end it", example="any member of team 'platform'"),
    "silence": text("what silence means, in words", example="the step fails as expired"),
    "told_late": _TOLD_LATE,
}
_OF_RUN: Final[dict[str, Shape]] = {"run": ident(), "pipeline": text("the pipeline's name", example="ops-digest"), "team": text()}
RUN_WAIT: Final = given(_WAIT, meaning="What a run waits for.")
WAIT_LISTED: Final = given({**_OF_RUN, **_WAIT}, meaning="An open wait in a list; `GET /api/v1/waits/{wait}/` says what an answer must satisfy.")
WAIT: Final = given(
    {**_OF_RUN, **_WAIT},
    state=one_of(*WaitState, meaning="as it reads at this moment"),
    ended_at=maybe(instant()),
    answered_by=maybe(text("who ended it", example="person:bob")),
    takes=anything("JSON Schema of a signal's payload, or of the result of a call that was done; null where any value will do"),
    why_not=maybe(text("why you can't answer it now; null where you can")),
    meaning="Something that a run waits for, or waited for.",
)
_UNRESOLVED: Final[dict[str, Shape]] = {
    "id": ident(),
    **_OF_RUN,
    "step": text("the step that made it", example="pay"),
    "agent": text(),
    "kind": one_of(*CallKind),
    "name": text(),
    "mode": one_of(*Mode),
    "attempt": whole(),
    "ordinal": whole(),
    "state": one_of(*CallState, meaning="unresolved until somebody knows; then resolved_done or resolved_not_done"),
    "dispatched_at": instant(),
    "settled_at": maybe(instant("since when nobody knows, or when somebody said what became of it")),
    "not_after": instant("until then it may still have been carried out"),
    "wait": maybe(ident("the wait of its run; null where the run has ended, and only the record is put right")),
    "expires_at": maybe(instant("how long its run waits for an answer")),
    "who": text("who can settle it"),
    "told_late": _TOLD_LATE,
}
UNRESOLVED_LISTED: Final = given(_UNRESOLVED, meaning="A call that may or may not have been carried out.")
UNRESOLVED: Final = given(
    _UNRESOLVED,
    input=anything("what its step was given"),
    takes=anything("JSON Schema of the result that it would have given; null where any value will do"),
    why_not=maybe(text("why you can't settle it now; null where you can")),
    meaning="A call, and what is to be said of one that may or may not have been carried out.",
)
_STOP: Final[dict[str, Shape]] = {
    "id": ident(),
    "scope": one_of(*Scope, meaning="what kind of thing is stopped"),
    "name": maybe(text("its name: `reader@3` for a version, the id of a run; null for everything", example="ops-digest")),
    "what": text("the same for people", example="pipeline 'ops-digest'"),
    "team": maybe(text("whose it is; null for what is nobody's own")),
    "reason": maybe(text("why; null where it was erased")),
    "stopped_at": instant(),
    "stopped_by": text("person:NAME or system:system", example="person:alice"),
    "lifted_at": maybe(instant("null while it is in force")),
    "lifted_by": maybe(text()),
}
STOP_LISTED: Final = given(_STOP, meaning="A stop in a list; `GET /api/v1/stops/{stop}/` has the proof.")
STOPPED_CALL: Final = given(
    {name: text() for name in ("pipeline", "team", "step", "agent", "name")},
    id=ident(),
    run=ident(),
    kind=one_of(*CallKind),
    mode=one_of(*Mode),
    state=one_of(*CallState),
    dispatched_at=instant(),
    settled_at=maybe(instant()),
    not_after=instant("it can't be carried out after that"),
    fate=text("what became of it so far, in words", example="was answered"),
    meaning="A call that a stop covers.",
)
STOP: Final = given(
    _STOP,
    proof=given(
        complete=flag("false: calls that are not shown to you may be under it too, and are not counted"),
        quiet=flag("none was sent since, and none is out any more"),
        quiet_since=maybe(instant("since when; null while it is not")),
        looked_at=instant("when this was counted"),
        until=instant("up to when calls are looked at: the lifting, or now"),
        last_before=maybe(ref("StoppedCall")),
        sent_after=whole("calls that were sent after the stop, or sent again", example=0),
        after=listing(ref("StoppedCall"), "these; the first 100"),
        in_flight=whole("calls that were out when it was set"),
        still_out=whole("of these, how many are still out"),
        calls=listing(ref("StoppedCall"), "these, with what became of each; the first 100"),
        waiting=whole("steps and runs that wait for its end"),
        meaning="The proof that it has come to rest, counted anew from the calls' own rows.",
    ),
    meaning="A stop, and the proof that it holds.",
)
STOP_ASKED: Final = given(
    scope=one_of(*Scope, meaning="what kind of thing"),
    name=text("its name; a run's id or the beginning of it; left out for everything", most=100),
    reason=text("why; kept with the entry, 1 to 1,000 characters", least=1, most=1_000),
    optional=("name",),
    examples=[{"scope": "pipeline", "name": "ops-digest", "reason": "Its source is wrong."}, {"scope": "everything", "reason": "A leak."}],
    meaning="What is to be stopped, and why.",
)
LISTED: Final = given(
    _HEADER,
    failure_cause=maybe(one_of(*Cause, meaning="why it has failed, at this moment; null for a run that has not, and for a broken one")),
    failure_owner=maybe(text("whose the failure is; null until it is written", example="agent:feed-reader")),
    failure_team=maybe(text("the owner's team")),
    cost_nano=NANO,
    meaning="A run in a list; `GET /api/v1/runs/{run}/` has the rest.",
)

USAGE: Final = given(
    provider=text(example="anthropic"),
    model=text(),
    price_version=text("which version of the model's price it was charged by"),
    input_tokens=whole("neither read from a cache nor written to one"),
    cache_read_tokens=whole(),
    cache_write_tokens=whole(),
    output_tokens=whole(),
    estimated=flag("whether the figures are the bound, because none were reported"),
    meaning="What a model's call used; the four counts are disjoint.",
)
CALL: Final = given(
    id=ident(),
    kind=one_of(*CallKind),
    name=text(),
    mode=one_of(*Mode),
    state=one_of(*CallState),
    attempt=whole(),
    ordinal=whole("0 is the function itself, 1 and more what it asked for"),
    cause=maybe(text("why it failed")),
    contained=maybe(flag("whether it had no network; null for a tool or a model")),
    observed=listing(text(), "what would have refused it, if that were enforced: permissions that are only observed, and the want of one"),
    usage=maybe(USAGE),
    cost_nano=NANO,
    dispatched_at=instant(),
    settled_at=maybe(instant()),
    meaning="One thing that passed the boundary.",
)
FAILURE: Final[Shape] = {
    "type": "object",
    "description": "What failed, and whose it is.",
    "properties": {
        "cause": one_of(*Cause),
        "message": text(),
        "owner": text("who owns it", example="agent:feed-reader"),
        "team": maybe(text()),
        "step": maybe(text()),
    },
    "required": ["cause", "message"],
}
STEP: Final = given(
    key=text("its place in the plan", example="detect/0/find"),
    agent=text(),
    version=whole(),
    state=one_of(*StepState),
    attempt=whole(),
    judges=flag("it is a verifier"),
    started_at=instant(),
    finished_at=maybe(instant()),
    seconds=maybe(text(example="0.412")),
    waited_seconds=maybe(text("of these, how long it waited for people, a signal, a time or runs below; null if never", example="1800.250")),
    deadline_at=instant(),
    as_of=maybe(instant("the oldest observation that its result rests on")),
    input=anything("what it was given"),
    result=anything("what it gave"),
    result_digest=maybe(text()),
    failure=maybe(ref("Failure")),
    cost_nano=NANO,
    calls=listing(ref("Call")),
    meaning="One node's turn.",
)
RUN: Final = given(
    _HEADER,
    version=whole("the pipeline's version"),
    release=text("digest of everything that it runs with"),
    exit_status=whole("what a command about this run would end with: 0 is verified, 13 not finished"),
    cancelled_by=maybe(text()),
    calls=whole("calls so far"),
    cost_nano=NANO,
    input=anything("what went in"),
    result=anything("what came out"),
    result_digest=maybe(text()),
    verdict=maybe(mapping("the independent verifier's judgement: `verdict`, `by`, `checks` with `criterion`, `verdict`, `why`, `read`")),
    failure=maybe(ref("Failure")),
    missing=listing(ref("Failure"), "the parts that a degraded run goes without"),
    observing=listing(text(), "teams of its agents whose agents are now refused nothing for want of a permission"),
    undone=listing(text(), "of a run that came to nothing, the steps that had acted and were undone"),
    not_undone=listing(given(step=text(), why=text()), "the steps that had acted, or may have, and were not undone"),
    waits=listing(ref("RunWait"), "what it waits for, while that can still be answered"),
    steps=listing(ref("Step")),
    parent=maybe(given(run=ident(), step=text(), meaning="the run and the step that it belongs to, where that is shown to you")),
    children=listing(ref("ChildRun"), "the runs below this one that are shown to you, each after the one above it; the first 200"),
    more_children=whole("how many more of them there are"),
    reverifies=maybe(ident("the run that this one judges again")),
    reverified_by=listing(given(run=ident(), label=text(), finished_at=maybe(instant())), "newer judgements of this one"),
    entries=whole("seq of its last ledger entry"),
    meaning="Everything that a run has to say, as it reads now.",
)
CHILD: Final = given(
    run=ident(),
    parent=ident("the run right above it"),
    step=text("its step there", example="each/0/digest"),
    level=whole("1 for a child, 2 for a child of one"),
    pipeline=text(),
    state=one_of(*RunState),
    outcome=maybe(one_of(*Outcome)),
    label=text("one phrase for people"),
    cost_nano=NANO,
    meaning="A run that a step of another one has started.",
)
EVENTS: Final = given(
    items=listing(ref("Entry")),
    last=whole("`after` for the next request", example=7),
    finished=flag("there will be no more than these: the run has ended"),
    retry_after=whole("seconds to leave before the next request: 0, unless `wait` was asked for and all places to wait are taken", example=0),
    meaning="Entries of one run in order.",
)
START: Final = given(
    pipeline=named("which pipeline"),
    input=mapping("what goes in; the pipeline's `input` contract says what it takes"),
    as_of=maybe(instant("judge history: as if it were this instant", example="2014-02-28T14:25:00Z")),
    draft=flag("run the newest drafts, published or not"),
    optional=("input", "as_of", "draft"),
    examples=[{"pipeline": "ops-digest", "input": {"feed": "data/ec2_cpu_utilization_5f5533.csv"}}],
)
SIGNAL: Final = given(
    payload=anything("what the waiting step gives; it must satisfy the contract that the wait `takes`. Left out, it is null"),
    optional=("payload",),
    examples=[{"payload": {"amount": 1250}}, {}],
    meaning="A signal's payload.",
)
SETTLEMENT: Final = given(
    decision=one_of(*Resolution, meaning="done: it was, with this `result`; not_done: it was not, and is made anew; unknown: nobody can say"),
    result=anything("of a call that was done: what its agent would have given"),
    reason=text("how you know; kept with the entry, 1 to 2,000 characters", least=1, most=2_000),
    optional=("result",),
    examples=[
        {"decision": "done", "result": {"paid": True}, "reason": "The bank's statement of today lists it."},
        {"decision": "not_done", "reason": "The bank has no such transfer."},
    ],
    meaning="What became of a call.",
)
WAIT_FILTERS: Final[dict[str, Shape]] = {
    "kind": one_of(*WaitKind, meaning="only waits of this kind"),
    "pipeline": named("only waits of runs of this pipeline"),
    "run": ident("only this run's"),
}
FILTERS: Final[dict[str, Shape]] = {
    "pipeline": named("only runs of this pipeline"),
    "outcome": one_of(*OUTCOMES, meaning="only runs that read so now; `broken` hides every other"),
    "failure_cause": one_of(*Cause, meaning="only runs that have failed for this cause, or have no verdict for it"),
    "state": one_of(*RunState, meaning="only runs in this state now"),
    "since": instant("only runs started at this instant or later"),
    "children": flag("true: also runs that a step of another run has started"),
    "started_by": text("only runs started by this person or agent", pattern=f"^(person|agent|system):{PERSON_PATTERN[1:]}", example="person:alice"),
}
COMPONENTS: Final = {
    "Run": RUN,
    "ChildRun": CHILD,
    "RunListed": LISTED,
    "RunPage": page_of(ref("RunListed")),
    "RunEvents": EVENTS,
    "Step": STEP,
    "Call": CALL,
    "Failure": FAILURE,
    "RunWait": RUN_WAIT,
    "Wait": WAIT,
    "WaitPage": page_of(WAIT_LISTED),
    "CallToSettle": UNRESOLVED,
    "UnresolvedPage": page_of(UNRESOLVED_LISTED),
    "Stop": STOP,
    "StoppedCall": STOPPED_CALL,
    "StopPage": page_of(STOP_LISTED),
}
