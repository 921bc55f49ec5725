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
    assert found[OWN[0]].used_at is not None and found[OWN[0]].room is None
    assert found[OWN[1]].used_at is not None and str(found[OWN[1]].room) == "1 of 2 used"
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
        "May call all tools",
        "its team's",
        "says nothing",
        "<li>at most 2 in a day</li>",
        "0 of 2 used",
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


def test_a_rate_says_how_much_is_used_and_when_the_next_call_fits_at_every_door(alice: User, worker: Agent) -> None:
    registry.add_member("platform", "alice", actor=SYSTEM)
    assert pipelines.run(input={"feed": "cpu"})["outcome"] == "verified"
    some = registry.may("worker", "write", "deploy:staging", actor=SYSTEM)
    assert (some.effect, str(some.room), some.as_record()["fits_at"]) == ("allow", "1 of 2 used", None)
    assert pipelines.run(input={"feed": "cpu"})["outcome"] == "verified"
    full = registry.may("worker", "write", "deploy:staging", actor=SYSTEM)
    assert full.room is not None and full.room.fits_at is not None and (full.effect, full.room.used, full.room.of) == ("allow", 2, 2)
    assert full.room.fits_at - clock.now() > timedelta(hours=23) and f"2 of 2 used, the next fits at {full.room.fits_at:%Y-%m-%dT%H:%M}" in full.why
    assert "2 of 2 used, the next fits at" in typed("can", "worker", "write", "deploy:staging").out
    assert "2 of 2 used, the next fits at" in typed("can", "worker").out
    said = Caller.of(alice).get("/agents/worker/may/?verb=write&resource=deploy:staging").body
    assert (said["used"], said["of"], said["fits_at"]) == (2, 2, clock.to_text(full.room.fits_at))
    User.objects.filter(username="alice").update(is_staff=True)
    page = f"/admin/agents/agent/{worker.pk}/change/"
    shown = world.signed_in("alice").get(page, {"verb": "write", "resource": "deploy:staging"}).content.decode()
    assert shown.count("2 of 2 used, the next fits at") == 2


def test_a_line_with_room_answers_before_one_without_as_at_the_boundary() -> None:
    Agent.objects.filter(name="worker").update(permissions=[OWN[1], "allow write deploy:* rate 5/1d"])
    GrantUse.objects.create(
        digest=digest_of("worker", OWN[1]), agent="worker", rule=OWN[1], used_at=clock.now(), recent=[int(clock.now().timestamp() * 1e6)] * 2
    )
    answer = registry.may("worker", "write", "deploy:staging", actor=SYSTEM)
    assert (answer.rule, str(answer.room)) == ("allow write deploy:* rate 5/1d", "0 of 5 used")


def test_a_use_is_said_as_exactly_as_it_is_known() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for rule in OWN[:2]:
        GrantUse.objects.create(digest=digest_of("worker", rule), agent="worker", rule=rule, used_at=at)
    lines = typed("can", "worker").out
    assert "last used within the hour from 2026-01-02 03:04" in lines and "last used 2026-01-02 03:04:05" in lines
    assert "03:04:05" not in lines.partition(OWN[1])[0]
