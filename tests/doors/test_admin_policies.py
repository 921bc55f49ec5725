"""Approval policies as whoever decides, or is to be decided about, reads them in the admin."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from agents import registry
from agents.models import Policy
from tests import approving
from tests.approving import member
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)
POLICY = """kind: policy
name: two
team: platform
approvers: {teams: [platform]}
required: 2
within: 4h
silence: {escalate: {approvers: {people: [dora]}, within: 8h}}
reason: true"""


def published(folder: Path) -> None:
    member("dora")
    approving.publish(folder, rule=f"{approving.RULE} policy two", policy=POLICY)
    member("bob", "platform")


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def page_of(client: Client, policy: str) -> str:
    return client.get(reverse("admin:agents_policy_change", args=[Policy.objects.get(name=policy).pk])).content.decode()


def test_a_policy_says_whom_it_asks_for_how_long_and_what_silence_means(tmp_path: Path) -> None:
    published(tmp_path)
    client = signed_in("bob")
    listed = client.get(reverse("admin:agents_policy_changelist")).content.decode()
    assert all(words in listed for words in ("version 1", "2 of team &#x27;platform&#x27;", "4 hours", "asks 1 of dora"))
    page = page_of(client, "two")
    first, second = page.index("2 of team &#x27;platform&#x27; must approve, within 4 hours"), page.index("1 of dora must approve, within 8 hours")
    assert first < second < page.index("silence never approves") and "from everybody who approves or declines" in page
    assert ">worker</a>" in page and ">judge</a>" not in page


def test_a_draft_of_a_policy_stands_beside_what_is_in_force(tmp_path: Path) -> None:
    published(tmp_path)
    file = tmp_path / "pipeline.yaml"
    file.write_text(file.read_text().replace("required: 2", "required: 1"))
    registry.apply_folder(tmp_path, actor=SYSTEM)
    page = page_of(signed_in("bob"), "two")
    told = ("version 1 in force", "2 of team", "Draft: version 2", "1 of team", "Not in force")
    assert sorted(told, key=page.index) == list(told)


def test_whoever_sees_nothing_of_the_team_sees_no_policy_of_it(tmp_path: Path) -> None:
    published(tmp_path)
    member("charlie")
    client = signed_in("charlie")
    assert "2 of team" not in client.get(reverse("admin:agents_policy_changelist")).content.decode()
    assert client.get(reverse("admin:agents_policy_change", args=[Policy.objects.get(name="two").pk])).status_code == 404
