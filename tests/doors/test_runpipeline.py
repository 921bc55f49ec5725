"""The command runpipeline: every exit status, what a person reads, what a script reads, and being interrupted."""

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from agents import registry
from audit import clock, reports
from audit.errors import Conflict
from audit.management.typed import manage
from audit.models import Entry
from orchestra_site.tokens import create_token
from runs import services, store
from runs.errors import BadInput
from runs.management.terminal import inputs_given, instant_given
from runs.models import Engine, Run
from tests import approving, pipelines
from tests.agents.folders import PIPELINE, numbers
from tests.pipelines import SYSTEM, agent
from tests.shell import Terminal, interrupt_when, typed
from tests.workers import worker

pytestmark = pytest.mark.django_db(transaction=True)

TTL = timedelta(seconds=30)
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202eevil"

WORK = f"""
import pathlib, time
import orchestra

def run(how: str = "", folder: str = "", **_) -> dict:
    if how == "lie":
        return {{"lie": True}}
    if how == "raise":
        raise ValueError({HOSTILE!r})
    if how == "hostile":
        orchestra.progress({HOSTILE!r}, 0.5)
        return {{"text": {HOSTILE!r} + "\\nsecond line", {HOSTILE!r}: ["a", {HOSTILE!r}]}}
    if how == "wait":
        (pathlib.Path(folder) / "started").touch()
        while not (pathlib.Path(folder) / "go").exists():
            time.sleep(0.02)
    return {{"ok": True}}

def extra(fails: bool = False, **_) -> dict:
    if fails:
        raise ValueError("no extra today")
    return {{"ok": True}}
"""


@pytest.fixture
def sample(tmp_path: Path) -> None:
    pipelines.publish(
        tmp_path / "p",
        functions=WORK,
        agents=[agent("worker", "work:run"), agent("extra-worker", "work:extra")],
        steps="""
        - {id: extra, agent: extra-worker, with: {fails: "=has(input.fails) ? input.fails : false"}, on_failure: degrade}
        - {id: work, agent: worker, with: {how: "=has(input.how) ? input.how : ''", folder: "=has(input.folder) ? input.folder : ''"}}
        """,
    )


@pytest.mark.parametrize("command", ["runpipeline", "reverify"])
def test_a_worker_that_looks_for_work_does_not_take_what_the_command_carries_out_itself(
    sample: None, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    about = typed("runpipeline", "sample", "--json").run if command == "reverify" else "sample"
    use_case = "start_run" if command == "runpipeline" else "reverify"
    start, found = getattr(services, use_case), []

    def started(**asked: Any) -> Run:
        run: Run = start(**asked)
        found.append(store.claim(owner=uuid4(), ttl=TTL, limit=10))
        return run

    monkeypatch.setattr(services, use_case, started)
    done = typed(command, about, "--json")
    assert (done.status, found, Run.objects.get(id=done.run).fence) == (0, [[]], 1)


# --- how it ends ---


def test_a_verified_run_says_so_first_with_steps_verdict_evidence_and_where_to_look(sample: None) -> None:
    done = typed("runpipeline", "sample", "--input", "how=fine")
    lines = done.out.splitlines()
    assert done.status == 0
    assert lines[0].startswith("verified  sample version 1")
    assert any(line.split()[:4] == ["✓", "work", "worker", "returned"] for line in lines)
    assert any("honest" in line and "looked at it [1]" in line for line in lines)
    assert any("[1]  claim" in line and "sha256" in line for line in lines)
    run = Run.objects.get()
    assert f"  {manage()} showrun {str(run.id)[:18]} --json" in lines
    assert f"  {manage()} auditexport --run {str(run.id)[:18]}" in lines


def test_a_run_judged_as_of_a_past_time_says_which(sample: None) -> None:
    done = typed("runpipeline", "sample", "--as-of", "2014-02-28T14:25:00Z")
    assert done.status == 0
    assert done.out.startswith("verified as of 2014-02-28T14:25:00Z")


@pytest.mark.parametrize(
    ("arguments", "status", "first", "said"),
    [
        (["--input", "fails=true"], 10, "degraded", "exception: ValueError: no extra today"),
        (["--input", "how=lie"], 11, "rejected", "blames step work"),
        (["--input", "how=raise"], 12, "failed", "step work, owner agent worker, team platform"),
        (["--draft"], 15, "unverified", "a run of drafts is never verified"),
        (["--queue"], 13, "queued", "waiting for a worker"),
    ],
)
def test_each_other_end_has_its_exit_status_and_says_why(sample: None, arguments: list[str], status: int, first: str, said: str) -> None:
    done = typed("runpipeline", "sample", *arguments)
    assert (done.status, done.out.split()[0]) == (status, first)
    assert said in done.out


def test_what_is_ready_and_waits_for_a_worker_that_nobody_has_heard_of_is_said_where_people_look(sample: None) -> None:
    alone = "No worker has been heard of lately"
    assert alone not in typed("runs").err
    assert alone in typed("runpipeline", "sample", "--queue").err
    assert alone in typed("runs").err and alone not in typed("runs", "--json").err
    Engine.objects.create(id=uuid4(), host="here", pid=1, started_at=clock.now(), beat_at=clock.now())
    assert alone not in typed("runs").err


def test_of_a_failed_run_the_sentence_that_says_why_comes_first(sample: None) -> None:
    lines = typed("runpipeline", "sample", "--input", "how=raise").out.splitlines()
    assert lines[0].startswith("failed") and "ValueError" in lines[1]
    assert lines[2].startswith("  exception; owner: agent worker")
    place = next(line for line in lines if line.strip().startswith("traceback:"))
    assert lines.index(place) > 10 and " in " in place and "[" not in place


def test_a_run_that_was_changed_afterwards_reads_broken(sample: None) -> None:
    run = typed("runpipeline", "sample", "--input", "how=lie", "--json").run
    Run.objects.filter(id=run).update(outcome="verified")
    done = typed("showrun", run)
    assert (done.status, done.out.split()[0]) == (16, "broken")
    assert "nobody vouches for it" in done.out


# --- what a script reads ---


def test_json_is_the_whole_document_and_nothing_else(sample: None) -> None:
    done = typed("runpipeline", "sample", "--json")
    assert (done.status, done.err) == (0, "")
    assert done.out.isascii()
    assert done.document == json.loads(json.dumps(services.run_document(services.find_run(done.run, actor=SYSTEM), actor=SYSTEM)))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nothing-here"], "unknown-pipeline"),
        (["sample", "--input", "novalue"], "bad-input"),
        (["sample", "--input", "\udcff"], "bad-input"),
        (["sample", "--input-file", "/nonexistent/input.json"], "bad-input"),
        (["sample", "--as-of", "yesterday"], "bad-input"),
        (["sample", "--as-of", "2999-01-01T00:00:00Z"], "bad-input"),
        (["sample", "--wait"], "bad-input"),
    ],
)
def test_bad_input_starts_nothing_and_is_a_document_with_json_and_a_sentence_without(sample: None, arguments: list[str], code: str) -> None:
    done = typed("runpipeline", *arguments, "--json")
    assert (done.status, done.err) == (2, "")
    assert done.document["error"].keys() == {"code", "message", "problems"}
    assert done.document["error"]["code"] == code
    plain = typed("runpipeline", *arguments)
    assert (plain.status, plain.out) == (2, "")
    assert plain.err.startswith("refused: ")
    assert not Run.objects.exists()
    entries = Entry.objects.filter(verb="runs.start.refused")
    assert [(entry.subject, entry.envelope()["facts"]) for entry in entries] == [(f"pipeline:{arguments[0]}", {"code": code})] * 2
    said = reports.openings_of([entry.id for entry in entries])
    assert {opened["message"] for opened in said.values()} == {done.document["error"]["message"]}


def test_a_mistyped_pipeline_is_answered_with_the_nearest(sample: None) -> None:
    assert "did you mean 'sample'?" in typed("runpipeline", "smaple").err


# --- reading the input ---

TYPES = "{file: {type: string}, n: {type: integer}, on: {type: boolean}, list: {type: array}, any: {}}"
TYPED = f"{{type: object, additionalProperties: false, properties: {TYPES}}}"


@pytest.fixture
def typed_input(tmp_path: Path) -> None:
    schema = PIPELINE.replace("{type: object, required: [file], properties: {file: {type: string}}, additionalProperties: false}", TYPED)
    pipelines.registry.apply_folder(numbers(tmp_path / "typed", pipeline=schema.replace("=input.file", "x")), actor=SYSTEM, publish=True)


def given(*pairs: str, file: Path | None = None) -> dict[str, Any]:
    return inputs_given("numbers", pairs=pairs, file=None if file is None else str(file), draft=False, actor=SYSTEM)


def test_values_are_read_as_the_schema_says(typed_input: None) -> None:
    assert given("file=1", "n=1", "on=true", "list=[1]", "any=1.5") == {"file": "1", "n": 1, "on": True, "list": [1], "any": 1.5}
    assert given("file=a=b", "any=plain text") == {"file": "a=b", "any": "plain text"}


def test_every_unreadable_value_and_unknown_name_is_said_at_once(typed_input: None) -> None:
    with pytest.raises(BadInput) as refused:
        given("n=many", "fiel=x", "on=NaN", "=x")
    assert refused.value.details["problems"] == [
        "--input n=many: it takes a whole number",
        "--input on=NaN: it takes true or false",
        "--input =x: write it as name=value",
        "there is no input 'fiel'; did you mean 'file'?",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [('{"n": 1, "n": 2}', "has the key 'n' twice"), ('{"n": 1e999}', "larger than any"), ('"\\ud800"', "half of a surrogate pair")],
)
def test_json_that_rest_refuses_is_refused_here_too(typed_input: None, tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "input.json"
    file.write_text(text)
    with pytest.raises(BadInput, match=f"--input-file .*{why}"):
        given(file=file)
    for name in ("any", "list"):  # one takes anything, and text is something
        with pytest.raises(BadInput, match=f"--input {name} .*{why}"):
            given(f"{name}={text}")
    assert given("any=NaN") == {"any": "NaN"} and given("any=[no json") == {"any": "[no json"}


def test_inputs_win_over_the_file(typed_input: None, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"file": "from the file", "n": 1}')
    assert given("n=2", file=file) == {"file": "from the file", "n": 2}


@pytest.mark.parametrize(("text", "why"), [("[1]", "one JSON object"), ("{", "is not JSON"), ('{"n": NaN}', "is not JSON")])
def test_a_file_that_is_no_object_is_refused(typed_input: None, tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "input.json"
    file.write_text(text)
    with pytest.raises(BadInput, match=why):
        given(file=file)


def test_an_instant_needs_its_offset() -> None:
    assert instant_given("2014-02-28T15:25:00+01:00") == instant_given("2014-02-28T14:25:00Z")
    with pytest.raises(BadInput, match="no time zone"):
        instant_given("2014-02-28")
    for beyond in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        with pytest.raises(BadInput, match=r"--as-of: .* before the year 1 or after the year 9999"):
            instant_given(beyond)
    with pytest.raises(BadInput, match="--as-of: 'now␀' is not an instant; write it like"):
        instant_given("now\x00")


def test_an_input_that_is_given_twice_is_refused(sample: None) -> None:
    done = typed("runpipeline", "sample", "--input", "how=wait", "--input", "how=raise")
    assert done.status == 2 and "--input how is given 2 times; give it once" in " ".join(done.err.split())
    assert not Run.objects.exists()


# --- watching ---


def test_not_a_terminal_gets_one_plain_line_per_change(sample: None) -> None:
    lines = typed("runpipeline", "sample", "--input", "how=hostile").err.splitlines()
    assert lines[0].startswith("sample, run ")
    said = [line.split("s  ", 1)[1].split(" after ")[0] for line in lines[1:]]
    assert [line for line in said if "%" not in line] == [
        *("extra: started by extra-worker", "extra: returned"),
        *("work: started by worker", "work: returned"),
        *("verify: started by judge", "verify: returned (pass)"),
    ]
    assert any(line.startswith("work: 50% ") for line in said)


def test_a_terminal_gets_redrawn_lines_that_are_gone_at_the_end(sample: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    (tmp_path / "go").touch()
    err = typed("runpipeline", "sample", "--input", "how=wait", "--input", f"folder={tmp_path}", err=Terminal()).err
    assert "Ctrl-C cancels the run" in err
    assert "\x1b[2K" in err
    assert err.endswith(("\x1b[2K", "\x1b[?25h"))


@pytest.mark.parametrize("how", ["hostile", "raise"])
def test_hostile_text_reaches_neither_stream_as_it_is(sample: None, how: str) -> None:
    done = typed("runpipeline", "sample", "--input", f"how={how}")
    for text in (done.out, done.err):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "<U+202E>evil" in done.out


# --- being interrupted, and leaving it to others ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_the_run_and_waits_for_its_end(sample: None, tmp_path: Path, number: signal.Signals) -> None:
    interrupt_when((tmp_path / "started").exists, number=number)
    done = typed("runpipeline", "sample", "--input", "how=wait", "--input", f"folder={tmp_path}")
    assert (done.status, done.out.split()[0]) == (14, "cancelled")
    assert "cancelling; once more leaves at once" in done.err
    assert Run.objects.get().cancel_requested_by == "system:system"


def test_an_interrupt_while_the_run_is_being_started_cancels_it(sample: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, handled = services.start_run, signal.getsignal(signal.SIGINT)

    def interrupted(**said: Any) -> Run:
        os.kill(os.getpid(), signal.SIGINT)
        return start(**said)

    monkeypatch.setattr(services, "start_run", interrupted)
    done = typed("runpipeline", "sample", "--input", "how=wait", "--input", f"folder={tmp_path}")
    assert (done.status, done.out.split()[0], Run.objects.get().outcome) == (14, "cancelled", "cancelled")
    assert signal.getsignal(signal.SIGINT) is handled


def test_an_interrupt_by_whoever_may_not_cancel_says_so_and_the_run_ends_as_it_would(
    sample: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    approving.member("robot", "platform")
    registry.add_to_group("integration", "robot", actor=SYSTEM)
    monkeypatch.setenv("ORCHESTRA_TOKEN", create_token("robot", actor=SYSTEM).text)
    cancel = services.cancel_run

    def asked(**said: Any) -> Run:
        try:
            return cancel(**said)
        finally:
            (tmp_path / "go").touch()

    monkeypatch.setattr(services, "cancel_run", asked)
    interrupt_when((tmp_path / "started").exists)
    done = typed("runpipeline", "sample", "--input", "how=wait", "--input", f"folder={tmp_path}")
    assert (done.status, Run.objects.get().started_by) == (0, "person:robot")
    assert "not cancelled: " in done.err and "(integration) can't do this" in " ".join(done.err.split())


def test_a_second_interrupt_leaves_at_once_and_the_run_goes_on_elsewhere(sample: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(*, run: str, actor: object) -> None:
        asked.append(run)
        raise Conflict

    monkeypatch.setattr(services, "cancel_run", refuse)
    interrupt_when((tmp_path / "started").exists)
    interrupt_when(lambda: bool(asked))
    done = typed("runpipeline", "sample", "--input", "how=wait", "--input", f"folder={tmp_path}")
    assert (done.status, done.out.split()[0]) == (13, "running")
    (tmp_path / "go").touch()
    assert pipelines.drive(Run.objects.get())["outcome"] == "verified"


def test_a_queued_run_can_be_waited_for(sample: None, shell_environment: dict[str, str], project_folder: Path) -> None:
    with worker(shell_environment, project_folder):
        done = typed("runpipeline", "sample", "--queue", "--wait")
    assert (done.status, done.out.split()[0]) == (0, "verified")
    assert "work: returned" in done.err


def test_a_run_goes_on_when_nobody_reads_its_progress_any_more(sample: None, shell_environment: dict[str, str], project_folder: Path) -> None:
    command = [sys.executable, "manage.py", "runpipeline", "sample"]
    with subprocess.Popen(command, cwd=project_folder, env=shell_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.close()
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said.startswith(b"verified")
