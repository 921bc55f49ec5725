"""Groups in the admin: made, filled and shown teams by whoever manages people; not there for anybody else."""

from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from agents import registry
from agents.models import Team
from agents.registry.roles import ROLES
from audit.models import Entry
from tests.doors import world
from tests.doors.test_admin_deeds import deed, text
from tests.doors.test_admin_visibility import statements
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)

LIST, CREATE = "admin:auth_group_changelist", "admin:auth_group_create"


@pytest.fixture
def seen(tmp_path: Path) -> dict[str, Client]:
    world.platform(tmp_path / "platform")
    return world.people()


@pytest.fixture
def group(seen: dict[str, Client]) -> Group:
    return registry.create_group("auditors", actor=SYSTEM)


def test_a_team_is_shown_to_a_group_and_hidden_again_on_its_page(seen: dict[str, Client], group: Group) -> None:
    team, charlie = Team.objects.get(name="platform"), seen["charlie"]
    page = reverse("admin:agents_team_change", args=[team.pk])
    assert charlie.get(page).status_code == 404
    assert "is in group" in text(seen["root"].post(deed(group, "add"), {"person": "charlie"}, follow=True))
    assert "&#x27;auditors&#x27; is shown team &#x27;platform&#x27;" in text(
        seen["root"].post(deed(team, "show-group"), {"group": "auditors"}, follow=True)
    )
    assert "everybody in this group" in text(charlie.get(page)) and deed(group, "change") not in text(charlie.get(page))
    assert deed(group, "change") in text(seen["root"].get(page)) and "platform" in text(seen["root"].get(deed(group, "change")))
    assert 'value="auditors"' in text(seen["root"].get(f"{deed(team, 'hide-group')}?group=auditors"))
    seen["root"].post(deed(team, "hide-group"), {"group": "auditors"})
    assert charlie.get(page).status_code == 404
    assert [each.actor for each in Entry.objects.filter(verb__startswith="agents.team.").filter(verb__endswith="group")] == ["root", "root"]


def test_a_group_is_made_and_deleted_once_it_is_empty(seen: dict[str, Client]) -> None:
    root = seen["root"]
    assert "is a group now" in text(root.post(reverse(CREATE), {"name": "auditors"}, follow=True))
    group = Group.objects.get(name="auditors")
    root.post(deed(group, "add"), {"person": "charlie"})
    assert deed(group, "end") not in text(root.get(deed(group, "change")))
    refused = root.post(deed(group, "end"))
    assert refused.status_code == 409 and "has 1 people" in text(refused)
    root.post(deed(group, "remove"), {"person": "charlie"})
    assert "is deleted" in text(root.post(deed(group, "end"), follow=True)) and not Group.objects.filter(name="auditors").exists()


def test_groups_are_not_there_for_whoever_manages_nobody(seen: dict[str, Client], group: Group) -> None:
    team = Team.objects.get(name="platform")
    urls = [reverse(LIST), reverse(CREATE), *(deed(group, what) for what in ("change", "add", "remove", "end"))]
    for name in ("alice", "bob", "charlie", "dora"):
        assert {seen[name].get(url).status_code for url in urls} == {404}, name
        assert {seen[name].post(url, {"name": "x", "person": name}).status_code for url in urls} == {404}, name
    assert seen["alice"].post(deed(team, "show-group"), {"group": "auditors"}).status_code == 403
    assert seen["charlie"].post(deed(team, "show-group"), {"group": "auditors"}).status_code == 404
    assert Group.objects.count() == len(ROLES) + 1 and not group.user_set.exists() and registry.people_of("platform", actor=SYSTEM).groups == ()


def test_djangos_own_pages_change_no_group(seen: dict[str, Client], group: Group) -> None:
    assert seen["root"].get(f"{reverse(LIST)}add/").status_code == seen["root"].post(deed(group, "change"), {"name": "x"}).status_code == 403
    assert seen["root"].post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"}).status_code == 403
    group.refresh_from_db()
    assert group.name == "auditors"


def test_the_list_of_groups_asks_as_much_for_many_as_for_few(seen: dict[str, Client], group: Group) -> None:
    few = statements(seen["root"], reverse(LIST))
    for number in range(5):
        registry.create_group(f"more-{number}", actor=SYSTEM)
        registry.add_to_group(f"more-{number}", "charlie", actor=SYSTEM)
        registry.show_team_to_group("platform", f"more-{number}", actor=SYSTEM)
    assert statements(seen["root"], reverse(LIST)) == few <= 10
