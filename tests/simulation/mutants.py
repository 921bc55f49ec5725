"""The real code, broken on purpose, one way at a time. What no invariant notices in many seeds is an invariant that is missing.

Each is an edit or some together, by name; NOTICED_BY says which seed finds it. Where two guards hold the same, a mutant takes both away.
"""

from tests.simulation.mutating import Edit, Mutant


def _one(name: str, module: str, old: str, new: str, constant: str = "") -> Mutant:
    return Mutant(name, (Edit(module, old, new, constant),))


MACHINE, DRIVER, PLANNING, PERFORMING = "runs.engine.machine", "runs.worker.driver", "runs.worker.planning", "runs.worker.performing"
WRITING, CLAIMS, SETTLING, ENDING = "runs.store.writing", "runs.store.claims", "runs.store.settling", "runs.services.ending"
FAMILY, BEGINNINGS, CHILDREN, LIMITS = "runs.store.family", "runs.store.beginnings", "runs.engine.patterns.children", "runs.engine.limits"
RESUMES = '"deadline_at": _within_life(later(now, run.remaining_ms), run)'
ADMISSION, LEDGER, STOPPING, ANSWERING = "runs.boundary.admission", "audit.ledger", "runs.services.stopping", "runs.services.answering"
LATE, HALTING, STOPS, LINES = "runs.services.late", "runs.worker.halting", "agents.registry.stopping", "runs.store.lines"
CONDITIONS = "runs.store.conditions"
BINDING, SENDING = "runs.boundary.approving", "runs.boundary.sending"
APPROVING, DECIDING = "runs.engine.approving", "runs.services.deciding"
ABSORBING, WAITING, UNDOING, LOOKING = "runs.engine.absorbing", "runs.engine.waiting", "runs.engine.undoing", "runs.engine.looking"
WALK, WAITS, CHANGES = (f"runs.engine.patterns.{name}" for name in ("walk", "waits", "changes"))
ROWS = "rows = [_run_row(each, notes[each.run]) for each in ordered]"
MATCH = 'match=["id", "revision", "fence"]'

MUTANTS = (
    Mutant(
        "drop the fence condition",
        (Edit(WRITING, ROWS, f"{ROWS}\n        rows = [[*row[:2], *row[3:]] for row in rows]"), Edit(WRITING, MATCH, 'match=["id", "revision"]')),
    ),
    Mutant(
        "drop the revision condition",
        (Edit(WRITING, ROWS, f"{ROWS}\n        rows = [[row[0], *row[2:]] for row in rows]"), Edit(WRITING, MATCH, 'match=["id", "fence"]')),
    ),
    _one("write past a deadline what was decided in time", CONDITIONS, "    if late:\n", "    if False:\n"),
    Mutant(
        "skip the deadline at the intent",
        (
            Edit(CONDITIONS, "    if late:\n", "    if False:\n"),
            Edit(ADMISSION, "if asked.now >= asked.request.not_after:", "if False:"),
            Edit(DRIVER, "clock.now() < each.call.not_after and ", ""),
        ),
    ),
    Mutant(
        "skip the cancel when a result is absorbed",
        (
            Edit(MACHINE, "return snapshot.run.cancel_by is not None or now >= snapshot.run.deadline_at", "return now >= snapshot.run.deadline_at"),
            Edit(DRIVER, "if run.cancel_by is not None or now >= run.deadline_at:", "if now >= run.deadline_at:"),
        ),
    ),
    _one(
        "forget a cancel",
        MACHINE,
        "return snapshot.run.cancel_by is not None or now >= snapshot.run.deadline_at",
        "return now >= snapshot.run.deadline_at",
    ),
    _one(
        "void a dispatched reservation", SETTLING, "used = used or Used(call.reserved_nano, estimated=True)", "used = used or Used(0, estimated=True)"
    ),
    _one("drop a settlement with the fence", DRIVER, "for each in (*self._closing, *self._arrived()) if", "for each in () if"),
    _one(
        "settle again what has been settled",
        DRIVER,
        "        return (known := self.calls.get(call.key)) is not None and known.state is CallState.DISPATCHED\n",
        "        return call.key in self.calls\n",
    ),
    _one("send again what has ended meanwhile", DRIVER, "for each in resent if self._is_dispatched(each) and not", "for each in resent if not"),
    _one("forget that what has failed was sent", PLANNING, ', retry_safe=False, details={"sent": True})', ", retry_safe=False)"),
    _one(
        "send an at_most_once call again", PLANNING, "    if known.mode is not Mode.AT_MOST_ONCE:\n", "    if known.state is CallState.DISPATCHED:\n"
    ),
    _one(
        "send again under a new key",
        PLANNING,
        "    known = calls.records.get(request.key)\n",
        "    known = calls.records.get(request.key)\n"
        "    if known is not None and known.state is CallState.DISPATCHED and known.key not in calls.unsent and request.kind is not CallKind.MODEL:\n"
        "        request, known = replace(request, ordinal=100 + len(calls.records)), None\n",
    ),
    _one("send again without telling", PLANNING, "resent=again, ", ""),
    _one(
        "forget the intent before the call",
        PLANNING,
        "return Planned(step, request, opened=(store.opened(record_of(request), None, granted),), place=place)",
        "return Planned(step, request, record=record_of(request), place=place)",
    ),
    _one(
        "forget a tool's intent",
        DRIVER,
        "await self._settle(lambda: Move(self.snapshot), opened=(store.opened(record, request.opening, granted),))",
        "self.calls[record.key] = record",
    ),
    _one(
        "finish twice",
        MACHINE,
        "    walk.run = replace(waits.woken(walk.run), state=RunState.FINISHED,",
        "    walk.facts *= 2\n    walk.run = replace(waits.woken(walk.run), state=RunState.FINISHED,",
    ),
    _one("go on from an old head", WRITING, "Committed(_seen_next(each, heads[each.run]),", "Committed(_seen_next(each, each.seen.head),"),
    _one(
        "number an event that comes after the finish",
        WRITING,
        "openings=fact.openings,\n    )",
        "openings=fact.openings,\n        sequenced=True,\n    )",
    ),
    Mutant(
        "never reset the attempts",
        (
            Edit(WRITING, "0 if each.is_progress else each.attempt", "each.attempt"),
            Edit(DRIVER, "self.attempt = 0 if transition.is_progress else self.attempt", "pass"),
        ),
    ),
    _one("count no attempt at the claim", CLAIMS, "attempt = attempt + 1", "attempt = attempt"),
    _one("use a late result", MACHINE, "if now >= step.deadline_at and isinstance(outcome, Returned):", "if False:"),
    _one("retry what may have acted", PLANNING, "retry_safe=result.retry_safe and safe", "retry_safe=True"),
    _one("retry under the same attempt", ABSORBING, "        attempt=step.attempt + 1", "        attempt=step.attempt"),
    _one("ignore the lease at the claim", CLAIMS, "lease_until <= %s)", "lease_until <= %s OR 1)", constant="_READY"),
    _one("claim past the deadline", CLAIMS, "AND deadline_at > %s", "AND (deadline_at > %s OR 1)", constant="_READY"),
    _one(
        "prolong the leases of others",
        CLAIMS,
        "held = Run.objects.filter(lease_owner=owner, id__in=runs)\n        ours",
        "held = Run.objects.filter(id__in=runs)\n        ours",
    ),
    _one(
        "give back the leases of others",
        CLAIMS,
        "Run.objects.filter(lease_owner=owner, id__in=runs, state__in=LIVE_RUN)",
        "Run.objects.filter(state__in=LIVE_RUN)",
    ),
    Mutant(
        "end the unattended without its revision",
        (
            Edit(ENDING, "loaded.seen, move, actor", "store.load([run])[0].seen, move, actor"),
            Edit(WRITING, "t.state <> 'finished' AND (v.reserved", "(v.reserved", "_MAY_ADVANCE"),
        ),
    ),
    Mutant(
        "ignore the limit of calls",
        (
            Edit(WRITING, "(t.calls_limit IS NULL OR v.calls_used <= t.calls_limit) AND ", "", "_MAY_ADVANCE"),
            Edit(ADMISSION, "account.calls + 1 > account.calls_limit", "False"),
        ),
    ),
    Mutant(
        "ignore the limit of money",
        (
            Edit(WRITING, "(t.cost_limit_nano IS NULL OR v.spent_nano + v.reserved_nano <= t.cost_limit_nano)", "1", "_MAY_ADVANCE"),
            Edit(ADMISSION, "account.committed + bound > account.cost_limit", "False"),
        ),
    ),
    _one("reserve nothing", SETTLING, "reserved = run.reserved + sum(each.call.reserved_nano for each in opened)", "reserved = run.reserved + 0"),
    _one("keep what was reserved", WRITING, 'reserved_nano=F("reserved_nano") - held, ', ""),
    _one("charge nothing", WRITING, "    if charges:\n", "    if False:\n"),
    _one("leave open what a run ends with", MACHINE, "    walk.cancel_open()\n", ""),
    _one(
        "leave out what a run ends with",
        DRIVER,
        "if move.finish is not None or call.step in move.abandon or not is_under_way(move.snapshot.steps, call)]",
        "if move.finish is None and (call.step in move.abandon or not is_under_way(move.snapshot.steps, call))]",
    ),
    _one("open nothing after a result", ABSORBING, "    walk.step_done(done, held)\n    return None", "    return None"),
    _one("open nothing when a part has failed", ABSORBING, "        walk.step_failed(gone, record)", "        pass"),
    _one(
        "stamp a result with an older fence", WRITING, "None if held is None else each.seen.fence)", "None if held is None else each.seen.fence - 1)"
    ),
    _one("leave lying what was opened by a commit without an answer", DRIVER, "if idle and not self.finished:", "if False:"),
    _one("keep the place of a call that was not planned after all", DRIVER, "                plan.place.give_back()", "                pass"),
    _one("keep the place of a call that has ended", PERFORMING, "            ended.place.give_back()", "            pass"),
    _one(
        "keep the places of ends that nobody reads",
        PERFORMING,
        "            place.give_back()\n        self._places",
        "            pass\n        self._places",
    ),
    _one("forget an end whose writing was broken off", DRIVER, "(*self._closing, *self._arrived()) if", "(*self._arrived(),) if"),
    _one("take up again what a commit without an answer has parked", DRIVER, "(tries and self.parked)", "False"),
    _one("park past a deadline what was parked in time", DRIVER, "deadline_at=self.snapshot.run.deadline_at,", ""),
    _one(
        "count more time as progress",
        "runs.engine.commands",
        "any(step.key not in self.prolonged or step.state is not StepState.RUNNING for step in self.moved)",
        "bool(self.moved)",
    ),
    _one("call a re-sent call free", PLANNING, "sent_before=True", "sent_before=False"),
    _one("answer without the open condition", ANSWERING, "Wait.objects.open(now).filter(id=wait.id)", "Wait.objects.filter(id=wait.id)"),
    _one(
        "answer without the run's row",
        ANSWERING,
        'cancel_requested_at__isnull=True).update(revision=F("revision") + 1)',
        "cancel_requested_at__isnull=True)",
    ),
    _one("leave a wait open that has ended", CHANGES, "self.closed[step.key] = ", "_ = "),
    _one("a work clock that doesn't stop", WAITS, "_bounded(later(wake, remaining), run)", "run.deadline_at"),
    _one("a work clock that doesn't go on", FAMILY, RESUMES, '"deadline_at": run.deadline_at'),
    _one("let a run outlive its lifetime", WAITS, "deadline_at=_bounded(later(wake, remaining), run)", "deadline_at=later(wake, remaining)"),
    _one("undo in the order of doing", UNDOING, "max(done, key", "min(done, key"),
    _one("undo twice", UNDOING, " and UNDO + step.key not in walk.steps", ""),
    _one(
        "undo everything at once",
        UNDOING,
        "    _open(walk, max(done, key=lambda step: (step.finished_at, step.key)))\n",
        "    for each in done:\n        _open(walk, each)\n",
    ),
    _one("leave out of the account what was cut short", UNDOING, "step.state is StepState.CANCELLED and not step.never_sent", "False"),
    _one("look a call up before its time is over", LOOKING, "return not_after + ZOMBIE if", "return not_after - ZOMBIE if"),
    _one("go on without the answer", WAITING, "_waited(walk, step, wait.answer.value)", "_waited(walk, step, None)"),
    _one(
        "make a call anew under its attempt",
        WAITING,
        "absorbing.start_again(walk, step, step.attempt + 1)",
        "absorbing.start_again(walk, step, step.attempt)",
    ),
    _one("ask for a cancel past the deadline", STOPPING, "deadline_at__gt=asked_at, ", ""),
    _one("ask for a cancel without a new revision", STOPPING, 'revision=F("revision") + 1, seq', "seq"),
    _one("keep a child's end from the run above", WRITING, "        _tell([each for each in concerning if each.run in alive], now)", "        pass"),
    _one("pay nothing for a child", FAMILY, "            _pay(deepest, unpaid)", "            pass"),
    _one("hold nothing for a child", CHILDREN, "return run if start is None else replace", "return run if True else replace"),
    _one(
        "a clock that runs above one that stands",
        FAMILY,
        "        _move_clock(change, parent, child, actor, now)\n    head",
        "        pass\n    head",
    ),
    _one("answer a run that was cancelled", FAMILY, "news.answer is not None and parent.cancel_requested_at is None", "news.answer is not None"),
    _one(
        "answer a run whose time is over", FAMILY, "if parent.state not in LIVE_RUN or now >= parent.deadline_at:", "if parent.state not in LIVE_RUN:"
    ),
    _one("forget children that nobody waits for", FAMILY, 'return runs.filter(gone | ~Exists(_open_waits())).order_by("id")', "return runs.none()"),
    Mutant(
        "give each child all of a limit",
        (
            Edit(LIMITS, "left = int(max(limit - used, 0) * part)", "left = limit"),
            Edit(WRITING, "(t.calls_limit IS NULL OR v.calls_used <= t.calls_limit) AND ", "", "_MAY_ADVANCE"),
            Edit(WRITING, "(t.cost_limit_nano IS NULL OR v.spent_nano + v.reserved_nano <= t.cost_limit_nano)", "1", "_MAY_ADVANCE"),
        ),
    ),
    Mutant(
        "change a run from below without a new revision",
        (
            Edit(FAMILY, 'update(revision=F("revision") + 1, seq=F("seq") + len(change.drafts)', 'update(seq=F("seq") + len(change.drafts)'),
            Edit(FAMILY, '{"revision": F("revision") + 1, "spent_nano"', '{"spent_nano"'),
        ),
    ),
    _one(
        "a child that outlives the run above",
        LIMITS,
        "deadline = min(step_deadline(timeout_ms, run, now), lifetime)",
        "deadline = later(now, timeout_ms)",
    ),
    _one("drop what comes late of a call that was given up", LATE, "if said is not None and _recorded(", "if False and _recorded("),
    _one(
        "give each share of a loop all of its items",
        "runs.engine.patterns.spreading",
        '"items": [items[item] for item in part]',
        '"items": list(items)',
    ),
    _one(
        "take back the money of a call that went out again",
        WRITING,
        "for each in mine if not _is_sent_again(run, each)}",
        "for each in mine}",
    ),
    _one("end as never sent what another has sent", WRITING, "if not (_is_for_nothing(each) and _is_sent_again(run, each))", ""),
    _one("leave what a lost answer opened", DRIVER, "await self._take_in_hand() if tries else None\n        raise", "None\n        raise"),
    _one("take for unanswered what a call of its own met", SENDING, ' or bool(answer.details.get("from_call"))', ""),
    _one("send under stops that nobody has heard of", CONDITIONS, "if each.generation != generation}", "if False}"),
    _one("set a stop without a new generation", STOPS, "    StopChange.objects.create(stop=made)\n", ""),
    _one("let go on what is stopped at its work", HALTING, "if stop is not None and move.finish is None:", "if False:"),
    _one(
        "make anew under its attempt what a stop has cut short",
        WAITING,
        "replace(step.unapproved, attempt=step.attempt + 1) if outcome.sent else step",
        "step",
    ),
    _one("use again a yes whose call a stop has cut short", WAITING, "replace(step.unapproved, attempt", "replace(step, attempt"),
    _one("forget the runs above in the line of a child", LINES, "return {run.id: tuple(_up(run.parent_run_id, rows))", "return {run.id: ()"),
    _one("send again what was refused under a stop", PLANNING, "refusal = boundary.withdrawn(request)\n        if", "refusal = None\n        if"),
    _one("a child that stands too high", BEGINNINGS, "depth=parent.depth + 1", "depth=2"),
    _one("send without the approval that it needs", BINDING, "if _covers(request, binding):", "if True:"),
    _one(
        "go on with what nobody said yes to",
        BINDING,
        "return None if _covers(request, binding) else _ask(request, binding, policy, ())",
        "return None",
    ),
    _one("let a result pass that people were to look at", WALK, "return not self._is_looked_at(frame, node.asking)", "return True"),
    _one("take a no for a yes", APPROVING, 'match Approval(said["decision"]):', "match Approval.APPROVED:"),
    Mutant(
        "use an approval for the next attempt too",
        (
            Edit(ABSORBING, "        step.unapproved,\n", "        step,\n"),
            Edit(ABSORBING, "same = step if attempt == step.attempt else step.unapproved", "same = step"),
        ),
    ),
    _one("consume no approval", SENDING, "self._approval(request, asking) if asking else None", "None"),
    _one("decide for a run that is over", DECIDING, "if not locked or now >= run.deadline_at or not Wait", "if not Wait"),
)

NOTICED_BY: dict[str, int] = {
    "count more time as progress": 18,
    "send under stops that nobody has heard of": 447,
    "use again a yes whose call a stop has cut short": 1_000_137,
    "set a stop without a new generation": 415,
    "make anew under its attempt what a stop has cut short": 455,
    "send again what was refused under a stop": 455,
    "let go on what is stopped at its work": 2417,
    "forget the runs above in the line of a child": 545,
    "drop what comes late of a call that was given up": 2362,
    "a child that stands too high": 0,
    "give each share of a loop all of its items": 41,
    "take back the money of a call that went out again": 359,
    "change a run from below without a new revision": 302,
    "answer a run that was cancelled": 1544,
    "end the unattended without its revision": 297,
    "drop the fence condition": 359,
    "drop the revision condition": 24,
    "write past a deadline what was decided in time": 126,
    "skip the deadline at the intent": 126,
    "skip the cancel when a result is absorbed": 1,
    "forget a cancel": 1,
    "void a dispatched reservation": 0,
    "drop a settlement with the fence": 190,
    "settle again what has been settled": 3,
    "send again what has ended meanwhile": 209124,
    "forget that what has failed was sent": 214944,
    "end as never sent what another has sent": 237514,
    "leave what a lost answer opened": 313122,
    "take for unanswered what a call of its own met": 314648,
    "send again without telling": 221,
    "forget the intent before the call": 0,
    "forget a tool's intent": 2,
    "finish twice": 0,
    "go on from an old head": 0,
    "number an event that comes after the finish": 31,
    "never reset the attempts": 18,
    "count no attempt at the claim": 1389,
    "use a late result": 27,
    "retry what may have acted": 201,
    "retry under the same attempt": 8,
    "ignore the lease at the claim": 0,
    "claim past the deadline": 11,
    "prolong the leases of others": 244,
    "give back the leases of others": 31,
    "ignore the limit of calls": 219,
    "ignore the limit of money": 1,
    "reserve nothing": 0,
    "keep what was reserved": 31,
    "charge nothing": 0,
    "leave open what a run ends with": 0,
    "leave out what a run ends with": 4,
    "open nothing after a result": 25,
    "open nothing when a part has failed": 0,
    "stamp a result with an older fence": 0,
    "leave lying what was opened by a commit without an answer": 767,
    "keep the place of a call that was not planned after all": 5,
    "keep the place of a call that has ended": 1,
    "keep the places of ends that nobody reads": 4,
    "forget an end whose writing was broken off": 190,
    "park past a deadline what was parked in time": 372,
    "take up again what a commit without an answer has parked": 376,
    "call a re-sent call free": 3310,
    "answer without the run's row": 140,
    "leave a wait open that has ended": 0,
    "a work clock that doesn't stop": 6,
    "a work clock that doesn't go on": 155,
    "let a run outlive its lifetime": 158,
    "undo everything at once": 213,
    "send an at_most_once call again": 156,
    "send again under a new key": 156,
    "answer without the open condition": 1,
    "undo in the order of doing": 213,
    "undo twice": 13,
    "leave out of the account what was cut short": 24,
    "look a call up before its time is over": 24,
    "go on without the answer": 0,
    "make a call anew under its attempt": 73,
    "ask for a cancel past the deadline": 8,
    "ask for a cancel without a new revision": 26,
    "keep a child's end from the run above": 0,
    "pay nothing for a child": 0,
    "hold nothing for a child": 0,
    "a clock that runs above one that stands": 0,
    "answer a run whose time is over": 51,
    "forget children that nobody waits for": 228,
    "give each child all of a limit": 1,
    "a child that outlives the run above": 0,
    "send without the approval that it needs": 1_000_000,
    "go on with what nobody said yes to": 2_000_001,
    "let a result pass that people were to look at": 2_000_001,
    "take a no for a yes": 1_000_017,
    "use an approval for the next attempt too": 1_000_945,
    "consume no approval": 1_000_000,
    "decide for a run that is over": 1_000_782,
}
"""A seed that notices each of them, so that the ordinary run of the tests need not look for one."""
