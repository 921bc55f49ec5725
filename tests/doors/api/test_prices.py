"""Prices over REST and in the admin: whoever sees a model's alias sees its price, administrators set it."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from agents import registry
from agents.models import Price
from audit.models import Entry
from tests import models
from tests.pipelines import SYSTEM
from tests.rest import Caller

pytestmark = pytest.mark.django_db

HAIKU = {"provider": "anthropic", "model": "claude-haiku-4-5"}
FIGURES = {"input_nano": "1000000000", "output_nano": "5000000000"}


@pytest.fixture
def people(tmp_path: Path) -> dict[str, User]:
    """alice belongs to the team whose alias names a listed model; root administers; dora sees everything; charlie belongs nowhere."""
    tmp_path.joinpath("models.yaml").write_text("\n---\n".join(["kind: team\nname: platform", models.alias(model=HAIKU["model"])]))
    registry.apply_folder(tmp_path, actor=SYSTEM)
    made = {name: registry.create_person(name, actor=SYSTEM, administrator=name == "root")[0] for name in ("alice", "charlie", "dora", "root")}
    registry.add_member("platform", "alice", actor=SYSTEM)
    registry.permit_person("dora", "see-everything", allowed=True, actor=SYSTEM)
    return made


def listed(person: User, query: str = "") -> list[tuple[str, int]]:
    return [(each["model"], each["version"]) for each in Caller.of(person).get(f"/prices/{query}").body["items"]]


def refusals() -> list[dict[str, Any]]:
    return [entry.envelope()["facts"] for entry in Entry.objects.filter(verb="agents.price.refused").in_order()]


def test_whoever_sees_a_models_alias_sees_its_price(people: dict[str, User]) -> None:
    Caller.of(people["root"]).post("/prices/", {"provider": "p", "model": "of-nobody", **FIGURES})
    assert listed(people["alice"]) == [(HAIKU["model"], 1)] and listed(people["charlie"]) == []
    assert [model for model, _ in listed(people["dora"])] == ["of-nobody", HAIKU["model"]]


def test_the_price_of_a_model_now_is_one_question(people: dict[str, User]) -> None:
    root = Caller.of(people["root"])
    done = root.post("/prices/", {**HAIKU, **FIGURES, "cache_read_nano": "100000000", "input_limit": 200000})
    assert (done.status, done.body["action"], done.body["price"]["version"]) == (200, "changed", 2)
    assert listed(people["alice"]) == [(HAIKU["model"], 2), (HAIKU["model"], 1)]
    (now,) = Caller.of(people["alice"]).get(f"/prices/?provider=anthropic&model={HAIKU['model']}&current=true").body["items"]
    assert now | {"valid_from": ""} == {
        **HAIKU, **FIGURES, "cache_read_nano": "100000000", "cache_write_nano": "1000000000", "version": 2, "input_limit": 200000,
        "source": "set by hand", "valid_from": "",
    }  # fmt: skip
    assert root.post("/prices/", {**HAIKU, **FIGURES, "cache_read_nano": "100000000", "input_limit": 200000}).body["action"] == "unchanged"
    entry = Entry.objects.filter(verb="agents.price.set").order_by("at", "id").last()
    assert entry is not None and (entry.actor, entry.envelope()["facts"]["input"]) == ("root", 10**9)


def test_prices_are_compared_with_the_list(people: dict[str, User]) -> None:
    (one,) = Caller.of(people["root"]).post("/prices/update/").body["items"]
    assert (one["model"], one["action"], one["price"]["version"]) == (HAIKU["model"], "unchanged", 1)


@pytest.mark.parametrize("name", ["alice", "charlie", "dora"])
def test_only_an_administrator_sets_prices_and_the_refusal_is_an_entry(people: dict[str, User], name: str) -> None:
    caller = Caller.of(people[name])
    for refused in (caller.post("/prices/", {**HAIKU, **FIGURES}), caller.post("/prices/update/")):
        assert (refused.status, refused.code) == (403, "denied") and "ask an administrator" in refused.body["detail"]
    assert [(each["asked"], each["code"]) for each in refusals()] == [("set", "denied"), ("update", "denied")]
    assert Price.objects.count() == 1


def test_an_odd_figure_is_refused(people: dict[str, User]) -> None:
    root = Caller.of(people["root"])
    assert root.post("/prices/", {**HAIKU, **FIGURES, "output_nano": "9000000000000000"}).code == "invalid"
    for odd in ({"output_nano": "-1"}, {"output_nano": 5}, {"input_limit": 0}, {"currency": "EUR"}):
        assert root.post("/prices/", {**HAIKU, **FIGURES, **odd}).code == "bad-body"
    assert Price.objects.count() == 1


# --- in the admin --------------------------------------------------------------------------------------------------

LIST, SET = reverse("admin:agents_price_changelist"), reverse("admin:agents_price_set")


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_an_administrator_sets_a_price_in_dollars(people: dict[str, User]) -> None:
    client = signed_in(people["root"])
    assert SET in client.get(LIST).content.decode()
    said = {**HAIKU, "input": "1", "output": "5.5", "cache_read": "0.1", "cache_write": "", "input_limit": ""}
    assert "claude-haiku-4-5 has a new price" in client.post(SET, said, follow=True).content.decode()
    price = Price.objects.newest().get()
    assert (price.input_nano, price.cache_read_nano, price.cache_write_nano, price.output_nano) == (10**9, 10**8, 10**9, 55 * 10**8)
    assert "5.50 USD" in client.get(LIST).content.decode()
    assert "Write dollars per million tokens" in client.post(SET, {**said, "input": "one"}).content.decode()


def test_an_administrator_compares_prices_with_the_list(people: dict[str, User]) -> None:
    client, update = signed_in(people["root"]), reverse("admin:agents_price_update")
    assert "nothing has changed" in client.post(update, follow=True).content.decode()
    Caller.of(people["root"]).post("/prices/", {"provider": "p", "model": "of-nobody", **FIGURES})
    assert "nothing has changed" in client.post(update, follow=True).content.decode()  # what was set by hand stays
    assert signed_in(people["alice"]).post(update).status_code == 403 and refusals()[-1]["asked"] == "update"


def test_whoever_does_not_administer_looks_at_prices_and_is_refused_by_the_use_case(people: dict[str, User]) -> None:
    client = signed_in(people["alice"])
    page = client.get(LIST).content.decode()
    assert "claude-haiku-4-5" in page and SET not in page
    assert "ask an administrator" in client.get(SET).content.decode()
    answer = client.post(SET, {**HAIKU, "input": "1", "output": "5"})
    assert answer.status_code == 403 and Price.objects.count() == 1 and [each["code"] for each in refusals()] == ["denied"]
    assert "claude-haiku-4-5" not in signed_in(people["charlie"]).get(LIST).content.decode()
