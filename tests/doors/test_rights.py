"""All that an agent may do, over the shell, REST and its page: what each permission says now, who holds it, and when it was used."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError

from agents import registry
from agents.errors import UnknownAgent
from agents.models import Agent, GrantUse, Team
from agents.uses import digest_of
from audit import clock
from tests import pipelines
from tests.doors import world
from tests.pipelines import SYSTEM, agent
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)
OWN = ["allow read feed:*", "allow write deploy:staging rate 2/1d", "require_approval write deploy:production", "deny read feed:secret/*"]


@pytest.fixture(autouse=True)
def worker(tmp_path: Path) -> Agent:
    listed = ", ".join(f'"{rule}"' for rule in OWN)
    folder = pipelines.folder(
        tmp_path / "p",
        functions=world.WORK,
        agents=[agent("worker", "work:work", more=f'permissions: [{listed}]\nuses: ["read feed:{{input.feed}}", "write deploy:staging"]')],
        steps="- {id: only, agent: worker, with: {feed: =input.feed}}",
    )
    registry.apply_folder(folder, actor=SYSTEM, publish=True)
    Team.objects.update(permissions=["allow call tool:*", "allow write table:x until 2020-01-01"])
    return Agent.objects.get(name="worker")


def by_rule(now: datetime | None = None) -> dict[str, registry.Right]:
    return {each.rule: each for each in registry.rights("worker", actor=SYSTEM, now=now).every}


def test_each_permission_says_what_it_says_now_whose_it_is_and_why() -> None:
    assert [(each.rule, each.source, each.effect) for each in by_rule().values()] == [
        (OWN[0], "agent:worker", "allow"),
        (OWN[1], "agent:worker", "allow"),
        (OWN[2], "agent:worker", "require_approval"),
        (OWN[3], "agent:worker", "deny"),
        ("allow call tool:*", "team:platform", "allow"),
        ("allow write table:x until 2020-01-01", "team:platform", "none"),
    ]
    assert "held only until 2020-01-01" in by_rule()["allow write table:x until 2020-01-01"].why


@pytest.mark.parametrize(
    ("rule", "effect", "why"),
    [
        ("allow sing song:x", "none", "there is no verb"),
        ("allow", "none", "can't be read, and allows nothing"),
        ("forbid all", "deny", "forbids everything"),
        ("allow read feed:secret/keys", "none", '"deny read feed:secret/*" wins over all of it'),
        ("allow write file:x when args.ok", "allow", "where its condition is true"),
    ],
)
def test_what_keeps_a_permission_from_saying_anything_is_named(rule: str, effect: str, why: str) -> None:
    Agent.objects.filter(name="worker").update(permissions=[*OWN, rule])
    found = by_rule()[rule]
    assert (found.effect, why in found.why) == (effect, True)


def test_a_suspended_agent_has_nothing_but_what_is_denied() -> None:
    registry.suspend("worker", actor=SYSTEM, reason="odd")
    assert {each.effect for each in by_rule().values()} == {"none", "deny"}


def test_a_run_leaves_when_each_was_used_and_how_much_of_a_rate() -> None:
    assert pipelines.run(input={"feed": "cpu"})["outcome"] == "verified"
    found = by_rule()
    assert found[OWN[0]].used_at is not None and found[OWN[0]].used is None
    assert found[OWN[1]].used_at is not None and found[OWN[1]].used == 1
    assert found[OWN[3]].used_at is None and found["allow call tool:*"].used_at is None


def test_what_was_not_used_for_ninety_days_is_marked_and_nothing_sooner() -> None:
    GrantUse.objects.create(digest=digest_of("worker", OWN[0]), agent="worker", rule=OWN[0], used_at=clock.now())
    assert not any(each.is_unused for each in by_rule(clock.now() + timedelta(days=89)).values())
    later = by_rule(clock.now() + timedelta(days=91))
    assert [later[OWN[0]].is_unused, later[OWN[1]].is_unused, later[OWN[3]].is_unused] == [True, True, False]
    GrantUse.objects.update(used_at=clock.now() + timedelta(days=30))
    assert not by_rule(clock.now() + timedelta(days=91))[OWN[0]].is_unused


def test_the_shell_rest_and_the_page_say_the_same(alice: User, worker: Agent) -> None:
    registry.add_member("platform", "alice", actor=SYSTEM)
    GrantUse.objects.create(digest=digest_of("worker", OWN[0]), agent="worker", rule=OWN[0], used_at=datetime(2020, 1, 1, tzinfo=UTC))
    document = typed("can", "worker", "--json").document
    answer = Caller.of(alice).get("/agents/worker/permissions/")
    assert (answer.status, answer.body) == (200, document) and len(document["permissions"]) == 6
    lines = typed("can", "worker").out
    assert "require_approval write deploy:production" in lines and "unused for 90 days" in lines and "team:platform" in lines
    User.objects.filter(username="alice").update(is_staff=True)
    page = world.signed_in("alice").get(f"/admin/agents/agent/{worker.pk}/change/").content.decode()
    for text in (
        "It may call all tools",
        "from team:platform",
        "says nothing now:",
        "held only until 2020-01-01",
        "unused for 90 days",
        "2020-01-01",
    ):
        assert text in page


def test_an_outsider_learns_nothing(charlie: User) -> None:
    said = Caller.of(charlie).get("/agents/worker/permissions/")
    assert (said.status, said.code) == (404, "unknown-agent")
    with pytest.raises(UnknownAgent):
        registry.rights("nobody", actor=SYSTEM)


def test_half_a_question_is_refused() -> None:
    with pytest.raises(CommandError, match="say what it is about too"):
        typed("can", "worker", "read")
