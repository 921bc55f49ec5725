"""An agent that is nothing but the shipped tool: it reads a URL, through the same boundary, and takes no child's place."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents.errors import NotPublishable
from runs.models import Call
from tests import feeds, pipelines

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def feed() -> Iterator[feeds.Feed]:
    with feeds.feed() as serving:
        yield serving


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., None]:
    def published(permission: str, role: str = "gather", more: str = "") -> None:
        said = f'permissions: ["{permission}"]' if permission else ""
        reader = f"kind: agent\nname: reader\nteam: platform\nrole: {role}\npurpose: Read.\nrun: {{tool: fetch}}\ntimeout: 2s\n{said}"
        steps = f"- {{id: read, agent: reader, with: {{url: =input.url}}{more}}}"
        pipelines.publish(tmp_path / "p", functions="", agents=[reader], steps=steps)

    return published


def test_it_reads_a_source_in_one_call_of_its_own(publish: Callable[..., None], feed: feeds.Feed) -> None:
    publish(f"allow read network:{feed.endpoint}")
    said = pipelines.drive(pipelines.start(input={"url": feed.url + "/a"}), children=1)
    assert (said["outcome"], said["result"]["body"], said["result"]["status"]) == ("verified", "1,2,3", 200)
    assert list(Call.objects.filter(step="read").values_list("kind", "ordinal", "mode", "state")) == [("tool", 0, "read", "confirmed")]


def test_what_no_permission_allows_is_not_sent(publish: Callable[..., None], feed: feeds.Feed) -> None:
    publish("")
    said = pipelines.drive(pipelines.start(input={"url": feed.url + "/a"}))
    assert (said["failure"]["cause"], said["failure"]["owner"], feed.paths) == ("denied", "agent:reader", [])


@pytest.mark.parametrize(("path", "cause", "owner"), [("/404", "missing", "agent:reader"), ("/500", "upstream", "tool:fetch")])
def test_a_source_that_fails_says_whose_failure_it_is(publish: Callable[..., None], feed: feeds.Feed, path: str, cause: str, owner: str) -> None:
    publish(f"allow read network:{feed.endpoint}")
    said = pipelines.drive(pipelines.start(input={"url": feed.url + path}))
    assert (said["failure"]["cause"], said["failure"]["owner"]) == (cause, owner)


def test_a_source_that_hangs_ends_at_the_steps_deadline(publish: Callable[..., None], feed: feeds.Feed) -> None:
    publish(f"allow read network:{feed.endpoint}")
    said = pipelines.drive(pipelines.start(input={"url": feed.url + "/hang"}))
    assert said["failure"]["cause"] in {"deadline", "upstream"}


def test_a_url_that_is_none_is_the_pipelines_fault(publish: Callable[..., None]) -> None:
    publish("allow read network:*")
    said = pipelines.drive(pipelines.start(input={"url": "file:///etc/passwd"}))
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("input", "pipeline:sample")


def test_it_only_gathers_and_reports_no_progress(publish: Callable[..., None]) -> None:
    for odd, words in (({"role": "act"}, "reads a network source"), ({"more": ", progress_timeout: 1s"}, "no channel")):
        with pytest.raises(NotPublishable) as refused:
            publish("", **odd)
        assert words in str(refused.value.details)
