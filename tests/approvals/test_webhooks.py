"""A team's webhooks are told what concerns it: signed, sent again as the same message until they have it, and nothing goes where nobody allowed."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from agents import registry
from agents.errors import NotGranted, NotPublishable
from agents.models import Agent, Team
from approvals import notify, services
from approvals.models import Request
from approvals.notify import delivering, resting, ways
from audit import clock, outbox, reports
from audit.models import Entry, Message
from runs.adapters import posting
from runs.services import cancel_run
from tests import approving, pipelines, telling, webhook_server
from tests.pipelines import SYSTEM
from tests.telling import tell
from tests.webhook_server import WebhookServer

pytestmark = pytest.mark.django_db(transaction=True)


def standard(hook: WebhookServer, more: str = "") -> str:
    return f"{{webhook: '{hook.url}', secret: env:HOOK_SECRET{more}}}"


def waiting(tmp_path: Path, *webhooks: str, **said: Any) -> Request:
    """A request of a team that has these webhooks."""
    approving.publish(tmp_path / "pipeline", **said)
    telling.hooked(tmp_path / "team", *webhooks)
    return approving.started()[1]


def why() -> str:
    entry = Entry.objects.get(verb="approvals.notice.given_up")
    return str(reports.openings_of([entry.id])[entry.id]["why"])


def test_a_webhook_gets_what_waits_signed_and_with_ids_only(tmp_path: Path, hook: WebhookServer) -> None:
    request = waiting(tmp_path, standard(hook))
    tell()
    [posted] = hook.posted
    said = posted.verified()
    assert (posted.path, said["type"]) == ("/hook?of=platform", "approval.requested")
    assert said["timestamp"] == Message.objects.get(topic="approvals.notice").payload["at"]
    about = {name: said["data"][name] for name in ("id", "run", "pipeline", "team", "agent", "state", "uses", "binding")}
    assert about == {
        "id": str(request.pk), "run": str(request.wait.run_id), "pipeline": "sample", "team": "platform", "agent": "worker", "state": "open",
        "uses": [{"verb": "write", "resource": "deploy:production"}], "binding": request.binding,
    }  # fmt: skip
    assert said["data"]["link"] == f"https://orchestra.example.com/admin/approvals/request/{request.pk}/change/"
    assert "arguments" not in said["data"]


def test_what_was_changed_on_its_way_is_not_verified(tmp_path: Path, hook: WebhookServer) -> None:
    waiting(tmp_path, standard(hook))
    tell()
    [posted] = hook.posted
    posted.raw = posted.raw.replace(b"production", b"elsewhere!")
    with pytest.raises(WebhookVerificationError):
        posted.verified()


@pytest.mark.parametrize("first", [500, 302, 429])
def test_whatever_is_no_success_is_sent_again_as_the_same_message(tmp_path: Path, hook: WebhookServer, first: int) -> None:
    hook.answers, hook.location = [first, 204], hook.url
    waiting(tmp_path, standard(hook))
    tell()
    assert len(hook.posted) == 1, "neither at once nor elsewhere"
    telling.pass_time(31)
    tell()
    assert [each.headers["webhook-id"] for each in hook.posted] == [hook.posted[0].headers["webhook-id"]] * 2
    assert hook.posted[0].verified() == hook.posted[1].verified()
    telling.pass_time(100_000)
    assert tell() == 0


def test_one_that_does_not_answer_is_waited_for_a_bounded_time(tmp_path: Path, hook: WebhookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "TIMEOUT_S", 0.2)
    hook.answers = [None, 204]
    waiting(tmp_path, standard(hook))
    tell()
    telling.pass_time(31)
    tell()
    assert len(hook.posted) == 2 and telling.given_up() == []


def test_one_that_keeps_others_waiting_is_left_alone_for_a_while_and_loses_no_attempt_by_that(
    tmp_path: Path, hook: WebhookServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(ways, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(resting, "SLOW_S", 0.1)
    with webhook_server.serving() as slow:
        slow.answers = [None, 204]
        settings.ORCHESTRA_PRIVATE_WEBHOOKS |= {slow.endpoint}
        waiting(tmp_path, standard(slow), standard(hook))
        approving.started()
        tell()
        assert (len(slow.posted), len(hook.posted)) == (1, 2)
        assert sorted(Message.objects.filter(done_at=None).values_list("attempts", flat=True)) == [0, 1]
        telling.pass_time(31)
        assert tell() == 1 and len(slow.posted) == 1, "it rests still, and one look puts off all that is for it"
        resting.clear()
        telling.pass_time(31)
        tell()
        assert len(slow.posted) == 3 and not Message.objects.filter(done_at=None).exists()


def test_one_that_fails_at_once_keeps_nobody_waiting_and_is_asked_for_each(tmp_path: Path, hook: WebhookServer) -> None:
    hook.answers = [500]
    waiting(tmp_path, standard(hook))
    approving.started()
    tell()
    assert len(hook.posted) == 2


def test_one_that_was_killed_between_sending_and_noting_it_is_sent_again_with_the_same_id(
    tmp_path: Path, hook: WebhookServer, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    def killed(*_: Any, **__: Any) -> None:
        raise SystemExit

    waiting(tmp_path, standard(hook))
    services.tend()
    notify.spread()
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "done", killed)
        with pytest.raises(SystemExit):
            notify.deliver_due()
    telling.pass_time(delivering.LEASE_S + 1)
    tell()
    first, second = hook.posted
    assert first.headers["webhook-id"] == second.headers["webhook-id"] and first.raw == second.raw


def test_one_that_says_it_is_gone_is_given_up_at_once(tmp_path: Path, hook: WebhookServer) -> None:
    hook.answers = [410]
    waiting(tmp_path, standard(hook))
    tell()
    assert telling.given_up() == [{"event": "approval.requested", "to": "webhook", "attempts": 1, "webhook_of": "platform"}]
    assert why() == "the answer was 410"


def test_a_webhook_that_fails_holds_up_no_other(tmp_path: Path, hook: WebhookServer) -> None:
    waiting(tmp_path, "{webhook: 'http://127.0.0.1:9/', secret: env:HOOK_SECRET}", standard(hook))
    tell()
    assert len(hook.posted) == 1
    assert Message.objects.filter(topic=notify.POSTS, done_at__isnull=True).count() == 1


def test_a_webhook_is_told_the_events_that_it_asks_for(tmp_path: Path, hook: WebhookServer) -> None:
    bob = telling.reachable("bob", "platform")
    request = waiting(tmp_path, standard(hook, ", events: [approval.ended]"))
    tell()
    assert hook.posted == []
    services.decide(request=str(request.pk), decision="declined", reason="not now", actor=bob)
    tell()
    [said] = [each.verified() for each in hook.posted]
    assert (said["type"], said["data"]["state"]) == ("approval.ended", "declined")
    assert b"not now" not in hook.posted[0].raw


def test_of_a_run_that_was_cancelled_it_is_told_once_it_has_ended(tmp_path: Path, hook: WebhookServer) -> None:
    request = waiting(tmp_path, standard(hook, ", events: [approval.ended]"))
    cancel_run(run=str(request.wait.run_id), actor=SYSTEM)
    Request.objects.filter(pk=request.pk).update(look_at=clock.now())
    tell()
    pipelines.drive(request.wait.run)
    telling.pass_time(delivering.LEASE_S + 1)
    tell()
    assert [each.verified()["data"]["state"] for each in hook.posted] == ["cancelled"]


def test_the_team_that_is_asked_is_told_in_its_stage_and_another_never(tmp_path: Path, hook: WebhookServer) -> None:
    policy = "kind: policy\nname: two\nteam: platform\napprovers: {teams: [platform]}\nwithin: 1h\nsilence: {escalate: {approvers: {teams: [red]}}}"
    for team in ("red", "blue"):
        telling.hooked(tmp_path / team, standard(hook).replace("of=platform", f"of={team}"), team=team)
    approving.publish(tmp_path / "pipeline", rule=f"{approving.RULE} policy two", policy=policy)
    _, request = approving.started()
    tell()
    assert hook.posted == []
    approving.age(request, timedelta(hours=1, seconds=1))
    tell()
    assert [(each.path, each.verified()["type"]) for each in hook.posted] == [("/hook?of=red", "approval.escalated")]


def test_a_webhook_that_the_team_took_out_meanwhile_is_told_nothing(tmp_path: Path, hook: WebhookServer) -> None:
    waiting(tmp_path, standard(hook))
    notify.spread()
    telling.hooked(tmp_path / "team")
    assert (tell(), hook.posted) == (1, [])


def test_of_an_agent_that_will_be_suspended_its_team_is_told(tmp_path: Path, hook: WebhookServer) -> None:
    approving.publish(tmp_path / "pipeline")
    telling.hooked(tmp_path / "team", standard(hook))
    Agent.objects.filter(name="worker").update(review_by=clock.now().date() + timedelta(days=3))
    registry.suspend_lapsed(actor=SYSTEM)
    tell()
    said = hook.posted[0].verified()
    assert (said["type"], said["data"]["agent"], said["data"]["ground"]) == ("agent.lapsing", "worker", "review")


# --- Slack ---


def test_slack_gets_its_own_shape_in_which_names_are_text(tmp_path: Path, hook: WebhookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_HOOK", hook.url)
    request = waiting(tmp_path, "{webhook: env:SLACK_HOOK, format: slack}")
    Request.objects.filter(pk=request.pk).update(agent="<!channel> & <http://evil|co>", risk="\u202e<b>")
    tell()
    [posted] = hook.posted
    said = json.loads(posted.raw)
    assert said["text"] == "Approval needed: a call of '&lt;!channel&gt; &amp; &lt;http://evil|co&gt;' in sample (team platform)"
    told = [block["text"] for block in said["blocks"]]
    assert {(each["type"], each["verbatim"]) for each in told} == {("mrkdwn", True)}
    assert "<" not in told[0]["text"] and "\u202e" not in told[0]["text"] and "write deploy:production" in told[0]["text"]
    assert told[1]["text"] == f"<https://orchestra.example.com/admin/approvals/request/{request.pk}/change/|Open it in Orchestra>"
    assert "webhook-signature" not in posted.headers


# --- what is not sent ---


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("whsec_c2hvcnQ=", "holds is no secret of a webhook: that is whsec_ and at least 24 bytes"),
        ("an-api-key-of-the-installation-which-is-long", "holds is no secret of a webhook"),
        ("", "env:HOOK_SECRET is not set where the worker runs"),
    ],
)
def test_what_was_not_made_to_sign_signs_nothing(
    tmp_path: Path, hook: WebhookServer, monkeypatch: pytest.MonkeyPatch, secret: str, said: str
) -> None:
    monkeypatch.setenv("HOOK_SECRET", secret)
    with pytest.raises(ways.NotSent, match=said) as refused:
        ways.post({"webhook": hook.url, "secret": "env:HOOK_SECRET"}, b"{}", key="x", now=clock.now())
    assert (hook.posted, secret == "" or secret not in refused.value.why) == ([], True)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/x", "https://169.254.169.254/latest/", "https://[::1]/x", "https://10.0.0.7/x", "https://localhost/x"]
)
def test_what_is_not_public_is_not_reached_unless_somebody_named_it(url: str) -> None:
    with pytest.raises(posting.NotPosted, match="leads to an address that isn't public; ORCHESTRA_PRIVATE_WEBHOOKS"):
        asyncio.run(posting.post(url, {}, b"{}", timeout_s=5, private=frozenset()))


@pytest.mark.parametrize("url", ["http://example.com/x", "ftp://example.com/", "https://user:word@example.com/", "env", "https://exa mple.com"])
def test_what_would_travel_in_the_clear_or_be_read_in_two_ways_is_not_sent_and_not_repeated(url: str) -> None:
    with pytest.raises(posting.NotPosted) as refused:
        asyncio.run(posting.post(url, {}, b"{}", timeout_s=5, private=frozenset()))
    assert url not in str(refused.value)


# --- the team's document ---


@pytest.mark.parametrize(
    ("webhook", "said"),
    [
        ("{secret: env:X}", "has no 'webhook'"),
        ("{webhook: 'https://example.com/'}", "has no 'secret'; write secret: env:NAME"),
        ("{webhook: 'https://example.com/', secret: whsec_abc}", "must be a reference such as env:NAME"),
        ("{webhook: 'https://example.com/', secret: env:ORCHESTRA_SECRET_KEY}", "names a variable of Orchestra itself"),
        ("{webhook: 'https://u:p@example.com/', secret: env:X}", "is no address that is posted to"),
        ("{webhook: 'https://hooks.slack.com/services/T/B/x', format: slack}", "write a reference to it"),
        ("{webhook: 'https://example.com/', secret: env:X, format: teams}", "format"),
        ("{webhook: 'https://example.com/', secret: env:X, events: [approval.asked]}", "there is no event 'approval.asked'"),
        ("{webhook: 'https://example.com/', secret: env:X, token: y}", "has no key 'token'"),
        ("nonsense", "must be a mapping"),
    ],
)
def test_a_webhook_that_could_not_be_kept_is_refused_with_what_to_write(tmp_path: Path, webhook: str, said: str) -> None:
    with pytest.raises(NotPublishable) as refused:
        telling.hooked(tmp_path, webhook)
    assert said in str(refused.value.details["problems"]) and not Team.objects.exists()


def test_only_an_administrator_says_which_secret_is_used_where_and_the_team_takes_it_out_itself(tmp_path: Path) -> None:
    telling.hooked(tmp_path / "first", "{webhook: 'https://example.com/', secret: env:X}")
    changed = tmp_path / "second" / "team.yaml"
    changed.parent.mkdir()
    bob = approving.member("bob", "platform")
    changed.write_text("kind: team\nname: platform\nnotices: [{webhook: 'https://evil.example/', secret: env:X}]\n", encoding="utf-8")
    before = Team.objects.get().notices
    with pytest.raises(NotGranted, match="only an administrator may write one"):
        registry.apply_folder(changed.parent, actor=bob)
    assert Team.objects.get().notices == before
    assert Entry.objects.filter(verb="agents.version.refused", actor="bob").count() == 1
    changed.write_text("kind: team\nname: platform\nnotices: []\n", encoding="utf-8")
    registry.apply_folder(changed.parent, actor=bob)
    assert Team.objects.get().notices == []
    assert Entry.objects.filter(verb="agents.team.changed", actor="bob").count() == 1


def test_a_team_whose_file_says_nothing_of_webhooks_keeps_them(tmp_path: Path) -> None:
    telling.hooked(tmp_path / "first", "{webhook: 'https://example.com/', secret: env:X}")
    approving.publish(tmp_path / "second")
    [kept] = Team.objects.get().notices
    assert kept["webhook"] == "https://example.com/"
