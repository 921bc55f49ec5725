"""The text of a permission: words that are registered, bounds, and what is wrong with it, said with its line."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agents import grants, registry, spec
from agents.errors import NotPublishable
from agents.models import Agent, Pipeline, Team
from agents.spec.permissions import RuleInvalid, parse_rule
from agents.spec.vocabulary import BUILT_IN
from audit.models import Entry
from tests import pipelines
from tests.agents.folders import PIPELINE, READER, numbers
from tests.pipelines import SYSTEM, agent
from tests.shell import typed

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
decide = partial(grants.decide, now=NOW)
CLOSED = "{type: object, properties: {to: {type: string}, version: {type: string}}, additionalProperties: false}"
AGENT = 'kind: agent\nname: worker\nteam: platform\nrole: decide\npurpose: Test.\nrun: {python: "work:run"}\n'


def read(permissions: str) -> Any:
    return spec.read({"a.yaml": f"{AGENT}permissions:\n{permissions}\n".encode()})


def rules(permissions: str) -> list[str]:
    found = read(permissions)
    assert found.problems == []
    return list(found.agents[0].spec["permissions"])


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "resource", "said"),
    [
        ("raed", "feed:x", "there is no verb 'raed'; did you mean 'read'?"),
        ("frobnicate", "feed:x", "known are: call, "),
        ("read", "feeed:x", "there is no kind of resource 'feeed'; did you mean 'feed'?"),
        ("read", "metrics", "'metrics' doesn't begin with a kind of resource"),
        ("Read", "feed:x", "there is no verb 'Read'; did you mean 'read'?"),
    ],
)
def test_an_unknown_word_is_said_with_the_nearest_known_one(verb: str, resource: str, said: str) -> None:
    assert said in str(BUILT_IN.problem_of(verb, resource))
    decision = decide(["allow read *", f"allow read {resource}"], verb, resource)
    assert decision.effect == "deny" and said in str(decision.problem)


def test_a_teams_own_words_are_known_to_it_and_to_nobody_else() -> None:
    ours = BUILT_IN.and_also(["refund"], ["order"])
    assert ours.problem_of("refund", "order:17") is None and BUILT_IN.problem_of("refund", "order:17") is not None
    assert decide(["allow refund order:*"], "refund", "order:17", vocabulary=ours).allowed


@pytest.mark.parametrize("resource", ["", "fe", "feed:"])
def test_the_beginning_of_a_kind_is_enough_before_a_star(resource: str) -> None:
    assert BUILT_IN.problem_of("read", resource, prefix=True) is None


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_the_text_and_the_mapping_say_the_same_and_are_kept_as_one_text() -> None:
    (mapped,) = rules(
        """  - {allow: "write  deploy:staging", until: "2027-01-01T01:00:00+01:00", from: 2026-01-01, rate: 10/hour, when: " args.version != '' "}"""
    )
    (said,) = rules("""  - allow write deploy:staging until 2027-01-01 from 2026-01-01 rate 10/1h when args.version != ''""")
    assert mapped == said == "allow write deploy:staging from 2026-01-01T00:00:00Z until 2027-01-01T00:00:00Z rate 10/1h when args.version != ''"
    rule = parse_rule(mapped)
    assert (rule.since, rule.until) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert (str(rule.rate), rule.when, rule.canonical()) == ("10/1h", "args.version != ''", mapped)


def test_a_condition_that_a_comment_would_cut_short_is_refused_with_its_line() -> None:
    found = read("  - allow: write deploy:staging\n    when: |\n      args.version != ''  // never without\n      && args.to == 'staging'")
    (problem,) = found.problems
    assert problem.line == 9 and "the condition means something else once its lines are joined; write it without // comments" in problem.message
    assert read("  - {allow: write deploy:x, when: \"args.a == '''one\\n  two'''\"}").problems


def test_a_condition_of_several_lines_is_kept_as_one() -> None:
    (rule,) = rules("  - allow: write deploy:staging\n    when: |\n      args.url == 'https://x'\n      && args.a == 1  // the last word")
    assert rule.endswith("when args.url == 'https://x' && args.a == 1  // the last word")


def test_what_is_to_be_observed_is_said_before_the_condition() -> None:
    (mapped,) = rules("  - {deny: read feed:x, observe: true, when: args.a == 1}")
    assert mapped == "deny read feed:x observe when args.a == 1" and rules("  - deny read feed:x observe when args.a == 1") == [mapped]
    assert rules("  - {deny: read feed:x, observe: false}") == ["deny read feed:x"]


def test_a_condition_over_several_lines_is_one_line() -> None:
    (said,) = rules("  - allow: read feed:x\n    when: |\n      args.a == 1 &&\n      args.b == 2")
    assert said == "allow read feed:x when args.a == 1 && args.b == 2"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{allow: write feed:x, until: soon}", "until 'soon' can't be read"),
        ("{allow: write feed:x, until: '2027-01-01T00:00:00'}", "can't be read"),
        ("{allow: write feed:x, from: 2027-01-01, until: 2026-01-01}", "would never hold"),
        ("{allow: write feed:x, rate: often}", "rate 'often' can't be read"),
        ("{allow: write feed:x, rate: 0/hour}", "can't be read"),
        ("{require_approval: write feed:x, rate: 1/hour, observe: true}", "what is only observed is never used"),
        ("{deny: write feed:x, observe: perhaps}", "write true or false"),
        ("{deny: write feed:x, rate: 1/hour}", "what is denied is never used"),
        ("{allow: connect network:x, rate: 1/hour}", "can't be counted"),
        ("{allow: write feed:x, wenn: args.x}", "has no key 'wenn'; did you mean 'when'?"),
        ("{allow: write feed:x, deny: read feed:x}", "this one says 2"),
        ("{when: args.x}", "this one says 0"),
        ("{allow: write}", "must be a verb and a resource"),
        ("{allow: write feed:x, when: input.x == 1}", "names 'input', and there is only 'args'"),
        ("{allow: write feed:x, when: 'args.x =='}", None),
        ("{allow: write feed:x, when: 'boom(args.x)'}", "there is no function 'boom'"),
        ("allow write feed:x sometimes", "'sometimes' can't be read"),
        ("allow write feed:x until 2027-01-01 until 2028-01-01", "once"),
        ("[allow, write]", "can't be a list"),
    ],
)
def test_what_is_wrong_with_a_bound_is_said_with_its_line(line: str, said: str | None) -> None:
    found = read(f"  - allow read feed:x\n  - {line}")
    if said is None:
        assert found.problems == []  # the compiler says it, in a child
        return
    assert [problem.line for problem in found.problems] == [9]
    assert said in found.problems[0].message


@pytest.mark.parametrize("text", ["allow read feed:x when ", "allow read feed:x when", "allow read feed:x from"])
def test_half_a_bound_is_no_permission(text: str) -> None:
    with pytest.raises(RuleInvalid):
        parse_rule(text)


def test_a_rule_that_holds_later_or_held_before_is_named_where_nothing_allows() -> None:
    early = decide(["allow read feed:x from 2026-11-27T12:00:01Z"], "read", "feed:x")
    assert (early.effect, early.rule) == ("deny", None) and early.missed is not None
    why, change = grants.explained(early, "read", "feed:x")
    assert "holds only from 2026-11-27T12:00:01Z" in why and change.startswith("Wait until then, give that line an earlier `from`, or add")
    late = decide(["allow read feed:x until 2026-11-27"], "read", "feed:x")
    assert grants.explained(late, "read", "feed:x")[1] == 'Give that line a later `until`, or add "allow read feed:x"'
    unmet = decide(["allow read feed:x when args.n > 1"], "read", "feed:x", args={"n": 1})
    assert grants.explained(unmet, "read", "feed:x")[1].startswith("Give the call what that condition asks for, or add")
    assert decide(["allow read feed:x from 2026-11-27T12:00:00Z"], "read", "feed:x").allowed
    assert not decide(["allow read feed:x until 2026-11-27T12:00:00Z"], "read", "feed:x").allowed


@pytest.mark.parametrize("wide", ["*", "net*", "network*", "network:*"])
def test_a_star_speaks_of_the_network_wherever_it_begins(wide: str) -> None:
    for effect in ("deny", "require_approval"):
        found = grants.network(["allow connect network:a", f"{effect} connect {wide}"], args={}, now=NOW)
        assert (found.by, found.against) == ((), f"{effect} connect {wide}")
    assert grants.network([f"allow connect {wide}"], args={}, now=NOW).by
    assert not grants.network(["allow connect tool:*", f"allow read {wide}"], args={}, now=NOW).by


def test_what_is_only_observed_is_said_and_neither_refuses_nor_allows() -> None:
    rules = ["allow read feed:*", "deny read feed:x observe", "require_approval read feed:y observe when args.big", "allow write feed:* observe"]
    allowed = decide(rules, "read", "feed:x")
    assert (allowed.effect, allowed.observed) == ("allow", ("deny read feed:x observe",))
    why, change = grants.explained(allowed, "read", "feed:x")
    assert "which is only observed, would refuse it" in why and change == 'Take `observe` off "deny read feed:x observe": then it is refused'
    assert decide(rules, "read", "feed:y", args={"big": False}).observed == ()
    assert len(decide(rules, "read", "feed:y", args={"big": True}).observed) == len(decide(rules, "read", "feed:y").observed) == 1
    written = decide(rules, "write", "feed:x")
    assert (written.effect, written.missed) == ("deny", ("allow write feed:* observe", "is only observed", "Take `observe` off that line"))
    found = grants.network(["allow connect network:a", "deny connect network:b observe"], args={}, now=NOW)
    assert (found.by, found.observed) == (("allow connect network:a",), ("deny connect network:b observe",))
    assert not grants.network(["allow connect network:a observe"], args={}, now=NOW).by
    assert list(grants.opening(["allow read network:10.0.0.1:80 observe"], args={}, now=NOW)) == []


def test_a_thousand_rules_decide_as_one_by_one() -> None:
    many = [f"allow read feed:{number}/*" for number in range(998)] + ["deny read feed:7/secret", "allow read file:*"]
    assert decide(many, "read", "feed:7/cpu").rule == "allow read feed:7/*"
    assert decide(many, "read", "feed:7/secret").rule == "deny read feed:7/secret"
    assert decide(many, "read", "feed:998/x").effect == "deny"


# --- when files are applied --------------------------------------------------------------------------------------------


def applied(path: Path, *, permissions: str = "[]", uses: str = "[]", team: str = "", publish: bool = True, contract: str = "") -> Any:
    worker = agent("worker", "work:run", more=f"permissions: {permissions}\nuses: {uses}")
    if contract:
        worker = worker.replace("input: {type: object}", f"input: {contract}")
    steps = "- {id: work, agent: worker, with: {to: =input.to}}"
    folder = pipelines.folder(path, functions="def run(to: str) -> dict:\n    return {}\n", agents=[worker], steps=steps)
    file = folder / "pipeline.yaml"
    file.write_text(file.read_text().replace("kind: team\nname: platform", f"kind: team\nname: platform\n{team}"))
    return registry.apply_folder(folder, actor=SYSTEM, publish=publish)


def problems(path: Path, **parts: str) -> list[str]:
    with pytest.raises(NotPublishable) as refused:
        applied(path, **parts)
    return [str(problem) for problem in refused.value.details["problems"]]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"permissions": '["allow raed feed:x"]'}, "permission 'allow raed feed:x': there is no verb 'raed'; did you mean 'read'?"),
        ({"permissions": '["allow read feeed:*"]'}, "there is no kind of resource 'feeed'; did you mean 'feed'?"),
        ({"uses": '["wriet deploy:{input.to}"]', "permissions": '["allow write *"]'}, "did you mean 'write'?"),
        ({"uses": '["write deplyo:{input.to}"]', "permissions": '["allow write *"]'}, "did you mean 'deploy'?"),
        ({"team": 'permissions: ["allow read ordr:*"]\nresources: [order]'}, "team 'platform': permission 'allow read ordr:*'"),
        ({"permissions": """[{allow: read feed:x, when: "args.x =="}]"""}, "condition 'args.x =='"),
        (
            {"permissions": """[{allow: read feed:x, when: "args.versoin == ''"}]""", "contract": CLOSED},
            "names args.versoin, which its input never holds; did you mean 'version'?",
        ),
    ],
)  # fmt: skip
def test_a_typo_is_an_error_with_file_and_line_before_anything_is_stored(tmp_path: Path, parts: dict[str, str], said: str) -> None:
    found = [problem for problem in problems(tmp_path / "p", **parts) if said in problem]
    assert len(found) == 1 and found[0].startswith("pipeline.yaml:")
    assert not Agent.objects.exists() and not Team.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_team_registers_words_and_keeps_them_where_a_file_says_nothing(tmp_path: Path) -> None:
    applied(tmp_path / "p", permissions='["allow refund order:*"]', team="verbs: [refund]\nresources: [order]")
    assert registry.may("worker", "refund", "order:17", actor=SYSTEM).effect == "allow"
    applied(tmp_path / "p", permissions='["allow refund order:*"]')
    assert (Team.objects.get().verbs, Team.objects.get().resources) == (["refund"], ["order"])
    assert "there is no verb 'refund'" in str(problems(tmp_path / "p", permissions='["allow refund order:*"]', team="verbs: []"))


@pytest.mark.django_db(transaction=True)
def test_what_a_team_grants_waits_for_publish_and_is_an_entry(tmp_path: Path) -> None:
    granting = {"team": 'permissions: ["allow write deploy:*"]', "uses": '["write deploy:{input.to}"]'}
    drafted = applied(tmp_path / "p", publish=False, **granting)
    assert Team.objects.get().permissions == [] and any("change for all its agents with --publish" in hint for hint in drafted.hints)
    assert not drafted.warnings  # what the team will grant counts for what its agents use
    applied(tmp_path / "p", **granting)
    entry = Entry.objects.get(verb="agents.team.permitted")
    assert (Team.objects.get().permissions, entry.subject) == (["allow write deploy:*"], "team:platform")
    answer = registry.may("worker", "write", "deploy:x", actor=SYSTEM)
    assert (answer.effect, answer.source) == ("allow", "team:platform")
    assert registry.may("worker", "wirte", "deploy:x", actor=SYSTEM).why == "There is no verb 'wirte'; did you mean 'write'?"


def test_what_cant_be_read_is_quoted_once_and_to_its_end_or_with_an_ellipsis() -> None:
    (short,) = read('  - "grant read feed:x"').problems
    assert short.message == "permission 'grant read feed:x' starts with 'grant'; it begins with one of allow, require_approval, deny"
    (long,) = read(f"  - \"allow read feed:x until soon when args.x == '{'y' * 400}'\"").problems
    assert long.message.count("allow read feed:x") == 1 and "…" in long.message and "until 'soon' can't be read; write a day" in long.message


@pytest.mark.django_db(transaction=True)
def test_whoever_is_accountable_stays_where_a_file_says_nothing_and_goes_where_it_says_so(tmp_path: Path) -> None:
    applied(tmp_path / "p", team="accountable: Ada")
    again = applied(tmp_path / "p")
    (hint,) = [each for each in again.hints if "accountable" in each]
    assert "team 'platform' doesn't say who is accountable, so that stays 'Ada'" in hint and again.unchanged
    gone = applied(tmp_path / "p", team='accountable: ""')
    assert Team.objects.get().accountable == "" and not gone.hints


@pytest.mark.django_db(transaction=True)
def test_an_agents_and_a_pipelines_accountable_stay_too_without_a_new_version(tmp_path: Path) -> None:
    registry.apply_folder(numbers(tmp_path / "n", reader=f"{READER}accountable: Ada\n", pipeline=f"{PIPELINE}accountable: Bo\n"), actor=SYSTEM)
    again = registry.apply_folder(numbers(tmp_path / "n"), actor=SYSTEM)
    assert again.unchanged and [each.partition(": ")[2].partition(",")[0] for each in again.hints] == [
        "agent 'reader' doesn't say who is accountable",
        "pipeline 'numbers' doesn't say who is accountable",
    ]
    assert (Agent.objects.get(name="reader").accountable, Pipeline.objects.get().accountable) == ("Ada", "Bo")
    registry.apply_folder(numbers(tmp_path / "n", reader=f'{READER}accountable: ""\n'), actor=SYSTEM)
    assert Agent.objects.get(name="reader").accountable == ""


@pytest.mark.django_db(transaction=True)
def test_each_permission_that_comes_or_goes_is_shown_whole_on_a_line_of_its_own(tmp_path: Path) -> None:
    long = f"allow write deploy:staging when args.version != '{'x' * 300}'"
    applied(tmp_path / "p", permissions='["allow read feed:*", "allow read file:*"]')
    file = tmp_path / "p" / "pipeline.yaml"
    file.write_text(file.read_text().replace('["allow read feed:*", "allow read file:*"]', f'["allow read file:*", "{long}"]'))
    out = typed("apply", "-f", str(tmp_path / "p"), "--publish").out
    assert f"    permissions:\n      - allow read feed:*\n      + {long}\n" in out and "allow read file" not in out


def test_a_value_of_another_type_is_named_as_that_and_not_as_a_misspelt_function() -> None:
    decision = decide(["allow read feed:x when args.to.startsWith('a')"], "read", "feed:x", args={"to": 3})
    why, change = grants.explained(decision, "read", "feed:x")
    assert "startsWith(…) can't be asked of this value: it is of another type than the expression expects" in why and "of the type" in change
