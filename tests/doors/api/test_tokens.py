"""Tokens: shown once, kept as a hash, ending by themselves, with the person, or by being revoked; each change in the ledger."""

from datetime import timedelta
from io import StringIO
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from agents import registry
from audit import clock
from audit.errors import Invalid
from audit.models import Entry, Opening
from orchestra_site.models import Token
from orchestra_site.tokens import TooManyTokens, create_token
from tests.pipelines import SYSTEM
from tests.rest import Caller

pytestmark = pytest.mark.django_db


def verbs() -> list[str]:
    return [verb for verb in Entry.objects.order_by("at", "id").values_list("verb", flat=True) if verb.startswith("site.token.")]


def test_a_token_is_kept_as_a_hash_and_no_ledger_entry_holds_it(alice: User) -> None:
    made = create_token("alice", actor=SYSTEM, name="nightly job")
    assert made.text.startswith("orc_") and len(made.text) > 40
    row = Token.objects.get()
    kept = [
        row.digest,
        row.name,
        *(bytes(each.body).decode() for each in Entry.objects.all()),
        *(bytes(each.value).decode() for each in Opening.objects.all()),
    ]
    assert not any(made.text in text or made.text[15:] in text for text in kept)
    entry = Entry.objects.get(verb="site.token.created").envelope()
    assert entry["facts"] == {"token": str(row.id), "person": alice.pk, "expires": clock.to_text(row.expiry)}
    assert set(entry["commitments"]) == {"person", "name"}


def test_a_token_is_made_listed_used_and_revoked(alice: User) -> None:
    caller = Caller.of(alice)
    made = caller.post("/tokens/", {"name": "nightly job", "days": 7})
    assert (made.status, made.body["person"], made.body["name"]) == (201, "alice", "nightly job")
    second = Caller(made.body["token"])
    assert second.get("/me/").body | {"expires_at": None} == {
        "person": "alice", "auth": "token", "expires_at": None, "teams": [], "reads": [], "permissions": [],
        "roles": [], "does": ["change-things", "operate-runs", "start-runs"], "agent": None, "scopes": [],
    }  # fmt: skip
    listed = caller.get("/tokens/").body["items"]
    assert [each["name"] for each in listed] == ["nightly job", ""] and not any("token" in each for each in listed)
    assert caller.delete(f"/tokens/{made.body['id']}/").status == 204
    assert second.get("/me/").code == "unauthenticated"
    assert verbs() == ["site.token.created", "site.token.created", "site.token.revoked"]


def test_a_token_never_outlives_the_token_that_made_it(alice: User) -> None:
    first = create_token("alice", actor=SYSTEM, days=10)
    caller = Caller(first.text)
    assert caller.post("/tokens/", {}).body["expires_at"] == clock.to_text(first.token.expiry)
    refused = caller.post("/tokens/", {"days": 11})
    assert (refused.status, refused.code) == (422, "invalid")
    assert "asked 11 days" in refused.body["detail"] and clock.to_text(first.token.expiry) in refused.body["detail"]
    assert verbs()[-1] == "site.token.refused"


@pytest.mark.parametrize("days", [0, -1, 366])
def test_a_life_out_of_bounds_is_refused_with_the_bounds(alice: User, days: int) -> None:
    with pytest.raises(Invalid, match=f"1 to 365 days .asked {days}"):
        create_token("alice", actor=SYSTEM, days=days)
    assert not Token.objects.exists()


def test_a_person_has_so_many_tokens_and_no_more_until_one_goes(alice: User, bob: User, settings: Any) -> None:
    settings.ORCHESTRA_MOST_TOKENS = 2
    caller, other = Caller.of(alice), Caller.of(bob)
    second = caller.post("/tokens/", {}).body["id"]
    refused = caller.post("/tokens/", {})
    assert (refused.status, refused.code, verbs()[-1]) == (409, "too-many-tokens", "site.token.refused")
    assert "'alice' has 2 of at most 2 tokens that have not ended (ORCHESTRA_MOST_TOKENS)" in refused.body["detail"]
    assert other.post("/tokens/", {}).status == 201
    assert caller.delete(f"/tokens/{second}/").status == 204 and caller.post("/tokens/", {}).status == 201


def test_a_token_that_has_ended_is_not_counted(alice: User, settings: Any) -> None:
    settings.ORCHESTRA_MOST_TOKENS = 1
    create_token("alice", actor=SYSTEM, days=1)
    with pytest.raises(TooManyTokens):
        create_token("alice", actor=SYSTEM)
    assert create_token("alice", actor=SYSTEM, now=clock.now() + timedelta(days=1))


def test_an_ended_token_is_refused_by_a_request_that_writes_nothing_and_goes_with_the_next_one_made(alice: User) -> None:
    made = create_token("alice", actor=SYSTEM, days=1)
    later = clock.now() + timedelta(days=1)
    with mock.patch("audit.clock.now", return_value=later):
        assert Caller(made.text).get("/me/").code == "unauthenticated"
        assert Token.objects.count() == 1
        create_token("alice", actor=SYSTEM)
    assert Token.objects.get().id != made.token.id


def test_a_deactivated_persons_tokens_stop_at_once(alice: User) -> None:
    caller = Caller.of(alice)
    assert caller.get("/me/").status == 200
    registry.set_active("alice", active=False, actor=SYSTEM)
    assert caller.get("/me/").code == "unauthenticated"


def test_a_new_password_ends_the_tokens_and_nobody_elses(alice: User, bob: User) -> None:
    caller, other = Caller.of(alice), Caller.of(bob)
    create_token("alice", actor=SYSTEM)
    registry.reset_password("alice", actor=SYSTEM)
    assert caller.get("/me/").code == "unauthenticated" and other.get("/me/").status == 200
    changed = Entry.objects.get(verb="agents.person.changed").envelope()
    assert changed["facts"] == {"person": alice.pk, "password": "reset", "tokens_ended": 2}


def test_what_is_given_or_taken_holds_from_the_next_request(alice: User) -> None:
    caller = Caller.of(alice)
    registry.permit_person("alice", "see-everything", allowed=True, actor=SYSTEM)
    assert caller.get("/me/").body["permissions"] == ["see-everything"]
    registry.permit_person("alice", "see-everything", allowed=False, actor=SYSTEM)
    assert caller.get("/me/").body["permissions"] == []


def test_another_persons_token_is_none_of_ones_business_unless_one_manages_people(alice: User, bob: User) -> None:
    other = create_token("alice", actor=SYSTEM).token
    caller = Caller.of(bob)
    assert [each["person"] for each in caller.get("/tokens/").body["items"]] == ["bob"]
    assert caller.delete(f"/tokens/{other.id}/").code == "unknown-token"
    registry.permit_person("bob", "manage-people", allowed=True, actor=SYSTEM)
    assert {each["person"] for each in caller.get("/tokens/").body["items"]} == {"alice", "bob"}
    assert caller.delete(f"/tokens/{other.id}/").status == 204


def test_an_administrators_token_is_out_of_reach_of_who_manages_people(alice: User) -> None:
    registry.permit_person("alice", "manage-people", allowed=True, actor=SYSTEM)
    for name in ("root", "boss"):
        registry.create_person(name, actor=SYSTEM, administrator=True)
    token, caller = create_token("root", actor=SYSTEM).token, Caller.of(alice)
    assert [each["person"] for each in caller.get("/tokens/").body["items"]] == ["alice"]
    assert caller.delete(f"/tokens/{token.id}/").code == "unknown-token" and Token.objects.filter(id=token.id).exists()
    assert Caller.of(User.objects.get(username="boss")).delete(f"/tokens/{token.id}/").status == 204


# --- the command ---------------------------------------------------------------------------------------------------


def typed(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("token", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_prints_the_token_alone_on_stdout(alice: User) -> None:
    out, err = typed("alice", "--days", "7", "--name", "nightly job")
    assert Caller(out.strip()).get("/me/").body["person"] == "alice"
    assert "acts as 'alice'" in err and "this once" in err


def test_the_command_lists_and_revokes(alice: User) -> None:
    made = create_token("alice", actor=SYSTEM, name="old").token
    assert str(made.id) in typed("alice", "--list")[0]
    assert typed("alice", "--revoke", str(made.id))[0] == f"token {made.id}: revoked\n"
    assert typed("alice", "--list")[0] == "'alice' has no token\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nobody",), "no person 'nobody' who may sign in"),
        (("alice", "--days", "999"), "asked 999"),
        (("alice", "--revoke", "0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10"), "no token"),
        (("alice", "--name", "x" * 101), "at most 100"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_a_reason(alice: User, arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says) as refused:
        typed(*arguments)
    assert refused.value.returncode == 2
