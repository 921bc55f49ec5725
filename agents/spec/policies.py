"""Approval policies: who may decide, how many must, within what time, and what silence means, as a value and as files say it. Pure.

Must not know who decides or what is asked for. Read by `read`; the boundary pins one into each request, approvals judge by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

from agents.spec.fields import NAME, Fields
from audit import canonical

MOST_DECIDERS: Final = 50
DEFAULT_WITHIN_MS: Final = 24 * 60 * 60 * 1_000
SHORTEST_MS: Final = 1_000
DENY: Final = "deny"


@dataclass(frozen=True, slots=True)
class Stage:
    """Who may decide at a time: these people, and everybody in these teams; `required` of them must, within so long."""

    people: tuple[str, ...]
    teams: tuple[str, ...]
    required: int
    within_ms: int

    def as_record(self) -> dict[str, Any]:
        return {"people": list(self.people), "teams": list(self.teams), "required": self.required, "within_ms": self.within_ms}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        return cls(tuple(record["people"]), tuple(record["teams"]), record["required"], record["within_ms"])

    @property
    def said(self) -> str:
        """For people: `2 of team 'platform' or bob`."""
        who = [f"team '{team}'" for team in self.teams] + list(self.people)
        return f"{self.required} of {' or '.join(who)}"


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of a policy; `stages` come one after the other, each with its own clock, and when the last is over silence has denied it.

    The default one has no name and no number: `team` is then the agent's.
    """

    name: str
    number: int
    team: str
    stages: tuple[Stage, ...]
    reason: bool = False
    edits: bool = False
    """Whether whoever approves may change the arguments."""

    @property
    def within_ms(self) -> int:
        return sum(stage.within_ms for stage in self.stages)

    @property
    def said(self) -> str:
        return f"policy '{self.name}' (version {self.number})" if self.name else f"the default policy of team '{self.team}'"

    def at(self, opened_at: datetime, now: datetime) -> int:
        """Which of its stages holds at this instant, of a request that was opened then; the last one once all are over."""
        until = opened_at
        for index, stage in enumerate(self.stages):
            until += timedelta(milliseconds=stage.within_ms)
            if now < until:
                return index
        return len(self.stages) - 1

    def begins_at(self, opened_at: datetime, stage: int) -> datetime:
        return opened_at + timedelta(milliseconds=sum(each.within_ms for each in self.stages[:stage]))

    def as_record(self) -> dict[str, Any]:
        said = {"name": self.name or None, "version": self.number, "team": self.team, "reason": self.reason, "edits": self.edits}
        return {**said, "stages": [stage.as_record() for stage in self.stages]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        stages = tuple(map(Stage.from_record, record["stages"]))
        return cls(record["name"] or "", record["version"], record["team"], stages, record["reason"], record["edits"])

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], number: int) -> Self:
        """Of a stored version."""
        return cls(spec["name"], number, spec["team"], tuple(map(Stage.from_record, spec["stages"])), spec["reason"], spec["edits"])


def binding_of(
    *, agent: str, version: str, uses: Iterable[tuple[str, str]], arguments: Mapping[str, Any], policy: Policy, release: str
) -> str:  # fmt: skip
    """What a yes is bound to: SHA-256 over RFC 8785 of all that is asked for. `version` and `release` are digests."""
    return canonical.digest(
        {
            "agent": agent,
            "version": version,
            "uses": [{"verb": verb, "resource": resource} for verb, resource in uses],
            "arguments": dict(arguments),
            "policy": {"name": policy.name or None, "version": policy.number, "team": policy.team},
            "release": release,
        }
    )


def default_policy(team: str) -> Policy:
    """Where a permission names none: one other member of the agent's team, within a day."""
    return Policy("", 0, team, (Stage((), (team,), 1, DEFAULT_WITHIN_MS),))


def read_policy(fields: Fields) -> dict[str, Any]:
    """{"name", "team", "stages", "reason", "edits"}: the first stage, and where silence escalates the one after it."""
    spec: dict[str, Any] = {
        "name": fields.name("name", required="name: production"),
        "team": fields.name("team", required="team: the team that owns it"),
    }
    stages = [_stage(fields)]
    silence = fields.get("silence")
    if isinstance(silence, dict):
        outer = fields.inner("silence")
        stages += [_stage(outer.inner("escalate"))] if outer.has("escalate") else []
        outer.finish()
        if not outer.has("escalate"):
            fields.wrong("silence", "says nothing that could be done; write deny, or {escalate: {approvers: …, within: 4h}}")
    elif silence not in (None, DENY):
        fields.wrong("silence", "must be deny, or {escalate: {approvers: …, within: 4h}}: silence never approves")
    return spec | {"stages": stages, "reason": fields.boolean("reason"), "edits": fields.boolean("edits")}


def _stage(fields: Fields) -> dict[str, Any]:
    hint = "approvers: {teams: [platform]}, or {people: [bob]}, or both"
    fields.get("approvers", required=hint)
    who = fields.inner("approvers") if fields.has("approvers") else None
    people, teams = ([], []) if who is None else (who.texts("people"), who.texts("teams"))
    if who is not None:
        who.finish()
        _judge(who, people, teams, hint)
    within = fields.duration("within", default=DEFAULT_WITHIN_MS) or DEFAULT_WITHIN_MS
    if within < SHORTEST_MS:
        fields.wrong("within", "is shorter than a second, in which nobody decides anything; write a duration such as 4h")
    required = fields.integer("required", least=1, most=MOST_DECIDERS, default=1) or 1
    if who is not None and people and not teams and required > len(people):
        fields.wrong("required", f"is {required}, and {len(people)} may decide; name more, or ask for fewer")
    if fields.raw:
        fields.finish()
    return Stage(tuple(people), tuple(teams), required, within).as_record()


def _judge(who: Fields, people: list[str], teams: list[str], hint: str) -> None:
    if not people and not teams:
        who.page.problem(who.raw, f"{who.what} names nobody; write {hint}")
    if len(people) + len(teams) > MOST_DECIDERS:
        who.page.problem(who.raw, f"{who.what} names {len(people) + len(teams)}; write at most {MOST_DECIDERS}, or a team of them")
    for index, team in enumerate(teams):
        if not NAME.fullmatch(team):
            who.page.problem((*who.raw, "teams", index), f"{team[:80]!r} is no name of a team")
    for key, listed in (("people", people), ("teams", teams)):
        if len(set(listed)) < len(listed):
            who.wrong(key, "names one twice, who counts once all the same; keep one")
