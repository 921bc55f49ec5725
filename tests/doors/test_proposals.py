"""Proposals at every door: what is asked for is put to people and said so, they decide it, and whoever asked can take it back."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.test import Client

from agents import registry
from agents.models import Agent, Proposal, Team, Version
from approvals.services import proposal_documents
from audit import clock
from audit.actors import Actor
from orchestra_site.tokens import create_token
from tests.approving import member
from tests.pipelines import SYSTEM
from tests.proposing import asked, folder, proposed, ruled
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Actor:
    monkeypatch.setenv("COLUMNS", "200")
    return ruled(tmp_path / "first")


def sits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is this person who types."""
    monkeypatch.setenv("ORCHESTRA_TOKEN", create_token(name, actor=SYSTEM).text)


def browser(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


def live() -> int:
    return Version.objects.get(agent__name="worker", state="published").number


def words(text: str) -> str:
    return " ".join(text.split())


def test_commands_propose_show_decide_and_end_with_13_where_people_are_asked(alice: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sits("alice", monkeypatch)
    registry.apply_folder(folder(tmp_path / "next", tier="high"), actor=alice)
    looked = typed("publish", "worker", "--dry-run")
    assert looked.status == 0 and "publishing proposes it: 1 of team 'platform' must say yes to it first" in looked.out
    done = typed("publish", "worker")
    proposal = Proposal.objects.get()
    assert done.status == 13 and done.out == "" and f"proposals {proposal.pk} shows it" in done.err
    assert "proposed, and not done yet: 1 of team 'platform' must say yes to it first, under policy 'careful' (version 1)" in words(done.err)
    assert typed("decide", proposal.pk, "approve", "--reason", "x").status == 2
    sits("bob", monkeypatch)
    assert "to publish agent worker 2 team platform proposed by person:alice" in words(typed("proposals", "--mine").out)
    full = words(typed("proposals", proposal.pk).out)
    assert 'agent:worker version 2 in the place of 1 risk_tier - "low" + "high"' in full and "can decide bob" in full
    assert typed("decide", proposal.pk, "changes", "--reason", "x").status == 2
    assert typed("decide", proposal.pk, "approve", "--reason", "read it").out == "to publish agent worker 2: enacted\n"
    assert live() == 2 and "enacted" in typed("proposals", "--ended").out and "read it" in typed("proposals", proposal.pk).out


def test_the_command_apply_stores_drafts_and_proposes_them_and_resume_and_permit_likewise(
    alice: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sits("alice", monkeypatch)
    registry.apply_folder(folder(tmp_path / "rules", team="resuming: careful\n"), actor=alice, publish=True)
    made = folder(tmp_path / "next", tier="high", team="resuming: careful\n")
    dry = typed("apply", "-f", made, "--publish", "--dry-run")
    assert dry.status == 0 and "2 changes are proposed: 1 of team 'platform' must say yes" in words(dry.out) and not Proposal.objects.exists()
    assert typed("apply", "-f", made, "--publish").status == 13 and live() == 1
    assert typed("suspend", "worker", "--reason", "odd").status == 0
    assert typed("resume", "worker").status == 13 and Agent.objects.get(name="worker").state == "suspended"
    assert typed("permit", "team", "platform", "--grant", "allow read feed:x").status == 13
    dry = typed("permit", "team", "platform", "--grant", "allow read feed:y", "--dry-run")
    assert dry.status == 0 and "it would be proposed: 1 of team 'platform' must say yes" in words(dry.out)
    listed = typed("proposals", "--json").document
    assert [each["about"] for each in listed] == [
        "publish agent worker 2; publish pipeline sample 1", "let agent 'worker' go on", "change what team platform grants"
    ]  # fmt: skip
    assert "odd" in typed("proposals", listed[1]["id"]).out
    assert typed("proposals", listed[0]["id"], "--withdraw").status == 0
    assert Proposal.objects.get(pk=listed[0]["id"]).state == "withdrawn"
    with pytest.raises(CommandError, match="say which"):
        typed("proposals", "--withdraw")


def test_rest_says_202_and_people_decide(alice: Actor, tmp_path: Path) -> None:
    registry.apply_folder(folder(tmp_path / "rules", team="resuming: careful\n"), actor=alice, publish=True)
    registry.apply_folder(folder(tmp_path / "next", tier="high"), actor=alice)
    asks, decides = (Caller.of(User.objects.get(username=name)) for name in ("alice", "bob"))
    assert "1 of team 'platform' must say yes" in asks.get("/agents/worker/preview/").body["asks"]
    done = asks.post("/agents/worker/publish/", {})
    assert done.status == 202 and "must say yes to it first" in done.body["detail"]
    at = f"/proposals/{done.body['proposal']}/"
    assert [each["id"] for each in decides.get("/proposals/?state=open&mine=true").body["items"]] == [done.body["proposal"]]
    shown = decides.get(at).body
    assert shown["changes"][0]["fields"] == [{"path": "risk_tier", "old": "low", "new": "high"}] and shown["why_not"] is None
    assert asks.post(f"{at}decide/", {"decision": "approved"}).code == "not-yours-to-decide"
    assert decides.post(f"{at}decide/", {"decision": "declined"}).status == 422
    decided = decides.post(f"{at}decide/", {"decision": "approved", "seen": shown["shown"]})
    assert (decided.status, decided.body["state"], decided.body["decisions"][0]["person"]) == (200, "enacted", "bob")
    assert decides.post(f"{at}decide/", {"decision": "approved"}).status == 409 and live() == 2
    asks.post("/agents/worker/suspend/", {"reason": "odd"})
    waits = asks.post("/agents/worker/resume/", {})
    assert waits.status == 202 and asks.post(f"/proposals/{waits.body['proposal']}/withdraw/", {}).body["state"] == "withdrawn"
    team = asks.post("/teams/platform/permissions/", {"grant": ["allow read feed:x"]})
    assert team.status == 202 and Team.objects.get(name="platform").permissions == []
    assert asks.get("/proposals/?state=ended").body["items"][0]["state"] == "enacted"


def test_the_admin_proposes_shows_what_would_change_and_decides(alice: Actor, tmp_path: Path) -> None:
    registry.apply_folder(folder(tmp_path / "next", tier="high"), actor=alice)
    page, hers = f"/admin/agents/agent/{Agent.objects.get(name='worker').pk}/publish/", browser("alice")
    looked = hers.get(page).content.decode()
    assert "this proposes it to them" in looked and ">Propose</button>" in looked
    assert "Proposed, and not done yet" in hers.post(page, {"seen": registry.preview("worker", actor=alice).seen}, follow=True).content.decode()
    proposal = Proposal.objects.get()
    at, his = f"/admin/agents/proposal/{proposal.pk}/change/", browser("bob")
    assert "you proposed it, so somebody else has to decide" in hers.get(at).content.decode()
    assert "Publish agent worker 2" in his.get("/admin/agents/proposal/").content.decode() and at in his.get("/admin/").content.decode()
    shown = his.get(at).content.decode()
    assert "Agent worker: version 2 in the place of 1" in shown and "risk_tier" in shown
    done = his.post(at, {"decision": "approved", "reason": "read it", "seen": proposal.digest}, follow=True).content.decode()
    assert "Publish agent worker 2: enacted." in done and live() == 2
    assert "This is enacted" in his.get(at).content.decode()


def test_an_outsider_finds_none_and_who_asked_takes_it_back_in_the_admin(alice: Actor, tmp_path: Path) -> None:
    proposal = proposed(tmp_path / "next", alice)
    at = f"/admin/agents/proposal/{proposal.pk}/"
    member("charlie")
    assert browser("charlie").get(f"{at}change/").status_code == 404 and browser("charlie").get(f"{at}withdraw/").status_code == 404
    assert Caller.of(User.objects.get(username="charlie")).get(f"/proposals/{proposal.pk}/").status == 404
    assert "It is withdrawn" in browser("alice").post(f"{at}withdraw/", follow=True).content.decode()
    assert Proposal.objects.get(pk=proposal.pk).state == "withdrawn"


@pytest.mark.parametrize(
    ("at", "button"),
    [("team/{team}/grant", "Grant"), ("agent/{agent}/grant", "Grant"), ("agent/{agent}/rollback", "Go there"), ("agent/{agent}/resume", "Resume")],
)
def test_a_page_says_beforehand_that_it_proposes(alice: Actor, tmp_path: Path, at: str, button: str) -> None:
    agent, hers = Agent.objects.get(name="worker"), browser("alice")
    page = f"/admin/agents/{at.format(team=agent.team_id, agent=agent.pk)}/"
    registry.apply_folder(folder(tmp_path / "second", team="publishing: careful\n", tier="high"), actor=SYSTEM)
    Version.objects.filter(agent=agent, state="draft").update(published_at=clock.now())
    agent.team.resuming = "careful"
    agent.team.save(update_fields=["resuming"])
    assert "under policy &#x27;careful&#x27;" in (said := hers.get(page).content.decode()) and ">Propose</button>" in said
    Team.objects.update(publishing="", resuming="")
    assert "this proposes it" not in (said := hers.get(page).content.decode()) and f">{button}</button>" in said


def test_what_is_open_stands_on_the_pages_of_what_it_would_change_and_what_is_over_says_when_it_ended(alice: Actor, tmp_path: Path) -> None:
    proposal, his = proposed(tmp_path / "next", alice), browser("bob")
    agent, at = Agent.objects.get(name="worker"), f"/admin/agents/proposal/{proposal.pk}/change/"
    page = f"/admin/agents/agent/{agent.pk}/change/"
    assert at in his.get(page).content.decode() and "under policy careful" in his.get(f"/admin/agents/team/{agent.team_id}/change/").content.decode()
    registry.withdraw(str(proposal.pk), actor=alice)
    assert at not in his.get(page).content.decode()
    over = his.get("/admin/agents/proposal/?shows=ended").content.decode()
    assert at in over and "withdrawn" in over and "(in " not in over


def test_whoever_wrote_or_published_without_a_token_is_named_once(alice: Actor) -> None:
    waits = asked(lambda: registry.permit(Agent, "worker", grant=["allow read feed:x"], actor=alice))
    assert proposal_documents.document(waits, actor=alice)["authors"] == ["alice", "system"]
