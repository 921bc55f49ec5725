"""Hostile text in whatever people, files, agents and tools may write: every page, command, mail and export shows it inert."""

import csv
import io
import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents import registry
from agents.models import Agent
from approvals import services
from approvals.services import proposals
from audit.errors import OrchestraError
from orchestra_site.tokens import create_token
from runs.models import Run
from tests import approving, pipelines, proposing
from tests.mail_server import MailServer
from tests.pipelines import SYSTEM, agent
from tests.shell import typed
from tests.telling import reachable, tell

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = "=cmd|' /c calc'!A0<script>alert(1)</script>\"><img src=x onerror=alert(2)>\x1b[2J\x1b]0;t\x07\u202eback\u2066 {{7*7}} %s"
MARKUP = re.compile(r"<script>alert|<img src=x|onerror=alert\(2\)>")
INERT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f\u2028\u2029]")
"""What would act on a terminal, or move or hide other text."""
MOST_OF_A_KIND = 2
LONG = 300_000


@pytest.fixture
def runs(tmp_path: Path, mailbox: MailServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, Run]:
    """One that waits for an approval with hostile arguments and a comment, one that was declined, one that failed; and what else people may write."""
    monkeypatch.setenv("COLUMNS", "200")
    alice, bob = reachable("alice", "platform"), reachable("bob", "platform")
    said = json.dumps(HOSTILE)
    steps = approving.STEPS.replace("{feed: =input.feed}", "{feed: =input.feed, note: =input.note}")
    approving.publish(tmp_path / "asks", more=f"accountable: {said}\nrisk_tier: high", steps=steps, policy=proposing.POLICY)
    fails, raises = agent("failer", "work:fail").replace("Test.", said), f"def fail(**_):\n    raise ValueError({HOSTILE!r})\n"
    pipelines.publish(tmp_path / "fails", name="fails", agents=[fails], functions=raises, steps="- {id: a, agent: failer}")
    given = {"feed": "production", "note": HOSTILE + "x" * LONG}
    waits, request = approving.started(by=alice, input=given)
    declined, other = approving.started(by=alice, input=given)
    services.comment(request=str(request.pk), text=HOSTILE, actor=bob)
    services.decide(request=str(other.pk), decision="declined", reason=HOSTILE, actor=bob)
    pipelines.drive(declined)
    failed = pipelines.start("fails", input={"text": HOSTILE})
    pipelines.drive(failed)
    registry.stop("pipeline", "fails", reason=HOSTILE, actor=alice)
    registry.suspend("failer", reason=HOSTILE, actor=alice)
    proposal = proposing.put_to_people(Agent.objects.get(name="worker").team, User.objects.get(username="alice"))
    proposals.decide(proposal=str(proposal.pk), decision="declined", reason=HOSTILE, actor=bob)
    for refused in (lambda: create_token("bob", name=HOSTILE, actor=SYSTEM), lambda: registry.create_person(HOSTILE, actor=SYSTEM)):
        try:
            refused()
        except OrchestraError:
            continue
    return {"waits": waits, "declined": declined, "failed": failed}


def links(page: str) -> Iterator[str]:
    """Below the admin, as a browser would follow them."""
    for found in re.findall(r'href="(/admin/[^"#]*)', page):
        yield unescape(found)


def test_every_page_of_the_admin_shows_it_as_text(runs: dict[str, Run]) -> None:
    registry.create_person("root", actor=SYSTEM, administrator=True)
    client = Client()
    client.force_login(User.objects.get(username="root"))
    wanted, seen, showing = ["/admin/", *(f"/admin/runs/run/{run.id}/change/" for run in runs.values())], dict[str, int](), 0
    while wanted:
        path = wanted.pop()
        kind = re.sub(r"[0-9a-f-]{36}|=[^&]*|/\d+/|[0-9A-Za-z]{12}(?=/)", "#", path)
        if "logout" in path or seen.get(kind, 0) >= MOST_OF_A_KIND:
            continue
        seen[kind] = seen.get(kind, 0) + 1
        answer = client.get(path)
        if answer.status_code != 200 or not answer.headers["Content-Type"].startswith("text/html"):
            continue
        page = answer.content.decode()
        assert not MARKUP.search(page) and not INERT.search(page), path
        showing += "alert(1)" in page
        wanted += links(page)
    assert len(seen) > 60 and showing >= 15, (len(seen), showing)


def test_every_command_shows_it_as_text_on_lines_that_end(runs: dict[str, Run], tmp_path: Path) -> None:
    ids = [str(run.id) for run in runs.values()]
    lines = [["runs"], ["waits"], ["stops"], ["approvals"], ["approvals", "--decided"], ["proposals", "--ended"], ["inventory"], ["keys"], ["people"]]
    lines += [["showrun", each] for each in ids] + [["inventory", each] for each in ("worker", "failer", "fails", "platform")]
    lines += [[name, str(row["id"])] for name in ("approvals", "proposals") for row in listed(name)] + [["stops", "show", listed("stops")[0]["id"]]]
    lines += [["can", "worker"], ["members", "platform"], ["person", "bob"], ["publish", "sample", "--dry-run"]]
    showing = 0
    for line in lines:
        done = typed(*line)
        for text in (done.out, done.err):
            assert not INERT.search(text), line
            assert max(map(len, text.splitlines()), default=0) < 10_000, line
            showing += "alert(1)" in text
        if line[0] in ("runs", "showrun", "approvals", "proposals", "stops", "waits", "inventory"):
            assert typed(*line, "--json").out.isascii(), line
    assert showing >= 6


def listed(name: str) -> list[dict[str, str]]:
    more = {"approvals": [[], ["--decided"]], "proposals": [["--ended"]], "stops": [[]]}[name]
    return [row for options in more for row in typed(name, *options, "--json").document]


def test_no_export_holds_what_acts_and_a_table_has_no_formula(runs: dict[str, Run]) -> None:
    table = list(csv.reader(io.StringIO(typed("auditexport", "--format", "csv").out)))
    assert len(table) > 30 and not [cell for row in table for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    assert len({len(row) for row in table}) == 1  # no text ends a row
    lines = typed("auditexport", "--format", "jsonl").out.splitlines()
    entries = [json.loads(line) for line in lines]
    assert len(entries) - 1 == len(table) - 1  # the export before is an entry, too
    assert all(line.isascii() or not INERT.search(line) for line in lines)


def test_every_mail_shows_it_as_text(runs: dict[str, Run], mailbox: MailServer) -> None:
    tell()
    assert len(mailbox.taken) >= 3
    for mail in mailbox.taken:
        assert not INERT.search(mail.text) and not INERT.search(mail.subject) and "Bcc" not in mail.raw.decode("ascii", "ignore").partition("\n\n")[0]
