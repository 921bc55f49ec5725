"""What was never published where people say yes first: it is granted nothing, and all its code is shown."""

from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from agents import registry
from agents.models import Agent
from approvals.services import proposal_documents
from audit.actors import Actor
from audit.errors import Conflict
from tests.approvals.test_proposals_held import WRITE, decide, docs
from tests.approving import actor, member
from tests.pipelines import SYSTEM, agent
from tests.proposing import asked, ruled

pytestmark = pytest.mark.django_db(transaction=True)
CODE = "import os\n\n\ndef f() -> dict:\n    os.remove('x')\n    return {}\n"


@pytest.fixture
def alice(tmp_path: Path) -> Actor:
    docs(tmp_path / "red", "kind: team\nname: red", by=SYSTEM, publish=True)
    ruled(tmp_path / "first")
    return member("alice", "red")


def may_write() -> str:
    return registry.may("fresh", "write", "deploy:x", actor=SYSTEM).effect


def test_the_code_of_a_first_version_is_shown_file_by_file_at_every_door(alice: Actor, client: Client, tmp_path: Path) -> None:
    docs(tmp_path / "n", agent("fresh", "work:f"), by=alice, code=CODE)
    proposal = asked(lambda: registry.publish("fresh", actor=alice))
    (code,) = proposal_documents.document(proposal, actor=actor("bob"))["code"]
    assert code["old"] is None and {file["what"] for file in code["files"]} == {"added"}
    assert "+    os.remove('x')" in next(file for file in code["files"] if file["path"] == "work.py")["lines"]
    call_command("proposals", str(proposal.pk), stdout=(out := StringIO()))
    assert "code of fresh: none" in out.getvalue() and "+    os.remove('x')" in out.getvalue()
    client.force_login(User.objects.get(username="bob"))
    page = client.get(f"/admin/agents/proposal/{proposal.pk}/change/").content.decode()
    assert "Code of fresh, all of it new" in page and "os.remove" in page


def test_what_does_not_fit_of_the_code_is_counted_where_it_is_typed(alice: Actor, tmp_path: Path) -> None:
    docs(tmp_path / "n", agent("fresh", "work:f"), by=alice, code=CODE + "\n" * 900)
    call_command("proposals", str(asked(lambda: registry.publish("fresh", actor=alice)).pk), stdout=(out := StringIO()))
    assert "more lines" in out.getvalue()


def test_an_agent_that_was_never_published_is_granted_nothing_until_people_say_yes(alice: Actor, tmp_path: Path) -> None:
    docs(tmp_path / "n", agent("fresh", "work:f", more=f'permissions: ["{WRITE}"]'), by=alice)
    assert Agent.objects.get(name="fresh").permissions == [] and may_write() == "deny"
    assert decide(asked(lambda: registry.publish("fresh", actor=alice)), "bob") == "enacted" and may_write() == "allow"


def test_to_grant_it_something_beside_its_file_is_refused_with_what_to_do(alice: Actor, client: Client, tmp_path: Path) -> None:
    docs(tmp_path / "n", agent("fresh", "work:f"), by=alice)
    with pytest.raises(Conflict, match=r"was never published.*publish it first, or write its permissions in its file"):
        registry.permit(Agent, "fresh", grant=[WRITE], actor=alice)
    client.force_login(User.objects.get(username="alice"))
    page = f"/admin/agents/agent/{Agent.objects.get(name='fresh').pk}/grant/"
    told = client.get(page).content.decode()
    assert "was never published" in told and "publish it first" in told and "Propose" not in told
    assert may_write() == "deny"
    decide(asked(lambda: registry.publish("fresh", actor=alice)), "bob")
    assert "Propose" in client.get(page).content.decode()
    assert decide(asked(partial(registry.permit, Agent, "fresh", grant=[WRITE], actor=alice)), "bob") == "enacted" and may_write() == "allow"


def test_it_takes_nothing_along_that_another_team_let_it_have(alice: Actor, tmp_path: Path) -> None:
    theirs = agent("fresh", "work:f", more=f'permissions: ["{WRITE}"]')
    docs(tmp_path / "n", theirs.replace("team: platform", "team: red"), by=alice)
    assert may_write() == "allow"  # where nobody is asked
    docs(tmp_path / "m", theirs, by=alice)
    assert Agent.objects.get(name="fresh").team.name == "platform" and may_write() == "deny"
