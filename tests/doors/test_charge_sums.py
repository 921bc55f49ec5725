"""Sums of charges at the doors: the admin's page and REST say the same, of what somebody may see."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audit import clock
from audit.identity import new_id
from audit.models import Charge
from tests.doors import world

pytestmark = pytest.mark.django_db(transaction=True)

PAGE, REST = "admin:audit_charge_sums", "/api/v1/charges/summary/"


@pytest.fixture
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Client]:
    world.platform(tmp_path_factory.mktemp("p"))
    world.red(tmp_path_factory.mktemp("r"))
    for team, amount in (("platform", 1_500_000_000), ("red", 7_000_000_000)):
        Charge.objects.create(id=new_id(), at=clock.now() - timedelta(days=2), team=team, agent=f"{team}-<b>", amount_nano=amount, estimated=True)
    return world.people()


def test_the_page_sums_what_somebody_may_see(seen: dict[str, Client]) -> None:
    mine, everything = (seen[name].get(reverse(PAGE)).content.decode().partition('id="content-main"')[2] for name in ("alice", "root"))
    assert "1.50 USD" in mine and "platform-&lt;b&gt;" in mine and "7.00 USD" not in mine and "red-&lt;" not in mine
    assert "8.50 USD" in everything and "red-&lt;b&gt;" in everything
    assert "Nothing was charged" in seen["charlie"].get(reverse(PAGE)).content.decode()
    assert "1.50" not in seen["alice"].get(reverse(PAGE), {"days": "1"}).content.decode()
    assert seen["alice"].get(reverse(PAGE), {"days": "x"}).status_code == 200
    assert reverse(PAGE) in seen["alice"].get(reverse("admin:audit_charge_changelist")).content.decode()


def test_rest_sums_the_same(seen: dict[str, Client]) -> None:
    said = json.loads(seen["alice"].get(f"{REST}?by=agent").content)
    total = said["total"]
    assert (total["amount_nano"], total["estimated_nano"], said["complete"], said["more"]) == ("1500000000", "1500000000", True, False)
    assert [(item["name"], item["amount_nano"]) for item in said["items"]] == [("platform-<b>", "1500000000")]
    assert json.loads(seen["charlie"].get(REST).content)["total"]["charges"] == 0
    since = clock.to_text(clock.now() - timedelta(days=1)).replace("+", "%2B")
    assert json.loads(seen["alice"].get(f"{REST}?since={since}").content)["items"] == []
    assert seen["alice"].get(f"{REST}?by=person").status_code == 400


def test_the_page_costs_as_many_queries_however_many_charges_there_are(seen: dict[str, Client]) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert seen["alice"].get(reverse(PAGE)).status_code == 200
        return len(captured)

    queries()
    few = queries()
    for number in range(40):
        Charge.objects.create(id=new_id(), at=clock.now() - timedelta(days=1), team="platform", agent=f"a{number}", amount_nano=number)
    assert queries() == few
