"""`orchestra.call("fetch", …)` of a function: a call of its own, with grants, rows, money and receipts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audit import reports
from runs.models import Call, Run
from tests import feeds, pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import pathlib, time
import orchestra

def read(urls: list, note: str = "", catch: bool = False) -> dict:
    bodies = []
    for url in urls:
        try:
            bodies.append(orchestra.call("fetch", {"url": url})["body"])
        except orchestra.CallFailed as failed:
            if not catch:
                raise
            bodies.append(failed.cause)
    if note and not pathlib.Path(note).exists():
        pathlib.Path(note).touch()
        orchestra.progress("fetched")
        time.sleep(60)
    return {"bodies": bodies}

def fickle(url: str, note: str) -> dict:
    known = pathlib.Path(note).exists()
    orchestra.call("fetch", {"url": url + ("/other" if known else "/first")})
    pathlib.Path(note).touch()
    if not known:
        orchestra.progress("fetched")
        time.sleep(60)
    return {}

def headed(url: str, headers: str) -> dict:
    return orchestra.call("fetch", {"url": url, "headers": eval(headers)})

def odd(url: str, tool: str) -> dict:
    return orchestra.call(tool, {"url": url, "method": "POST"} if tool == "fetch" else {"url": url})
"""


@pytest.fixture
def feed() -> Iterator[feeds.Feed]:
    with feeds.feed() as serving:
        yield serving


def publish(
    path: Path, permission: str, *, function: str = "read", takes: str = "{urls: =input.urls, note: =input.note, catch: =input.catch}"
) -> None:
    reader = agent("reader", f"work:{function}", role="gather", more=f'permissions: ["{permission}"]' if permission else "")
    pipelines.publish(path / "p", functions=WORK, agents=[reader], steps=f"- {{id: read, agent: reader, with: {takes}}}")


def start(*urls: str, note: object = "", catch: bool = False) -> Run:
    return pipelines.start(input={"urls": list(urls), "note": str(note), "catch": catch})


def tool_calls(run: Run) -> list[tuple[int, str]]:
    return list(Call.objects.filter(run=run, kind="tool").order_by("ordinal").values_list("ordinal", "state"))


def test_each_fetch_is_a_call_with_the_next_ordinal_and_a_receipt(tmp_path: Path, feed: feeds.Feed) -> None:
    publish(tmp_path, f"allow read network:{feed.endpoint}")
    run = start(feed.url + "/a", feed.url + "/b")
    said = pipelines.drive(run)
    assert (said["outcome"], said["result"]) == ("verified", {"bodies": ["1,2,3", "1,2,3"]})
    assert tool_calls(run) == [(1, "confirmed"), (2, "confirmed")]
    answers = reports.openings_of(Call.objects.filter(run=run, kind="tool").values_list("response_entry", flat=True))
    assert {opened["response"]["body"] for opened in answers.values()} == {"1,2,3"}
    assert (feed.paths, said["calls"]) == (["/a", "/b"], 4)


def test_without_a_permission_nothing_is_sent_and_the_agent_owns_it(tmp_path: Path, feed: feeds.Feed) -> None:
    publish(tmp_path, "")
    run = start(feed.url + "/a")
    said = pipelines.drive(run)
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("denied", "agent:reader")
    assert f"network:{feed.endpoint}" in said["failure"]["message"]
    assert (feed.paths, tool_calls(run)) == ([], [])


@pytest.mark.parametrize(("path", "cause", "owner"), [("/404", "missing", "agent:reader"), ("/500", "upstream", "tool:fetch")])
def test_a_source_that_fails_says_whose_failure_it_is(tmp_path: Path, feed: feeds.Feed, path: str, cause: str, owner: str) -> None:
    publish(tmp_path, f"allow read network:{feed.endpoint}")
    run = start(feed.url + path)
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", cause, owner)
    assert tool_calls(run) == [(1, "refused")]


def test_a_function_may_catch_a_failed_fetch_and_go_on(tmp_path: Path, feed: feeds.Feed) -> None:
    publish(tmp_path, f"allow read network:{feed.endpoint}")
    run = start(feed.url + "/500", feed.url + "/b", catch=True)
    said = pipelines.drive(run)
    assert said["result"] == {"bodies": ["upstream", "1,2,3"]}
    assert tool_calls(run) == [(1, "refused"), (2, "confirmed")]


def test_a_fetch_that_hangs_ends_with_its_step(tmp_path: Path, feed: feeds.Feed) -> None:
    reader = agent("reader", "work:read", role="gather", timeout="1s", more=f'permissions: ["allow read network:{feed.endpoint}"]')
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[reader], steps="- {id: read, agent: reader, with: {urls: =input.urls}}")
    run = start(feed.url + "/hang")
    said = pipelines.drive(run)
    assert said["failure"]["cause"] in ("deadline", "upstream")
    assert not Call.objects.filter(run=run, state="dispatched").exists()


def test_after_a_crash_a_confirmed_fetch_is_answered_from_its_row(tmp_path: Path, feed: feeds.Feed) -> None:
    publish(tmp_path, f"allow read network:{feed.endpoint}")
    run = start(feed.url + "/a", feed.url + "/b", note=tmp_path / "note")
    pipelines.crash(run, at="progress")
    said = pipelines.drive(run)
    assert (said["outcome"], said["result"]) == ("verified", {"bodies": ["1,2,3", "1,2,3"]})
    assert feed.paths == ["/a", "/b"]
    verbs = [entry["verb"] for entry in reports.entries_of(run.id)]
    assert (verbs.count("runs.call.confirmed"), verbs.count("runs.call.resent"), reports.chain_problems(run.id)) == (4, 1, [])


def test_after_a_crash_a_refused_fetch_is_refused_again_without_asking(tmp_path: Path, feed: feeds.Feed) -> None:
    publish(tmp_path, f"allow read network:{feed.endpoint}")
    run = start(feed.url + "/500", note=tmp_path / "note", catch=True)
    pipelines.crash(run, at="progress")
    assert pipelines.drive(run)["result"] == {"bodies": ["upstream"]}
    assert feed.paths == ["/500"]


def test_a_fetch_in_flight_when_its_worker_died_is_sent_again_under_its_key(tmp_path: Path, feed: feeds.Feed) -> None:
    publish(tmp_path, f"allow read network:{feed.endpoint}")
    run = start(feed.url + "/hang")
    pipelines.crash(run, at=lambda: bool(feed.paths))
    assert tool_calls(run) == [(1, "dispatched")]
    feed.ended.set()
    assert pipelines.drive(run)["outcome"] == "verified"
    assert (tool_calls(run), feed.paths) == ([(1, "confirmed")], ["/hang", "/hang"])


def test_a_function_that_asks_for_something_else_after_a_crash_has_diverged(tmp_path: Path, feed: feeds.Feed) -> None:
    publish(tmp_path, f"allow read network:{feed.endpoint}", function="fickle", takes="{url: =input.url, note: =input.note}")
    run = pipelines.start(input={"url": feed.url, "note": str(tmp_path / "note")})
    pipelines.crash(run, at="progress")
    said = pipelines.drive(run)
    assert (said["outcome"], said["failure"]["cause"], said["failure"]["owner"]) == ("failed", "diverged", "platform")
    assert feed.paths == ["/first"]


@pytest.mark.parametrize(("tool", "says"), [("shell", "there is no tool 'shell'"), ("fetch", "fetch takes 'url'")])
def test_a_tool_or_an_argument_that_does_not_exist_fails_the_function(tmp_path: Path, feed: feeds.Feed, tool: str, says: str) -> None:
    publish(tmp_path, f"allow read network:{feed.endpoint}", function="odd", takes="{url: =input.url, tool: =input.tool}")
    said: dict[str, Any] = pipelines.run(input={"url": feed.url, "tool": tool})
    assert said["failure"]["cause"] == "exception"
    assert says in said["failure"]["message"]
    assert feed.paths == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://user:pw@a.example/", "http://a b/", "", "http://" + "a" * 5_000])
def test_an_odd_url_is_denied_as_the_reference_says(tmp_path: Path, url: str) -> None:
    publish(tmp_path, "allow read network:*")
    said = pipelines.drive(start(url))
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("denied", "agent:reader")


@pytest.mark.parametrize("headers", [[1], {"accept": 5}, {"accept": 2**60}, "accept: all"])
def test_headers_that_are_no_texts_fail_the_function_and_not_the_worker(tmp_path: Path, feed: feeds.Feed, headers: Any) -> None:
    publish(tmp_path, f"allow read network:{feed.endpoint}", function="headed", takes="{url: =input.url, headers: =input.headers}")
    said = pipelines.run(input={"url": feed.url, "headers": repr(headers)})
    assert (said["failure"]["cause"], said["failure"]["owner"], feed.paths) == ("exception", "agent:reader", [])
    assert "'headers' as an object of texts" in said["failure"]["message"]


def test_a_permission_to_connect_opens_no_private_address_to_fetch(tmp_path: Path, feed: feeds.Feed) -> None:
    permissions = f'permissions: ["allow read network:*", "allow connect network:{feed.endpoint}"]'
    reader = agent("reader", "work:read", role="gather", more=permissions)
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[reader], steps="- {id: read, agent: reader, with: {urls: =input.urls}}")
    said = pipelines.drive(start(feed.url + "/a"))
    assert (said["failure"]["cause"], feed.paths) == ("denied", [])


def test_fetches_count_against_the_limit_of_calls(tmp_path: Path, feed: feeds.Feed) -> None:
    reader = agent("reader", "work:read", role="gather", more=f'permissions: ["allow read network:{feed.endpoint}"]')
    steps = "- {id: read, agent: reader, with: {urls: =input.urls}}"
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[reader], steps=steps, more="limits: {calls: 2}")
    said = pipelines.drive(start(feed.url + "/a", feed.url + "/b"))
    assert (said["failure"]["cause"], feed.paths) == ("budget", ["/a"])
