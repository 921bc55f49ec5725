"""Signing in: wrong passwords are bounded by name and address, by each alone, whoever asks at once; a lock is one entry, and is lifted."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, connections
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents import registry
from audit import clock
from audit.models import Entry, Opening
from orchestra_site import checks, haunts, tries
from orchestra_site.addresses import address_of
from orchestra_site.models import Haunt, Tries
from tests.pipelines import SYSTEM
from tests.rest import Caller

pytestmark = pytest.mark.django_db

HERE, THERE = "198.51.100.7", "203.0.113.9"
LOCKED = "site.sign_in.locked"


@pytest.fixture(autouse=True)
def _few(settings: Any) -> None:
    settings.ORCHESTRA_TRIES, settings.ORCHESTRA_TRIES_PER_ADDRESS, settings.ORCHESTRA_TRIES_PER_NAME = 3, 6, 8


@pytest.fixture
def passwords() -> dict[str, str]:
    return {name: registry.create_person(name, actor=SYSTEM, administrator=name == "root")[1] for name in ("erin", "frank", "root")}


def sign_in(name: str, password: str, address: str = HERE, **more: str) -> str | None:
    """What the page says; None where it lets the person in."""
    answer = Client(REMOTE_ADDR=address, **more).post(reverse("admin:login"), {"username": name, "password": password})
    return None if answer.status_code == 302 else " ".join(answer.context["form"].told())


def test_after_a_wrong_password_the_name_that_was_typed_stays_as_text_and_nothing_looks_filled_in() -> None:
    first = Client().get(reverse("admin:login")).content.decode()
    again = Client(REMOTE_ADDR=HERE).post(reverse("admin:login"), {"username": '"><b>erin', "password": "never shown"}).content.decode()
    assert 'name="username" value=' not in first and "placeholder=" not in first + again
    assert 'value="&quot;&gt;&lt;b&gt;erin"' in again and "never shown" not in again


def wrong(name: str, times: int, address: str = HERE) -> str:
    return [sign_in(name, "wrong", address) or "" for _ in range(times)][-1]


def entries(verb: str = LOCKED) -> list[dict[str, Any]]:
    return [entry.envelope() for entry in Entry.objects.filter(verb=verb).order_by("at", "id")]


@pytest.fixture
def later() -> Iterator[Any]:
    with mock.patch("audit.clock.now", return_value=clock.now() + timedelta(seconds=901)) as patched:
        yield patched


def test_a_wrong_password_is_said_in_one_box_with_plain_words(passwords: dict[str, str]) -> None:
    page = Client().post(reverse("admin:login"), {"username": "erin", "password": "wrong"}).content.decode()
    assert page.count("errornote") == 1 and "The user name or the password is wrong" in page
    assert "staff" not in page and ">User name</label>" in page
    empty = Client().post(reverse("admin:login"), {}).content.decode()
    assert empty.count("errornote") == 1 and "Give your user name." in empty and "Give your password." in empty


def test_too_many_wrong_passwords_lock_the_name_from_there_and_say_how_long(passwords: dict[str, str]) -> None:
    assert "wrong, or the account" in wrong("erin", 2)
    assert "(15 min 00 s from now)" in wrong("erin", 1)
    assert "No password is looked at for this user name from where you are until" in (sign_in("erin", passwords["erin"]) or "")
    assert sign_in("erin", passwords["erin"], THERE) is None and sign_in("frank", passwords["frank"]) is None


def test_a_lock_is_one_entry_however_many_tries_follow(passwords: dict[str, str]) -> None:
    wrong("erin", 5)
    (entry,) = entries()
    facts = entry["facts"]
    assert (facts["scope"], facts["tries"], facts["person"]) == ("name", 3, User.objects.get(username="erin").pk)
    assert (entry["actor"], set(entry["commitments"])) == ({"kind": "person", "id": "nobody", "auth": "none"}, {"person", "address"})
    assert HERE not in str(entry) and "erin" not in str(entry)
    assert Tries.objects.get(scope="name").count == 3


def test_a_lock_does_not_grow_and_ends_by_itself(passwords: dict[str, str], later: Any) -> None:
    later.return_value -= timedelta(seconds=901)
    wrong("erin", 3)
    later.return_value += timedelta(seconds=800)
    assert "(1 min 40 s from now)" in wrong("erin", 1) or "(100.0 s from now)" in wrong("erin", 1)
    later.return_value += timedelta(seconds=101)
    assert sign_in("erin", passwords["erin"]) is None


def test_wrong_passwords_are_forgotten_after_a_while(passwords: dict[str, str]) -> None:
    wrong("erin", 2)
    with mock.patch("audit.clock.now", return_value=clock.now() + timedelta(seconds=901)):
        assert "wrong, or the account" in wrong("erin", 2)
    assert not entries()


def test_two_whose_names_differ_only_in_capitals_sign_in_each_as_themselves(passwords: dict[str, str]) -> None:
    """No two are made any more; there may be such from before."""
    User.objects.create_user("Erin", password="another one", is_staff=True)
    assert sign_in("Erin", "another one") is None and sign_in("erin", passwords["erin"]) is None
    assert sign_in("Erin", passwords["erin"]) and sign_in("erin", "another one") and sign_in("ERIN", passwords["erin"])


def test_a_session_and_a_token_go_on_while_their_person_is_locked(passwords: dict[str, str]) -> None:
    inside = Client(REMOTE_ADDR=HERE)
    assert inside.post(reverse("admin:login"), {"username": "erin", "password": passwords["erin"]}).status_code == 302
    caller = Caller.of(User.objects.get(username="erin"))
    wrong("erin", 4)
    assert inside.get(reverse("admin:index")).status_code == 200 and caller.get("/me/").status == 200


def test_one_address_does_not_try_many_names(passwords: dict[str, str]) -> None:
    for number in range(5):
        assert "wrong, or the account" in wrong(f"somebody-{number}", 1)
    assert "No password is looked at from where you are until" in wrong("another", 1)
    assert "from where you are" in (sign_in("erin", passwords["erin"]) or "") and sign_in("erin", passwords["erin"], THERE) is None
    assert [(entry["facts"]["scope"], entry["facts"]["person"]) for entry in entries()] == [("address", None)]


def test_signing_in_does_not_give_an_address_its_tries_back(passwords: dict[str, str]) -> None:
    """Else whoever has an account would guess at others for ever, by signing in between."""
    for number in range(6):
        assert sign_in("frank", passwords["frank"]) is None or number == 5
        wrong(f"somebody-{number}", 1)
    assert [entry["facts"]["scope"] for entry in entries()] == ["address"]


def test_a_right_password_begins_anew_for_the_name(passwords: dict[str, str]) -> None:
    for _ in range(2):
        wrong("erin", 2)
        assert sign_in("erin", passwords["erin"]) is None
    assert not entries() and not Tries.objects.filter(scope="name").exists()


def test_a_name_that_nobody_has_reads_the_same_and_is_kept_nowhere(passwords: dict[str, str]) -> None:
    said = [wrong("hunter2-typed-in-the-wrong-box", 1) for _ in range(3)][-1]
    with mock.patch("audit.clock.now", return_value=clock.now() + timedelta(hours=2)):
        assert [wrong("erin", 1) for _ in range(3)][-1].partition("until")[0] == said.partition("until")[0]
    kept = [str(row.__dict__) for row in Tries.objects.all()]
    kept += [bytes(each.body).decode() for each in Entry.objects.all()] + [bytes(each.value).decode() for each in Opening.objects.all()]
    assert not any("hunter2" in text for text in kept)


@pytest.mark.django_db(transaction=True)
def test_a_hundred_at_once_are_no_more_than_a_hundred_in_a_row() -> None:
    bounds = tries.to_sign_in("erin", HERE)

    def attempt(_: int) -> bool:
        try:
            tries.take(bounds)
        except tries.TooManyTries:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(24))) == 3
    assert len(entries()) == 1


def test_counts_whose_time_is_over_are_forgotten(passwords: dict[str, str]) -> None:
    for number in range(4):
        wrong(f"somebody-{number}", 1)
    with mock.patch("audit.clock.now", return_value=clock.now() + timedelta(hours=1)):
        wrong("erin", 1)
        assert sorted(Tries.objects.values_list("scope", flat=True)) == ["address", "elsewhere", "name"]


# --- one name from many addresses ------------------------------------------------------------------------------------


def from_everywhere(name: str, times: int, *, first: int = 0) -> str:
    """Wrong passwords for one name, each from an address of its own."""
    return [wrong(name, 1, f"192.0.2.{number}") for number in range(first, first + times)][-1]


def test_many_addresses_do_not_try_one_name_and_the_lock_is_one_entry(passwords: dict[str, str]) -> None:
    assert "wrong, or the account" in from_everywhere("erin", 7)
    assert "for this user name from where it has not signed in lately until" in from_everywhere("erin", 4, first=7)
    assert "has not signed in lately" in (sign_in("erin", passwords["erin"], THERE) or "")
    assert sign_in("frank", passwords["frank"], THERE) is None
    (entry,) = entries()
    assert (entry["facts"]["scope"], entry["facts"]["tries"], entry["facts"]["person"]) == ("elsewhere", 8, User.objects.get(username="erin").pk)
    assert set(entry["commitments"]) == {"person"} and Tries.objects.get(scope="elsewhere", locked=True).count == 8


def test_who_comes_from_where_they_always_do_is_kept_out_by_nobody_elsewhere(passwords: dict[str, str]) -> None:
    assert sign_in("erin", passwords["erin"]) is None
    from_everywhere("erin", 9)
    assert sign_in("erin", passwords["erin"]) is None and "lately" in (sign_in("erin", passwords["erin"], THERE) or "")
    assert "wrong, or the account" in wrong("erin", 2) and "from where you are" in wrong("erin", 2)  # bounded there all the same


def test_signing_in_does_not_give_strangers_their_tries_back(passwords: dict[str, str]) -> None:
    for number in range(4):
        from_everywhere("erin", 2, first=2 * number)
        assert sign_in("erin", passwords["erin"]) is None
        assert (sign_in("erin", passwords["erin"], f"203.0.113.{number}") is None) == (number < 3)
    assert [entry["facts"]["scope"] for entry in entries()] == ["elsewhere"]


def test_where_somebody_signed_in_is_forgotten_after_a_season_and_kept_as_a_digest(passwords: dict[str, str]) -> None:
    long_ago = clock.now() - haunts.KEPT
    with mock.patch("audit.clock.now", return_value=long_ago):
        assert sign_in("frank", passwords["frank"]) is None and sign_in("erin", passwords["erin"]) is None
    assert Haunt.objects.count() == 2 and not any(HERE in str(row.__dict__) or "erin" in str(row.__dict__) for row in Haunt.objects.all())
    assert not haunts.is_haunt("erin", HERE, now=clock.now())
    assert sign_in("erin", passwords["erin"]) is None
    (row,) = Haunt.objects.all()
    assert row.seen_at > long_ago + haunts.KEPT and haunts.is_haunt("erin", HERE, now=clock.now())


def test_a_name_that_nobody_has_is_bounded_everywhere_like_one_that_somebody_has(passwords: dict[str, str]) -> None:
    nobodys, somebodys = from_everywhere("zoe", 9), from_everywhere("erin", 9)
    assert nobodys.partition("until")[0] == somebodys.partition("until")[0] and "lately" in nobodys


def test_whoever_manages_people_lets_a_person_in_at_a_new_place_by_lifting_the_lock(passwords: dict[str, str]) -> None:
    from_everywhere("erin", 9)
    caller = Caller.of(manager())
    (lock,) = caller.get("/sign-in-locks/").body["items"]
    assert (lock["scope"], lock["person"], lock["address"]) == ("elsewhere", "erin", "")
    client = Client()
    client.force_login(User.objects.get(username="frank"))
    assert "signing in as &#x27;erin&#x27; from wherever that is new" in client.get(reverse("admin:orchestra_site_tries_changelist")).content.decode()
    assert caller.delete(f"/sign-in-locks/{lock['id']}/").status == 204
    assert sign_in("erin", passwords["erin"], THERE) is None
    from_everywhere("erin", 9, first=20)
    assert sign_in("erin", passwords["erin"], THERE) is None


# --- where a request comes from ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxies", "near", "forwarded", "address"),
    [
        (0, HERE, THERE, HERE),
        (1, "10.0.0.1", f"6.6.6.6, {THERE}", THERE),
        (2, "10.0.0.1", f"6.6.6.6, {THERE}, 10.0.0.2", THERE),
        (2, "10.0.0.1", THERE, "10.0.0.1"),
        (1, "10.0.0.1", "not an address", "10.0.0.1"),
        (1, "10.0.0.1", "", "10.0.0.1"),
        (0, "2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        (0, "::ffff:198.51.100.7", "", HERE),
        (0, "fe80::1%eth0", "", "fe80::/64"),
        (0, "", "", ""),
    ],
)
def test_an_address_is_what_the_last_trusted_proxy_saw(settings: Any, proxies: int, near: str, forwarded: str, address: str) -> None:
    settings.ORCHESTRA_PROXIES = proxies
    assert address_of(RequestFactory().get("/", REMOTE_ADDR=near, HTTP_X_FORWARDED_FOR=forwarded)) == address


def test_a_header_that_no_proxy_of_ours_wrote_changes_nothing(passwords: dict[str, str]) -> None:
    for number in range(3):
        sign_in("erin", "wrong", HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
    assert "No password is looked at" in (sign_in("erin", passwords["erin"], HTTP_X_FORWARDED_FOR="192.0.2.99") or "")


def test_tls_without_a_counted_proxy_is_a_warning(settings: Any) -> None:
    assert checks.check_proxies(None) == []
    settings.ORCHESTRA_HTTPS = True
    assert [found.id for found in checks.check_proxies(None)] == ["orchestra.W006"]
    settings.ORCHESTRA_PROXIES = 1
    assert checks.check_proxies(None) == []


# --- lifting -------------------------------------------------------------------------------------------------------


@pytest.fixture
def locks(passwords: dict[str, str]) -> dict[str, Tries]:
    """Erin and the administrator are locked from here, and here for everybody."""
    wrong("erin", 3)
    wrong("root", 3)
    return {row.person.username if row.person else row.scope: row for row in Tries.objects.filter(locked=True)}


def manager(name: str = "frank") -> User:
    registry.permit_person(name, "manage-people", allowed=True, actor=SYSTEM)
    return User.objects.get(username=name)


def test_whoever_manages_people_lifts_a_lock_over_rest_but_not_an_administrators(locks: dict[str, Tries], passwords: dict[str, str]) -> None:
    caller = Caller.of(manager())
    assert [each["person"] for each in caller.get("/sign-in-locks/").body["items"]] == ["erin"]
    for name in ("root", "address"):
        assert caller.delete(f"/sign-in-locks/{locks[name].pk}/").code == "unknown-lock"
    assert caller.delete(f"/sign-in-locks/{locks['erin'].pk}/").status == 204
    (entry,) = entries("site.sign_in.unlocked")
    assert (entry["actor"]["id"], entry["facts"]["person"]) == ("frank", User.objects.get(username="erin").pk)
    assert [refusal["facts"]["code"] for refusal in entries("site.sign_in.refused")] == ["unknown-lock"] * 2
    root = Caller.of(User.objects.get(username="root"))
    assert root.delete(f"/sign-in-locks/{locks['address'].pk}/").status == 204
    assert sign_in("erin", passwords["erin"]) is None and "No password" in (sign_in("root", passwords["root"]) or "")


def test_whoever_manages_nobody_sees_no_lock(locks: dict[str, Tries]) -> None:
    caller = Caller.of(User.objects.get(username="erin"))
    assert caller.get("/sign-in-locks/").body == {"items": [], "next": None}
    assert caller.delete(f"/sign-in-locks/{locks['erin'].pk}/").code == "unknown-lock"
    client = Client()
    client.force_login(User.objects.get(username="erin"))
    for url in (reverse("admin:orchestra_site_tries_changelist"), reverse("admin:orchestra_site_tries_change", args=[locks["erin"].pk])):
        assert client.get(url).status_code == 404 and client.post(url).status_code == 404
    assert Tries.objects.filter(locked=True).count() == 3


def test_a_lock_is_lifted_in_the_admin(locks: dict[str, Tries]) -> None:
    client = Client()
    client.force_login(manager())
    listed = client.get(reverse("admin:orchestra_site_tries_changelist")).content.decode()
    assert "signing in as &#x27;erin&#x27; from 198.51.100.7" in listed and "&#x27;root&#x27;" not in listed
    url = reverse("admin:orchestra_site_tries_change", args=[locks["erin"].pk])
    person = client.get(reverse("admin:auth_user_change", args=[locks["erin"].person_id])).content.decode()
    assert f'href="{url}"' in person and "Too many wrong passwords" in person
    assert "Make sure that it was the person" in client.get(url).content.decode() and Tries.objects.filter(pk=locks["erin"].pk).exists()
    assert client.post(url).status_code == 302 and not Tries.objects.filter(pk=locks["erin"].pk).exists()
    assert client.post(reverse("admin:orchestra_site_tries_change", args=[locks["root"].pk])).status_code == 404
    assert len(entries("site.sign_in.unlocked")) == 1


def test_the_list_of_locks_costs_the_same_however_long_it_is(locks: dict[str, Tries]) -> None:
    client, url = Client(), reverse("admin:orchestra_site_tries_changelist")
    client.force_login(User.objects.get(username="root"))

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(url)
        return len(captured)

    few = queries()
    for number in range(8):
        row = Tries(key=f"more-{number}", scope="name", ends=locks["erin"].ends, locked=True, person=locks["erin"].person, address=HERE)
        row.save()
    assert queries() == few <= 16 and len(client.get(url).context["cl"].result_list) == 11


def test_a_lock_is_listed_and_lifted_in_a_shell(locks: dict[str, Tries]) -> None:
    def run(*words: str) -> list[str]:
        out = StringIO()
        call_command("locks", *words, stdout=out)
        return out.getvalue().splitlines()

    assert len(run()) == 3 and any(f"{locks['erin'].pk}  until " in line and "signing in as 'erin'" in line for line in run())
    assert run("--lift", str(locks["erin"].pk)) == ["signing in as 'erin' from 198.51.100.7: allowed again"]
    with pytest.raises(CommandError, match="no lock") as refused:
        run("--lift", str(locks["erin"].pk))
    assert refused.value.returncode == 2
    for name in ("root", "address"):
        run("--lift", str(locks[name].pk))
    assert run() == ["nothing is locked"]


@pytest.mark.django_db(transaction=True)
def test_who_takes_a_count_away_in_the_same_moment_makes_nobody_s_sign_in_fail() -> None:
    """It was there when ours was to be made, and gone when it was to be read."""
    made, real = [], Tries.objects.all().__class__.get_or_create

    def meets(query: Any, **asked: Any) -> Any:
        made.append(asked["key"])
        if len(made) == 1:
            raise IntegrityError("duplicate key")
        return real(query, **asked)

    with mock.patch.object(Tries.objects.all().__class__, "get_or_create", meets):
        tries.take(tries.to_sign_in("erin", HERE))
    assert made[0] == made[1] and Tries.objects.filter(key=made[0]).exists()
