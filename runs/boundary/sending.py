"""The adapters of one engine process, and how an admitted call reaches them. Writes no rows; knows no steps' meaning."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from agents import grants, layers, registry, uses
from agents.prices import Used
from agents.registry import Behalf
from agents.stops import InForce, Place, Stops
from audit import clock
from runs import store
from runs.adapters import commands, http, inline, models
from runs.adapters.children import Broken, Children, Job, MayGo, OnCall, OnProgress, Returned, Share
from runs.boundary.admission import IN_CHILDREN, admit, decided, layers_of, withdrawn
from runs.boundary.around import Around
from runs.boundary.standing import Stands
from runs.boundary.values import Account, Ask, Refusal, Reply, Request, Standing
from runs.engine import pacing
from runs.engine.pacing import Admission
from runs.engine.states import CallKind, Cause
from runs.engine.values import instant_text

MIB: Final = 1024 * 1024
MODEL_MARGIN_S: Final = 1.0
"""A model that doesn't answer fails so long before its step's deadline, or a tenth of its time: it is its alias's failure then, not the agent's."""
FETCH_S: Final = 30.0
"""One fetch takes at most so long, however much time its step has left."""
_SOONEST: Final = timedelta(milliseconds=50)
"""A permission that was full a moment ago is not asked for again at once."""


def unpacked(digests: Sequence[str]) -> dict[str, Path]:
    """The folders that functions are imported from, by artifact digest."""
    return {digest: registry.unpacked(digest) for digest in digests}


class Boundary:
    """The adapters of one engine process."""

    def __init__(self, *, children: int) -> None:
        self.children = Children(children, registry.private_files())
        self.models = models.Models()
        self.folders: dict[str, Path] = {}
        self.standings: dict[str, Standing] = {}
        self._asked_at: dict[str, datetime] = {}
        self._admitted: dict[str, dict[str, Admission]] = {}
        self._full: dict[uses.Used, datetime] = {}
        self._noted: dict[uses.Used, datetime] = {}
        self.stops = Stops()
        self.around = Around()

    def take_up(self, run: UUID, line: Sequence[Place], behalf: Behalf | None, *, priority: int) -> None:
        """It is driven here: what bounds its calls, and in whose name they ask for children. The line begins with the run itself."""
        self.around.take(run, line, behalf)
        if line:
            self.children.join(run, Share(line[0].team, line[0].pipeline, float(store.WEIGHTS[priority])))

    def leave(self, run: UUID) -> None:
        self.around.leave(run)
        self.children.leave(run)

    def admit(self, request: Request, account: Account, *, now: datetime) -> Refusal | Ask | None:
        """As `admit`, over what this process knows. What it admits of an agent with a pace, it counts from now on."""
        agent = request.agent.name
        standing, own = self.standings.get(agent), self._admitted.get(agent, {})
        full, stop, above = self._full_for(request), self.stop_on(request), self.around.above(request.run)
        contains = self.children.contains
        refusal = admit(request, standing=standing, account=account, own=own, now=now, full=full, stop=stop, above=above, contains=contains)
        if refusal is None and standing is not None and standing.pace is not None and request.kind is not CallKind.INLINE:
            self._admitted.setdefault(agent, {})[request.key] = Admission(now, is_turn=request.ordinal == 0)
        return refusal

    def granted(self, request: Request) -> store.Granted:
        """What an admitted call makes use of, as far as that is to be written: permissions with a rate each time, others once an hour."""
        network = self._network(request) if request.kind in IN_CHILDREN and request.ordinal == 0 else layers.Network()
        if not request.uses and not network.by:
            return store.Granted()
        now = clock.now()
        full = [rule for rule, at in self._full_for(request).items() if at > now]
        decisions = decided(request, self.standings.get(request.agent.name), now, full=full, above=self.around.above(request.run))
        each_use = zip(request.uses, decisions, strict=False)
        said = [text for (verb, resource), decision in each_use for text in layers.recorded(decision, verb, resource)]
        asking = [each for each in decisions if each.needs_approval]  # with a yes that covers it, or it would not be admitted
        through = [*(rule for each in decisions for rule in layers.rules_letting_through(each)), *network.by]
        met = [(part.holder, rule) for decision in decisions for part in decision.every for rule in part.observed]
        used = [(holder or request.agent.name, rule) for holder, rule in dict.fromkeys([*through, *met, *network.observed])]
        due = [each for each in used if uses.is_counted(each[1]) or now - self._noted.get(each, uses.NEVER) >= uses.NOTED_FOR]
        observed = tuple(dict.fromkeys([*said, *(rule for _, rule in network.observed)]))
        return store.Granted(tuple(due), observed, self._approval(request, asking) if asking else None)

    def _full_for(self, request: Request) -> Mapping[uses.Used, datetime]:
        """Of what bounds this call, as layers name their holders."""
        agent = request.agent.name
        return {("" if holder == agent else holder, rule): at for (holder, rule), at in self._full.items()} if self._full else {}

    def _approval(self, request: Request, asking: Sequence[grants.Decision]) -> store.Approval | None:
        """What the call consumes. A model's answer that is mended belongs to the call that was approved."""
        if request.approved is None or request.ordinal:
            return None
        policies = {**self.around.above(request.run).policies, **self.standings[request.agent.name].policies}
        named = {each.policy: policies[each.policy].number for each in asking if each.policy is not None}
        return store.Approval(UUID(request.approved.wait), request.approved.binding, named)

    def note(self, used: Iterable[uses.Used]) -> None:
        """These are written."""
        self._noted.update(dict.fromkeys(used, clock.now()))

    def fill(self, full: Iterable[uses.Full]) -> None:
        """Permissions that have no room, as the database says: nothing is admitted by them until the next use fits, by this machine's clock."""
        for each in full:
            self._full[each.agent, each.rule] = clock.now() + max(each.fits_at - each.now, _SOONEST)

    def has_room(self, used: Iterable[uses.Used]) -> bool:
        now = clock.now()
        return all(self._full.get(each, uses.NEVER) <= now for each in used)

    def withdrawn(self, request: Request) -> Refusal | None:
        """What keeps an admitted call from being sent, or sent again, as this process knows it now."""
        standing, above = self.standings.get(request.agent.name), self.around.above(request.run)
        contains = self.children.contains
        return withdrawn(request, standing=standing, now=clock.now(), stop=self.stop_on(request), above=above, contains=contains)

    def stop_on(self, request: Request) -> InForce | None:
        """The stop, of those that this process knows, that keeps a call from being sent."""
        return self.stop_on_run(request.run) or self.stops.of_call(request.hand)

    def stop_on_run(self, run: UUID) -> InForce | None:
        return self.stops.of_run(self.around.lines.get(run, ()))

    def heed(self, known: Stops | None) -> None:
        """These are in force. Were they older than what is known, the next intent would not be written, and say so."""
        self.stops = known or self.stops

    def look(self, stands: Stands, *, asked_at: datetime) -> None:
        """Take over everything that was read together."""
        self.heed(stands.stops)
        self.around.learn(stands, asked_at=asked_at)
        self.learn(stands.standings, asked_at=asked_at)

    def learn(self, standings: Mapping[str, Standing], *, asked_at: datetime) -> None:
        """Take over what was read of these agents, and forget the admissions that it can't have missed. What was asked for earlier may come later."""
        newer = {agent: standing for agent, standing in standings.items() if self._asked_at.get(agent, asked_at) <= asked_at}
        self.standings.update(newer)
        self._asked_at.update(dict.fromkeys(newer, asked_at))
        for agent in newer.keys() & self._admitted.keys():
            self._admitted[agent] = pacing.unwritten(self._admitted[agent], asked_at)

    def answer_inline(self, request: Request) -> Reply:
        """A shipped pure check, or what people have said yes to; nothing leaves the process."""
        if request.asking is not None:
            return Reply(value=request.asking.subject_in(request.arguments))
        try:
            return Reply(value=inline.CHECKS[request.name](request.arguments))
        except KeyError as error:
            return Reply(cause=Cause.INPUT, message=f"the inline check '{request.name}' needs an input named {error}")

    async def call_function(self, request: Request, *, on_call: OnCall, on_progress: OnProgress) -> Reply:
        """Run a function whose intent is written; the caller holds a place."""
        job = self._job(request)
        answer = await self.children.call(
            job,
            timeout_s=_left_s(request),
            progress_timeout_s=request.progress_timeout_s,
            on_call=on_call,
            on_progress=on_progress,
            may_go=self._may_go(request, job),
        )
        return _reply(answer, request)

    async def call_command(self, request: Request, *, on_progress: OnProgress) -> Reply:
        """Run a command whose intent is written; the caller holds a place. What it wrote to stderr is evidence also where it succeeds."""
        job = self._job(request)
        answer = await commands.call(
            self.children,
            job,
            argv=request.agent.spec["run"]["command"],
            timeout_s=_left_s(request),
            progress_timeout_s=request.progress_timeout_s,
            on_progress=on_progress,
            may_go=self._may_go(request, job),
        )
        reply = _reply(answer, request)
        return replace(reply, stderr=answer.stderr) if isinstance(answer, Returned) else reply

    async def fetch(self, request: Request) -> Reply:
        """The tool `fetch`: one GET, each hop asked of the grants again."""
        asked = http.FetchRequest(
            url=request.arguments["url"],
            timeout_s=min(max((request.not_after - clock.now()).total_seconds(), 0.0), FETCH_S),
            headers=request.arguments.get("headers") or {},
        )
        led: dict[str, None] = {}
        answer = await http.fetch(asked, self._policy(request, led))
        if isinstance(answer, http.FetchFailed):
            owner = "tool:fetch" if answer.cause == "upstream" else None
            return Reply(cause=Cause(answer.cause), message=answer.message, details=dict(answer.details), owner=owner, observed=tuple(led))
        return Reply(value={**_plain(answer), "fetched_at": answer.fetched_at}, observed=tuple(led))

    def _policy(self, request: Request, led: dict[str, None]) -> http.Policy:
        """Each hop is judged as if its URL had been asked for; a permission with a rate is counted for what was asked for first alone.

        `led` takes what would have refused a hop if it were enforced; what was asked for first says that in its intent. A yes is for the URL
        that people saw: where the server leads to is not theirs.
        """
        standing, counted = self.standings.get(request.agent.name), {resource for _, resource in request.uses}
        above = self.around.above(request.run)

        def given(target: http.Target) -> dict[str, Any]:
            return {**request.arguments, "url": target.url}

        def may(target: http.Target) -> bool:
            hop = replace(request, uses=(("read", target.resource),), arguments=given(target))
            (decision,) = decided(hop, standing, clock.now(), above=above) or (grants.Decision(grants.DENY),)
            approved = decision.needs_approval and request.approved is not None and target.url == http.target_of(request.arguments["url"]).url
            if not (decision.allowed or approved):
                return False
            if target.resource not in counted:
                led.update(dict.fromkeys(layers.recorded(decision, "read", target.resource)))
            return target.resource in counted or not any(uses.is_counted(rule) for _, rule in layers.rules_letting_through(decision))

        def private(target: http.Target) -> frozenset[str]:
            """The agent's own rules open those; what bounds it beside them says whether that may be read at all."""
            permissions = () if standing is None else standing.permissions
            return http.endpoints_named(grants.opening(permissions, args=given(target), now=clock.now()))

        return http.Policy(may, private)

    async def get_ready(self, providers: Iterable[str]) -> dict[str, str]:
        """Model providers that can't be used here, and why."""
        return await self.models.get_ready(providers)

    async def ask_model(self, request: Request) -> Reply:
        """Ask the model of a request whose intent is written, once."""
        alias = request.agent.alias
        assert alias is not None
        left = (request.not_after - clock.now()).total_seconds()
        asked = replace(
            models.question(request.agent.spec, alias, request.arguments, request.repair),
            endpoint=models.located(alias, self.folders),
            timeout_s=max(left - min(MODEL_MARGIN_S, left / 10), 0.0),
            silence_s=request.progress_timeout_s,
        )
        answer = await self.models.ask(alias["provider"], asked)
        used = models.used(answer, alias, request.bound_nano)
        if isinstance(answer, models.Answered):
            return Reply(value={"text": answer.text, "end": answer.end}, used=used)
        message, owner = f"model alias '{alias['name']}' ({models.named(alias)}): {answer.message}", f"alias:{alias['name']}"
        pause = round(answer.pause_s * 1000)
        return Reply(None, Cause(answer.cause), message, dict(answer.details), answered=answer.free, owner=owner, used=used, pause_ms=pause)

    async def close(self) -> None:
        await self.models.close()
        await self.children.close()
        await commands.close()

    def _job(self, request: Request) -> Job:
        spec = request.agent.spec
        return Job(
            folder=self.folders[spec["artifact"]],
            function=request.name,
            arguments=dict(request.arguments),
            context=self._context(request),
            memory_bytes=spec["memory_mb"] * MIB,
            network=self._has_network(request),
            key=request.agent.digest,
        )

    def _may_go(self, request: Request, job: Job) -> MayGo:
        """Asked when a call has waited for its child: what it was admitted for may have been taken away meanwhile."""

        def broken() -> Broken | None:
            name = request.agent.name
            refusal = self.withdrawn(request)
            if refusal is not None:
                return Broken(refusal.cause, refusal.message, {"waited": True, "stop": refusal.stop})
            if job.network and not self._has_network(request):
                return Broken(Cause.DENIED, f"'{name}' may not connect to the network any more", {"waited": True})
            return None

        return broken

    def _context(self, request: Request) -> dict[str, Any]:
        return {
            "run": str(request.run),
            "step": request.step,
            "as_of": instant_text(request.as_of),
            "deadline": instant_text(request.not_after),
            "idempotency_key": request.business_key or request.key,
        }

    def _has_network(self, request: Request) -> bool:
        """A child gets the network itself only where a permission says `connect network:…`; `fetch` needs none."""
        return bool(self._network(request).by)

    def _network(self, request: Request) -> layers.Network:
        standing = self.standings.get(request.agent.name)
        every = () if standing is None else layers_of(standing, self.around.above(request.run))
        return layers.network(every, args=request.arguments, now=clock.now())


def with_bound(request: Request) -> Request:
    """A model's request with the most that it can use and cost: every byte a token, every token at the dearest price."""
    assert request.agent.alias is not None  # the plan was refused otherwise
    most, cost = models.bound(request.agent.spec, request.agent.alias, request.arguments, request.repair)
    return replace(request, bound_tokens=most, bound_nano=cost)


stored_replies = models.stored_replies


def _left_s(request: Request) -> float:
    return max((request.not_after - clock.now()).total_seconds(), 0.0)


def target_resource(url: str) -> str:
    """What reading a URL touches, as grants name it. OddUrl says what is wrong with it."""
    return http.target_of(url).resource


def _plain(answer: http.Fetched) -> dict[str, Any]:
    return {"status": answer.status, "url": answer.url, "headers": dict(answer.headers), "body": answer.body, "digest": answer.digest}


_UNANSWERED: Final = frozenset({Cause.DEADLINE, Cause.STALLED, Cause.CRASHED})


def _reply(answer: Returned | Broken, request: Request) -> Reply:
    if isinstance(answer, Returned):
        return Reply(value=answer.value, contained=answer.contained)
    cause, waited = Cause(answer.cause), bool(answer.details.get("waited"))
    sent = not waited or request.sent_before
    details = dict(answer.details) | ({"sent": True} if waited and sent else {})
    stop = details.pop("stop", "") if waited else ""
    return Reply(
        cause=cause,
        message=answer.message,
        details=details,
        answered=(cause not in _UNANSWERED or bool(answer.details.get("from_call"))) and not waited,
        contained=answer.details.get("contained"),
        sent=sent,
        used=None if sent else Used(0),
        stop=stop,
    )
