"""What is said of a verdict that doesn't pass: the criterion, its expression, whose result it is, and whether judging again can help."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents import registry
from runs import services
from tests import pipelines
from tests.doors import world
from tests.pipelines import SYSTEM, agent
from tests.shell import typed

ENGINE = {
    "criterion": "enough",
    "verdict": "fail",
    "why": "size(result) > 1 is false",
    "by": "engine",
    "blames": "write",
    "expression": "size(result) > 1",
}


def verdict(*checks: dict[str, Any], word: str = "fail") -> dict[str, Any]:
    return {"verdict": word, "by": "auditor", "checks": list(checks)}


def test_a_criterion_that_is_false_is_false_again_however_often_it_is_judged() -> None:
    said = verdict({"criterion": "a", "verdict": "pass", "why": "", "by": "auditor"}, ENGINE, {**ENGINE, "criterion": "b"})
    assert services.why_not_passed(said) == "criterion 'enough' fails: size(result) > 1 is false (and 1 more)"
    change = services.what_would_pass(said)
    assert change.startswith("judging again gives the same") and "mend what step 'write' gives, or the criterion in the pipeline" in change
    assert "reverify" not in change


def test_a_verifier_that_could_not_tell_may_tell_later_and_one_that_says_no_means_it() -> None:
    open_ = {"criterion": "fits", "verdict": "inconclusive", "why": "the source was away", "by": "auditor", "blames": "write"}
    assert "manage.py reverify" in services.what_would_pass(verdict(open_, word="inconclusive"))
    assert services.why_not_passed(verdict(open_, word="inconclusive")) == "criterion 'fits' could not be judged: the source was away"
    no = services.what_would_pass(verdict({**open_, "verdict": "fail"}))
    assert no == "mend what step 'write' gives, then run again"
    nothing = verdict(word="inconclusive")
    assert services.why_not_passed(nothing) == "'auditor' gave no check of its own" and "reverify" in services.what_would_pass(nothing)


def test_a_criterion_about_the_input_alone_blames_no_step() -> None:
    assert "start it with another input, or the criterion" in services.what_would_pass(verdict({**ENGINE, "blames": None}))


@pytest.mark.django_db(transaction=True)
def test_the_page_and_the_terminal_say_the_step_that_the_criterion_looks_at(tmp_path: Path, alice: User) -> None:
    functions = "def first(n: int) -> dict:\n    return {'n': n}\n\ndef last(of: dict) -> dict:\n    return {'ok': True}\n"
    pipelines.publish(
        tmp_path / "p",
        functions=functions,
        agents=[agent("first", "work:first"), agent("last", "work:last")],
        steps="- {id: count, agent: first, with: {n: =input.n}}\n- {id: say, agent: last, with: {of: =steps.count}}",
        more="criteria:\n  large: steps.count.n > 5\n  there: steps.count.gone > 5\n",
    )
    small = pipelines.run(input={"n": 1})
    checks = {check["criterion"]: check for check in small["verdict"]["checks"]}
    assert (small["outcome"], checks["large"]["blames"], checks["large"]["expression"]) == ("rejected", "count", "steps.count.n > 5")
    shown = " ".join(typed("showrun", small["id"]).out.split())  # wherever a line ends
    assert (
        "criterion 'large' fails: steps.count.n > 5 is false" in shown and "mend what step 'count' gives" in shown and "judging again gives" in shown
    )
    registry.add_member("platform", "alice", actor=SYSTEM)
    User.objects.filter(username="alice").update(is_staff=True)
    page = world.signed_in("alice").get(f"/admin/runs/run/{small['id']}/change/").content.decode()
    assert "Criterion &#x27;large&#x27; fails: steps.count.n &gt; 5 is false." in page and 'step <a href="#step-0"><b>count</b>' in page
    large = pipelines.run(input={"n": 9})
    assert large["outcome"] == "unverified"
    page = world.signed_in("alice").get(f"/admin/runs/run/{large['id']}/change/").content.decode()
    assert "could not be judged" in page and "there is no &#x27;gone&#x27;" in page and "Judging again gives the same" in page
