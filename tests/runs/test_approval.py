"""What may be done only with an approval waits for it; what is denied, or can't be decided, is refused."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.models import Agent
from runs.models import Call, Run
from tests import pipelines
from tests.pipelines import agent
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)
Publish = Callable[..., None]

WORK = "def run(feed: str, **_) -> dict:\n    return {'feed': feed}\n"


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    def published(*permissions: str) -> None:
        listed = ", ".join(f'"{permission}"' for permission in permissions)
        worker = agent("worker", "work:run", more=f'uses: ["read feed:{{input.feed}}"]\npermissions: [{listed}]')
        pipelines.publish(tmp_path / "p", functions=WORK, agents=[worker], steps="- {id: work, agent: worker, with: {feed: =input.feed}}")

    return published


def test_a_call_that_requires_an_approval_waits_for_it_and_says_what_to_type(publish: Publish) -> None:
    publish("require_approval read feed:*")
    done = typed("runpipeline", "sample", "--input", "feed=cpu", "--json")
    (wait,) = done.document["waits"]
    assert (done.status, wait["kind"], wait["step"], wait["on_expiry"]) == (13, "approval", "work", "fail")
    assert wait["who"] == "whom its policy names, and who had no part in it"
    assert not Call.objects.filter(step="work").exists()
    assert f"manage.py decide {wait['id']} DECISION --reason TEXT DECISION is approve or decline" in " ".join(typed("waits").out.split())


def test_what_requires_an_approval_wins_over_a_line_that_allows_it(publish: Publish) -> None:
    publish("allow read feed:*", "require_approval read feed:secret/*")
    assert pipelines.run(input={"feed": "cpu"})["outcome"] == "verified"
    said = pipelines.run(input={"feed": "secret/cpu"})
    assert (said["state"], said["label"]) == ("waiting", "waiting for an approval")


def test_two_policies_for_one_thing_are_no_answer_and_a_named_one_goes_before_the_default(publish: Publish) -> None:
    publish("require_approval read feed:*", "allow read file:*")
    Agent.objects.filter(name="worker").update(permissions=["require_approval read feed:* policy a", "require_approval read feed:cpu policy b"])
    failure = pipelines.run(input={"feed": "cpu"})["failure"]
    assert (failure["cause"], "Let both name the same policy" in failure["message"]) == ("denied", True)
    Agent.objects.filter(name="worker").update(permissions=["require_approval read feed:*", "require_approval read feed:cpu policy b"])
    failure = pipelines.run(input={"feed": "cpu"})["failure"]
    assert (failure["cause"], failure["owner"]) == ("denied", "policy:b")
    assert "names policy 'b', and none of this name is in force" in failure["message"]


def test_what_is_denied_is_refused_whatever_allows_it_and_named(publish: Publish) -> None:
    publish("allow read feed:*", "deny read feed:secret/*")
    assert pipelines.run(input={"feed": "cpu"})["outcome"] == "verified"
    failure = pipelines.run(input={"feed": "secret/cpu"})["failure"]
    assert (failure["cause"], failure["owner"]) == ("denied", "agent:worker")
    assert failure["message"] == (
        "'worker' may not read feed:secret/cpu: the permission \"deny read feed:secret/*\" wins over whatever allows it. "
        "Take it out, or narrow it and apply again with --publish"
    )
    assert not Call.objects.filter(step="work", run__input_digest=Run.objects.latest("created_at").input_digest).exists()


def test_a_permission_that_nobody_can_read_forbids_until_it_is_mended(publish: Publish) -> None:
    publish("allow read feed:*")
    Agent.objects.filter(name="worker").update(permissions=["allow read feed:*", "refuse read feed:secret"])
    said = pipelines.run(input={"feed": "cpu"})
    assert (said["failure"]["cause"], said["calls"]) == ("denied", 0)
    assert 'the permission "refuse read feed:secret" can\'t be read' in said["failure"]["message"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a child from the network")
@pytest.mark.parametrize(
    ("permissions", "contained"),
    [
        (["allow connect network:db.internal"], False),
        (["allow connect network:db.internal", "require_approval connect network:*"], True),
        (["require_approval connect network:db.internal"], True),
        (["allow connect network:*", "deny connect network:db.internal"], True),
        (["allow connect network:db.internal", "deny connect *"], True),
        ([], True),
    ],
)
def test_one_host_that_is_denied_or_requires_an_approval_keeps_the_whole_network_away(
    publish: Publish, permissions: list[str], contained: bool
) -> None:
    publish("allow read feed:*", *permissions)
    said = pipelines.run(input={"feed": "cpu"})
    assert said["outcome"] == "verified"
    assert Call.objects.get(run=Run.objects.get(), step="work").contained is contained
