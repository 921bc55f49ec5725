"""From the outbox to whoever is to hear of it: one message becomes one for each of them, and each is sent by itself, again and again, not for ever.

A claim, then the network, then what came of it: no transaction is open while something is sent, and no sweep waits for it. At least once: whoever
gets a message twice knows it by its key. Called beside every sweep. A process that has no mail server leaves mails to those that have one.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction

from agents.models import Team
from agents.registry.lapsing import TOPIC as AGENTS
from agents.registry.proposing import TOPIC as PROPOSALS
from approvals.models import GIVEN_UP
from approvals.notify import about, resting, ways, wording
from approvals.notify.notice import Notice, NotYet
from approvals.services.announcing import TOPIC as REQUESTS
from audit import canonical, clock, ledger, outbox
from audit.actors import Actor
from audit.ledger import Draft
from audit.outbox import Claimed

log = logging.getLogger(__name__)

POSTS: Final = "notices.delivery"
"""Of the outbox: one notice for one webhook."""
MAILS: Final = "notices.mail"
"""Of the outbox: one notice for one person."""
ANNOUNCED: Final = (REQUESTS, AGENTS, PROPOSALS)
"""Of the outbox: what has happened, of which it is yet to be found out who is to hear."""
DELIVERIES: Final = (POSTS, MAILS)
WAITS_S: Final = (30, 120, 600, 3_600, 21_600)
"""After each attempt that failed; after one more it is given up."""
MOST_ATTEMPTS: Final = len(WAITS_S) + 1
LEASE_S: Final = 300
"""Longer than any way out takes that is not held up at every word; whoever was killed in between has it sent again after that."""
SPREAD_AGAIN_S: Final = 120
"""After so long it is tried once more to find out whom to tell."""
UNSENT_FOR: Final = timedelta(days=1)
"""So long a mail waits for a process with a mail server until it is noticed that none takes it."""
SEEN_AGAIN: Final = timedelta(hours=1)
"""So much later it is given up, if still none has."""
AT_ONCE: Final = 4
LONGEST_S: Final = 20.0
"""One message takes no longer, where it isn't held up at every word."""
MOST: Final = 100
_SELF: Final = Actor.system("notices")


def look() -> None:
    """What every sweep does. It waits for the database at most: whatever has to be sent is sent in threads of its own."""
    sends = _sends()
    due = outbox.due((*ANNOUNCED, *sends), now=clock.now())
    if due.keys() - set(sends):
        spread()
        due = outbox.due(sends, now=clock.now())
    _start(sum(due.get(topic, 0) for topic in sends))
    if MAILS not in sends and outbox.due((MAILS,), now=clock.now() - UNSENT_FOR):
        _give_up_unsent()


def _sends() -> tuple[str, ...]:
    """What this process can send."""
    return DELIVERIES if settings.ORCHESTRA_EMAIL else (POSTS,)


def _give_up_unsent() -> None:
    """Aloud: whoever gave people their addresses expects that they are written to.

    Not where all processes were off for a day: one that sends has its hour first. To such it is due all the time.
    """
    now = clock.now()
    for claimed in outbox.claim(MAILS, limit=MOST, now=now - UNSENT_FOR, retry_s=SEEN_AGAIN.total_seconds()):
        sent = _Sent(**claimed.payload)
        try:
            notice = about.found(sent.topic, sent.key, sent.about, now)
        except NotYet:
            continue
        except Exception:
            log.exception("whether notice %s is still to be sent could not be found out; a later sweep tries again", claimed.id)
            continue
        if notice is None or sent.person is None or _reader(sent.person, notice) is None:
            outbox.done(claimed.id, now=now)
        elif claimed.attempts > 1:
            why = "for a day there was no process that has ORCHESTRA_EMAIL_URL set and sends"
            _give_up(claimed, sent, why, now, attempts=max(0, claimed.attempts - 2))  # two of them were looks of this kind


# --- one message for each ---------------------------------------------------------------------------------------------


def spread() -> None:
    """Put one message for each who is to hear of what has been announced."""
    now, webhooks = clock.now(), dict(Team.objects.exclude(notices=[]).values_list("name", "notices"))
    for topic in ANNOUNCED:
        for claimed in outbox.claim(topic, limit=MOST, now=now, retry_s=SPREAD_AGAIN_S):
            _spread_one(claimed, webhooks, now)


def _spread_one(claimed: Claimed, webhooks: Mapping[str, Any], now: datetime) -> None:
    """A message that can't be spread keeps none of the others from it."""
    if claimed.attempts > MOST_ATTEMPTS:
        _give_up(claimed, _Sent(claimed.topic, claimed.dedupe_key, claimed.payload), "whom to tell could not be found out", now)
        return
    try:
        wanted = list(_for_each(claimed, webhooks, now))
    except NotYet:
        return
    except Exception:
        log.exception("whom to tell of %s could not be found out; a later sweep tries again", claimed.dedupe_key)
        return
    with transaction.atomic(durable=True):
        outbox.put_all(wanted, now=now)
        outbox.done(claimed.id, now=now)


def _for_each(claimed: Claimed, webhooks: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    notice = about.found(claimed.topic, claimed.dedupe_key, claimed.payload, now)
    if notice is None:
        return
    told = {"topic": claimed.topic, "key": claimed.dedupe_key, "about": claimed.payload, "at": clock.to_text(claimed.created_at)}
    begins = f"{notice.event}:{hashlib.sha256(claimed.dedupe_key.encode()).hexdigest()[:32]}"
    for person in User.objects.filter(username__in=notice.people(), is_active=True).exclude(email="").values_list("pk", flat=True):
        yield MAILS, f"{begins}:person:{person}", {**told, "person": person}
    for team in sorted(notice.teams & webhooks.keys()):
        for webhook in webhooks[team]:
            if notice.event in webhook["events"]:
                yield POSTS, f"{begins}:{team}:{_key_of(webhook)}", {**told, "team": team, "webhook": _key_of(webhook)}


def _key_of(webhook: Mapping[str, Any]) -> str:
    """As long as it stays the same webhook."""
    return canonical.digest({"webhook": webhook["webhook"], "format": webhook["format"]})[:32]


# --- one after the other, some at once ------------------------------------------------------------------------------------


_threads: Final[set[threading.Thread]] = set()
_starting: Final = threading.Lock()
_ending: Final = threading.Event()


def _start(number: int) -> None:
    """As many threads as there is something for, few at most: a receiver that is slow holds up one of them."""
    with _starting:
        _threads.difference_update([thread for thread in _threads if not thread.is_alive()])
        for _ in range(min(number, AT_ONCE - len(_threads))):
            thread = threading.Thread(target=_work, name="notices", daemon=True)  # what is cut short is sent again
            _threads.add(thread)
            thread.start()


def _work() -> None:
    try:
        deliver_due()
    except DatabaseError as error:
        log.warning("notices can't be sent (%s); a later sweep tries again", error)
    except Exception:
        log.exception("sending notices failed; a later sweep tries again")
    finally:
        connection.close()


def finish(seconds: float) -> None:
    """Wait until what is due is sent, so long at most, for a process that would end in the midst of it; within the last LONGEST_S nothing begins."""
    until = time.monotonic() + seconds
    try:
        _join(until - LONGEST_S)
        _ending.set()
        _join(until)
    finally:
        _ending.clear()


def _join(until: float) -> None:
    for thread in list(_threads):
        thread.join(max(0.0, until - time.monotonic()))


def deliver_due() -> int:
    """Send what is due, one by one, until there is nothing more; how many were looked at."""
    number = 0
    while not _ending.is_set() and (claimed := outbox.claim(*_sends(), limit=1, now=clock.now(), retry_s=LEASE_S)):
        _deliver(claimed[0])
        number += 1
    return number


# --- one ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sent:
    """What is sent, to whom: a person by the key of their account, or a team's webhook; to nobody yet where it is not spread."""

    topic: str
    key: str
    about: Mapping[str, Any]
    at: str = ""
    person: int | None = None
    team: str | None = None
    webhook: str | None = None

    @property
    def to(self) -> str:
        return "webhook" if self.webhook is not None else "person" if self.person is not None else "nobody"

    @property
    def receiver(self) -> str:
        """Who would keep others waiting: one webhook, or the mail server."""
        return f"{self.team}:{self.webhook}" if self.webhook is not None else MAILS

    @property
    def key_ends(self) -> str:
        """How the keys of all messages end that are for the same receiver."""
        return f":{self.receiver}" if self.webhook is not None else ""


def _deliver(claimed: Claimed) -> None:
    sent, now = _Sent(**claimed.payload), clock.now()
    if claimed.attempts > MOST_ATTEMPTS:
        _give_up(claimed, sent, "it was begun as often as it may be, and never came to an end", now)
        return
    rest_s = resting.left_s(sent.receiver)
    if rest_s:
        outbox.leave(claimed, until=now + timedelta(seconds=rest_s))
        outbox.leave_due(claimed.topic, sent.key_ends, now=now, until=now + timedelta(seconds=rest_s))
        return
    try:
        _send(claimed, sent, now)
    except ways.NotSent as error:
        resting.failed(sent.receiver, after_s=error.waited_s)
        _not_sent(claimed, sent, error, clock.now())
    except DatabaseError:
        raise
    except Exception as error:  # nobody else's message waits for what is odd about this one
        log.exception("notice %s can't be sent", claimed.id)
        _not_sent(claimed, sent, ways.NotSent(f"it could not be put into words ({type(error).__name__})"), clock.now())
    else:
        outbox.done(claimed.id, now=clock.now())


def _send(claimed: Claimed, sent: _Sent, now: datetime) -> None:
    """Nothing where there is nothing to tell any more, or whoever was to hear of it may not."""
    notice = about.found(sent.topic, sent.key, sent.about, now)
    if notice is None:
        return
    key = f"notice_{hashlib.sha256(claimed.dedupe_key.encode()).hexdigest()[:32]}"
    if sent.person is not None:
        person = _reader(sent.person, notice)
        if person is not None:
            ways.mail(to=person.email, subject=wording.subject(notice), text=wording.text(notice), key=key)
        return
    webhook = _webhook(sent) if sent.team in notice.teams else None
    if webhook is not None:
        ways.post(webhook, wording.body(notice, webhook["format"], at=sent.at), key=key, now=now)


def _reader(key: int, notice: Notice) -> User | None:
    """Who is written to, as long as they may hear it and say where."""
    person = User.objects.filter(pk=key, is_active=True).exclude(email="").first()
    return person if person is not None and person.username in notice.people() else None


def _webhook(sent: _Sent) -> Mapping[str, Any] | None:
    """As the team has it now; None where it has taken it out."""
    standing = Team.objects.filter(name=sent.team).values_list("notices", flat=True).first() or []
    return next((webhook for webhook in standing if _key_of(webhook) == sent.webhook), None)


def _not_sent(claimed: Claimed, sent: _Sent, error: ways.NotSent, now: datetime) -> None:
    if error.final or claimed.attempts >= MOST_ATTEMPTS:
        _give_up(claimed, sent, error.why, now)
        return
    wait_s = WAITS_S[claimed.attempts - 1]
    outbox.put_off(claimed, until=now + timedelta(seconds=wait_s))
    log.warning("notice %s to a %s was not sent (attempt %s of %s); again in %s s", claimed.id, sent.to, claimed.attempts, MOST_ATTEMPTS, wait_s)


def _give_up(claimed: Claimed, sent: _Sent, why: str, now: datetime, *, attempts: int | None = None) -> None:
    """With its entry, which says whom it was for and why as what may be erased."""
    attempts = claimed.attempts if attempts is None else attempts
    place = about.place_of(sent.topic, sent.about)
    person = User.objects.filter(pk=sent.person).values_list("username", flat=True).first() if sent.person is not None else None
    facts = {"event": about.event_of(sent.topic, sent.about), "to": sent.to, "attempts": attempts, "webhook_of": sent.team}
    openings = {"why": why, **({"person": person} if person else {})}
    with transaction.atomic(durable=True):
        if not outbox.give_up(claimed, now=now):
            return
        entry = Draft(GIVEN_UP.name, _SELF, place.subject, place.team, agent=place.agent, run=place.run, facts=facts, openings=openings)
        ledger.record([entry], now=now)
    log.error("notice %s to a %s is given up after %s attempts; entry %s says why", claimed.id, sent.to, attempts, entry.id)
