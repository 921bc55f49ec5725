"""Whoever may decide is told by e-mail: that something waits, that it still does, that it was put to them, how it ended; and nobody else is."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from agents import registry
from agents.models import Agent
from approvals import notify, services
from approvals.notify import delivering, ways
from approvals.services import announcing
from audit import clock, outbox, reports
from audit.models import Entry, Message
from runs import services as runs
from runs import sweeps
from tests import approving, telling, waiting
from tests.approvals import test_results as results
from tests.approvals.test_tending import ESCALATING
from tests.mail_server import MailServer
from tests.pipelines import SYSTEM
from tests.telling import reachable, tell

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "x\r\nBcc: all@example.com\u202e<script>"


def test_who_may_decide_is_told_what_waits_and_where_to_look(tmp_path: Path, mailbox: MailServer) -> None:
    reachable("bob", "platform")
    run, request = approving.waiting(tmp_path, more="risk_tier: high")
    tell()
    [mail] = mailbox.taken
    assert (mail.to, mail.subject) == (["bob@example.com"], "[Orchestra] Approval needed: a call of 'worker' in sample (team platform)")
    assert f"https://orchestra.example.com/admin/approvals/request/{request.pk}/change/" in mail.text
    for said in ("write deploy:production", "high", str(run.id), "1 of team 'platform'", "it is denied at", f"manage.py approvals {request.pk}"):
        assert said in mail.text


def test_the_arguments_of_the_call_are_in_no_mail(tmp_path: Path, mailbox: MailServer) -> None:
    reachable("bob", "platform")
    approving.waiting(
        tmp_path, input={"feed": "production", "password": "hunter2"}, steps=approving.STEPS.replace("{feed:", "{password: =input.password, feed:")
    )
    tell()
    [mail] = mailbox.taken
    assert b"hunter2" not in mail.raw and b"password" not in mail.raw


def test_nobody_is_told_who_could_not_decide_it(tmp_path: Path, mailbox: MailServer) -> None:
    approving.publish(tmp_path)
    alice, _, _ = reachable("alice", "platform"), reachable("bob", "platform"), reachable("charlie")
    auditor = reachable("dora", "platform")
    registry.add_to_group("auditor", auditor.id, actor=SYSTEM)
    registry.set_active(reachable("erin", "platform").id, active=False, actor=SYSTEM)
    approving.started(by=alice)
    tell()
    assert [mail.to for mail in mailbox.taken] == [["bob@example.com"]]


def test_who_can_decide_no_more_when_it_is_sent_is_not_told(tmp_path: Path, mailbox: MailServer) -> None:
    reachable("bob", "platform")
    reachable("carol", "platform")
    approving.waiting(tmp_path)
    notify.spread()
    registry.remove_member("platform", "bob", actor=SYSTEM)
    tell()
    assert [mail.to for mail in mailbox.taken] == [["carol@example.com"]]


def test_what_is_decided_before_it_is_sent_is_not_asked_for(tmp_path: Path, mailbox: MailServer) -> None:
    bob = reachable("bob", "platform")
    _, request = approving.waiting(tmp_path)
    notify.spread()
    services.decide(request=str(request.pk), decision="approved", actor=bob)
    tell()
    assert mailbox.taken == []


def test_however_often_somebody_looks_each_is_told_once(tmp_path: Path, mailbox: MailServer) -> None:
    reachable("bob", "platform")
    approving.waiting(tmp_path)
    for _ in range(3):
        tell()
        sweeps.sweep()
        delivering.finish(30)
    assert len(mailbox.taken) == 1


def test_a_sweep_sends_in_threads_of_its_own(tmp_path: Path, mailbox: MailServer) -> None:
    reachable("bob", "platform")
    reachable("carol", "platform")
    approving.waiting(tmp_path)
    sweeps.sweep()
    delivering.finish(30)
    assert sorted(mail.to for mail in mailbox.taken) == [["bob@example.com"], ["carol@example.com"]]


def test_a_reminder_comes_once_after_half_of_the_time_to_those_who_have_not_decided(tmp_path: Path, mailbox: MailServer) -> None:
    two = "kind: policy\nname: two\nteam: platform\napprovers: {teams: [platform]}\nrequired: 2\nwithin: 2h"
    bob, _ = reachable("bob", "platform"), reachable("carol", "platform")
    _, request = approving.waiting(tmp_path, rule=f"{approving.RULE} policy two", policy=two)
    tell()
    services.decide(request=str(request.pk), decision="approved", actor=bob)
    mailbox.taken.clear()
    approving.age(request, timedelta(minutes=59))
    tell()
    assert mailbox.taken == []
    approving.age(request, timedelta(minutes=2))
    tell()
    tell()
    assert [(mail.to, mail.subject) for mail in mailbox.taken] == [
        (["carol@example.com"], "[Orchestra] Still waiting for an approval: a call of 'worker' in sample (team platform)")
    ]


def test_the_next_stage_is_told_when_it_begins_and_reminded_in_its_turn(tmp_path: Path, mailbox: MailServer) -> None:
    approving.member("dora")
    reachable("dora")
    reachable("bob", "platform")
    _, request = approving.waiting(tmp_path, rule=f"{approving.RULE} policy two", policy=ESCALATING)
    tell()
    approving.age(request, timedelta(hours=1, seconds=1))
    tell()
    assert [(mail.to[0], mail.subject.partition(":")[0]) for mail in mailbox.taken] == [
        ("bob@example.com", "[Orchestra] Approval needed"),
        ("dora@example.com", "[Orchestra] Approval needed, put to the next stage"),
    ]
    approving.age(request, timedelta(hours=2))
    tell()
    [reminder] = mailbox.taken[2:]
    assert reminder.to == ["dora@example.com"] and "Still waiting" in reminder.subject


def decided(tmp_path: Path, decision: str) -> str:
    approving.publish(tmp_path)
    alice, bob = reachable("alice", "platform"), approving.member("bob", "platform")
    _, request = approving.started(by=alice)
    services.decide(request=str(request.pk), decision=decision, reason="as agreed with the bank", actor=bob)
    tell()
    return str(request.pk)


@pytest.mark.parametrize(("decision", "title"), [("approved", "Approved"), ("declined", "Declined")])
def test_whoever_started_the_run_is_told_how_it_was_decided_and_not_why(
    tmp_path: Path, mailbox: MailServer, decision: str, title: str
) -> None:  # fmt: skip
    request = decided(tmp_path, decision)
    [mail] = mailbox.taken
    assert (mail.to, mail.subject) == (["alice@example.com"], f"[Orchestra] {title}: a call of 'worker' in sample (team platform)")
    assert request in mail.text and "bank" not in mail.text


def test_whoever_started_the_run_is_told_that_silence_has_denied_it_or_that_it_is_asked_anew(tmp_path: Path, mailbox: MailServer) -> None:
    approving.publish(tmp_path)
    alice = reachable("alice", "platform")
    run, request = approving.started(by=alice)
    waiting.expire(run)
    approving.age(request, timedelta(days=2))
    tell()
    approving.started(by=alice)
    stop = runs.set_stop(scope="everything", name="", reason="looking", actor=SYSTEM)
    tell()
    runs.lift_stop(stop=str(stop.id), actor=SYSTEM)
    assert [mail.subject.partition(":")[0] for mail in mailbox.taken] == ["[Orchestra] Not approved in time", "[Orchestra] Asked anew"]


def test_whoever_left_the_team_is_told_nothing_of_what_they_started(tmp_path: Path, mailbox: MailServer) -> None:
    approving.publish(tmp_path)
    alice, bob = reachable("alice", "platform"), approving.member("bob", "platform")
    _, request = approving.started(by=alice)
    registry.remove_member("platform", "alice", actor=SYSTEM)
    services.decide(request=str(request.pk), decision="approved", actor=bob)
    tell()
    assert mailbox.taken == []


@pytest.mark.parametrize(
    ("steps", "about"),
    [(results.DRAFT, "what 'worker' gave"), (results.GO % "" + "\n" + results.DRAFT.partition(", approve_when")[0] + "}", "step 'go'")],
)
def test_what_an_agent_gave_and_what_a_pipeline_asks_are_told_by_their_names(tmp_path: Path, mailbox: MailServer, steps: str, about: str) -> None:
    results.publish(tmp_path, steps)
    alice, bob = reachable("alice", "platform"), reachable("bob", "platform")
    _, request = approving.started(by=alice)
    tell()
    decision = "changes" if steps == results.DRAFT else "declined"
    services.decide(request=str(request.pk), decision=decision, reason="name the place", actor=bob)
    tell()
    first, second = mailbox.taken
    word = {"changes": "Sent back", "declined": "Declined"}[decision]
    assert (first.to, first.subject) == (["bob@example.com"], f"[Orchestra] Approval needed: {about} in sample (team platform)")
    assert (second.to, second.subject) == (["alice@example.com"], f"[Orchestra] {word}: {about} in sample (team platform)")
    assert b"name the place" not in second.raw


def test_what_happens_is_announced_in_the_transaction_in_which_it_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bob = reachable("bob", "platform")
    _, request = approving.waiting(tmp_path)

    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(outbox, "put_all", failing)
    with pytest.raises(RuntimeError):
        services.decide(request=str(request.pk), decision="approved", actor=bob)
    assert not Entry.objects.filter(verb="approvals.decision.made").exists()


# --- when it does not arrive ---


def test_one_who_can_not_be_reached_holds_up_nobody_and_is_tried_again(tmp_path: Path, mailbox: MailServer) -> None:
    reachable("bob", "platform")
    reachable("carol", "platform")
    mailbox.refuses.add("bob@example.com")
    approving.waiting(tmp_path)
    tell()
    assert [mail.to for mail in mailbox.taken] == [["carol@example.com"]]
    mailbox.refuses.clear()
    assert tell() == 0, "not before half a minute has passed"
    telling.pass_time(31)
    tell()
    assert sorted(mail.to for mail in mailbox.taken) == [["bob@example.com"], ["carol@example.com"]]


def test_after_six_attempts_it_is_given_up_with_an_entry_and_never_tried_again(tmp_path: Path, mailbox: MailServer) -> None:
    reachable("bob", "platform")
    mailbox.refuses.add("bob@example.com")
    run, request = approving.waiting(tmp_path)
    for wait_s in (0, *delivering.WAITS_S):
        telling.pass_time(wait_s)
        assert telling.given_up() == []
        tell()
    assert telling.given_up() == [{"event": "approval.requested", "to": "person", "attempts": 6, "webhook_of": None}]
    entry = Entry.objects.get(verb="approvals.notice.given_up")
    opened = reports.openings_of([entry.id])[entry.id]
    assert (entry.subject, entry.run, entry.team, opened["person"]) == (request.subject, run.id, "platform", "bob")
    assert "bob@example.com" not in f"{entry.envelope()} {opened}" and "450" in opened["why"]
    telling.pass_time(100_000)
    assert tell() == 0
    assert outbox.given_up(*notify.DELIVERIES, since=clock.now() - timedelta(hours=1)) == 1


def test_one_that_was_killed_while_sending_is_sent_again_as_the_same_message(
    tmp_path: Path, mailbox: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reachable("bob", "platform")
    approving.waiting(tmp_path)
    notify.spread()
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "done", killed)
        with pytest.raises(SystemExit):
            notify.deliver_due()
    telling.pass_time(delivering.LEASE_S + 1)
    tell()
    assert len({mail.message["Message-ID"] for mail in mailbox.taken}) == 1 and len(mailbox.taken) == 2


def killed(*_: Any, **__: Any) -> None:
    raise SystemExit


def test_one_that_kills_whoever_sends_it_is_given_up_in_the_end(tmp_path: Path, mailbox: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    reachable("bob", "platform")
    approving.waiting(tmp_path)
    notify.spread()
    monkeypatch.setattr(ways, "mail", killed)
    for _ in range(delivering.MOST_ATTEMPTS):
        with pytest.raises(SystemExit):
            notify.deliver_due()
        telling.pass_time(delivering.LEASE_S + 1)
    assert notify.deliver_due() == 1
    assert [each["attempts"] for each in telling.given_up()] == [7]


# --- hostile words ---


def test_an_address_that_would_begin_another_header_is_written_to_by_nobody(tmp_path: Path, mailbox: MailServer) -> None:
    reachable("bob", "platform")
    User.objects.filter(username="bob").update(email="bob@example.com\nBcc: all@example.com")
    approving.waiting(tmp_path)
    tell()
    assert (mailbox.taken, [each["attempts"] for each in telling.given_up()]) == ([], [1])


def test_what_files_say_stays_text(tmp_path: Path, mailbox: MailServer) -> None:
    reachable("bob", "platform")
    _, request = approving.waiting(tmp_path)
    type(request).objects.filter(pk=request.pk).update(agent=HOSTILE, risk=HOSTILE)
    tell()
    [mail] = mailbox.taken
    assert mail.to == ["bob@example.com"] and mail.message["Bcc"] is None
    assert "\u202e" not in mail.text + mail.subject and "\nBcc" not in mail.text
    assert mail.message.get_content_type() == "text/plain"


# --- agents whose time is up ---


def lapsing(tmp_path: Path) -> Agent:
    approving.publish(tmp_path)
    Agent.objects.filter(name="worker").update(review_by=clock.now().date() + timedelta(days=3))
    registry.suspend_lapsed(actor=SYSTEM)
    return Agent.objects.get(name="worker")


def test_the_team_is_told_beforehand_that_an_agent_will_be_suspended(tmp_path: Path, mailbox: MailServer) -> None:
    reachable("bob", "platform")
    reachable("charlie")
    agent = lapsing(tmp_path)
    tell()
    [mail] = mailbox.taken
    day = (clock.now().date() + timedelta(days=4)).isoformat()
    assert (mail.to, mail.subject) == (["bob@example.com"], f"[Orchestra] Agent worker (team platform) will be suspended on {day}")
    assert f"/admin/agents/agent/{agent.pk}/change/" in mail.text


def test_nobody_is_told_of_an_agent_that_was_given_a_new_day_meanwhile(tmp_path: Path, mailbox: MailServer) -> None:
    reachable("bob", "platform")
    lapsing(tmp_path)
    Agent.objects.filter(name="worker").update(review_by=None)
    registry.suspend_lapsed(actor=SYSTEM)
    tell()
    assert mailbox.taken == []


def test_outside_a_transaction_nothing_is_announced(tmp_path: Path) -> None:
    _, request = approving.waiting(tmp_path)
    with pytest.raises(Exception, match="transaction"):
        announcing.announce(announcing.Event.REMINDER, [request], now=clock.now())
    with transaction.atomic():
        announcing.announce(announcing.Event.REMINDER, [request], now=clock.now())
    assert Message.objects.filter(dedupe_key__startswith="approval.reminder").count() == 1
