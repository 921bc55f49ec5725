"""What pages of the admin say: times with their zone, people and owners by name, prices as they are set, and what stops something with care."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from agents import registry
from agents.models import Pipeline
from agents.prices import Price
from audit.templatetags.showing import moment, span, who
from tests.doors import world
from tests.pipelines import SYSTEM

BEGUN = datetime(2026, 3, 1, 23, 59, 58, tzinfo=UTC)
SET = "admin:agents_stop_set"


@pytest.fixture
def seen(transactional_db: None, tmp_path: Path) -> dict[str, Client]:
    world.platform(tmp_path / "platform")
    return world.people()


def text(answer: object) -> str:
    return answer.content.decode()  # type: ignore[attr-defined, no-any-return]


def test_a_time_in_a_sentence_says_its_zone() -> None:
    assert (moment(BEGUN), moment("2026-03-01T23:59:58.000000Z"), moment(None)) == (*["2026-03-01 23:59:58 UTC"] * 2, "–")


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (BEGUN.replace(second=59), "2026-03-01 23:59:58 – 23:59:59 UTC"),
        (datetime(2026, 3, 2, 0, 0, 1, tzinfo=UTC), "2026-03-01 23:59:58 – 2026-03-02 00:00:01 UTC"),
        (BEGUN, "2026-03-01 23:59:58 UTC"),
        (None, "2026-03-01 23:59:58 UTC"),
    ],
)
def test_from_when_to_when_names_the_day_once_where_it_is_one(end: datetime | None, said: str) -> None:
    assert span(BEGUN, end) == said


def test_a_reference_reads_as_words() -> None:
    assert [who(each) for each in ("person:alice", "agent:reader", "system:system", None)] == ["person alice", "agent reader", "system", "–"]


def test_nothing_is_chosen_beforehand_of_what_is_stopped(seen: dict[str, Client]) -> None:
    assert '<option value="" selected>' in text(seen["root"].get(reverse(SET)))
    refused = seen["root"].post(reverse(SET), {"scope": "", "name": "", "reason": "in a hurry"})
    assert refused.status_code == 422


def test_the_page_of_a_pipeline_leads_whoever_may_stop_it_to_the_form_filled_in(seen: dict[str, Client]) -> None:
    page = reverse("admin:agents_pipeline_change", args=[Pipeline.objects.get(name="sample").pk])
    leads = f"{reverse(SET)}?scope=pipeline&amp;name=sample"
    assert [name for name in ("root", "alice", "bob", "dora") if leads in text(seen[name].get(page))] == ["root", "alice"]
    form = text(seen["alice"].get(leads.replace("&amp;", "&")))
    assert '<option value="pipeline" selected>' in form and 'value="sample"' in form


def test_prices_are_listed_as_they_are_set_for_a_million_tokens(seen: dict[str, Client]) -> None:
    registry.set_price(Price("anthropic", "mine", 0, 3 * 10**9, 3 * 10**8, 3 * 10**9, 15 * 10**9), actor=SYSTEM)
    page = text(seen["root"].get(reverse("admin:agents_price_changelist")))
    assert "per million" in page and "3.00 USD" in page and "15.00 USD" in page


def test_where_nothing_was_charged_that_is_said_once(seen: dict[str, Client]) -> None:
    assert text(seen["alice"].get(reverse("admin:audit_charge_sums"))).count("Nothing was charged") == 1


def test_whoever_sees_every_team_isnt_told_that_none_is_shown_to_them(seen: dict[str, Client]) -> None:
    page = text(seen["dora"].get(reverse("admin:orchestra_site_token_account")))
    assert "every team is shown to you all the same" in page and "none is shown to you" not in page
