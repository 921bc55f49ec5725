"""What a transition is held against in the transaction that would write it, beyond its run's own row: time, stops, policies, rates.

Behind the locks of its run, so that what holds here holds to the commit. Called by writing; decides nothing about runs.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from agents import stops, uses
from agents.models import PolicyVersion, VersionState
from runs.store.transitions import Stale, Transition


class Withheld(Exception):
    """Nothing is written; these of the group are decided anew, knowing what each answer says, and the others are written without them."""

    def __init__(self, stale: Mapping[UUID, Stale]) -> None:
        super().__init__()
        self.stale = stale


def refuse_late(written: Sequence[Transition], now: datetime) -> None:
    """Time has passed between their decisions and their transaction."""
    late = {each.run for each in written if each.holds_until is not None and now >= each.holds_until}
    if late:
        raise Withheld(dict.fromkeys(late, Stale(lost=False)))


def refuse_restopped(sending: Sequence[Transition], generation: int) -> None:
    """A stop was set or lifted since. Behind its lock: none is from here to the commit, so that nothing goes out under one that was set before."""
    restopped = {each.run for each in sending if each.generation != generation}
    if restopped:
        raise Withheld(dict.fromkeys(restopped, Stale(lost=False, stops=stops.in_force())))


def refuse_outdated(written: Sequence[Transition]) -> None:
    """A yes is consumed under the version of the policy that it was given under: judged here once more, with what is in force."""
    judged = [(each.run, opened.approval.policies) for each in written for opened in each.opened if opened.approval is not None]
    names = {name for _, policies in judged for name in policies}
    if not names:
        return
    rows = PolicyVersion.objects.filter(policy__name__in=names, state=VersionState.PUBLISHED).values_list("policy__name", "number")
    in_force = dict(rows)
    outdated = {run for run, policies in judged if any(in_force.get(name) != number for name, number in policies.items())}
    if outdated:
        raise Withheld(dict.fromkeys(outdated, Stale(lost=False, outdated=True)))


def make_use(written: Sequence[Transition], now: datetime) -> None:
    """Of the permissions of the calls that these open, where their rates have room. Before anything is written."""
    wanted = {each.run: [used for opened in each.opened for used in opened.grants] for each in written}
    every = {used for used_here in wanted.values() for used in used_here}
    if not every:
        return
    rows = uses.lock(every, now)
    full = {run: tuple(found) for run, used_here in wanted.items() if (found := uses.take(rows, used_here, now))}
    if full:
        raise Withheld({run: Stale(lost=False, full=found) for run, found in full.items()})
    uses.write(rows)
