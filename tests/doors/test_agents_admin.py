"""The inventory in the admin: everything can be looked at, nothing changed."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents import registry
from agents.models import Agent, Artifact, Pipeline, Release, Team, Version
from audit.actors import Actor
from tests.agents.folders import READER, numbers

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(tmp_path: Path) -> Client:
    registry.apply_folder(
        numbers(tmp_path / "one", reader=READER.replace("Read a number.", '"<blink>\\u202Eevil"')), actor=Actor.system("test"), publish=True
    )
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.mark.parametrize("model", [Team, Agent, Pipeline, Version, Release, Artifact])
def test_every_row_can_be_looked_at_and_none_changed(boss: Client, model: Any) -> None:
    listing = f"/admin/agents/{model.__name__.lower()}/"
    pages = [f"{listing}{row.pk}/change/" for row in model.objects.all()]
    page = pages[0]
    for path in (listing, *pages):
        response = boss.get(path)
        assert response.status_code == 200
        assert "<blink>" not in response.content.decode()
        assert "\u202e" not in response.content.decode()
    assert boss.post(page, {"name": "other"}).status_code == 403
    assert boss.get(f"{listing}add/").status_code == 403
    assert boss.post(f"{page.removesuffix('change/')}delete/", {"post": "yes"}).status_code == 403
