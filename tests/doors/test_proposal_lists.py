"""What the doors show of proposals where it is much, or not so any more."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents import registry
from audit.actors import Actor
from orchestra_site.tokens import create_token
from tests.pipelines import SYSTEM
from tests.proposing import POLICY, asked, folder, proposed, ruled
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Actor:
    monkeypatch.setenv("COLUMNS", "200")
    by = ruled(tmp_path / "first")
    monkeypatch.setenv("ORCHESTRA_TOKEN", create_token("bob", actor=SYSTEM).text)
    return by


def test_the_command_shows_what_governs_first_and_whole_and_cuts_only_contracts(alice: Actor, tmp_path: Path) -> None:
    made = folder(tmp_path / "wide", tier="high")
    file = made / "pipeline.yaml"
    many = ", ".join(f"p{number}: {{description: x}}" for number in range(400))
    rules = ", ".join(f'"allow write deploy:{"x" * 100}{number}"' for number in range(200))
    text = file.read_text(encoding="utf-8").replace("name: worker\n", f"name: worker\npermissions: [{rules}]\n", 1)
    file.write_text(text.replace("input: {type: object}", f"input: {{type: object, properties: {{{many}}}}}", 1), encoding="utf-8")
    registry.apply_folder(made, actor=alice)
    shown = typed("proposals", asked(lambda: registry.publish("worker", actor=alice)).pk).out
    assert all(f"deploy:{'x' * 100}{number}" in shown.replace("\n", "") for number in (0, 199))
    assert shown.index("  permissions") < shown.index("  risk_tier") < shown.index("  input.")
    assert "100 more fields of input and output: --json has all of them" in shown


def test_every_door_says_that_it_is_void_as_soon_as_its_policy_is_another_one(alice: Actor, tmp_path: Path) -> None:
    proposal, why = proposed(tmp_path / "next", alice), "the policy that it was asked under is not in force any more"
    changed = registry.apply_folder(folder(tmp_path / "other", policy=POLICY.replace("2h", "3h")), actor=alice, publish=True).proposal
    bob = User.objects.get(username="bob")
    assert changed is not None
    assert typed("decide", changed.pk, "approve").status == 0
    at, theirs, client = f"/proposals/{proposal.pk}/", Caller.of(bob), Client()
    client.force_login(bob)
    assert str(proposal.pk) not in typed("proposals").out and f"void: {why}" in typed("proposals", "--ended").out
    assert theirs.get("/proposals/?state=open").body["items"] == [] and len(theirs.get("/proposals/?state=ended").body["items"]) == 2
    said = theirs.get(at).body
    assert (said["state"], said["why"], said["why_not"], said["may_withdraw"]) == ("void", why, f"it is void already: {why}", False)
    assert theirs.post(f"{at}withdraw/", {}).status == 409
    assert "Publish agent worker 2" not in client.get("/admin/agents/proposal/?shows=open").content.decode()
    page = client.get(f"/admin/agents/proposal/{proposal.pk}/change/").content.decode()
    assert f"This is void: {why}. There is nothing to be decided any more." in page and "Withdraw it" not in page
