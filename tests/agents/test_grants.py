"""What a permission allows, and that nothing else is allowed."""

from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import grants

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
decide = partial(grants.decide, now=NOW)
FEEDS = ["allow read feed:metrics/*", "allow call tool:fetch"]


def test_an_exact_rule_allows_that_resource_and_no_longer_one() -> None:
    assert decide(FEEDS, "call", "tool:fetch") == grants.Decision("allow", "allow call tool:fetch")
    assert not decide(FEEDS, "call", "tool:fetcher").allowed


def test_a_trailing_star_allows_what_begins_so() -> None:
    assert decide(FEEDS, "read", "feed:metrics/cpu.csv").rule == "allow read feed:metrics/*"
    assert not decide(FEEDS, "read", "feed:metric").allowed


def test_a_rule_speaks_of_its_own_verb_only() -> None:
    assert not decide(FEEDS, "write", "feed:metrics/cpu.csv").allowed


def test_no_permission_is_a_refusal() -> None:
    assert decide([], "read", "feed:metrics/cpu.csv") == grants.Decision("deny")


def test_a_star_that_is_asked_for_is_an_ordinary_character() -> None:
    assert not decide(["allow read feed:cpu"], "read", "feed:*").allowed


def test_a_star_alone_allows_the_verb_on_everything() -> None:
    assert decide(["allow read *"], "read", "feed:cpu").allowed


@pytest.mark.parametrize(
    "text", ["", "allow read", "permit read feed:*", "allow READ feed:x", "allow read fe*ed:x", "allow read feed:a b", "allow read " + "x" * 2000]
)
def test_a_rule_that_does_not_parse_is_refused_and_allows_nothing(text: str) -> None:
    with pytest.raises(grants.RuleInvalid):
        grants.parse_rule(text)
    assert not decide([text], "read", "feed:x").allowed


@pytest.mark.parametrize("order", [1, -1])
def test_what_requires_an_approval_wins_over_what_allows(order: int) -> None:
    rules = ["allow read feed:*", "require_approval read feed:secret/*"][::order]
    assert decide(rules, "read", "feed:cpu").allowed
    decision = decide(rules, "read", "feed:secret/cpu")
    assert decision == grants.Decision("require_approval", "require_approval read feed:secret/*")


@given(st.permutations(["allow read feed:*", "require_approval read feed:secret/*", "deny read feed:secret/keys", "deny write feed:*"]))
def test_what_is_denied_is_denied_whatever_else_is_said_and_in_whatever_order(rules: list[str]) -> None:
    assert decide(rules, "read", "feed:secret/keys") == grants.Decision("deny", "deny read feed:secret/keys")
    assert decide(rules, "read", "feed:secret/cpu").needs_approval
    assert decide(rules, "read", "feed:cpu") == grants.Decision("allow", "allow read feed:*")


WORDS = st.sampled_from(["feed:a", "feed:ab", "feed:*", "feed:a*", "*", "file:a/../b", "file:a/*"])
RULES = st.lists(st.builds("{} {} {}".format, st.sampled_from(grants.EFFECTS), st.sampled_from(["read", "write"]), WORDS), max_size=6)


@given(RULES, RULES, st.sampled_from(["read", "write"]), WORDS)
def test_more_rules_that_do_not_allow_never_allow_more(rules: list[str], more: list[str], verb: str, resource: str) -> None:
    before = decide(rules, verb, resource)
    stricter = decide([*rules, *(rule for rule in more if not rule.startswith("allow"))], verb, resource)
    denying = decide([*(rule for rule in more if rule.startswith("deny")), *rules], verb, resource)
    assert before.allowed or not stricter.allowed
    assert denying.effect in (before.effect, "deny")


def test_what_requires_an_approval_says_nothing_of_other_things() -> None:
    assert decide(["require_approval read feed:secret/*"], "read", "feed:cpu") == grants.Decision("deny")


@pytest.mark.parametrize("text", ["deny read fe*d:x", "require_approval read fe*ed:x", "require_approval read", "forbid"])
def test_a_rule_that_does_not_parse_and_was_not_to_allow_forbids_everything(text: str) -> None:
    assert decide(["allow read feed:*", text], "read", "feed:cpu") == grants.Decision("deny", text, is_readable=False)
    assert decide(["allow read feed:*", "allow read"], "read", "feed:cpu").allowed


@pytest.mark.parametrize("resource", ["file:data/../secret", "file:data/a/../../secret", "file:data/..", "file:data/..\\secret"])
def test_a_rule_for_what_lies_below_a_folder_does_not_reach_out_of_it(resource: str) -> None:
    assert not decide(["allow read file:data/*"], "read", resource).allowed
    assert decide(["allow read file:data/*"], "read", "file:data/a..b/c").allowed
    assert decide(["allow read file:*"], "read", resource).allowed
    assert decide([f"allow read {resource}"], "read", resource).allowed
