"""An agent that is fully in somebody else's hands tries every call that it can think of, through the real boundary and store.

No side effect that was not granted and approved, at a web server and in a file; and every denial in the ledger. More than a hundred scenarios,
in few runs.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents import registry
from agents.children import process
from agents.models import Agent, Pipeline, Standing
from approvals.services import deciding
from audit import reports
from audit.models import Entry
from runs import services
from runs.models import Call
from tests import approving, feeds, pipelines
from tests.feeds import Feed
from tests.pipelines import SYSTEM, agent

pytestmark = pytest.mark.django_db(transaction=True)

WORK = """
import json, orchestra
from pathlib import Path

def attempt(tool: str, arguments: dict) -> str:
    try:
        orchestra.call(tool, arguments)
        return "done"
    except orchestra.CallFailed as error:
        return error.cause
    except Exception as error:
        return type(error).__name__

def tries(attempts: list) -> dict:
    return {"said": [attempt(tool, arguments) for tool, arguments in attempts]}

def act(file: str, to: str, version: str = "1") -> dict:
    with Path(file).open("a") as log:
        log.write(json.dumps([to, version]) + "\\n")
    return {"done": to}
"""
META = "169.254.169.254"


@pytest.fixture
def servers() -> Iterator[tuple[Feed, Feed]]:
    """One that the agent may read, in part, and one that it may not."""
    with feeds.feed() as mine, feeds.feed() as other:
        yield mine, other


def published(path: Path, permissions: list[str], *, steps: str, uses: str = "[]", of_agent: str = "", **parts: str) -> None:
    lines = "".join(f"\n  - {json.dumps(line)}" for line in permissions) or " []"
    intruder = agent("intruder", "work:tries", role="act", more=f"mode: read\npermissions:{lines}")
    actor = agent("actor", "work:act", role="act", more=f"uses: {uses}\npermissions:{lines}\n{of_agent}")
    pipelines.publish(path, functions=WORK, agents=[intruder, actor], steps=steps, **parts)


TRIES = "- {id: try, agent: intruder, with: {attempts: =input.attempts}}"
LOOP = """
- {id: each, for_each: =input.items, as: item, max_concurrency: 4, min_success: any, on_failure: degrade,
   do: [{id: act, agent: actor, with: {file: =input.file, to: =item.to, version: =item.version}}]}
"""
OF_A_LOOP = "verify: {agent: judge, with: {claim: {of: =result}}}"


def tried(attempts: list[tuple[str, dict[str, Any]]], **more: Any) -> tuple[list[str], dict[str, Any]]:
    run = pipelines.run(input={"attempts": [list(each) for each in attempts]}, **more)
    assert run["outcome"] == "verified", run["failure"]
    return run["result"]["said"], run


def denials(run: dict[str, Any]) -> int:
    """In the ledger, of what a function asked for on its way: refused before it was sent, or led to where it may not go."""
    entries = Entry.objects.filter(run=run["id"])
    led = [each for each in entries.filter(verb="runs.call.confirmed") if reports.shown(each)["facts"]["cause"] == "denied"]
    refused = [each for each in entries.filter(verb="runs.call.refused") if reports.shown(each)["facts"]["cause"] == "denied"]
    return entries.filter(verb="runs.call.denied").count() + len(led) + len(refused)


def fetches(*urls: str) -> list[tuple[str, dict[str, Any]]]:
    return [("fetch", {"url": url}) for url in urls]


def legal(mine: Feed) -> list[tuple[str, dict[str, Any]]]:
    own = fetches(f"{mine.url}/ok", f"{mine.url}/ok?a=1", f"{mine.url}/to/ok", f"{mine.url}/ok/../ok")
    return [*own, ("fetch", {"url": f"{mine.url}/ok", "headers": {"Accept": "text/csv"}})]


def elsewhere(mine: Feed, other: Feed) -> list[tuple[str, dict[str, Any]]]:
    """Other hosts, ports, schemes and ways to write them, and ways to be led there."""
    port, theirs = mine.endpoint.partition(":")[2], other.endpoint.partition(":")[2]
    written = (
        f"http://127.0.0.1:{theirs}/x", f"http://localhost:{port}/ok", f"http://localhost:{theirs}/x", f"http://0.0.0.0:{theirs}/x",
        f"http://127.1:{theirs}/x", f"http://2130706433:{theirs}/x", f"http://0x7f000001:{theirs}/x", f"http://0177.0.0.1:{theirs}/x",
        f"http://[::1]:{theirs}/x", f"http://[::ffff:127.0.0.1]:{theirs}/x", f"http://127.0.0.2:{theirs}/x", f"http://127.0.0.1.:{theirs}/x",
        f"http://{mine.endpoint}@127.0.0.1:{theirs}/x", f"http://127.0.0.1:{theirs}#@{mine.endpoint}/ok", f"http://127.0.0.1:{theirs}/{mine.url}",
        f"https://{mine.endpoint}/ok", f"https://127.0.0.1:{theirs}/x", f"HTTP://127.0.0.1:{theirs}/x", f"//127.0.0.1:{theirs}/x",
        f"http://{META}/latest/meta-data/", "http://[fd00:ec2::254]/", "http://10.0.0.1/", "http://192.168.0.1/", "http://172.16.0.1/",
        "http://100.64.0.1/", "http://metadata.google.internal/", "http://example.invalid/", "http://[::]/", "http://0/",
        "ftp://127.0.0.1/x", "file:///etc/passwd", "gopher://127.0.0.1/x", "data:text/plain,x", "javascript:1", "http:///x", "http://", "",
        f"http://127.0.0.1:{theirs}/x\r\nHost: 127.0.0.1", f"http://127.0.0.1:{theirs}\\@{mine.endpoint}/ok", "http://127.0.0.1:99999/",
    )  # fmt: skip
    led = (f"{mine.url}/to//127.0.0.1:{theirs}/x", f"{mine.url}/to//{META}/", f"{mine.url}/to//localhost:{theirs}/x", f"{mine.url}/to//10.0.0.1/")
    return fetches(*written, *led)


def forbidden(mine: Feed) -> list[tuple[str, dict[str, Any]]]:
    """Where the agent may read, and what it may not: a line that denies, with a condition on what is really given."""
    return fetches(f"{mine.url}/secret", f"{mine.url}/secret?x", f"{mine.url}/to/secret", f"{mine.url}/to/to/secret", f"{mine.url}/%2e%2e/secret")


X = {"url": "http://x/"}
ODD: list[tuple[str, Any]] = [
    ("deploy", {"to": "production"}), ("write", {}), ("shell", {"command": "id"}), ("", {}), ("FETCH", X), ("fetch ", {}), ("fetch;write", X),
    ("fetch", {}), ("fetch", {"url": 1}), ("fetch", {"url": None}), ("fetch", {"url": ["http://x/"]}), ("fetch", {"URL": "http://x/"}),
    ("fetch", X | {"method": "POST"}), ("fetch", X | {"body": "x"}), ("fetch", X | {"approved": True}), ("fetch", X | {"agent": "actor"}),
    ("fetch", X | {"headers": "x"}), ("fetch", X | {"headers": {"a": 1}}), ("model", {"alias": "reasoning"}), ("orchestra.call", {}),
]  # fmt: skip


def test_what_it_fetches_is_what_was_granted_and_every_denial_is_recorded(tmp_path: Path, servers: tuple[Feed, Feed]) -> None:
    mine, other = servers
    granted = [f"allow read network:{mine.endpoint}", "deny read network:* when args.url.contains('secret')"]
    published(tmp_path / "p", granted, steps=TRIES)
    good, bad = legal(mine), [*elsewhere(mine, other), *forbidden(mine), *ODD]
    said, run = tried([*good, *bad, *good[:1]])
    assert said[: len(good)] == ["done"] * len(good) and said[-1] == "done"
    refused = said[len(good) : -1]
    assert "done" not in refused, [each for each, word in zip(bad, refused, strict=True) if word == "done"]
    assert other.paths == []
    assert not [path for path in mine.paths if "secret" in path and not path.startswith("/to/")]
    entries = Entry.objects.filter(run=run["id"], verb="runs.call.denied").count()
    made = Call.objects.filter(run=run["id"], ordinal__gt=0).exclude(cause="").count()
    assert entries + made == len(bad) >= 65
    assert denials(run) >= refused.count("denied") > 20


def test_nothing_is_written_but_what_was_granted(tmp_path: Path) -> None:
    """What a call touches is filled in from what it is really given; a use that lies is judged as it stands."""
    granted = ["allow write deploy:staging/*", "deny write deploy:staging/frozen", "allow write deploy:canary when args.version != ''"]
    granted += ["allow write deploy:ended until 2020-01-01", "allow write deploy:soon from 2999-01-01", "allow write deploy:seen observe"]
    published(tmp_path / "p", granted, uses='["write deploy:{input.to}"]', steps=LOOP, verify=OF_A_LOOP)
    places = ["staging/a", "staging/b", "canary"]
    wrong = [
        "production", "staging", "staging/frozen", "staging/../production", "staging/x/../../production", "staging\\..\\production/", "STAGING/a",
        " staging/a x", "deploy:staging/a", "*", "staging*", "", "canary ", "ended", "soon", "seen", "ｓtaging/a", "staging/a\n", "stagingx/a",
        "../staging/a", "production#staging/a", "production/staging/a", "staging/..\\..\\production", "canary/x",
    ]  # fmt: skip
    items = [{"to": to, "version": "1"} for to in (*places, *wrong)] + [{"to": "canary", "version": ""}]
    file = tmp_path / "log"
    run = pipelines.run(input={"items": items, "file": str(file)})
    written = {json.loads(line)[0] for line in file.read_text().splitlines()} if file.exists() else set()
    unexpected = written - {*places}
    assert not {to for to in unexpected if not to.strip().startswith("staging/a")}, unexpected
    assert len(file.read_text().splitlines()) == Call.objects.filter(run=run["id"], agent="actor").count() == len(written)
    failed = [step for step in run["steps"] if step["failure"] is not None and step["agent"] == "actor"]
    assert Entry.objects.filter(run=run["id"], verb="runs.step.failed").count() >= len(failed) >= 20
    assert {step["failure"]["cause"] for step in failed} <= {"denied", "input", "contract"}


def test_a_use_that_hides_what_it_touches_opens_nothing_on_the_way(tmp_path: Path, servers: tuple[Feed, Feed]) -> None:
    """An agent that declares nothing may still not fetch; nor one that may only write, or only after a yes, or whose pipeline may not."""
    mine, _ = servers
    for own, bound in (
        ([], None),
        (["allow write network:*"], None),
        (["allow call tool:fetch"], None),
        ([f"require_approval read network:{mine.endpoint}"], None),
        ([f"allow read network:{mine.endpoint}"], "permissions: []\n"),
        ([f"allow read network:{mine.endpoint}"], f'permissions: ["deny read network:{mine.endpoint}", "allow read network:*"]\n'),
    ):
        published(tmp_path / "p", own, steps=TRIES, more=bound or "")
        said, run = tried(fetches(f"{mine.url}/ok", f"{mine.url}/ok?again"))
        assert (said, denials(run)) == (["denied", "denied"], 2), (own, bound)
    assert mine.paths == []


def test_beyond_a_rate_nothing_goes_out(tmp_path: Path, servers: tuple[Feed, Feed]) -> None:
    mine, _ = servers
    published(tmp_path / "p", [f"allow read network:{mine.endpoint} rate 2/1d"], steps=TRIES)
    said, run = tried(fetches(*[f"{mine.url}/{number}" for number in ("a", "b", "c", "d", "e")]))
    assert (said, mine.paths) == (["done", "done", "rate", "rate", "rate"], ["/a", "/b"])
    assert Entry.objects.filter(run=run["id"], verb="runs.call.denied").count() == 3


def test_observed_only_it_is_let_out_no_further_than_no_line_speaks_of(tmp_path: Path, servers: tuple[Feed, Feed]) -> None:
    """In a team that is only observed: a deny holds, an approval is asked for, and an address that isn't public stays shut."""
    mine, other = servers
    own = [f"allow read network:{mine.endpoint}", "deny read network:* when args.url.contains('secret')"]
    registry.apply_folder(observed(tmp_path / "t"), actor=SYSTEM, publish=True)
    published(tmp_path / "p", own, steps=TRIES)
    said, run = tried(fetches(f"{mine.url}/ok", f"{mine.url}/secret", f"{other.url}/x", f"http://{META}/"))
    assert (said, mine.paths, other.paths) == (["done", "denied", "denied", "denied"], ["/ok"], [])
    assert denials(run) == 3 and run["observing"] == ["platform"]
    seen = [text for step in run["steps"] for call in step["calls"] for text in call["observed"]]
    assert f"no permission allows read network:{other.endpoint}" in seen


def observed(path: Path) -> Path:
    path.mkdir()
    (path / "team.yaml").write_text("kind: team\nname: platform\nobserve: true\n")
    return path


def acts(path: Path, rule: str = "allow write deploy:*", of_agent: str = "") -> dict[str, Any]:
    steps = "- {id: act, agent: actor, with: {file: =input.file, to: =input.to, version: =input.version}}"
    published(path / "p", [rule], uses='["write deploy:{input.to}"]', steps=steps, of_agent=of_agent)
    return {"file": str(path / "log"), "to": "staging", "version": "1"}


def actors(**values: Any) -> None:
    Agent.objects.filter(name="actor").update(**values)


TAKEN = {
    "stopped": lambda _: registry.stop("agent", "actor", reason="It was taken over.", actor=SYSTEM),
    "suspended": lambda _: registry.suspend("actor", reason="It was taken over.", actor=SYSTEM),
    "retired": lambda _: actors(state=Standing.RETIRED),
    "withdrawn": lambda _: actors(permissions=[]),
    "unreadable": lambda _: actors(permissions=["allow write deploy:*", "deny what"]),
    "bounded": lambda _: Pipeline.objects.update(permissions=[]),
    "left": lambda _: registry.remove_member("platform", "alice", actor=SYSTEM),
    "cancelled": lambda run: services.cancel_run(run=str(run.id), actor=SYSTEM),
}


@pytest.mark.parametrize("what", TAKEN)
def test_what_is_taken_from_it_before_it_acts_is_taken(tmp_path: Path, alice: User, what: str) -> None:
    given = acts(tmp_path)
    run = services.start_run(pipeline="sample", input=given, actor=approving.member("alice", "platform"), ring=False)
    TAKEN[what](run)
    document = pipelines.drive(run)
    assert document["outcome"] in {"failed", "cancelled"} or document["state"] == "waiting"
    assert not Path(given["file"]).exists() and not Call.objects.filter(run=run.id).exists()
    verbs = set(Entry.objects.filter(run=run.id).values_list("verb", flat=True))
    assert verbs & {"runs.step.failed", "runs.step.waiting", "runs.run.cancel_requested"}


def test_without_a_yes_for_exactly_that_it_does_nothing(tmp_path: Path) -> None:
    given = acts(tmp_path, "require_approval write deploy:*")
    run = pipelines.start(input=given)
    assert pipelines.drive(run)["state"] == "waiting"
    request = approving.request_of(run)
    Agent.objects.filter(name="actor").update(permissions=["require_approval write deploy:other"])
    bob = approving.member("bob", "platform")
    deciding.decide(request=str(request.pk), decision="approved", actor=bob)
    assert pipelines.drive(run)["failure"]["cause"] == "denied"
    assert not Path(given["file"]).exists() and approving.calls(run) == 0


def test_code_that_acts_at_a_high_risk_is_not_run_where_nothing_contains_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = acts(tmp_path, of_agent="risk_tier: high")
    monkeypatch.setitem(process._given, "level", "none")
    document = pipelines.run(input=given)
    assert (document["failure"]["cause"], Call.objects.count()) == ("denied", 0) and not Path(given["file"]).exists()
    assert "acts at risk tier high" in document["failure"]["message"] and "lower `risk_tier`" in document["failure"]["message"]


def test_there_are_more_than_a_hundred_scenarios(servers: tuple[Feed, Feed]) -> None:
    mine, other = servers
    assert len(legal(mine)) + len(elsewhere(mine, other)) + len(forbidden(mine)) + len(ODD) + 28 + 12 + 5 + 6 + 8 + 2 > 100
