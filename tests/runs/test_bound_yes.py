"""A yes covers what it was given for and nothing else: whatever differs, by a byte or by its kind, is asked anew or not sent.

Properties over random calls, through the boundary's own stages; each mutant of the code that binds is noticed by one of them.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from agents import contracts
from agents.spec.policies import Policy, Stage, default_policy
from audit import canonical
from runs.boundary import Account, Ask, Refusal, Request, Standing, admit
from runs.boundary.admission import withdrawn
from runs.engine.answers import Approved
from runs.engine.states import CallKind, Mode
from runs.engine.values import Agent
from tests.simulation.mutating import Edit, Mutant, mutated

AT = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
FREE = contracts.compiled({"type": "object"})
LETTERS = "aé\u0301\u202e\x00 1"
leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, 1.5, 1e18]) | st.text(LETTERS, max_size=4)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(LETTERS, max_size=2), inner, max_size=3))
given_with = st.dictionaries(st.sampled_from(["feed", "note", "deep"]), values, max_size=3)
checked = settings(max_examples=200, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
"""Without making what fails smaller: a mutant is only to be noticed."""


def policy(number: int = 1, name: str = "p", team: str = "platform") -> Policy:
    return Policy(name, number, team, (Stage((), (team,), 1, 60_000),))


def standing(*rules: str, **policies: Policy) -> Standing:
    return Standing("active", rules, team="platform", policies={"p": default_policy("platform"), **policies})


def request(arguments: dict[str, Any], **more: Any) -> Request:
    agent = Agent("worker", "platform", 1, "0" * 64, "act", {"mode": "read"}, FREE, FREE)
    asked = (("write", "deploy:production"),)
    made = Request(UUID(int=1), "work", 1, 0, agent, CallKind.FUNCTION, "work:run", arguments, Mode.READ, AT + timedelta(minutes=1), 0, asked)
    return replace(made, **{"release": "r" * 64} | more)


def judged(asked: Request, now: Standing) -> Refusal | Ask | None:
    return admit(asked, standing=now, account=Account(0, None, 0, None), own={}, now=AT)


RULE = "require_approval write deploy:* policy p"
OTHERS: tuple[Callable[[Request, Standing], tuple[Request, Standing]], ...] = (
    lambda asked, now: (replace(asked, agent=replace(asked.agent, name="other")), now),
    lambda asked, now: (replace(asked, agent=replace(asked.agent, digest="1" * 64)), now),
    lambda asked, now: (replace(asked, release="s" * 64), now),
    lambda asked, now: (replace(asked, uses=(("write", "deploy:production2"),)), now),
    lambda asked, now: (replace(asked, uses=(*asked.uses, ("write", "deploy:staging"))), now),
    lambda asked, now: (asked, standing(RULE, p=policy(2))),
    lambda asked, now: (asked, standing("require_approval write deploy:* policy q", p=policy(), q=policy(name="q"))),
    lambda asked, now: (asked, standing(RULE, p=policy(team="security"))),
    lambda asked, now: (asked, standing("require_approval write deploy:*", p=policy())),
)


def approved(arguments: dict[str, Any]) -> tuple[Request, Standing]:
    """With a yes to exactly this, which lets it out."""
    asked, now = request(arguments), standing(RULE, p=policy())
    said = judged(asked, now)
    assert isinstance(said, Ask) and said.voids is None
    with_yes = replace(asked, approved=Approved(wait="", binding=said.binding))
    assert judged(with_yes, now) is None and withdrawn(with_yes, standing=now, now=AT) is None
    return with_yes, now


def is_stopped(asked: Request, now: Standing) -> None:
    said = judged(asked, now)
    assert isinstance(said, Ask) and said.voids is not None
    assert isinstance(withdrawn(asked, standing=now, now=AT), Refusal)


@checked
@given(given_with, given_with)
def what_is_sent_with_other_arguments_has_no_yes(first: dict[str, Any], second: dict[str, Any]) -> None:
    assume(canonical.canonical_bytes(first) != canonical.canonical_bytes(second))
    asked, now = approved(first)
    is_stopped(replace(asked, arguments=second), now)


@checked
@given(given_with, st.sampled_from(["feed", "note", "deep"]), st.text(LETTERS, min_size=1, max_size=6), st.integers(0, 5), st.sampled_from(LETTERS))
def one_letter_is_enough(first: dict[str, Any], key: str, text: str, at: int, letter: str) -> None:
    at = min(at, len(text) - 1)
    assume(text[at] != letter)
    asked, now = approved(first | {key: text})
    is_stopped(replace(asked, arguments=first | {key: text[:at] + letter + text[at + 1 :]}), now)


@checked
@given(given_with, st.sampled_from(OTHERS))
def another_agent_version_release_use_or_policy_has_no_yes(
    arguments: dict[str, Any], other: Callable[[Request, Standing], tuple[Request, Standing]]
) -> None:
    is_stopped(*other(*approved(arguments)))


@checked
@given(given_with, st.sampled_from(["deny write deploy:production", "deny write deploy:*"]))
def a_yes_is_none_to_what_is_denied_since(arguments: dict[str, Any], deny: str) -> None:
    asked, _ = approved(arguments)
    now = standing(RULE, deny, p=policy())
    assert isinstance(judged(asked, now), Refusal) and isinstance(withdrawn(asked, standing=now, now=AT), Refusal)


ARGUMENTS, LETTER = what_is_sent_with_other_arguments_has_no_yes, one_letter_is_enough
OTHER, DENIED = another_agent_version_release_use_or_policy_has_no_yes, a_yes_is_none_to_what_is_denied_since


@pytest.mark.parametrize("holds", [ARGUMENTS, LETTER, OTHER, DENIED], ids=lambda holds: holds.__name__)
def test_it_holds(holds: Callable[[], None]) -> None:
    holds()


# --- mutants ---------------------------------------------------------------------------------------------------------

BINDING, APPROVING, ADMISSION = "agents.spec.policies", "runs.boundary.approving", "runs.boundary.admission"
ASKED_LATE = "    if isinstance(said, Ask):\n"


def _one(name: str, module: str, old: str, new: str, noticed_by: Callable[[], None]) -> Any:
    return pytest.param(Mutant(name, (Edit(module, old, new),)), noticed_by, id=name)


MUTANTS = (
    _one("bind to no agent", BINDING, '"agent": agent,', '"agent": "",', OTHER),
    _one("bind to no version", BINDING, '"version": version,', '"version": "",', OTHER),
    _one("bind to no release", BINDING, '"release": release,', '"release": "",', OTHER),
    _one("bind to the verb only", BINDING, '"resource": resource} for', '"resource": ""} for', OTHER),
    _one("bind to no arguments", BINDING, '"arguments": dict(arguments),', '"arguments": {},', ARGUMENTS),
    _one("bind to their names", BINDING, '"arguments": dict(arguments),', '"arguments": sorted(arguments),', LETTER),
    _one("bind to any version of the policy", BINDING, '"version": policy.number,', '"version": 0,', OTHER),
    _one("bind to any policy", BINDING, '{"name": policy.name or None,', '{"name": None,', OTHER),
    _one("bind to no team", BINDING, '"team": policy.team}', '"team": ""}', OTHER),
    _one("let any yes do", APPROVING, "and request.approved.binding == binding", "and bool(binding)", ARGUMENTS),
    _one("send what no yes covers any more", ADMISSION, ASKED_LATE, f"{ASKED_LATE}        return None\n", LETTER),
    _one("ask before what is denied", ADMISSION, "    for stage in STAGES:\n", "    for stage in STAGES[:0]:\n", DENIED),
)


@pytest.mark.parametrize(("mutant", "noticed_by"), MUTANTS)
def test_a_mutant_is_noticed(mutant: Mutant, noticed_by: Callable[[], None]) -> None:
    with mutated(mutant), pytest.raises((AssertionError, BaseExceptionGroup)):
        noticed_by()
