"""The audit tables in the admin: to look at, never to change, and hostile text shows what it is."""

from collections.abc import Callable
from datetime import datetime

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client, RequestFactory
from django.urls import reverse

from audit import ledger, outbox
from audit.identity import new_id
from audit.ledger import ChargeDraft, Draft
from audit.models import Charge, Entry, Message, Opening, Pending

HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m"
MODELS = [Charge, Entry, Message, Opening, Pending]


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def rows(draft: Callable[..., Draft], now: datetime, db: None) -> None:
    with transaction.atomic():
        ledger.record([draft(facts={"said": HOSTILE}, subject="<b>thing</b>", openings={"output": HOSTILE})], now=now)
        ledger.charge([ChargeDraft(amount_nano=1, model="<i>m</i>")], now=now)
        outbox.put("notices", HOSTILE, {}, now=now)


@pytest.mark.parametrize("model", MODELS)
def test_nobody_may_add_change_or_delete(model: type, db: None) -> None:
    request = RequestFactory().get("/")
    request.user = User.objects.create_superuser("root")
    admin.autodiscover()  # as whoever serves the pages does
    page = admin.site.get_model_admin(model)
    allowed = [page.has_add_permission(request), page.has_change_permission(request), page.has_delete_permission(request)]
    assert (allowed, page.get_actions(request)) == ([False] * 3, {})


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_pages_show_hostile_text_as_text(root: Client, rows: None, model: type) -> None:
    of = f"admin:audit_{model._meta.model_name}"
    pages = [root.get(reverse(f"{of}_changelist")), root.get(reverse(f"{of}_change", args=[model.objects.get().pk]))]
    for page in pages:
        text = page.content.decode()
        assert page.status_code == 200
        assert not [bad for bad in ("<script>alert", "<b>thing", "<i>m", "\u202e", "\x1b") if bad in text]


def test_an_entry_shows_its_record_and_digest(root: Client, rows: None) -> None:
    entry = Entry.objects.get()
    text = root.get(reverse("admin:audit_entry_change", args=[entry.pk])).content.decode()
    assert entry.digest in text
    assert "&lt;script&gt;alert(1)" in text


def test_entries_are_found_by_what_has_an_index(root: Client, draft: Callable[..., Draft], now: datetime) -> None:
    with transaction.atomic():
        ledger.record([draft(agent="reader", run=new_id(), sequenced=False), draft()], now=now)
    entry = Entry.objects.get(agent="reader")
    words = (str(entry.id), f"agent:{entry.agent}", str(entry.run), "nothing-like-it", "01a218ed-0000-7000-8000-000000000000")
    found = [root.get(reverse("admin:audit_entry_changelist"), {"q": each}).context["cl"].result_count for each in words]
    assert found == [1, 1, 1, 0, 0]


def test_a_change_that_is_posted_is_forbidden(root: Client, rows: None) -> None:
    entry = Entry.objects.get()
    for name, given in (("change", [entry.pk]), ("delete", [entry.pk]), ("add", [])):
        assert root.post(reverse(f"admin:audit_entry_{name}", args=given), {"subject": "forged"}).status_code == 403
    assert Entry.objects.get().subject == entry.subject


def test_a_charge_says_only_of_a_guess_that_it_is_one_and_leads_to_its_run(root: Client, now: datetime, db: None) -> None:
    run = new_id()
    with transaction.atomic():
        ledger.charge([ChargeDraft(amount_nano=1, run=run), ChargeDraft(amount_nano=2, estimated=True)], now=now)
    page = root.get(reverse("admin:audit_charge_changelist")).content.decode()
    assert page.count("estimated</span>") == 1 and "o-wary" in page
    assert not [icon for icon in ("check_small", "close_small") if icon in page]
    assert reverse("admin:runs_run_change", args=[run]) in page
    own = root.get(reverse("admin:audit_charge_change", args=[Charge.objects.get(run=run).pk])).content.decode()
    assert reverse("admin:runs_run_change", args=[run]) in own and "0.000000001 USD" in own and "nano" not in own
