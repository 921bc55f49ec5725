"""Which process sends what: mails are for those that have a mail server, webhooks for all, and a command waits for what it sends."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from approvals import notify, services
from approvals.notify import delivering, ways
from audit import clock, outbox
from audit.models import Message
from tests import approving, pipelines, telling
from tests.mail_server import MailServer
from tests.shell import typed
from tests.telling import reachable, tell

pytestmark = pytest.mark.django_db(transaction=True)


def test_without_a_mail_server_nobody_is_written_to_and_after_a_day_that_is_said_aloud(tmp_path: Path) -> None:
    reachable("bob", "platform")
    run, request = approving.waiting(tmp_path)
    assert tell() == 0
    assert [message.topic for message in Message.objects.filter(done_at__isnull=True)] == [notify.MAILS]
    for seconds in (86_000, 401, 3_500):  # seen when the day is over, an hour before it is given up
        telling.pass_time(seconds)
        notify.look()
        assert telling.given_up() == []
    telling.pass_time(101)
    notify.look()
    assert [(facts["to"], facts["event"], facts["attempts"]) for facts in telling.given_up()] == [("person", "approval.requested", 0)]
    assert not Message.objects.filter(done_at__isnull=True).exists()
    services.decide(request=str(request.pk), decision="approved", actor=approving.member("bob"))
    assert pipelines.drive(run)["outcome"] == "verified"


def test_what_there_is_nothing_to_tell_of_any_more_is_not_given_up_aloud(tmp_path: Path) -> None:
    reachable("bob", "platform")
    _, request = approving.waiting(tmp_path)
    tell()
    services.decide(request=str(request.pk), decision="approved", actor=approving.member("bob"))
    telling.pass_time(86_401)
    notify.look()
    assert not Message.objects.filter(done_at__isnull=True, topic=notify.MAILS).exists() and telling.given_up() == []


def test_after_a_day_on_which_all_was_off_whoever_has_a_mail_server_sends(tmp_path: Path, mailbox: MailServer, settings: Any) -> None:
    reachable("bob", "platform")
    approving.waiting(tmp_path)
    notify.spread()
    settings.ORCHESTRA_EMAIL = False
    telling.pass_time(3 * 86_400)
    notify.look()
    settings.ORCHESTRA_EMAIL = True
    tell()
    assert [mail.to for mail in mailbox.taken] == [["bob@example.com"]]


def test_mails_and_webhooks_take_turns_by_when_they_are_due(tmp_path: Path, mailbox: MailServer) -> None:
    reachable("bob", "platform")
    approving.waiting(tmp_path)
    notify.spread()
    telling.pass_time(60)
    with transaction.atomic():
        outbox.put(notify.POSTS, "newer", {"topic": "approvals.notice", "key": "k", "about": {}, "team": "platform", "webhook": "w"}, now=clock.now())
    (first,) = outbox.claim(*notify.DELIVERIES, limit=1, now=clock.now(), retry_s=30)
    assert first.topic == notify.MAILS


def test_a_process_without_a_mail_server_leaves_mails_to_one_that_has_it(tmp_path: Path, mailbox: MailServer, settings: Any) -> None:
    reachable("bob", "platform")
    approving.waiting(tmp_path)
    settings.ORCHESTRA_EMAIL = False
    notify.look()
    delivering.finish(30)
    assert tell() == 0 and mailbox.taken == []
    settings.ORCHESTRA_EMAIL = True
    assert tell() == 1 and [mail.to for mail in mailbox.taken] == [["bob@example.com"]]


def test_the_command_that_sweeps_ends_when_what_it_sends_is_sent(tmp_path: Path, mailbox: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    reachable("bob", "platform")
    approving.waiting(tmp_path)
    sends = ways.mail

    def slowly(**said: Any) -> None:
        time.sleep(0.5)
        sends(**said)

    monkeypatch.setattr(ways, "mail", slowly)
    assert typed("sweep").status == 0
    assert [mail.to for mail in mailbox.taken] == [["bob@example.com"]]


def test_a_run_that_is_driven_by_a_command_and_needs_people_has_told_them_when_the_command_ends(tmp_path: Path, mailbox: MailServer) -> None:
    reachable("bob", "platform")
    approving.publish(tmp_path)
    assert typed("runpipeline", "sample", "--input", "feed=production").status == 13
    assert [mail.to for mail in mailbox.taken] == [["bob@example.com"]]


def test_a_process_that_ends_lets_what_is_being_sent_end_and_begins_nothing_more(
    tmp_path: Path, mailbox: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    reachable("bob", "platform")
    reachable("carol", "platform")
    approving.waiting(tmp_path)
    sends, begun = ways.mail, threading.Event()

    def slowly(**said: Any) -> None:
        begun.set()
        assert delivering._ending.wait(10), "sent only once the process is about to end"
        sends(**said)

    monkeypatch.setattr(ways, "mail", slowly)
    monkeypatch.setattr(delivering, "AT_ONCE", 1)
    notify.look()
    assert begun.wait(10)
    delivering.finish(delivering.LONGEST_S)
    assert len(mailbox.taken) == 1
    assert list(Message.objects.filter(done_at=None, topic=notify.MAILS).values_list("attempts", flat=True)) == [0]
