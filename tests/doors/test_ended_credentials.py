"""A session or a token that ends while it asks: whatever it asked for about people is refused in its own transaction, at every door."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.urls import reverse

from agents import registry
from agents.models import Team
from agents.registry import verbs
from audit import clock
from audit.models import Entry
from orchestra_site import people, tries
from orchestra_site.models import Token, Tries
from orchestra_site.rest import authentication
from orchestra_site.tokens import create_token
from tests.doors.world import signed_in
from tests.pipelines import SYSTEM
from tests.rest import Caller

pytestmark = pytest.mark.django_db(transaction=True)

Deed = tuple[str, dict[str, str], str, dict[str, Any]]


@pytest.fixture
def bob() -> User:
    """Somebody to do things to; root does them."""
    registry.create_person("root", actor=SYSTEM, administrator=True)
    Team.objects.create(name="platform", created_at=clock.now())
    registry.create_group("onlookers", actor=SYSTEM)
    return registry.create_person("bob", actor=SYSTEM)[0]


def page(name: str, *args: object) -> str:
    return reverse(f"admin:auth_{name}", args=args)


def deeds(bob: User) -> dict[str, Deed]:
    """Of each the address and the form in the admin, the address and the body over REST."""
    person, permission = "/api/v1/people/bob/", "see-everything"
    return {
        "create": (page("user_create"), {"username": "dora"}, "/api/v1/people/", {"name": "dora"}),
        "reset": (page("user_reset", bob.pk), {}, f"{person}password/", {}),
        "permit": (page("user_give", bob.pk), {"permission": permission}, f"{person}permissions/", {"permission": permission, "allowed": True}),
        "deactivate": (page("user_deactivate", bob.pk), {}, f"{person}deactivate/", {}),
    }


def state() -> list[Any]:
    return [list(User.objects.exclude(username="root").order_by("pk").values_list("username", "password", "is_active", "user_permissions"))]


@contextmanager
def meanwhile(module: Any, end: Callable[[], Any]) -> Iterator[None]:
    """What ends it lands between the look at the credential and the transaction of the deed."""
    real = module.actor_for

    def ending(*args: Any, **given: Any) -> Any:
        actor = real(*args, **given)
        if actor.id == "root":
            end()
        return actor

    with mock.patch.object(module, "actor_for", side_effect=ending):
        yield


def refusals() -> int:
    return Entry.objects.filter(verb=verbs.PEOPLE_REFUSED.name).count()


ENDS: dict[str, Callable[[], Any]] = {
    "signed out": lambda: Session.objects.all().delete(),
    "password reset": lambda: User.objects.filter(username="root").update(password=make_password("another one")),
    "account closed": lambda: User.objects.filter(username="root").update(is_active=False),
}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("door", ["admin", "rest"])
def test_a_session_that_ends_during_its_deed_does_nothing(bob: User, door: str, how: str) -> None:
    before = state()
    for what, (url, form, path, body) in deeds(bob).items():
        User.objects.filter(username="root").update(is_active=True)
        client, refused = signed_in("root"), refusals()
        with meanwhile(people, ENDS[how]):
            answer = client.post(url, form) if door == "admin" else client.post(path, body, content_type="application/json")
        assert (answer.status_code, refusals()) == (403, refused + 1), (what, answer.content)
        assert "the session that asks has ended just now" in answer.content.decode() and state() == before, what


def test_a_token_that_ends_during_its_deed_does_nothing(bob: User) -> None:
    before = state()
    for what, (_, _, path, body) in deeds(bob).items():
        caller = Caller.of(User.objects.get(username="root"))
        with meanwhile(authentication, lambda: Token.objects.all().delete()):
            refused = caller.post(path, body)
        assert (refused.status, refused.code, state()) == (403, "denied", before), what
        assert "the token that asks has ended just now" in refused.body["detail"], what
    assert refusals() == len(deeds(bob))


def test_teams_and_groups_are_changed_by_what_is_still_open_alone(bob: User) -> None:
    caller = Caller.of(User.objects.get(username="root"))
    for path, body in (
        ("/teams/platform/members/", {"person": "bob"}),
        ("/groups/", {"name": "more"}),
        ("/groups/onlookers/people/", {"person": "bob"}),
    ):
        with meanwhile(authentication, lambda: Token.objects.all().delete()):
            assert "has ended just now" in caller.post(path, body).body["detail"]
        caller = Caller.of(User.objects.get(username="root"))
        assert caller.post(path, body).status in (200, 201), path


def locked_out() -> Tries:
    for _ in range(settings.ORCHESTRA_TRIES):
        tries.take(tries.to_change("bob"))
    with pytest.raises(tries.TooManyTries):
        tries.take(tries.to_change("bob"))
    return Tries.objects.locks(clock.now()).get()


@pytest.mark.parametrize("what", ["one token", "all tokens", "a lock"])
def test_nobody_takes_a_token_or_lifts_a_lock_by_what_has_ended(bob: User, what: str) -> None:
    token, lock = create_token("bob", actor=SYSTEM).token, locked_out()
    path = {"one token": f"/tokens/{token.id}/", "all tokens": "/people/bob/tokens/", "a lock": f"/sign-in-locks/{lock.pk}/"}[what]
    root = User.objects.get(username="root")
    caller = Caller.of(root)
    with meanwhile(authentication, lambda: Token.objects.filter(user=root).delete()):
        refused = caller.delete(path)
    assert (refused.status, refused.code, "the token that asks has ended just now" in refused.body["detail"]) == (403, "denied", True)
    browser = signed_in("root")
    with meanwhile(people, lambda: Session.objects.all().delete()):
        assert "the session that asks has ended just now" in browser.delete(f"/api/v1{path}").content.decode()
    assert Token.objects.filter(user=bob).exists() and Tries.objects.locks(clock.now()).exists()
    assert Entry.objects.filter(verb__in=["site.token.refused", tries.REFUSED.name]).count() == 2
    assert Caller.of(root).delete(path).status in (200, 204)
    assert Token.objects.filter(user=bob).exists() == (what == "a lock") and Tries.objects.locks(clock.now()).exists() == (what != "a lock")


def test_one_session_that_ends_leaves_the_deeds_of_another(bob: User) -> None:
    """Two browsers of one person: a sign-out in one ends that one's deed, not the other's."""
    first, second = signed_in("root"), signed_in("root")
    with meanwhile(people, first.logout):
        assert "has ended just now" in first.post(page("user_create"), {"username": "dora"}).content.decode()
        assert second.post(page("user_create"), {"username": "erin"}).status_code == 200
    assert set(User.objects.values_list("username", flat=True)) == {"root", "bob", "erin"}
