"""The verdict of record: whom it believes, what the engine checks itself, and the one word over all."""

import pytest

from runs.engine.values import Criterion, Held
from runs.engine.verdicts import digest, judged

from .factories import AT, READ, check, later, verdict


def judge(said, *, criteria=(), scope=None, result=None, by="judge"):
    return judged(said, by=by, criteria=criteria, scope=scope or {}, result=result, blames="write", now=AT)


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["pass"], "pass"),
        (["pass", "pass"], "pass"),
        (["pass", "inconclusive"], "inconclusive"),
        (["fail", "inconclusive", "pass"], "fail"),
        ([], "inconclusive"),
    ],
)
def test_one_word_stands_over_all_checks(words, word):
    assert judge(verdict(*words))["verdict"] == word


def test_a_pass_that_names_nothing_read_is_no_pass():
    said = judge({"checks": [check("pass", read=[])]})
    assert said["verdict"] == "inconclusive"
    assert said["checks"][0]["why"] == "it says pass and names nothing that it read: seen"


@pytest.mark.parametrize("at", ["2027-03-01T12:00:00Z", "0000-01-01T00:00:00Z", later(120).isoformat()])
def test_a_pass_that_read_something_when_nobody_can_have_is_no_pass(at):
    said = judge({"checks": [check("pass", read=[READ, {**READ, "at": at}]), check("fail", read=[{**READ, "at": at}])]})
    assert [each["verdict"] for each in said["checks"]] == ["inconclusive", "fail"]
    assert said["checks"][0]["why"] == f"it says pass and that it read something at {at}, when nobody can have by now: seen"
    assert judge({"checks": [check("pass", read=[{**READ, "at": later(1).isoformat()}])]})["verdict"] == "pass"


def test_a_fail_needs_no_reading_to_count():
    assert judge({"checks": [check("fail", read=[])]})["verdict"] == "fail"


def test_a_failed_check_blames_whom_it_says_or_the_last_step():
    said = judge({"checks": [check("fail"), check("fail", blames="read"), check("pass")]})
    assert [each.get("blames") for each in said["checks"]] == ["write", "read", None]


def test_an_expression_is_checked_by_the_engine_beside_the_verifier():
    criterion = Criterion("enough", expression="size(result) > 1")
    said = judge(verdict("pass"), criteria=[criterion], scope={"result": [1, 2]})
    assert [(each["criterion"], each["verdict"], each["by"]) for each in said["checks"]] == [("right", "pass", "judge"), ("enough", "pass", "engine")]


def test_an_expression_that_does_not_hold_fails_whatever_the_verifier_says():
    said = judge(verdict("pass"), criteria=[Criterion("enough", expression="size(result) > 5")], scope={"result": [1]})
    assert said["verdict"] == "fail"
    assert said["checks"][-1]["why"] == "size(result) > 5 is false"
    assert said["checks"][-1]["blames"] == "write"


@pytest.mark.parametrize("expression", ["size(result.gone) > 1", "size(result)", "nothing > 1"])
def test_an_expression_that_gives_no_answer_leaves_the_verdict_open(expression):
    assert judge(verdict("pass"), criteria=[Criterion("odd", expression=expression)], scope={"result": [1]})["verdict"] == "inconclusive"


def test_expressions_alone_are_no_verification():
    assert judge(verdict(), criteria=[Criterion("yes", expression="true")])["verdict"] == "inconclusive"


def test_a_verifier_called_engine_does_not_pass_by_the_engines_own_checks():
    assert judge(verdict(), criteria=[Criterion("yes", expression="true")], by="engine")["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    ("expression", "blames"),
    [
        ("steps.read.n > 5", "read"),
        ("steps.read.n > 5 && steps.read.n > steps.think.n", "think"),
        ("steps.read.n > 5 || result.n > 5", "write"),
        ("input.n > 5", None),
        ("steps.read.gone > 5", "read"),
        ("1 > 2", "write"),
    ],
)
def test_a_criterion_blames_the_step_whose_result_it_looks_at(expression, blames):
    scope = {"input": {"n": 1}, "steps": {"read": {"n": 1}, "think": {"n": 1}}, "result": {"n": 1}}
    said = judge(verdict("pass"), criteria=[Criterion("c", expression=expression)], scope=scope)["checks"][-1]
    assert (said["blames"], said["expression"]) == (blames, expression)


def test_a_verifier_can_not_sign_as_the_engine():
    assert judge({"checks": [check("pass", by="engine")]})["checks"][0]["by"] == "judge"


def test_a_sentence_that_was_to_be_judged_and_was_not_stays_open():
    said = judge(verdict("pass"), criteria=[Criterion("polite", judged="The tone is polite")])
    assert (said["verdict"], said["checks"][-1]["criterion"]) == ("inconclusive", "polite")


def test_a_sentence_that_was_judged_is_not_asked_for_again():
    said = judge({"checks": [check("pass", "polite")]}, criteria=[Criterion("polite", judged="The tone is polite")])
    assert (said["verdict"], len(said["checks"])) == ("pass", 1)


@pytest.mark.parametrize(("claimed", "word"), [(0, "pass"), (60, "pass"), (61, "fail"), (-600, "pass")])
def test_a_result_is_not_newer_than_what_the_verifier_found(claimed, word):
    said = judge(verdict("pass", as_of=AT.isoformat()), result=Held(1, as_of=later(claimed)))
    assert said["verdict"] == word


def test_a_verifier_whose_instant_has_no_offset_leaves_the_age_open():
    assert judge(verdict("pass", as_of="2026-03-01T12:00:00"), result=Held(1, as_of=AT))["verdict"] == "inconclusive"


def test_a_verdict_keeps_what_was_said_and_has_a_digest():
    said = judge(verdict("pass", as_of=AT.isoformat(), summary="fine"))
    assert (said["by"], said["as_of"], said["summary"], len(digest(said))) == ("judge", AT.isoformat(), "fine", 64)
