"""What is approved is what runs, to the byte: numbers, truths and nulls that a language takes for each other, and what people are shown of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from agents.registry.changes import compare
from approvals import services
from approvals.admin.inbox import _arguments, _typeable
from approvals.errors import BadDecision
from approvals.models import Request
from audit import reports
from orchestra_site.management.commands.approvals import visible_lines
from runs.models import Run, Wait
from tests import approving, pipelines
from tests.approving import member

pytestmark = pytest.mark.django_db(transaction=True)
EDITS = "kind: policy\nname: two\nteam: platform\napprovers: {teams: [platform]}\nedits: true\nrequired: %d"
COUNTED = "- {id: work, agent: worker, with: {feed: =input.feed, count: =input.count}}"


def asked(path: Path, count: Any, *, required: int = 1) -> tuple[Run, Request]:
    approving.publish(path, rule=f"{approving.RULE} policy two", policy=EDITS % required, steps=COUNTED)
    return approving.started(input={"feed": "production", "count": count})


def approve(request: Request, by: str, **more: Any) -> None:
    services.decide(request=str(request.pk), decision="approved", reason="looked at it", actor=member(by, "platform"), **more)


@pytest.mark.parametrize(("given", "said"), [(0, False), (1, True), (True, 1), (None, 0), ("é", "e\u0301"), (3, 3.5), (3, 1e18)])
def test_an_edit_that_python_takes_for_the_same_is_what_goes_out(tmp_path: Path, given: Any, said: Any) -> None:
    run, request = asked(tmp_path, given)
    approve(request, "bob", arguments={"feed": "production", "count": said})
    (decision,) = services.document(Request.objects.get(pk=request.pk), actor=approving.actor("bob"))["decisions"]
    assert [(each["path"], json.dumps(each["new"])) for each in decision["edits"]] == [("count", json.dumps(said))]
    assert json.dumps(pipelines.drive(run)["result"]["count"]) == json.dumps(said)


@pytest.mark.parametrize("said", [1.0, 1])
def test_the_same_number_written_otherwise_is_no_edit(tmp_path: Path, said: float) -> None:
    run, request = asked(tmp_path, 1)
    approve(request, "bob", arguments={"count": said, "feed": "production"})
    (decision,) = services.document(Request.objects.get(pk=request.pk), actor=approving.actor("bob"))["decisions"]
    assert (decision["edits"], decision["binding"]) == (None, request.binding)
    assert json.dumps(pipelines.drive(run)["result"]["count"]) == "1"


@pytest.mark.parametrize("said", [2**53, float("nan"), {"deep": [{"deeper": 2**64}]}])
def test_what_json_cant_carry_is_no_edit(tmp_path: Path, said: Any) -> None:
    run, request = asked(tmp_path, 1)
    with pytest.raises(BadDecision, match="can't be written as JSON"):
        approve(request, "bob", arguments={"feed": "production", "count": said})
    assert (approving.calls(run), Wait.objects.get(pk=request.pk).state) == (0, "open")


def test_whoever_approved_something_else_is_not_named_for_what_goes_out(tmp_path: Path) -> None:
    _, request = asked(tmp_path, 9, required=2)
    approve(request, "bob")
    approve(request, "carol", arguments={"feed": "production", "count": 3})
    approve(request, "dora")
    entry = Wait.objects.get(pk=request.pk).answer_entry
    assert entry is not None and reports.openings_of([entry])[entry]["answer"]["by"] == ["bob", "dora"]


def test_a_difference_is_shown_between_true_and_1_and_between_null_and_nothing() -> None:
    old, new = {"a": 1, "b": None, "d": [0]}, {"a": True, "c": None, "d": [False]}
    assert [each.path for each in compare(old, new)] == ["a", "b", "c", "d"]
    assert compare({"a": 1}, {"a": 1}) == ()


def test_a_large_number_that_was_a_float_is_approved_and_sent_as_one(tmp_path: Path) -> None:
    """It is kept in digits, and read back once the answer has come."""
    for number in (1e16, 1e18, float(2**53)):
        run, request = asked(tmp_path / str(number), number)
        approve(request, "bob")
        said = pipelines.drive(run)
        assert (said["outcome"], said["result"]["count"]) == ("verified", number)


# --- what is shown ---


def test_null_in_place_of_arguments_is_not_taken_for_nothing() -> None:
    with pytest.raises(BadDecision, match="leave them out to approve what is asked for"):
        _arguments("null")
    assert _arguments("  ") is None


def test_a_field_for_edits_shows_what_would_hide_text_and_says_the_same_json() -> None:
    value = {"to": "bob\u202egnp.exe", "s\u200b": "Grüße\u00a0\x1b[31m 😀", "n": 1.5}
    text = _typeable(value)
    assert json.loads(text) == value
    assert "\\u202e" in text and "\\u200b" in text and "\\u00a0" in text and "\\u001b" in text and "Grüße" in text and "😀" in text


def test_a_terminal_says_where_arguments_are_cut() -> None:
    assert "cut here" not in visible_lines({"feed": "production"})
    for value in ({"feed": "x" * 400}, {str(number): number for number in range(2_000)}):
        assert visible_lines(value).endswith("decide on nothing that you haven't read")
