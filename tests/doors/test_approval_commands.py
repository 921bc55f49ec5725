"""Commands about approvals: what waits for whom, one request in full, and decisions that only a person's token can make."""

import getpass
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from approvals.models import Decision, Request
from audit.instants import to_the_second
from orchestra_site import shell
from orchestra_site.tokens import create_token
from runs.models import Run
from tests import approving, pipelines
from tests.approving import member
from tests.pipelines import SYSTEM
from tests.shell import Terminal, typed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a narrow terminal."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def token_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Put the token of a member of the team into the environment, or only make one."""

    def given(name: str, *, set_it: bool = True) -> str:
        member(name, "platform")
        text = create_token(name, actor=SYSTEM).text
        if set_it:
            monkeypatch.setenv("ORCHESTRA_TOKEN", text)
        return text

    return given


@pytest.fixture
def waits(tmp_path: Path) -> Request:
    approving.publish(tmp_path)
    return approving.started(by=member("alice", "platform"))[1]


def words(text: str) -> str:
    return " ".join(text.split())


def test_what_waits_is_listed_with_what_to_type_and_one_is_shown_in_full(waits: Request) -> None:
    said = words(typed("approvals").out)
    assert "for a call of 'worker'" in said and f"manage.py decide {waits.pk} DECISION --reason TEXT DECISION is approve or decline" in said
    assert "1 of team 'platform' (the default policy of team 'platform'); 1 more must approve" in said
    assert f"until {to_the_second(waits.wait.expires_at)}, then denied type" in said and said.count(to_the_second(waits.wait.expires_at)) == 1
    full = words(typed("approvals", waits.pk).out)
    assert 'write deploy:production ("require_approval write deploy:*")' in full and '"feed": "production"' in full and waits.binding in full
    assert typed("approvals", waits.pk, "--json").document["arguments"] == {"feed": "production"}
    assert typed("approvals", "00000000-0000-0000-0000-000000000000").status == 2


def test_mine_is_what_the_person_of_the_token_may_decide(waits: Request, token_of: Callable[..., str]) -> None:
    assert typed("approvals", "--mine", "--json").document == []
    token_of("alice")
    assert typed("approvals", "--mine", "--json").document == []
    token_of("bob")
    assert [each["id"] for each in typed("approvals", "--mine", "--json").document] == [str(waits.pk)]


def test_a_person_decides_and_the_run_goes_on(waits: Request, token_of: Callable[..., str]) -> None:
    token_of("bob")
    done = typed("decide", waits.pk, "approve", "--reason", "go")
    assert (done.status, "approved; a worker takes the run up again" in done.out) == (0, True)
    assert pipelines.drive(waits.wait.run)["outcome"] == "verified"
    assert [each["state"] for each in typed("approvals", "--decided", "--json").document] == ["approved"]
    assert "nothing waits for an approval" in typed("approvals").err


def test_a_shell_and_whoever_started_it_decide_nothing(waits: Request, token_of: Callable[..., str]) -> None:
    refused = typed("decide", waits.pk, "approve")
    assert (refused.status, "an approval is a person's to give" in refused.err) == (2, True)
    token_of("alice")
    refused = typed("decide", waits.pk, "approve")
    assert (refused.status, "you started the run that asks for it, so somebody else has to decide" in refused.err) == (2, True)
    assert not Decision.objects.exists()


def test_a_token_is_asked_for_unseen_where_the_environment_has_none(
    waits: Request, token_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = token_of("bob", set_it=False)
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(shell, "getpass", lambda prompt: text)
    assert getpass.getpass is not shell.getpass
    done = typed("decide", waits.pk, "decline", "--reason", "not on a Friday")
    assert (done.status, "declined" in done.out, text in done.out + done.err) == (0, True, False)
    monkeypatch.setattr(shell, "getpass", lambda prompt: "nonsense")
    refused = typed("decide", waits.pk, "approve")
    assert (refused.status, "this token is unknown" in refused.err) == (2, True)


def test_nothing_else_is_decided_than_what_was_seen(waits: Request, token_of: Callable[..., str]) -> None:
    token_of("bob")
    refused = typed("decide", waits.pk, "approve", "--seen", "0" * 64)
    assert (refused.status, "has changed since" in refused.err) == (2, True)
    shown = typed("approvals", waits.pk, "--json").document["shown"]
    assert typed("decide", waits.pk, "approve", "--seen", shown).status == 0


def test_edits_are_refused_where_the_policy_allows_none(waits: Request, token_of: Callable[..., str]) -> None:
    token_of("bob")
    refused = typed("decide", waits.pk, "approve", "--arguments", '{"feed": "other"}')
    assert (refused.status, "allows no edits" in refused.err) == (2, True)
    assert typed("decide", waits.pk, "approve", "--arguments", '{"feed": "production"}').status == 0  # nothing is changed by it


def test_a_comment_is_kept_and_shown(waits: Request, token_of: Callable[..., str]) -> None:
    token_of("alice")
    assert "your comment is kept" in typed("decide", waits.pk, "comment", "--reason", "please, before noon").out
    assert "please, before noon" in typed("approvals", waits.pk).out


def test_whoever_starts_a_run_with_their_token_is_its_starter_and_approves_nothing_of_it(tmp_path: Path, token_of: Callable[..., str]) -> None:
    approving.publish(tmp_path)
    token_of("alice")
    assert typed("runpipeline", "sample", "--input", "feed=production").status == 13
    request = approving.request_of(Run.objects.get())
    assert Run.objects.get().started_by == "person:alice"
    refused = typed("decide", request.pk, "approve", "--reason", "go")
    assert refused.status == 2 and "you started the run that asks for it" in words(refused.err)
    token_of("bob")
    assert typed("decide", request.pk, "approve", "--reason", "go").status == 0


def test_a_token_that_is_no_good_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    approving.publish(tmp_path)
    monkeypatch.setenv("ORCHESTRA_TOKEN", "not one")
    for command in (("runpipeline", "sample", "--input", "feed=production"), ("reverify", "01a1f994-20dc-7372")):
        done = typed(*command)
        assert done.status == 2 and "ORCHESTRA_TOKEN" in done.err and "not one" not in done.err
    assert not Run.objects.exists()
