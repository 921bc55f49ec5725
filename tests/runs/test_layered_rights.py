"""Whatever layers say together: deny always wins, nothing exceeds any of the four, and what is only observed widens nothing that is enforced.

Properties over random layers, through the boundary's own stages; each mutant of the code that decides is noticed by one of them.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from agents import contracts, grants, layers
from agents.grants import ALLOW, DENY, REQUIRE_APPROVAL, parse_rule
from agents.layers import Layer
from agents.spec.policies import default_policy
from runs.adapters import http
from runs.boundary import Above, Account, Ask, Boundary, Refusal, Request, Standing, admit
from runs.engine.answers import Approved
from runs.engine.states import CallKind, Cause, Mode
from runs.engine.values import Agent
from tests.simulation.mutating import Edit, Mutant, mutated

AT = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
STRENGTH = {ALLOW: 0, REQUIRE_APPROVAL: 1, DENY: 2}
FREE = contracts.compiled({"type": "object"})
VERBS, RESOURCES = ("read",), ("feed:a", "feed:a/b", "feed:c")
BOUNDS = ("", " observe", " until 2020-01-01", " when args.n > 0", " when args.absent.deep == 1")

rules = st.builds(
    lambda effect, verb, resource, policy, bound: f"{effect} {verb} {resource}{policy if effect == REQUIRE_APPROVAL else ''}{bound}",
    st.sampled_from([ALLOW, ALLOW, ALLOW, REQUIRE_APPROVAL, REQUIRE_APPROVAL, DENY]),
    st.sampled_from(VERBS),
    st.sampled_from([*RESOURCES, "feed:*", "feed:*", "feed:a*"]),
    st.sampled_from(["", "", " policy p", " policy q"]),
    st.sampled_from(["", "", "", *BOUNDS]),
)
held = st.lists(rules, max_size=4).map(tuple)
own = st.builds(Layer, st.just(""), held, st.booleans())
above = st.lists(held, max_size=3).map(lambda lists: [Layer(f"pipeline:p{number}", each) for number, each in enumerate(lists)])
uses = st.tuples(st.sampled_from(VERBS), st.sampled_from(RESOURCES))
arguments = st.sampled_from([{"n": 1}, {"n": 0}])
checked = settings(max_examples=400, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
"""Without making what fails smaller: a mutant is only to be noticed."""


def effect_of(layer: Layer, use: tuple[str, str], args: dict[str, int]) -> str:
    """What one of them says by itself, asked past the layers."""
    decision = grants.decide(layer.permissions, *use, now=AT, args=args)
    wants = layer.observe and decision.effect == DENY and decision.rule is None and decision.problem is None
    return ALLOW if wants else decision.effect


def together(every: list[Layer], use: tuple[str, str], args: dict[str, int]) -> grants.Decision:
    return layers.decide(every, *use, now=AT, args=args)


def denies_always(text: str, use: tuple[str, str]) -> bool:
    rule = parse_rule(text)
    return rule.effect == DENY and not rule.is_bounded and rule.covers(*use)


def request(use: tuple[str, str] | None, args: dict[str, int], kind: CallKind = CallKind.FUNCTION) -> Request:
    agent = Agent("worker", "platform", 1, "0" * 64, "act", {"mode": "read"}, FREE, FREE)
    asked = () if use is None else (use,)
    return Request(UUID(int=1), "work", 1, 0, agent, kind, "work:run", args, Mode.READ, AT + timedelta(minutes=1), 0, asked)


def admitted(agents_own: Layer, beyond: list[Layer], use: tuple[str, str] | None, args: dict[str, int], **more: Any) -> Refusal | Ask | None:
    lost = more.pop("lost", None)
    who = {name: more.pop(name) for name in ("role", "risk") if name in more}
    policies = {name: default_policy("platform") for name in ("p", "q")}
    standing = Standing("active", agents_own.permissions, team="platform", policies=policies, observe=agents_own.observe, **who)
    bounds = Above(tuple(beyond), {}, lost)
    return admit(request(use, args), standing=standing, account=Account(0, None, 0, None), own={}, now=AT, above=bounds, **more)


# --- properties ------------------------------------------------------------------------------------------------------


@checked
@given(own, above, uses, arguments)
def deny_always_wins(first: Layer, beyond: list[Layer], use: tuple[str, str], args: dict[str, int]) -> None:
    every = [first, *beyond]
    if any(denies_always(text, use) for layer in every for text in layer.permissions):
        assert together(every, use, args).effect == DENY
        assert isinstance(admitted(first, beyond, use, args), Refusal)


@checked
@given(own, above, uses, arguments)
def effective_rights_never_exceed_any_layer(first: Layer, beyond: list[Layer], use: tuple[str, str], args: dict[str, int]) -> None:
    every = [first, *beyond]
    strictest = max(STRENGTH[effect_of(layer, use, args)] for layer in every)
    assert STRENGTH[together(every, use, args).effect] >= strictest
    if admitted(first, beyond, use, args) is None:
        assert strictest == STRENGTH[ALLOW]


@checked
@given(own, above, uses, arguments)
def effective_rights_are_no_less_than_the_layers_have_in_common(
    first: Layer, beyond: list[Layer], use: tuple[str, str], args: dict[str, int]
) -> None:
    """Or a boundary that refuses everything would do."""
    every = [first, *beyond]
    if all(effect_of(layer, use, args) == ALLOW for layer in every):
        assert admitted(first, beyond, use, args) is None


@checked
@given(own, above, held, uses, arguments)
def a_further_layer_never_loosens(first: Layer, beyond: list[Layer], more: tuple[str, ...], use: tuple[str, str], args: dict[str, int]) -> None:
    before, after = together([first, *beyond], use, args), together([first, *beyond, Layer("pipeline:more", more)], use, args)
    assert STRENGTH[after.effect] >= STRENGTH[before.effect]


@checked
@given(own, above, uses, arguments)
def what_is_observed_widens_nothing_that_is_enforced(first: Layer, beyond: list[Layer], use: tuple[str, str], args: dict[str, int]) -> None:
    enforced = together([Layer("", first.permissions), *beyond], use, args)
    observed = together([Layer("", first.permissions, True), *beyond], use, args)
    alone = grants.decide(first.permissions, *use, now=AT, args=args)
    if alone.rule is not None or alone.problem is not None:
        assert observed == enforced
    elif observed.effect == ALLOW:
        assert f"no permission allows {use[0]} {use[1]}" in layers.recorded(observed, *use)


@checked
@given(own, above, uses, arguments)
def everybody_who_asks_for_a_yes_is_named(first: Layer, beyond: list[Layer], use: tuple[str, str], args: dict[str, int]) -> None:
    every = [first, *beyond]
    decision = together(every, use, args)
    if decision.needs_approval:
        asking = {layer.holder for layer in every if effect_of(layer, use, args) == REQUIRE_APPROVAL}
        assert {holder for holder, _ in layers.rules_asking(decision)} == asking
        assert len({grants.decide(layer.permissions, *use, now=AT, args=args).policy for layer in every if layer.holder in asking}) == 1


@checked
@given(st.lists(st.sampled_from(["", " policy p", " policy q"]), min_size=1, max_size=4))
def two_policies_for_one_thing_are_none(policies: list[str]) -> None:
    every = [Layer(f"pipeline:p{number}" if number else "", (f"require_approval read feed:a{each}",)) for number, each in enumerate(policies)]
    decision, named = together(every, ("read", "feed:a"), {}), {each[-1:] or None for each in policies}
    assert decision.effect == (DENY if len(named) > 1 else REQUIRE_APPROVAL)
    assert len(named) > 1 or {decision.policy} == named


@checked
@given(
    st.lists(st.sampled_from(["allow connect network:*", "allow read feed:*", "deny connect network:a.example"]), max_size=2), above, st.booleans()
)
def a_child_has_the_network_only_where_every_layer_gives_it(lines: list[str], beyond: list[Layer], observe: bool) -> None:
    every = [Layer("", tuple(lines), observe), *beyond, Layer("pipeline:gives", ("allow connect network:*",))]
    gives = all(grants.network(layer.permissions, args={}, now=AT).by for layer in every)
    assert bool(layers.network(every, args={}, now=AT).by) == gives


@checked
@given(own, above, uses, arguments, st.sampled_from([None, "who is gone"]))
def a_call_has_no_more_rights_than_its_person(
    first: Layer, beyond: list[Layer], use: tuple[str, str], args: dict[str, int], lost: str | None
) -> None:
    for asked in (use, None):
        said = admitted(first, beyond, asked, args, lost=lost)
        assert lost is None or (isinstance(said, Refusal) and said.cause is Cause.DENIED and said.message == lost)


@checked
@given(
    st.sampled_from(["allow write feed:* rate 1/1h", "allow write feed:*"]), st.sampled_from(["allow write feed:* rate 2/1h", "allow write feed:*"])
)
def a_rate_that_is_used_up_refuses_whoever_holds_it(mine: str, theirs: str) -> None:
    beyond = [Layer("pipeline:p", (theirs,))]
    full = {(holder, rule): AT + timedelta(hours=1) for holder, rule in (("", mine), ("pipeline:p", theirs)) if "rate" in rule}
    said = admitted(Layer("", (mine,)), beyond, ("write", "feed:a"), {"n": 1}, full=full)
    assert (said is None) if not full else (isinstance(said, Refusal) and said.cause is Cause.RATE)


@checked
@given(st.sampled_from(["act", "gather"]), st.sampled_from(["high", "High ", "low", ""]), st.booleans())
def code_that_acts_at_a_high_risk_is_contained_or_not_run(role: str, risk: str, contains: bool) -> None:
    said = admitted(Layer("", ()), [], None, {"n": 1}, role=role, risk=risk, contains=contains)
    refused = role == "act" and risk.strip().lower() == "high" and not contains
    assert isinstance(said, Refusal) == refused


PROPERTIES: tuple[Callable[[], None], ...] = (
    deny_always_wins,
    effective_rights_never_exceed_any_layer,
    effective_rights_are_no_less_than_the_layers_have_in_common,
    a_further_layer_never_loosens,
    what_is_observed_widens_nothing_that_is_enforced,
    everybody_who_asks_for_a_yes_is_named,
    two_policies_for_one_thing_are_none,
    a_child_has_the_network_only_where_every_layer_gives_it,
    a_call_has_no_more_rights_than_its_person,
    a_rate_that_is_used_up_refuses_whoever_holds_it,
    code_that_acts_at_a_high_risk_is_contained_or_not_run,
)


@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda holds: holds.__name__)
def test_it_holds(holds: Callable[[], None]) -> None:
    holds()


async def test_where_a_fetch_is_led_to_for_want_of_a_permission_is_recorded() -> None:
    boundary, led = Boundary(children=1), dict[str, None]()
    boundary.standings["worker"] = Standing("active", ("deny read network:bad.example",), observe=True)
    asked = request(("read", "network:example.com"), {"n": 1}, CallKind.TOOL)
    boundary.around.take(asked.run, (), None)
    policy = boundary._policy(asked, led)
    assert [policy.may(http.target_of(f"http://{host}/")) for host in ("example.com", "other.example", "bad.example")] == [True, True, False]
    assert list(led) == ["no permission allows read network:other.example"]  # what was asked for first its intent says
    boundary.around.leave(asked.run)
    assert boundary.around.above(asked.run).lost is not None
    await boundary.close()


async def test_a_yes_to_one_url_is_none_to_where_its_server_leads_to() -> None:
    boundary = Boundary(children=1)
    boundary.standings["worker"] = Standing("active", ("require_approval read network:example.com",))
    asked = request(("read", "network:example.com"), {"url": "http://example.com/a"}, CallKind.TOOL)
    boundary.around.take(asked.run, (), None)
    policy = boundary._policy(replace(asked, approved=Approved(wait="", binding="as it was admitted")), {})
    assert [policy.may(http.target_of(f"http://example.com/{path}")) for path in ("a", "a#here", "b")] == [True, True, False]
    assert not boundary._policy(asked, {}).may(http.target_of("http://example.com/a"))
    await boundary.close()


# --- mutants ---------------------------------------------------------------------------------------------------------

LAYERS, GRANTS, ADMISSION = "agents.layers", "agents.grants", "runs.boundary.admission"
DENYING = "denying = next((each for each in decisions if each.effect == DENY), None)"
ASKING = "asking = [each for each in decisions if each.effect == REQUIRE_APPROVAL]"
WANT = "if layer.observe and decision.effect == DENY and decision.rule is None and decision.problem is None:"


def _one(name: str, module: str, old: str, new: str, *noticed_by: Callable[[], None]) -> Any:
    return pytest.param(Mutant(name, (Edit(module, old, new),)), noticed_by, id=name)


APPROVABLE = "return _approvable(asking, tuple(decisions)) if asking else"
JUDGED = "(decision.rule is None or decision.problem is not None):"
GONE = "    lost = asked.above.lost\n"
ROOM = "        if (holder, text) in full:\n"
COMMON = effective_rights_are_no_less_than_the_layers_have_in_common
NEVER_EXCEED, NAMED, OBSERVED = (
    effective_rights_never_exceed_any_layer,
    everybody_who_asks_for_a_yes_is_named,
    what_is_observed_widens_nothing_that_is_enforced,
)
CONTAINED = code_that_acts_at_a_high_risk_is_contained_or_not_run
MUTANTS = (
    _one("let an allow win over a deny", GRANTS, "for effect in reversed(EFFECTS)", "for effect in EFFECTS", deny_always_wins),
    _one("ask only the first layer for a deny", LAYERS, DENYING, DENYING.replace("in decisions if", "in decisions[:1] if"), deny_always_wins),
    _one("ask only the last layer for a deny", LAYERS, DENYING, DENYING.replace("in decisions if", "in decisions[-1:] if"), NEVER_EXCEED),
    _one("ask only the first layer for who asks", LAYERS, ASKING, ASKING.replace("in decisions if", "in decisions[:1] if"), NEVER_EXCEED),
    _one("deny where nobody denies", LAYERS, APPROVABLE, "return Decision(DENY) if asking or decisions else", COMMON),
    _one(
        "let a further layer make up for one that lacks it",
        LAYERS,
        "    if denying is not None or not decisions:\n",
        "    if (denying is not None and decisions[-1].effect == DENY) or not decisions:\n",
        a_further_layer_never_loosens,
    ),
    _one("take two policies for one", LAYERS, "    if other is not None:\n", "    if False:\n", two_policies_for_one_thing_are_none),
    _one(
        "name only the first who asks",
        LAYERS,
        "        if each.rule is not None and each.needs_approval:\n",
        "        if each.rule is not None and each is decision.every[0]:\n",
        NAMED,
    ),
    _one("observe what a line denies", LAYERS, WANT, WANT.replace(" and decision.rule is None", ""), deny_always_wins, OBSERVED),
    _one("observe what can't be judged", LAYERS, WANT, f"if layer.observe and decision.effect == DENY and {JUDGED}", OBSERVED),
    _one("observe an approval away", LAYERS, WANT, "if layer.observe and (decision.needs_approval or decision.rule is None):", OBSERVED),
    _one("observe without a record", LAYERS, "        if each.lacks:\n", "        if False:\n", OBSERVED),
    _one(
        "give the network where one layer gives it",
        LAYERS,
        "        if not said.by:\n            return NO_NETWORK\n",
        "        if not said.by:\n            continue\n",
        a_child_has_the_network_only_where_every_layer_gives_it,
    ),
    _one("leave the pipelines out at the boundary", ADMISSION, ", *above.layers)", ",)", NEVER_EXCEED),
    _one("leave the person out at the boundary", ADMISSION, GONE, "    lost = None\n", a_call_has_no_more_rights_than_its_person),
    _one(
        "count only the agent's own rates",
        ADMISSION,
        ROOM,
        ROOM.replace("if (", "if not holder and ("),
        a_rate_that_is_used_up_refuses_whoever_holds_it,
    ),
    _one("run what acts at a high risk anywhere", ADMISSION, "if standing is None or asked.contains or", "if True or", CONTAINED),
    _one("read a risk tier to the letter", ADMISSION, "risk.strip().lower() == HIGH", "risk == HIGH", CONTAINED),
)


@pytest.mark.parametrize(("mutant", "noticed_by"), MUTANTS)
def test_a_mutant_is_noticed(mutant: Mutant, noticed_by: tuple[Callable[[], None], ...]) -> None:
    for holds in noticed_by:
        with mutated(mutant), pytest.raises((AssertionError, BaseExceptionGroup)):
            holds()
