"""Who may decide and when it is decided: separation of duties by person, stages of a policy, n of m. Pure.

Values in, values out: knows no row, no clock and no door. Used by the use-cases of this app.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.spec.policies import Policy, Stage

APPROVED: Final = "approved"
DECLINED: Final = "declined"
CHANGES: Final = "changes"
"""It is to be made anew, with what whoever says so wants of it."""
_YOU: Final = re.compile(r"\byour?\b")
DECISIONS: Final = (APPROVED, DECLINED, CHANGES)


RULES: Final[tuple[tuple[str, str], ...]] = (
    ("started", "you started the run that asks for it"),
    ("owned", "you own the key with which an agent started the run that asks for it"),
    ("signalled", "you sent that run a signal, so what it does is what you asked for"),
    ("settled", "you said what became of a call of that run, so what it does is what you told it"),
    ("edited", "you changed what that run goes on with when you were asked about it before, so it may be your own words"),
    ("published", "you wrote or published a version that it runs"),
    ("granted", "you granted the permission that it makes use of"),
    ("ruled", "you wrote or published the policy that it is asked under"),
)
"""The parts that keep somebody from deciding, in the order in which they are named."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Who had which part in what is to be approved, each as `person:NAME`."""

    started: frozenset[str] = frozenset()
    """Started the run, or one above it."""
    owned: frozenset[str] = frozenset()
    """Owns the key with which an agent started it: that is to have started it, by a program."""
    signalled: frozenset[str] = frozenset()
    """Sent it, or a run of its family, a signal: what is asked for may stand in that."""
    settled: frozenset[str] = frozenset()
    """Said what a call of these has given: it may stand in that as well."""
    edited: frozenset[str] = frozenset()
    """Changed what the family goes on with, or told an agent of it what to change: that may stand in what is asked for, too."""
    published: frozenset[str] = frozenset()
    """Wrote or published the versions of agent and pipeline, or the release."""
    granted: frozenset[str] = frozenset()
    """Granted the permission that asks for the approval."""
    ruled: frozenset[str] = frozenset()
    """Wrote or published the policy that says who approves it."""
    rules: tuple[tuple[str, str], ...] = RULES
    """Those of them that keep somebody from this, and what they are told."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever would decide, with whom they stand in for while those are away: not with whom these stand in for."""

    name: str
    teams: frozenset[str]
    stands_in_for: tuple[Person, ...] = ()
    also: frozenset[str] = frozenset()
    """Other accounts of theirs: what one of these did they did."""

    @property
    def names(self) -> frozenset[str]:
        return self.also | {self.name}


@dataclass(frozen=True, slots=True)
class Said:
    """One decision, and in which stage of the policy it was made."""

    person: str
    decision: str
    stage: int
    binding: str = ""
    """Of an approval: the digest of what it is for; with edits that is another one than was asked for."""
    instead_of: str = ""
    """Whom this person stood in for, where the stage was not theirs."""

    @property
    def seat(self) -> str:
        """Whose say it was, which nobody has twice."""
        return self.instead_of or self.person


def may_speak(person: Person, stage: Stage) -> bool:
    """Whether the stage is this person's to decide in."""
    return person.name in stage.people or bool(person.teams & set(stage.teams))


def part_of(person: Person, parts: Parts) -> str | None:
    """Which rule of separation keeps this person from deciding, as a clause; None where none does."""
    references = {f"person:{name}" for name in person.names}
    return next((said for rule, said in parts.rules if not references.isdisjoint(getattr(parts, rule))), None)


def hindrance(person: Person, policy: Policy, stage: int, parts: Parts, said: Sequence[Said]) -> str | None:
    """Why this person can't decide now, as a sentence without its end; None where they can."""
    seat = seat_of(person, policy, stage, parts, said)
    return seat if isinstance(seat, str) else None


def seat_of(person: Person, policy: Policy, stage: int, parts: Parts, said: Sequence[Said]) -> Person | str:
    """Whose say this person has now: their own, or else that of the first whom they stand in for who could decide. Where there is none, why.

    Whoever stands in for somebody can do no more than they, and nothing that they couldn't: what keeps either from it keeps both.
    """
    part = part_of(person, parts)
    if part is not None:
        return f"{part}, so somebody else has to decide"
    names = person.names
    if any(each.person in names and each.stage == stage for each in said):
        return "you have said what you think of it"
    seats = [each for each in (person, *person.stands_in_for) if may_speak(each, policy.stages[stage])]
    if not seats:
        return _not_asked(person, policy, stage)
    why = {each.name: _kept_from(each, person, stage, parts, said) for each in seats}
    return next((each for each in seats if why[each.name] is None), why[seats[0].name] or "")


def _kept_from(seat: Person, person: Person, stage: int, parts: Parts, said: Sequence[Said]) -> str | None:
    """Why this say is not to be had: it was had already, or its owner could not decide."""
    names = seat.names
    had = next((each.person for each in said if each.seat in names and each.stage == stage), None)
    if seat.name == person.name:
        return None if had is None else f"{had} has said it in your stead"
    stead = f"you stand in for {seat.name}"
    if had is not None:
        return f"{stead}, and {had} has said it already"
    part = part_of(seat, parts)
    return None if part is None else f"{stead}, who can't decide it either: {of_others(part)}"


def of_others(why: str) -> str:
    """What somebody would be told, said to somebody else."""
    return _YOU.sub(lambda found: {"you": "they", "your": "their"}[found[0]], why)


def _not_asked(person: Person, policy: Policy, stage: int) -> str:
    everybody = (person, *person.stands_in_for)
    later = any(may_speak(who, each) for each in policy.stages[stage + 1 :] for who in everybody)
    yours = "and you only if they stay silent" if later else "and you are none of them"
    return f"{policy.said} asks {policy.stages[stage].said} now, {yours}"


def most_of(people: Sequence[Person], policy: Policy, stage: int, parts: Parts, said: Sequence[Said], *, enough: int) -> int:
    """So many of these people can still decide, one after the other, first whoever has fewer to stand in for; counted up to `enough`."""
    had = list(said)
    for person in sorted(people, key=lambda each: len(each.stands_in_for)):
        seat = seat_of(person, policy, stage, parts, had)
        if not isinstance(seat, str):
            had.append(Said(person.name, APPROVED, stage, instead_of="" if seat.name == person.name else seat.name))
        if len(had) - len(said) >= enough:
            break
    return len(had) - len(said)


def once_each(said: Sequence[Said], also: Mapping[str, frozenset[str]]) -> list[Said]:
    """Without what somebody has said a second time in a stage, with another account: it was found out later that both are theirs."""
    counted = list[Said]()
    for each in said:
        people, seats = ({name, *also.get(name, ())} for name in (each.person, each.seat))
        here = [earlier for earlier in counted if earlier.stage == each.stage]
        if not any(earlier.person in people or earlier.seat in seats for earlier in here):
            counted.append(each)
    return counted


def outcome(policy: Policy, stage: int, said: Sequence[Said]) -> str | None:
    """What the decisions of this stage come to: the first that doesn't approve, or as many as it requires that do; None: it is still open."""
    here = [each for each in said if each.stage == stage]
    against = next((each.decision for each in here if each.decision != APPROVED), None)
    if against is not None:
        return against
    return APPROVED if here and len(_alike(here)) >= policy.stages[stage].required else None


def lacking(policy: Policy, stage: int, said: Sequence[Said]) -> int:
    """How many more have to approve what was approved last, or what was asked for."""
    return max(policy.stages[stage].required - len(_alike([each for each in said if each.stage == stage])), 0)


def agreeing(stage: int, said: Sequence[Said]) -> set[str]:
    """Who has said the same as whoever spoke last in this stage."""
    here = [each for each in said if each.stage == stage]
    return {each.person for each in here if (each.decision, each.binding) == (here[-1].decision, here[-1].binding)}


def _alike(here: Sequence[Said]) -> set[str]:
    """Who approved the same as whoever approved last: with edits, people may have approved different things."""
    approving = [each for each in here if each.decision == APPROVED]
    return {each.person for each in approving if each.binding == approving[-1].binding}
