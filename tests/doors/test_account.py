"""Your account: what everybody finds of themselves, and their password and tokens; a changed password ends everything else."""

from datetime import UTC, datetime
from io import StringIO
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents import registry
from agents.errors import NotGranted
from agents.models import Team
from audit import clock
from audit.errors import Conflict
from audit.models import Entry, Opening
from orchestra_site.credentials import OpenSession, session_of, token_of
from orchestra_site.models import Token
from orchestra_site.people import actor_for
from orchestra_site.signing_in import change_own_password
from orchestra_site.tokens import create_token
from tests.doors.world import signed_in
from tests.pipelines import SYSTEM
from tests.rest import Caller

pytestmark = pytest.mark.django_db

ACCOUNT = reverse("admin:orchestra_site_token_account")
PASSWORD = reverse("admin:orchestra_site_token_password")
NEW = "a long sentence of one's own"


@pytest.fixture
def passwords() -> dict[str, str]:
    for name in ("platform", "red", "shown"):
        Team.objects.create(name=name, created_at=clock.now())
    made = {name: registry.create_person(name, actor=SYSTEM)[1] for name in ("alice", "bob", "charlie")}
    registry.add_member("platform", "alice", actor=SYSTEM)
    registry.show_team("shown", "alice", actor=SYSTEM)
    return made


def page(client: Client, url: str = ACCOUNT) -> str:
    return client.get(url).content.decode()


def asked(old: str, new: str = NEW, again: str | None = None) -> dict[str, str]:
    return {"old_password": old, "new_password": new, "again": new if again is None else again}


def changes() -> list[dict[str, Any]]:
    return [entry.envelope()["facts"] for entry in Entry.objects.filter(verb="agents.person.changed").order_by("at", "id")]


# --- the page ------------------------------------------------------------------------------------------------------


def test_everybody_finds_their_teams_and_what_they_may_in_each(passwords: dict[str, str]) -> None:
    alice = page(signed_in("alice"))
    assert ">platform</a>" in alice and "Start runs; cancel them, answer them" in alice and "Look at everything, change nothing" in alice
    assert "red" not in alice.partition('id="content-main"')[2] and "let people in" not in alice
    registry.permit_person("alice", "manage-people", allowed=True, actor=SYSTEM)
    assert "let people in" in page(signed_in("alice"))
    assert "You belong to no team" in page(signed_in("charlie"))


def test_the_page_is_in_the_menu_and_at_a_short_address(passwords: dict[str, str]) -> None:
    client = signed_in("charlie")
    assert f'href="{ACCOUNT}"' in page(client, reverse("admin:index")) and ">\n            Your account" in page(client, reverse("admin:index"))
    assert client.get("/admin/account/").headers["Location"] == ACCOUNT
    assert client.get("/admin/password_change/").headers["Location"] == PASSWORD
    assert client.get("/admin/password_change/done/").status_code == 404


@pytest.mark.parametrize("url", [ACCOUNT, PASSWORD, reverse("admin:orchestra_site_token_make"), reverse("admin:orchestra_site_token_revoke_all")])
def test_nobody_is_sent_to_sign_in(url: str) -> None:
    assert "/admin/login/" in Client().get(url).headers["Location"] and "/admin/login/" in Client().post(url).headers["Location"]


def test_the_page_costs_the_same_with_one_team_and_with_many(passwords: dict[str, str]) -> None:
    client = signed_in("alice")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(client)
        return len(captured)

    create_token("alice", actor=SYSTEM)
    few = queries()
    for number in range(5):
        Team.objects.create(name=f"team-{number}", created_at=clock.now()).members.add(User.objects.get(username="alice"))
        create_token("alice", actor=SYSTEM)
    assert queries() == few <= 16


# --- the password --------------------------------------------------------------------------------------------------


def test_a_changed_password_ends_other_sessions_and_all_tokens_and_is_an_entry_without_it(passwords: dict[str, str]) -> None:
    here, elsewhere, caller = signed_in("alice"), signed_in("alice"), Caller.of(User.objects.get(username="alice"))
    others = signed_in("bob")
    done = here.post(PASSWORD, asked(passwords["alice"]), follow=True)
    assert "Your password is changed. Your other sessions ended, and 1 token ended." in done.content.decode()
    assert here.get(ACCOUNT).status_code == 200 and others.get(ACCOUNT).status_code == 200
    assert elsewhere.get(ACCOUNT).status_code == 302 and caller.get("/me/").code == "unauthenticated"
    assert Client().login(username="alice", password=NEW)
    entry = Entry.objects.get(verb="agents.person.changed").envelope()
    assert (entry["actor"]["id"], entry["facts"]["password"], entry["facts"]["tokens_ended"]) == ("alice", "changed", 1)
    kept = [bytes(each.body).decode() for each in Entry.objects.all()] + [bytes(each.value).decode() for each in Opening.objects.all()]
    assert not any(secret in text for text in kept for secret in (NEW, passwords["alice"]))


def test_a_reset_just_after_one_s_own_change_ends_the_session_that_made_it(passwords: dict[str, str]) -> None:
    here = signed_in("alice")

    def changed_and_reset(**asked: Any) -> int:
        ended = change_own_password(**asked)
        registry.reset_password("alice", actor=SYSTEM)
        return ended

    with mock.patch("orchestra_site.admin.account.change_own_password", changed_and_reset):
        here.post(PASSWORD, asked(passwords["alice"]))
    assert here.get(ACCOUNT).status_code == 302


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        (asked("wrong"), 403, "This is not your present password."),
        (asked("{}", "12345678"), 422, "entirely numeric"),
        (asked("{}", "alice"), 422, "too similar to the username"),
        (asked("{}", "{}"), 422, "It is the present one."),
        (asked("{}", "x" * 1001), 422, "at most 1000"),
        (asked("{}", NEW, "another"), 422, "The two new passwords differ."),
    ],
)
def test_what_is_no_good_password_is_said_and_changes_nothing(passwords: dict[str, str], said: dict[str, str], status: int, words: str) -> None:
    present, client = passwords["alice"], signed_in("alice")
    create_token("alice", actor=SYSTEM)
    answer = client.post(PASSWORD, {name: text.replace("{}", present) for name, text in said.items()})
    assert answer.status_code == status and words in answer.content.decode() and present not in answer.content.decode()
    assert User.objects.get(username="alice").check_password(present) and Token.objects.count() == 1 and not changes()
    refusals = [entry.envelope()["facts"]["code"] for entry in Entry.objects.filter(verb="agents.person.refused")]
    assert refusals == ([] if words.startswith(("The two", "at most")) else ["wrong-password" if status == 403 else "invalid"])


def test_whoever_sits_at_an_open_session_cannot_guess_its_password(passwords: dict[str, str], settings: Any) -> None:
    settings.ORCHESTRA_TRIES = 3
    client = signed_in("alice")
    answers = [client.post(PASSWORD, asked("wrong")) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [403, 403, 429, 429]
    assert "can&#x27;t be changed until" in client.post(PASSWORD, asked(passwords["alice"])).content.decode()
    assert client.get(ACCOUNT).status_code == 200 and Client().login(username="alice", password=passwords["alice"])
    assert [entry.envelope()["facts"]["scope"] for entry in Entry.objects.filter(verb="site.sign_in.locked")] == ["change"]


def test_a_password_is_changed_over_rest_with_a_token_that_then_ends(passwords: dict[str, str]) -> None:
    caller = Caller.of(User.objects.get(username="alice"))
    assert caller.post("/me/password/", {"old": "wrong", "new": NEW}).code == "wrong-password"
    weak = caller.post("/me/password/", {"old": passwords["alice"], "new": "1234567"})
    assert (weak.code, len(weak.body["problems"])) == ("invalid", 3)
    assert caller.post("/me/password/", {"old": passwords["alice"], "new": NEW}).body == {"tokens_ended": 1}
    assert caller.get("/me/").code == "unauthenticated" and Client().login(username="alice", password=NEW)


def test_a_session_that_changes_its_password_over_rest_goes_on(passwords: dict[str, str]) -> None:
    here, elsewhere = signed_in("alice"), signed_in("alice")
    said = {"old": passwords["alice"], "new": NEW}
    assert here.post("/api/v1/me/password/", said, content_type="application/json").json() == {"tokens_ended": 0}
    assert here.get(ACCOUNT).status_code == 200 and elsewhere.get(ACCOUNT).status_code == 302


def test_too_many_wrong_passwords_over_rest_say_when_to_come_back(passwords: dict[str, str], settings: Any) -> None:
    settings.ORCHESTRA_TRIES = 1
    caller = Caller.of(User.objects.get(username="alice"))
    refused = caller.post("/me/password/", {"old": "wrong", "new": NEW})
    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (429, "too-many-tries", "900")


def test_a_password_that_was_reset_in_the_meantime_stays(passwords: dict[str, str]) -> None:
    def meanwhile(new: str) -> str:
        User.objects.filter(username="alice").update(password="set by somebody else")
        return new

    alice = actor_for(User.objects.get(username="alice"), auth="session")
    with mock.patch("agents.registry.accounts.make_password", side_effect=meanwhile), pytest.raises(Conflict, match="sign in again"):
        registry.change_password("alice", old=passwords["alice"], new=NEW, actor=alice)
    assert User.objects.get(username="alice").password == "set by somebody else" and not changes()


def test_nobody_changes_somebody_elses_password_as_their_own(passwords: dict[str, str]) -> None:
    bob = actor_for(User.objects.get(username="bob"), auth="session")
    with pytest.raises(NotGranted, match="own password only"):
        registry.change_password("alice", old=passwords["alice"], new=NEW, actor=bob)
    assert User.objects.get(username="alice").check_password(passwords["alice"])


# --- tokens --------------------------------------------------------------------------------------------------------


def test_a_token_is_made_and_shown_once_listed_and_revoked(passwords: dict[str, str]) -> None:
    client = signed_in("alice")
    made = client.post(reverse("admin:orchestra_site_token_make"), {"name": "nightly job", "days": "7"})
    text = made.context["made"].text
    assert text in made.content.decode() and "no-store" in made.headers["Cache-Control"]
    listed = page(client)
    assert "nightly job" in listed and "never" in listed and text not in listed
    assert Caller(text).get("/me/").body["person"] == "alice"
    assert "never" not in page(client).partition('id="tokens"')[2]
    url = reverse("admin:orchestra_site_token_revoke", args=[Token.objects.get().id])
    assert "refused from its next use on" in page(client, url)
    assert client.post(url).headers["Location"] == ACCOUNT and Caller(text).get("/me/").code == "unauthenticated"
    assert Entry.objects.filter(verb="site.token.revoked", actor="alice").count() == 1


def test_a_token_that_lasts_too_long_is_not_made(passwords: dict[str, str]) -> None:
    answer = signed_in("alice").post(reverse("admin:orchestra_site_token_make"), {"name": "", "days": "366"})
    assert answer.status_code == 422 and not Token.objects.exists()


def test_all_tokens_are_revoked_at_once_with_an_entry_each_and_the_session_stays(passwords: dict[str, str]) -> None:
    for name in ("alice", "alice", "bob"):
        create_token(name, actor=SYSTEM)
    client = signed_in("alice")
    assert "2 tokens ended" in client.post(reverse("admin:orchestra_site_token_revoke_all"), follow=True).content.decode()
    assert [token.user.username for token in Token.objects.all()] == ["bob"] and client.get(ACCOUNT).status_code == 200
    assert Entry.objects.filter(verb="site.token.revoked").count() == 2


def test_somebody_elses_token_is_not_there_unless_one_manages_people(passwords: dict[str, str]) -> None:
    token = create_token("alice", actor=SYSTEM).token
    url = reverse("admin:orchestra_site_token_revoke", args=[token.id])
    assert signed_in("bob").get(url).status_code == signed_in("bob").post(url).status_code == 404
    registry.permit_person("bob", "manage-people", allowed=True, actor=SYSTEM)
    person = reverse("admin:auth_user_change", args=[token.user.pk])
    assert f'href="{url}"' in page(signed_in("bob"), person)
    assert signed_in("bob").post(url).headers["Location"] == person and not Token.objects.exists()


def test_a_token_has_no_page_of_its_own(passwords: dict[str, str]) -> None:
    token = create_token("alice", actor=SYSTEM).token
    for key in (token.pk, token.id):
        assert signed_in("alice").get(reverse("admin:orchestra_site_token_change", args=[key])).status_code == 404


def test_one_token_too_many_is_refused_on_the_form_and_in_a_shell(passwords: dict[str, str], settings: Any) -> None:
    settings.ORCHESTRA_MOST_TOKENS = 1
    create_token("alice", actor=SYSTEM)
    form = signed_in("alice").post(reverse("admin:orchestra_site_token_make"), {"days": 3, "name": "mine"})
    assert form.status_code == 409 and "has 1 of at most 1 tokens" in form.content.decode()
    with pytest.raises(CommandError, match="1 of at most 1 tokens"):
        call_command("token", "alice", stderr=StringIO())
    assert Token.objects.count() == 1


def test_all_tokens_are_revoked_over_rest(passwords: dict[str, str]) -> None:
    alice, bob = (Caller.of(User.objects.get(username=name)) for name in ("alice", "bob"))
    create_token("alice", actor=SYSTEM)
    assert bob.delete("/people/alice/tokens/").code == "unknown-person"
    assert alice.delete("/tokens/").body == {"revoked": 2} and alice.get("/me/").code == "unauthenticated"
    registry.permit_person("bob", "manage-people", allowed=True, actor=SYSTEM)
    create_token("alice", actor=SYSTEM)
    assert bob.delete("/people/alice/tokens/").body == {"revoked": 1} and bob.get("/me/").status == 200
    registry.create_person("root", actor=SYSTEM, administrator=True)
    create_token("root", actor=SYSTEM)
    assert bob.delete("/people/root/tokens/").code == "unknown-person" and Token.objects.filter(user__username="root").exists()


def test_the_last_use_of_a_token_is_known_to_the_hour_and_written_once_in_it(passwords: dict[str, str]) -> None:
    caller = Caller.of(User.objects.get(username="alice"))
    assert caller.get("/tokens/").body["items"][0]["used_at"] is not None
    used = Token.objects.get().used_at
    with CaptureQueriesContext(connection) as captured:
        caller.get("/me/")
    assert not [query for query in captured.captured_queries if query["sql"].startswith(("UPDATE", "INSERT"))]
    assert Token.objects.get().used_at == used


# --- commands ------------------------------------------------------------------------------------------------------


def run(*words: str) -> list[str]:
    out = StringIO()
    call_command(*words, stdout=out, stderr=StringIO())
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("command", "instead"), [("changepassword", "person NAME --password"), ("createsuperuser", "person NAME --create --administrator")]
)
def test_what_would_set_a_password_past_the_ledger_says_what_to_type_instead(passwords: dict[str, str], command: str, instead: str) -> None:
    before = list(User.objects.order_by("pk").values_list("username", "password"))
    with pytest.raises(CommandError, match=instead) as refused:
        call_command(command)
    assert refused.value.returncode == 2 and list(User.objects.order_by("pk").values_list("username", "password")) == before


def test_an_administrator_is_made_in_a_shell_with_an_entry() -> None:
    password = run("person", "root", "--create", "--administrator")[0].rsplit(" ", 1)[1]
    root = User.objects.get(username="root")
    assert root.is_superuser and root.check_password(password)
    assert Entry.objects.get(verb="agents.person.created").envelope()["facts"] == {"person": root.pk, "administrator": True}
    with pytest.raises(CommandError, match="goes with --create"):
        run("person", "root", "--deactivate", "--administrator")


def test_all_tokens_of_a_person_are_revoked_in_a_shell(passwords: dict[str, str]) -> None:
    for _ in range(2):
        create_token("alice", actor=SYSTEM)
    assert run("token", "alice", "--list")[0].split("  ")[2] == "never used"
    Token.objects.update(used_at=datetime(2026, 11, 20, 12, 34, 56, 789, tzinfo=UTC))
    assert run("token", "alice", "--list")[0].split("  ")[2] == "used within the hour from 2026-11-20T12:34:56Z"
    assert run("token", "alice", "--revoke-all") == ["alice: 2 tokens revoked"]
    with pytest.raises(CommandError, match="no person 'zoe'"):
        run("token", "zoe", "--revoke-all")


def test_a_token_that_has_ended_while_it_asked_makes_no_other(passwords: dict[str, str]) -> None:
    alice = User.objects.get(username="alice")
    actor = actor_for(alice, auth="token", by=token_of(create_token("alice", actor=SYSTEM).token))
    registry.change_password("alice", old=passwords["alice"], new=NEW, actor=actor)
    with pytest.raises(NotGranted, match="has ended just now"):
        create_token("alice", actor=actor)
    assert not Token.objects.filter(user=alice).exists()


def a_session_of(client: Client) -> OpenSession:
    """As a request knows it that was let in a moment ago."""
    request = RequestFactory().post("/")
    request.session, request.user = client.session, User.objects.get(pk=client.session["_auth_user_id"])
    found = session_of(request)
    assert found is not None
    return found


def refused_as_ended(by: OpenSession | None, says: str = "has ended just now; sign in again") -> None:
    with pytest.raises(NotGranted, match=says):
        create_token("alice", actor=actor_for(User.objects.get(username="alice"), auth="session", by=by))
    assert not Token.objects.exists()
    assert Entry.objects.filter(verb="site.token.refused").exists()


def test_a_session_whose_password_was_reset_while_it_asked_makes_no_token(passwords: dict[str, str]) -> None:
    by = a_session_of(signed_in("alice"))
    registry.reset_password("alice", actor=SYSTEM)
    refused_as_ended(by)


def test_a_session_that_signed_out_while_it_asked_makes_no_token(passwords: dict[str, str]) -> None:
    client = signed_in("alice")
    by = a_session_of(client)
    client.logout()
    refused_as_ended(by)


def test_a_session_that_is_open_makes_a_token_and_a_person_without_one_makes_none(passwords: dict[str, str]) -> None:
    refused_as_ended(None, "with a session or a token that is open")
    alice = User.objects.get(username="alice")
    assert create_token("alice", actor=actor_for(alice, auth="session", by=a_session_of(signed_in("alice")))).token.user == alice


def test_a_password_that_is_reset_while_a_page_asks_leaves_no_token(passwords: dict[str, str]) -> None:
    """The reset lands between the look at the session and the transaction, at both doors that a browser has."""
    said, checked = {"days": 3, "name": "mine"}, actor_for

    def reset_meanwhile(*args: Any, **given: Any) -> Any:
        actor = checked(*args, **given)
        registry.reset_password("alice", actor=SYSTEM)
        return actor

    with mock.patch("orchestra_site.people.actor_for", side_effect=reset_meanwhile):
        form = signed_in("alice").post(reverse("admin:orchestra_site_token_make"), said)
        rest = signed_in("alice").post("/api/v1/tokens/", said, content_type="application/json")
    assert (form.status_code, rest.status_code) == (403, 403)
    assert "has ended just now" in form.content.decode() and not Token.objects.exists()
