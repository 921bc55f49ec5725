"""What of notices stands where people look: a team's webhooks, what was given up, where one is written to; to whoever may see it."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import reverse

from agents.models import Team
from approvals import notify
from audit import clock, outbox
from audit.models import Entry, Opening
from orchestra_site.health.metrics import COLLECTOR
from tests import telling
from tests.doors import world
from tests.rest import Caller

pytestmark = pytest.mark.django_db(transaction=True)
WEBHOOK = "{webhook: 'https://example.com/hook', secret: env:HOOK_SECRET, events: [approval.requested]}"


@pytest.fixture
def people(tmp_path: Path) -> dict[str, Client]:
    telling.hooked(tmp_path, WEBHOOK)
    return world.people()


def lose_one() -> None:
    now = clock.now()
    with transaction.atomic():
        outbox.put_all([(notify.POSTS, "one", {}), (notify.MAILS, "two", {})], now=now)
    [claimed] = outbox.claim(notify.POSTS, limit=1, now=now, retry_s=30)
    outbox.give_up(claimed, now=now)


def test_a_teams_webhooks_stand_on_its_page_and_over_rest_with_their_secret_by_reference(people: dict[str, Client]) -> None:
    said = people["alice"].get(reverse("admin:agents_team_change", args=[Team.objects.get().pk])).content.decode()
    for each in ("https://example.com/hook", "env:HOOK_SECRET", "approval.requested"):
        assert each in said
    body = Caller.of(User.objects.get(username="alice")).get("/teams/platform/").body
    kept = {"webhook": "https://example.com/hook", "secret": "env:HOOK_SECRET", "format": "standard", "events": ["approval.requested"]}
    assert body["notices"] == [kept]
    assert Caller.of(User.objects.get(username="charlie")).get("/teams/platform/").status == 404


def test_whoever_sees_everything_reads_on_the_overview_that_something_was_given_up(people: dict[str, Client], tmp_path: Path) -> None:
    world.platform(tmp_path / "pipeline")
    lose_one()
    assert "1 notice given up" in people["dora"].get(reverse("admin:index")).content.decode()
    assert "given up" not in people["alice"].get(reverse("admin:index")).content.decode()


def test_the_figures_say_what_waits_and_what_was_given_up(people: dict[str, Client]) -> None:
    lose_one()
    COLLECTOR.forget()
    said = people["dora"].get("/metrics").content.decode()
    assert "orchestra_notices_waiting 1.0" in said and "orchestra_notices_given_up_last_day 1.0" in said
    assert "orchestra_notice_oldest_age_seconds" in said


# --- where one is written to ---


def page(client: Client, url: str = "") -> str:
    return client.get(url or reverse("admin:orchestra_site_token_account")).content.decode()


def test_everybody_sets_their_address_on_their_own_page(people: dict[str, Client]) -> None:
    alice, url = people["alice"], reverse("admin:orchestra_site_token_email")
    assert alice.post(url, {"email": "nowhere"}).status_code == 422
    assert alice.post(url, {"email": "alice@example.net"}).status_code == 302
    assert "alice@example.net" in page(alice) and "alice@example.net" in page(alice, url)
    facts = Entry.objects.filter(verb="agents.person.changed").latest("at").envelope()["facts"]
    assert facts == {"person": User.objects.get(username="alice").pk, "email": True}
    assert not any(b"example.net" in opening.held for opening in Opening.objects.all())


def test_whoever_manages_people_sets_an_address_on_the_persons_page(people: dict[str, Client]) -> None:
    bob = User.objects.get(username="bob")
    url = reverse("admin:auth_user_email", args=[bob.pk])
    assert people["alice"].post(url, {"email": "bob@example.com"}).status_code == 404
    assert people["root"].post(url, {"email": "bob@example.com"}).status_code == 302
    assert "bob@example.com" in page(people["root"], reverse("admin:auth_user_change", args=[bob.pk]))
