"""The rules of deciding, over organisations that nobody thought of: who had a part never decides, and silence never approves."""

from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from agents.spec.policies import Policy, Stage
from approvals import rules
from approvals.rules import APPROVED, DECLINED, Parts, Person, Said
from approvals.services.proposals import RULES as OF_PROPOSALS
from tests.simulation.mutating import Edit, Mutant, mutated

PEOPLE = ("ann", "ben", "cleo", "dan", "eve", "fay")
TEAMS = ("red", "green", "blue")
AT = datetime(2026, 3, 1, tzinfo=UTC)


@st.composite
def stages(draw: st.DrawFn) -> Stage:
    people = tuple(sorted(draw(st.sets(st.sampled_from(PEOPLE), max_size=3))))
    teams = tuple(sorted(draw(st.sets(st.sampled_from(TEAMS), min_size=0 if people else 1, max_size=2))))
    return Stage(people, teams, draw(st.integers(1, 3)), draw(st.integers(1_000, 100_000)))


policies = st.builds(lambda listed: Policy("p", 1, "red", tuple(listed)), st.lists(stages(), min_size=1, max_size=3))
organisations = st.fixed_dictionaries({name: st.frozensets(st.sampled_from(TEAMS)) for name in PEOPLE})
references = st.frozensets(st.sampled_from([f"person:{name}" for name in PEOPLE] + ["system:system"]))
parts = st.builds(Parts, **{rule: references for rule, _ in rules.RULES}, rules=st.sampled_from([rules.RULES, OF_PROPOSALS]))
"""Of what a run asks, and of what is proposed: of the latter only some of them count."""
covers = st.frozensets(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(PEOPLE)).filter(lambda pair: pair[0] != pair[1]), max_size=6)
"""Whoever stands in, and for whom."""
accounts = st.fixed_dictionaries({name: st.integers(0, 5) for name in PEOPLE})
"""Accounts of one number are one person's."""
unshrunk = settings(phases=[Phase.explicit, Phase.generate])
"""A mutant is only to be noticed."""
histories = st.lists(st.builds(Said, st.sampled_from(PEOPLE), st.sampled_from([APPROVED, DECLINED]), st.integers(0, 2)), max_size=6)


def standing_in(
    organisation: dict[str, frozenset[str]], covered: frozenset[tuple[str, str]], whose: dict[str, int] | None = None
) -> dict[str, Person]:  # fmt: skip
    also = {name: frozenset(each for each in whose or {} if each != name and whose and whose[each] == whose[name]) for name in organisation}
    stead = {name: [away for deputy, away in sorted(covered) if deputy == name and away not in also[name]] for name in organisation}

    def person(name: str, *instead: Person) -> Person:
        return Person(name, organisation[name], instead, also[name])

    return {name: person(name, *map(person, stead[name])) for name in organisation}


def asks(stage: Stage, person: Person) -> bool:
    return person.name in stage.people or not person.teams.isdisjoint(stage.teams)


def had_a_part(name: str, of: Parts) -> bool:
    return any(f"person:{name}" in getattr(of, rule) for rule, _ in of.rules)


@unshrunk
@given(policies, organisations, parts, histories, st.data())
def test_whoever_had_a_part_or_is_not_asked_or_has_spoken_never_decides_and_everybody_else_may(
    policy: Policy, organisation: dict[str, frozenset[str]], had: Parts, said: list[Said], data: st.DataObject
) -> None:
    stage = data.draw(st.integers(0, len(policy.stages) - 1))
    for name, teams in organisation.items():
        asked = name in policy.stages[stage].people or not teams.isdisjoint(policy.stages[stage].teams)
        spoke = any((each.person, each.stage) == (name, stage) for each in said)
        may = asked and not spoke and not had_a_part(name, had)
        assert (rules.hindrance(Person(name, teams), policy, stage, had, said) is None) == may


@unshrunk
@given(policies, organisations, covers, accounts, parts, st.data())
def test_played_to_its_end_nothing_is_approved_by_fewer_than_asked_or_by_anybody_who_had_a_part(
    policy: Policy, organisation: dict[str, frozenset[str]], covered: frozenset[tuple[str, str]], whose: dict[str, int], had: Parts,
    data: st.DataObject,
) -> None:  # fmt: skip
    """Everybody tries, in any order, again and again, some in others' stead or with several accounts; only what the rules let through counts."""
    stage, said, everybody = 0, list[Said](), standing_in(organisation, covered, whose)
    also = {name: person.also for name, person in everybody.items()}
    for name, decision, moves_on in data.draw(st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from([APPROVED, DECLINED]), st.booleans()))):
        stage = min(stage + moves_on, len(policy.stages) - 1)
        seat = rules.seat_of(everybody[name], policy, stage, had, said)
        assert isinstance(seat, str) == (rules.hindrance(everybody[name], policy, stage, had, said) is not None)
        if not isinstance(seat, str):
            said.append(Said(name, decision, stage, instead_of="" if seat.name == name else seat.name))
            assert asks(policy.stages[stage], seat) and seat in (everybody[name], *everybody[name].stands_in_for)
        outcome = rules.outcome(policy, stage, said)
        yes = {each.person for each in said if (each.stage, each.decision) == (stage, APPROVED)}
        no = {each.person for each in said if (each.stage, each.decision) == (stage, DECLINED)}
        acted = {name for who in (yes | no | {each.seat for each in said}) for name in everybody[who].names}
        seats, people = [(whose[each.seat], each.stage) for each in said], [(whose[each.person], each.stage) for each in said]
        assert not any(had_a_part(each, had) for each in acted)
        assert len(said) == len(set(seats)) == len(set(people)) and rules.once_each(said, also) == said
        assert (outcome == APPROVED) == (len(yes) >= policy.stages[stage].required and not no)
        assert (outcome == DECLINED) == bool(no)
        if outcome is not None:
            return


@given(policies, organisations, covers, parts)
def test_as_many_can_decide_as_have_a_say_however_many_stand_in_for_them(
    policy: Policy, organisation: dict[str, frozenset[str]], covered: frozenset[tuple[str, str]], had: Parts
) -> None:
    everybody = standing_in(organisation, covered)
    most = rules.most_of(list(everybody.values()), policy, 0, had, [], enough=99)
    assert most == sum(asks(policy.stages[0], each) and not had_a_part(name, had) for name, each in everybody.items())
    assert (most == 0) == all(rules.hindrance(each, policy, 0, had, []) is not None for each in everybody.values())


ONE = Policy("p", 1, "red", (Stage(("ann",), (), 1, 1_000),))
ANN, BEN = Person("ann", frozenset({"red"})), Person("ben", frozenset({"red"}), (Person("ann", frozenset({"red"})),))
NOBODYS = Parts()


def test_whoever_stands_in_has_the_say_of_the_person_away_and_nobody_has_it_twice() -> None:
    assert rules.seat_of(BEN, ONE, 0, NOBODYS, []) == ANN
    had = [Said("ben", APPROVED, 0, instead_of="ann")]
    assert rules.hindrance(ANN, ONE, 0, NOBODYS, had) == "ben has said it in your stead"
    assert rules.hindrance(BEN, ONE, 0, NOBODYS, [Said("ann", APPROVED, 0)]) == "you stand in for ann, and ann has said it already"
    assert rules.outcome(ONE, 0, had) == APPROVED


def test_what_was_said_in_a_stage_counts_in_no_other() -> None:
    two = Policy("p", 1, "red", (*ONE.stages, *ONE.stages))
    for decision in (APPROVED, DECLINED):
        assert rules.outcome(two, 1, [Said("ann", decision, 0)]) is None


def test_cover_cant_be_used_to_approve_ones_own() -> None:
    started = Parts(started=frozenset({"person:ann"}))
    assert rules.hindrance(BEN, ONE, 0, started, []) == "you stand in for ann, who can't decide it either: they started the run that asks for it"
    mine = Parts(started=frozenset({"person:ben"}))
    assert rules.hindrance(BEN, ONE, 0, mine, []) == "you started the run that asks for it, so somebody else has to decide"


def test_what_somebody_did_with_one_account_they_dont_approve_with_another() -> None:
    with_two = Person("ann", frozenset(), also=frozenset({"ann-admin"}))
    started = Parts(started=frozenset({"person:ann-admin"}))
    assert rules.hindrance(with_two, ONE, 0, started, []) == "you started the run that asks for it, so somebody else has to decide"
    assert rules.hindrance(with_two, ONE, 0, NOBODYS, [Said("ann-admin", APPROVED, 0)]) == "you have said what you think of it"


def test_two_words_of_accounts_that_were_found_to_be_one_persons_are_one() -> None:
    said = [Said("ann", APPROVED, 0), Said("ben", APPROVED, 0), Said("ann-admin", APPROVED, 0), Said("ann-admin", APPROVED, 1)]
    also = {"ann": frozenset({"ann-admin"}), "ann-admin": frozenset({"ann"})}
    assert rules.once_each(said, also) == [said[0], said[1], said[3]] and rules.once_each(said, {}) == said
    stead = [
        Said("ben", APPROVED, 0, instead_of="ann"),
        Said("cleo", APPROVED, 0, instead_of="ann-admin"),
        Said("dan", APPROVED, 0, instead_of="ben"),
    ]
    assert rules.once_each(stead, also) == [stead[0], stead[2]]


def test_a_deputy_hands_nothing_on() -> None:
    third = Person("cleo", frozenset({"red"}), (BEN,))
    assert "and you are none of them" in (rules.hindrance(third, ONE, 0, NOBODYS, []) or "")


@given(policies, st.integers(0, 1_000_000))
def test_a_policy_goes_through_its_stages_in_their_order_and_stays_in_the_last(policy: Policy, ms: int) -> None:
    now = AT + timedelta(milliseconds=ms)
    stage = policy.at(AT, now)
    assert policy.begins_at(AT, stage) <= now
    assert stage == len(policy.stages) - 1 or now < policy.begins_at(AT, stage + 1)
    assert Policy.from_record(policy.as_record()) == policy


def test_each_rule_of_separation_has_its_own_sentence() -> None:
    for rule, sentence in rules.RULES:
        assert rules.part_of(Person("ann", frozenset()), Parts(**{rule: frozenset({"person:ann"})})) == sentence
    assert {rule for rule, _ in rules.RULES} == {field.name for field in fields(Parts)} - {"rules"}


# --- mutants ---------------------------------------------------------------------------------------------------------

ALONE = test_whoever_had_a_part_or_is_not_asked_or_has_spoken_never_decides_and_everybody_else_may
PLAYED = test_played_to_its_end_nothing_is_approved_by_fewer_than_asked_or_by_anybody_who_had_a_part
STANDS_IN, ACCOUNTS, OF_BEFORE = (
    test_whoever_stands_in_has_the_say_of_the_person_away_and_nobody_has_it_twice,
    test_what_somebody_did_with_one_account_they_dont_approve_with_another,
    test_what_was_said_in_a_stage_counts_in_no_other,
)
PART, HAD, HERE = (
    '    if part is not None:\n        return f"{part}, so',
    '    if had is not None:\n        return f"{stead}',
    "if each.stage == stage]\n    against",
)
SPOKE, STEAD, ENOUGH = (
    "any(each.person in names and each.stage == stage for each in said)",
    "return None if had is None else f",
    "len(_alike(here)) >= policy.stages[stage].required",
)


def _one(name: str, old: str, new: str, *noticed_by: Callable[[], None]) -> Any:
    return pytest.param(Mutant(name, (Edit("approvals.rules", old, new),)), noticed_by, id=name)


MUTANTS = (
    _one("let whoever had a part decide", PART, PART.replace("part is not None", "False"), ALONE, PLAYED),
    _one("look at the first rule only", "for rule, said in parts.rules if", "for rule, said in parts.rules[:1] if", ALONE, PLAYED),
    _one("let their other account decide", 'f"person:{name}" for name in person.names}', 'f"person:{person.name}"}', PLAYED, ACCOUNTS),
    _one("let somebody speak twice", SPOKE, "False", ACCOUNTS),
    _one("let each account speak", SPOKE, SPOKE.replace("in names", "== person.name"), ACCOUNTS),
    _one("let anybody of a team speak", "bool(person.teams & set(stage.teams))", "bool(person.teams)", ALONE, PLAYED),
    _one("let a deputy say it again", HAD, HAD.replace("had is not None", "False"), PLAYED, STANDS_IN),
    _one("let the one who was away say it again", STEAD, STEAD.replace("had is None", "True"), STANDS_IN),
    _one("let a deputy approve what the other had a part in", "    part = part_of(seat, parts)\n", "    part = None\n", PLAYED),
    _one("let one yes do", ENOUGH, ENOUGH.replace("policy.stages[stage].required", "1"), PLAYED),
    _one("count a yes of before", HERE, HERE.replace("if each.stage == stage", ""), OF_BEFORE),
    _one("pass over a no", "    if against is not None:\n", "    if False:\n", PLAYED),
)


@pytest.mark.parametrize(("mutant", "noticed_by"), MUTANTS)
def test_a_mutant_is_noticed(mutant: Mutant, noticed_by: tuple[Callable[[], None], ...]) -> None:
    for holds in noticed_by:
        with mutated(mutant), pytest.raises((AssertionError, BaseExceptionGroup)):
            holds()
