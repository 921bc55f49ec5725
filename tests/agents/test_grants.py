"""What a permission allows, and that nothing else is allowed."""

import pytest

from agents import grants

FEEDS = ["allow read feed:metrics/*", "allow call tool:fetch"]


def test_an_exact_rule_allows_that_resource_and_no_longer_one() -> None:
    assert grants.decide(FEEDS, "call", "tool:fetch") == grants.Decision(allowed=True, rule="allow call tool:fetch")
    assert not grants.decide(FEEDS, "call", "tool:fetcher").allowed


def test_a_trailing_star_allows_what_begins_so() -> None:
    assert grants.decide(FEEDS, "read", "feed:metrics/cpu.csv").rule == "allow read feed:metrics/*"
    assert not grants.decide(FEEDS, "read", "feed:metric").allowed


def test_a_rule_speaks_of_its_own_verb_only() -> None:
    assert not grants.decide(FEEDS, "write", "feed:metrics/cpu.csv").allowed


def test_no_permission_is_a_refusal() -> None:
    assert grants.decide([], "read", "feed:metrics/cpu.csv") == grants.Decision(allowed=False, rule=None)


def test_a_star_that_is_asked_for_is_an_ordinary_character() -> None:
    assert not grants.decide(["allow read feed:cpu"], "read", "feed:*").allowed


def test_a_star_alone_allows_the_verb_on_everything() -> None:
    assert grants.decide(["allow read *"], "read", "feed:cpu").allowed


@pytest.mark.parametrize(
    "text", ["", "allow read", "deny read feed:*", "allow READ feed:x", "allow read fe*ed:x", "allow read feed:a b", "allow read " + "x" * 2000]
)
def test_a_rule_that_does_not_parse_is_refused_and_allows_nothing(text: str) -> None:
    with pytest.raises(grants.RuleInvalid):
        grants.parse_rule(text)
    assert not grants.decide([text], "read", "feed:x").allowed


@pytest.mark.parametrize("order", [1, -1])
def test_what_requires_an_approval_wins_over_what_allows(order: int) -> None:
    rules = ["allow read feed:*", "require_approval read feed:secret/*"][::order]
    assert grants.decide(rules, "read", "feed:cpu").allowed
    decision = grants.decide(rules, "read", "feed:secret/cpu")
    assert decision == grants.Decision(allowed=False, rule="require_approval read feed:secret/*", needs_approval=True)


def test_what_requires_an_approval_says_nothing_of_other_things() -> None:
    assert grants.decide(["require_approval read feed:secret/*"], "read", "feed:cpu") == grants.Decision(allowed=False, rule=None)


@pytest.mark.parametrize("text", ["deny read feed:x", "require_approval read fe*ed:x", "require_approval read", "forbid"])
def test_a_rule_that_does_not_parse_and_was_not_to_allow_forbids_everything(text: str) -> None:
    assert grants.decide(["allow read feed:*", text], "read", "feed:cpu") == grants.Decision(allowed=False, rule=text)
    assert grants.decide(["allow read feed:*", "allow read"], "read", "feed:cpu").allowed


@pytest.mark.parametrize("resource", ["file:data/../secret", "file:data/a/../../secret", "file:data/..", "file:data/..\\secret"])
def test_a_rule_for_what_lies_below_a_folder_does_not_reach_out_of_it(resource: str) -> None:
    assert not grants.decide(["allow read file:data/*"], "read", resource).allowed
    assert grants.decide(["allow read file:data/*"], "read", "file:data/a..b/c").allowed
    assert grants.decide(["allow read file:*"], "read", resource).allowed
    assert grants.decide([f"allow read {resource}"], "read", resource).allowed
