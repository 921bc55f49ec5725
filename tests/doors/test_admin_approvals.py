"""Approvals in the admin: what waits for whom, who gets a form, what it does, and what hostile text does not."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from agents import registry
from approvals.models import Decision, Request
from approvals.rules import APPROVED
from orchestra_site.management.commands.decide import WORDS
from tests import approving, pipelines
from tests.approving import member
from tests.doors import world
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)
INBOX = reverse("admin:approvals_request_changelist")


def signed_in(name: str, *teams: str) -> Client:
    member(name, *teams)
    return world.signed_in(name)


def text(answer: HttpResponse) -> str:
    return answer.content.decode()


def page_of(request: Request) -> str:
    return reverse("admin:approvals_request_change", args=[request.pk])


def rows(client: Client, query: str = "") -> list[Request]:
    return list(client.get(f"{INBOX}{query}").context["cl"].result_list)


@pytest.fixture
def request_of_alice(tmp_path: Path) -> Request:
    approving.publish(tmp_path)
    _, request = approving.started(by=member("alice", "platform"))
    return request


def form_of(client: Client, request: Request, **more: str) -> dict[str, str]:
    return {"seen": client.get(page_of(request)).context["said"]["shown"], "reason": "", **more}


def test_the_inbox_shows_what_waits_for_me_first_and_all_that_is_open_if_asked(request_of_alice: Request) -> None:
    bob, alice = signed_in("bob", "platform"), signed_in("alice")
    assert rows(bob) == [request_of_alice] and rows(alice) == []
    assert rows(alice, "?shows=open") == [request_of_alice] and rows(alice, "?shows=ended") == []
    assert rows(signed_in("charlie"), "?shows=open") == []
    said = text(alice.get(INBOX))
    assert 'Nothing waits for you. <a class="o-link" href="?shows=open">All that is open</a>' in said and "Nothing here yet" not in said
    assert "for your approval of a call of &#x27;worker&#x27;" in text(bob.get(reverse("admin:index")))
    assert "for your approval" not in text(alice.get(reverse("admin:index")))


def test_a_page_shows_what_would_be_done_and_the_form_lets_exactly_that_out(request_of_alice: Request) -> None:
    bob = signed_in("bob", "platform")
    page = text(bob.get(page_of(request_of_alice)))
    for said in (
        "write deploy:production",
        "started by person alice",
        "1 of team &#x27;platform&#x27;",
        request_of_alice.binding,
        "&quot;production&quot;",
    ):
        assert said in page, said
    done = bob.post(page_of(request_of_alice), form_of(bob, request_of_alice, decision="approved", reason="go"), follow=True)
    assert "is approved; a worker takes the run up again" in text(done)
    assert pipelines.drive(request_of_alice.wait.run)["outcome"] == "verified"
    assert rows(bob) == [] and rows(bob, "?shows=ended") == [request_of_alice]


def test_whoever_started_it_gets_a_sentence_in_the_place_of_the_form_and_a_post_is_refused(request_of_alice: Request) -> None:
    alice = signed_in("alice")
    page = alice.get(page_of(request_of_alice))
    assert "You can&#x27;t decide this: you started the run that asks for it" in text(page) and "<form" not in text(page).partition("o-facts")[2]
    refused = alice.post(page_of(request_of_alice), form_of(alice, request_of_alice, decision="approved"))
    assert refused.status_code == 403 and not Decision.objects.exists()
    assert signed_in("charlie").get(page_of(request_of_alice)).status_code == 404
    assert Client().get(page_of(request_of_alice)).status_code == 302


def test_an_onlooker_sees_it_and_can_neither_decide_nor_comment(request_of_alice: Request) -> None:
    member("olga")
    registry.show_team("platform", "olga", actor=SYSTEM)
    olga = world.signed_in("olga")
    assert "you are none of them" in text(olga.get(page_of(request_of_alice)))
    comment = reverse("admin:approvals_request_comment", args=[request_of_alice.pk])
    assert olga.post(comment, {"text": "hm"}).status_code == 403
    bob = signed_in("bob", "platform")
    bob.post(comment, {"text": "is the window open?"})
    assert "is the window open?" in text(bob.get(page_of(request_of_alice)))


def test_declining_without_a_reason_is_refused_and_what_was_typed_stays(request_of_alice: Request) -> None:
    bob = signed_in("bob", "platform")
    refused = bob.post(page_of(request_of_alice), form_of(bob, request_of_alice, decision="declined"))
    assert (refused.status_code, "whoever declines or asks for changes says why" in text(refused)) == (422, True)
    assert refused.context["form"].data["decision"] == "declined"


def test_where_the_policy_allows_edits_the_form_takes_other_arguments(tmp_path: Path) -> None:
    policy = "kind: policy\nname: two\nteam: platform\napprovers: {teams: [platform]}\nedits: true"
    counted = "- {id: work, agent: worker, with: {feed: =input.feed, count: =input.count}}"
    approving.publish(tmp_path, rule=f"{approving.RULE} policy two", policy=policy, steps=counted)
    _, request = approving.started(input={"feed": "production", "count": 9})
    bob = signed_in("bob", "platform")
    assert "The policy allows edits" in text(bob.get(page_of(request)))
    odd = bob.post(page_of(request), form_of(bob, request, decision="approved", arguments="{"))
    assert (odd.status_code, Decision.objects.count()) == (422, 0)
    changed = form_of(bob, request, decision="approved", arguments='{"feed": "production", "count": 3}')
    bob.post(page_of(request), changed)
    assert pipelines.drive(request.wait.run)["result"] == {"done": "production", "count": 3}
    page = text(bob.get(page_of(request)))
    assert "instead of" in page and "as they were asked for; they are approved with the edits below" in page and "would be sent" not in page


def test_what_is_too_long_for_a_form_can_be_approved_on_the_page_and_edited_elsewhere(tmp_path: Path) -> None:
    policy = "kind: policy\nname: two\nteam: platform\napprovers: {teams: [platform]}\nedits: true"
    noted = "- {id: work, agent: worker, with: {feed: =input.feed, note: =input.note}}"
    approving.publish(tmp_path, rule=f"{approving.RULE} policy two", policy=policy, steps=noted)
    _, request = approving.started(input={"feed": "production", "note": "x" * 100_000})
    bob = signed_in("bob", "platform")
    page = bob.get(page_of(request))
    assert "too long to be edited on this page: it has 100,0" in text(page) and "arguments" not in page.context["form"].fields
    assert f"manage.py decide {request.pk} {next(word for word, said in WORDS.items() if said == APPROVED)} --arguments-file" in text(page)
    edited = bob.post(page_of(request), form_of(bob, request, decision="approved", arguments='{"feed": "production", "note": "short"}'))
    assert (edited.status_code, Decision.objects.count()) == (422, 0), "edits that the page has no field for are not left out"
    bob.post(page_of(request), form_of(bob, request, decision="approved"))
    assert Decision.objects.count() == 1


def test_hostile_text_is_shown_as_text(tmp_path: Path) -> None:
    approving.publish(tmp_path)
    _, request = approving.started(input={"feed": "production", "note": "<script>alert(1)</script>\u202eevil"})
    bob = signed_in("bob", "platform")
    page = text(bob.get(page_of(request)))
    assert "<script>alert" not in page and "\u202e" not in page


def test_the_pages_of_a_long_inbox_lead_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.contrib import admin

    monkeypatch.setattr(type(admin.site._registry[Request]), "list_per_page", 2)
    approving.publish(tmp_path)
    made = [approving.started(input={"feed": f"p{number}"})[1] for number in range(3)]
    bob = signed_in("bob", "platform")
    first = bob.get(INBOX).context["cl"]
    assert list(first.result_list) == made[:2]
    assert rows(bob, first.older) == made[2:]


def test_where_nothing_waits_the_inbox_says_how_something_comes_into_it() -> None:
    assert "waits here until you have said it" in text(signed_in("bob").get(INBOX))
    assert User.objects.filter(username="bob").exists()
