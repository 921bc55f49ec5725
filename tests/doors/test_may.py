"""Whether an agent may do something: the same answer by command, over REST and on its page, and the one that the boundary then gives."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError

from agents import registry
from agents.errors import UnknownAgent
from agents.models import Agent
from tests import pipelines
from tests.doors import world
from tests.pipelines import SYSTEM, agent
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)
RULES = ("allow read feed:*", "require_approval write feed:*", "deny read feed:secret/*")
ASKED = [
    (("read", "feed:cpu"), "allow", "allow read feed:*", 0),
    (("write", "feed:cpu"), "require_approval", "require_approval write feed:*", 13),
    (("read", "feed:secret/keys"), "deny", "deny read feed:secret/*", 12),
    (("read", "file:cpu"), "deny", None, 12),
    (("Merge", "repo:main"), "deny", None, 12),
]


def permit(path: Path, *rules: str, publish: bool = True, uses: str = "[]") -> None:
    listed = ", ".join(f'"{rule}"' for rule in rules)
    worker = agent("worker", "work:work", more=f"permissions: [{listed}]\nuses: {uses}")
    folder = pipelines.folder(path, functions=world.WORK, agents=[worker], steps="- {id: only, agent: worker, with: {feed: =input.feed}}")
    registry.apply_folder(folder, actor=SYSTEM, publish=publish)


@pytest.fixture(autouse=True)
def path(tmp_path: Path) -> Path:
    permit(tmp_path / "p", *RULES)
    return tmp_path / "p"


@pytest.mark.parametrize(("asked", "effect", "rule", "status"), ASKED)
def test_the_command_begins_with_the_answer_and_ends_with_its_status(asked: tuple[str, str], effect: str, rule: str | None, status: int) -> None:
    done = typed("can", "worker", *asked)
    assert (done.out.split()[0], done.status, "To change that: " in done.out) == (effect, status, True)
    said = typed("can", "worker", *asked, "--json").document
    assert (said["effect"], said["rule"], said["verb"], said["resource"]) == (effect, rule, *asked)


@pytest.mark.parametrize(("asked", "effect", "rule", "status"), ASKED)
def test_rest_and_the_page_say_the_same(alice: User, asked: tuple[str, str], effect: str, rule: str | None, status: int) -> None:
    registry.add_member("platform", "alice", actor=SYSTEM)
    answer = Caller.of(alice).get(f"/agents/worker/may/?verb={asked[0]}&resource={asked[1]}")
    assert (answer.status, answer.body) == (200, typed("can", "worker", *asked, "--json").document)
    User.objects.filter(username="alice").update(is_staff=True)
    page = f"/admin/agents/agent/{Agent.objects.get(name='worker').pk}/change/"
    shown = world.signed_in("alice").get(page, {"verb": asked[0], "resource": asked[1]}).content.decode()
    told = shown.partition('id="may"')[2].partition("</div>")[0]
    assert effect in told and (rule is None or rule in told) and "To change that" in told


def test_the_answer_is_the_one_that_the_boundary_gives(path: Path) -> None:
    permit(path, *RULES, uses='["read feed:{input.feed}"]')
    for feed, effect in (("cpu", "allow"), ("secret/keys", "deny")):
        assert registry.may("worker", "read", f"feed:{feed}", actor=SYSTEM).effect == effect
        said = pipelines.run(input={"feed": feed})
        assert (said["failure"] is None, (said["failure"] or {}).get("cause")) == (effect == "allow", None if effect == "allow" else "denied")


def test_a_suspended_agent_may_nothing_until_it_is_resumed() -> None:
    registry.suspend("worker", actor=SYSTEM, reason="looks odd")
    answer = registry.may("worker", "read", "feed:cpu", actor=SYSTEM)
    assert (answer.effect, "suspended" in answer.why, answer.change) == (
        "deny", True, 'Resume it (`manage.py resume worker`); then the permission "allow read feed:*" allows it.',
    )  # fmt: skip
    assert (answer.rule, answer.source) == (None, None) and "held by" not in typed("can", "worker", "read", "feed:cpu").out
    assert "that alone is not enough, for no permission allows it" in registry.may("worker", "read", "file:x", actor=SYSTEM).change


def test_a_draft_that_would_change_the_answer_is_named_and_changes_nothing_yet(path: Path) -> None:
    permit(path, "allow read file:*", publish=False)
    there = registry.may("worker", "read", "feed:cpu", actor=SYSTEM)
    assert (there.effect, there.draft, there.change) == ("allow", "deny", "Publish the draft of 'worker': it makes this deny.")
    assert (registry.may("worker", "read", "file:x", actor=SYSTEM).draft, registry.may("worker", "call", "x", actor=SYSTEM).draft) == ("allow", None)


@pytest.mark.parametrize("resource", ["", " ", "feed:a b", "feed:\x00", "feed:\u202e", "x" * 1_001])
def test_what_is_no_resource_is_denied_and_shown_harmlessly(resource: str) -> None:
    answer = registry.may("worker", "read", resource, actor=SYSTEM)
    assert (answer.effect, answer.rule, "No resource" in answer.why, answer.resource.isprintable()) == ("deny", None, True, True)


def test_nobody_learns_what_an_agent_of_others_may(charlie: User) -> None:
    said = Caller.of(charlie).get("/agents/worker/may/?verb=read&resource=feed:cpu")
    assert (said.status, said.code) == (404, "unknown-agent")
    with pytest.raises(UnknownAgent, match="did you mean 'worker'"):
        registry.may("wroker", "read", "feed:cpu", actor=SYSTEM)
    with pytest.raises(CommandError) as error:
        typed("can", "nobody\x1b", "read", "feed:cpu")
    assert error.value.returncode == 2 and "\x1b" not in str(error.value)


@pytest.mark.parametrize(
    ("query", "word"), [("verb=read", "resource"), ("", "verb"), ("verb=read&resource=%01", "resource"), ("verb=a&verb=b", "verb")]
)
def test_rest_says_what_a_question_lacks(alice: User, query: str, word: str) -> None:
    registry.add_member("platform", "alice", actor=SYSTEM)
    said = Caller.of(alice).get(f"/agents/worker/may/?{query}")
    assert (said.status, said.code, word in str(said.body["problems"])) == (400, "bad-query", True)


def test_the_page_says_each_permission_in_words_and_what_it_lacks_of_a_question(alice: User) -> None:
    registry.add_member("platform", "alice", actor=SYSTEM)
    User.objects.filter(username="alice").update(is_staff=True)
    row = Agent.objects.get(name="worker")
    Agent.objects.filter(pk=row.pk).update(permissions=[*RULES, "forbid all"])
    page: Any = world.signed_in("alice").get(f"/admin/agents/agent/{row.pk}/change/", {"verb": "read"}).content.decode()
    assert "May read all feeds" in page and "May never read feeds that begin with secret/, whatever allows it" in page
    assert "May write all feeds, only with a person&#x27;s yes" in page and "it forbids everything until it is mended" in page
    assert "This field is required" in page and 'id="may"' not in page


# --- conditions ------------------------------------------------------------------------------------------------------

BIG = """allow write table:* when args.size < 10"""


@pytest.mark.parametrize(
    ("args", "effect", "why"),
    [
        ('{"size": 3}', "allow", "allows it"),
        ('{"size": 30}', "deny", "don't meet"),
        ('{"other": 1}', "deny", "can't be judged"),
        (None, "deny", "can't be judged"),
    ],
)
def test_a_condition_is_asked_with_the_arguments_at_every_door(path: Path, alice: User, args: str | None, effect: str, why: str) -> None:
    permit(path, BIG)
    given = () if args is None else ("--args", args)
    done = typed("can", "worker", "write", "table:x", *given)
    assert (done.out.split()[0], why in done.out) == (effect, True)
    assert args is not None or "Ask again with the arguments" in done.out
    registry.add_member("platform", "alice", actor=SYSTEM)
    query = "" if args is None else f"&args={quote(args)}"
    answer = Caller.of(alice).get(f"/agents/worker/may/?verb=write&resource=table:x{query}")
    assert (answer.status, answer.body["effect"], why in answer.body["why"]) == (200, effect, True)
    User.objects.filter(username="alice").update(is_staff=True)
    page = f"/admin/agents/agent/{Agent.objects.get(name='worker').pk}/change/"
    shown = world.signed_in("alice").get(page, {"verb": "write", "resource": "table:x", "args": args or ""}).content.decode()
    assert effect in shown.partition('id="may"')[2].partition("</div>")[0]


def test_a_list_of_all_takes_no_arguments_of_a_call(alice: User) -> None:
    with pytest.raises(CommandError, match="say VERB and RESOURCE too"):
        typed("can", "worker", "--args", "{}")


@pytest.mark.parametrize("args", ["3", "{", '{"a": 1, "a": 2}', "[]", "\x00"])
def test_arguments_that_are_no_object_are_refused_at_every_door(alice: User, args: str) -> None:
    with pytest.raises(CommandError):
        typed("can", "worker", "read", "feed:cpu", "--args", args)
    registry.add_member("platform", "alice", actor=SYSTEM)
    assert Caller.of(alice).get(f"/agents/worker/may/?verb=read&resource=feed:cpu&args={quote(args)}").status in (400, 422)


# --- in a run of a pipeline, started by a person ----------------------------------------------------------------------


@pytest.fixture
def bounded(path: Path) -> Path:
    worker = agent("worker", "work:work", more='permissions: ["allow read feed:*", "allow write feed:*"]')
    steps, bounds = "- {id: only, agent: worker, with: {feed: =input.feed}}", 'permissions: ["allow read feed:*", "deny read feed:secret"]\n'
    pipelines.publish(path, functions=world.WORK, agents=[worker], steps=steps, more=bounds)
    return path


BOUNDED = [
    (("read", "feed:cpu"), "allow", "agent:worker", 0),
    (("read", "feed:secret"), "deny", "pipeline:sample", 12),
    (("write", "feed:cpu"), "deny", None, 12),
]


@pytest.mark.parametrize(("asked", "effect", "source", "status"), BOUNDED)
def test_for_a_run_of_a_pipeline_the_strictest_answers_and_each_says_what_it_says(
    bounded: Path, alice: User, asked: tuple[str, str], effect: str, source: str | None, status: int
) -> None:
    done = typed("can", "worker", *asked, "--pipeline", "sample")
    assert (done.out.split()[0], done.status) == (effect, status)
    said = typed("can", "worker", *asked, "--pipeline", "sample", "--json").document
    assert (said["effect"], said["source"]) == (effect, source)
    assert [each["holder"] for each in said["layers"]] == ["agent:worker", "pipeline:sample"]
    assert (said["layers"][0]["effect"], said["layers"][1]["effect"]) == ("allow", effect) and "pipeline:sample" in done.out
    registry.add_member("platform", "alice", actor=SYSTEM)
    answer = Caller.of(alice).get(f"/agents/worker/may/?verb={asked[0]}&resource={asked[1]}&pipeline=sample")
    assert (answer.status, answer.body) == (200, said)
    assert typed("can", "worker", *asked).out.split()[0] == "allow"
    assert bounded


def test_a_person_who_may_not_start_it_has_it_done_by_nobody(bounded: Path, alice: User, charlie: User) -> None:
    registry.add_member("platform", "alice", actor=SYSTEM)
    asked = ("can", "worker", "read", "feed:cpu", "--pipeline", "sample", "--as")
    assert (typed(*asked, "alice").status, typed(*asked, "charlie").status) == (0, 12)
    said = typed(*asked, "charlie", "--json").document
    assert said["layers"][-1] == {"holder": "person:charlie", "effect": "deny", "rule": None, "why": "does not belong to team 'platform'"}
    assert "a run has no more rights than whoever started it" in said["why"]
    registry.add_to_group("auditor", "alice", actor=SYSTEM)
    assert "may not start runs of team 'platform' with their role" in typed(*asked, "alice").out
    User.objects.filter(username="alice").update(is_active=False)
    assert typed(*asked, "alice").status == 12


def test_who_or_what_is_not_shown_is_not_there(bounded: Path, alice: User, bob: User, charlie: User) -> None:
    for person in ("alice", "bob"):
        registry.add_member("platform", person, actor=SYSTEM)
    caller = Caller.of(alice)
    page = "/agents/worker/may/?verb=read&resource=feed:cpu"
    assert caller.get(f"{page}&as=bob").body["effect"] == "allow"  # of one's own team
    for query, code in (("as=charlie", "unknown-person"), ("as=nobody-at-all", "unknown-person"), ("pipeline=none", "unknown-pipeline")):
        answer = caller.get(f"{page}&{query}")
        assert (answer.status, answer.code) == (404, code)
    with pytest.raises(CommandError, match="there is no person 'zoe'"):
        typed("can", "worker", "read", "feed:cpu", "--as", "zoe")
    with pytest.raises(CommandError, match="--as is about one call"):
        typed("can", "worker", "--as", "alice")


def test_the_page_asks_for_a_pipeline_and_a_person_too(bounded: Path, alice: User) -> None:
    registry.add_member("platform", "alice", actor=SYSTEM)
    User.objects.filter(username="alice").update(is_staff=True)
    page, client = f"/admin/agents/agent/{Agent.objects.get(name='worker').pk}/change/", world.signed_in("alice")
    asked = {"verb": "read", "resource": "feed:secret", "pipeline": "sample", "person": "alice"}
    told = client.get(page, asked).content.decode().partition('id="may"')[2].partition("</div>")[0]
    assert all(each in told for each in ("agent:worker", "pipeline:sample", "person:alice", "wins over whatever allows it"))
    for field, value in (("pipeline", "none"), ("person", "zoe")):
        shown = client.get(page, {**asked, field: value}).content.decode()
        assert 'id="may"' not in shown and value in shown
