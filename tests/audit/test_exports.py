"""Exports: what is written, that nothing is published unrecorded, and that no spreadsheet runs a cell."""

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from audit import exports, ledger, reports
from audit.actors import Actor
from audit.errors import Invalid
from audit.exports import Export, make_export
from audit.exports.spreadsheet import COLUMNS, Spreadsheet, safe
from audit.identity import new_id
from audit.ledger import Draft
from audit.management.commands import auditexport
from audit.models import Entry
from audit.reports import Filters

Make = Callable[..., Draft]
SYSTEM = Actor.system("test")
FORMULAS = (
    *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\u00a0=1", "\u200b=1", "\ufeff@x"),
    *("＝1", "＋1", "－1", "＠x", "=cmd|' /C calc'!A0", "\t harmless", "\x00=1"),
)


def exported(form: str = "jsonl", filters: Filters | None = None, actor: Actor = SYSTEM) -> tuple[bytes, Export]:
    into = io.BytesIO()
    made = make_export(form=form, filters=filters or Filters(), into=into, actor=actor)
    return into.getvalue(), made


def command(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("auditexport", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def refusal(*arguments: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as caught:
        command(*arguments)
    return caught.value.returncode, str(caught.value)


def made_entries() -> list[dict[str, Any]]:
    return [entry.envelope() for entry in Entry.objects.filter(verb="audit.export.made").in_order()]


@pytest.mark.django_db
def test_json_lines_are_the_stored_bytes_whatever_the_number_of_entries(draft: Make, now: datetime) -> None:
    ledger.record([draft(facts={"n": n, "text": "line\nbreak \u2028 é"}) for n in range(4_500)], now=now)
    stored = [bytes(entry.body) for entry in Entry.objects.in_order()]
    data, made = exported()
    assert data.removesuffix(b"\n").split(b"\n") == stored
    assert made == Export(4_500, len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.django_db
@pytest.mark.parametrize("count", [0, 1, 1_999, 2_000, 2_001])
def test_the_last_portion_is_neither_lost_nor_doubled(draft: Make, now: datetime, count: int) -> None:
    ledger.record([draft() for _ in range(count)], now=now)
    data, made = exported("csv")
    assert (made.count, len(list(csv.reader(io.StringIO(data.decode()))))) == (count, count + 1)
    assert made.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.django_db
def test_csv_says_what_the_entries_say(draft: Make, now: datetime) -> None:
    run = new_id()
    ledger.record([draft(run, team="platform", agent="reader", facts={"said": '=HYPERLINK("x")', "n": 1})], now=now)
    entry = Entry.objects.get()
    data, _ = exported("csv")
    (row,) = csv.DictReader(io.StringIO(data.decode(), newline=""))
    assert tuple(row) == COLUMNS
    assert json.loads(row["facts"]) == entry.envelope()["facts"]
    shown = {name: row[name] for name in ("at", "actor", "auth", "team", "agent", "run", "seq", "id", "digest", "on_behalf_of")}
    assert shown == {
        "at": "2026-11-20T12:00:00.123456Z",
        "actor": "system",
        "auth": "test",
        "team": "platform",
        "agent": "reader",
        "run": str(run),
        "seq": "1",
        "id": str(entry.id),
        "digest": entry.digest,
        "on_behalf_of": "",
    }


@pytest.mark.parametrize("text", FORMULAS, ids=repr)
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert safe(text) == "'" + text


@pytest.mark.parametrize("text", ["", "a=1", "run:1", "{}", "1-2", "ok\n=1", "'=1", "日本"], ids=repr)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert safe(text) == text


@given(st.text())
@example("\x00=1")
@example('"=1')
def test_no_cell_starts_like_a_formula_and_every_cell_can_be_read_back(text: str) -> None:
    line = Spreadsheet()._rows([(safe(text), 7, None)])
    ((cell, number, nothing),) = csv.reader(io.StringIO(line.decode(), newline=""))
    assert cell.removeprefix("'") == text.removeprefix("'")
    assert cell.strip(" \u00a0\u200b\ufeff\x00")[:1] not in set("=+-@\t\r\n＝＋－＠")
    assert (number, nothing) == ("7", "")
    assert line.endswith(b"\r\n")


@pytest.mark.django_db
def test_an_export_is_an_entry_with_its_filters_count_and_digest(draft: Make, now: datetime) -> None:
    run = new_id()
    ledger.record([draft(run, agent="reader")], now=now)
    filters = Filters(run=run, agent="reader", person=None, since=now, until=now + timedelta(days=1))
    data, made = exported("csv", filters)
    (entry,) = made_entries()
    assert entry["facts"] == {
        "format": "csv",
        "filters": {"run": str(run), "agent": "reader", "since": "2026-11-20T12:00:00.123456Z", "until": "2026-11-21T12:00:00.123456Z"},
        "count": 1,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert (entry["actor"], made.count) == (SYSTEM.as_record(), 1)


@pytest.mark.django_db
def test_the_person_asked_about_stands_in_an_opening_that_can_be_erased() -> None:
    exported(filters=Filters(person="alice"))
    entry = Entry.objects.get()
    assert b"alice" not in bytes(entry.body)
    assert reports.openings_of([entry.id]) == {entry.id: {"person": "alice"}}


@pytest.mark.django_db
def test_an_export_holds_only_what_its_actor_may_see(draft: Make, now: datetime) -> None:
    ledger.record([draft(team="platform"), draft(team="sales"), draft()], now=now)
    assert exported(actor=Actor("person", "alice", "session", teams=frozenset({"platform"})))[1].count == 1
    assert exported(actor=Actor("person", "charlie", "session"))[1].count == 0


@pytest.mark.django_db
def test_an_unknown_form_is_refused_and_not_recorded() -> None:
    with pytest.raises(Invalid, match="csv, jsonl"):
        exported("xlsx")
    assert made_entries() == []


def test_an_export_is_never_part_of_a_transaction_that_may_roll_back(transactional_db: None) -> None:
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        exported()


@pytest.mark.django_db
def test_the_command_prints_the_entries_and_nothing_else_on_stdout(draft: Make, now: datetime) -> None:
    ledger.record([draft(agent="reader"), draft(agent="writer")], now=now)
    out, err = command("--agent", "reader")
    assert [json.loads(line)["agent"] for line in out.splitlines()] == ["reader"]
    assert err.startswith("exported 1 entry (")
    assert hashlib.sha256(out.encode()).hexdigest() in err


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ((), 4),
        (("--agent", "reader"), 2),
        (("--person", "alice"), 1),
        (("--since", "2026-11-20T12:00:00.123456Z"), 3),
        (("--until", "2026-11-20T13:00:00.123456+01:00"), 1),
        (("--since", "2026-11-20", "--until", "2026-11-21"), 4),
        (("--since", "2026-11-21"), 0),
        (("--run", "0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10"), 1),
        (("--agent", "reader", "--person", "alice"), 0),
    ],
    ids=str,
)
def test_the_commands_filters_choose(draft: Make, now: datetime, arguments: tuple[str, ...], count: int) -> None:
    drafts = [
        draft(agent="reader", at=now - timedelta(hours=1)),
        draft(agent="reader"),
        draft(actor=Actor("person", "alice", "session")),
        draft(UUID("0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10")),
    ]
    ledger.record(drafts, now=now)
    out, err = command(*arguments)
    assert len(out.splitlines()) == count
    assert made_entries()[0]["facts"]["count"] == count
    assert ("no entry matches" in err) == (count == 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--run", "nope"), "--run: 'nope' is not the id of a run"),
        (("--run", "0199d3c"), "--run: '0199d3c' is too short: give at least 8"),
        (("--run", "0199d3c1-5a52"), "--run: there is no entry of a run '0199d3c1-5a52'"),
        (("--agent", "nobody"), "--agent: there is no entry about an agent 'nobody'"),
        (("--person", "nobody"), "--person: there is no person 'nobody' that you may see, and no entry names one"),
        (("--since", "yesterday"), "--since 'yesterday' is not an instant; write 2026-11-20"),
        (("--until", "2026-13-01"), "--until '2026-13-01' is not an instant"),
        (("--since", "0001-01-01T00:00:00+05:00"), "--since 0001-01-01T00:00:00+05:00 is, in UTC, before the year 1 or after the year 9999"),
        (("--until", "9999-12-31T23:59:59-05:00"), "--until 9999-12-31T23:59:59-05:00 is, in UTC, before the year 1 or after the year 9999"),
        (("--since", "2026-11-21", "--until", "2026-11-20"), "--since must be before --until"),
        (("--agent", ""), "--agent '' is not a name"),
        (("--person", "a\x00b"), "--person 'a␀b' is not a name"),
    ],
    ids=str,
)
def test_bad_input_exits_2_with_a_sentence_and_exports_nothing(arguments: tuple[str, ...], sentence: str) -> None:
    status, message = refusal(*arguments)
    assert (status, message[: len(sentence)]) == (2, sentence)
    assert made_entries() == []


@pytest.mark.django_db
def test_a_run_is_named_by_an_unambiguous_beginning_of_its_id(draft: Make, now: datetime) -> None:
    runs = [UUID("0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10"), UUID("0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f11"), UUID("0199d3c2-0000-7000-8000-000000000000")]
    ledger.record([draft(run) for run in runs], now=now)
    assert [json.loads(line)["run"] for line in command("--run", "0199D3C2")[0].splitlines()] == [str(runs[2])]
    status, message = refusal("--run", "0199d3c1-5a52")
    assert status == 2
    assert f"more than one run's id, such as {runs[0]} and {runs[1]}" in message


@pytest.mark.django_db
def test_a_name_that_was_never_there_is_refused_with_what_is_near(draft: Make, now: datetime, django_user_model: Any) -> None:
    behalf = Actor("person", "dora", "session", on_behalf_of="alina")
    ledger.record([draft(agent="feed-reader"), draft(actor=Actor("person", "alice", "session")), draft(actor=behalf)], now=now)
    django_user_model.objects.create_user("bob")
    assert refusal("--agent", "feed-reeder")[1].endswith("did you mean 'feed-reader'?")
    assert "'alice'" in refusal("--person", "alicia")[1]
    assert refusal("--person", "bobb")[1].endswith("did you mean 'bob'?")
    assert [len(command("--person", name)[0].splitlines()) for name in ("alice", "alina", "bob")] == [1, 1, 0]
    assert made_entries()[-1]["facts"]["count"] == 0


@pytest.mark.django_db
def test_a_file_appears_whole_and_private_with_nothing_beside_it(draft: Make, now: datetime, tmp_path: Path) -> None:
    ledger.record([draft()], now=now)
    target = tmp_path / "ledger.jsonl"
    out, err = command("-o", str(target))
    assert hashlib.sha256(target.read_bytes()).hexdigest() == made_entries()[0]["facts"]["sha256"]
    assert (out, target.stat().st_mode & 0o777, list(tmp_path.iterdir())) == ("", 0o600, [target])
    assert str(target) in err


@pytest.mark.django_db
def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "ledger.jsonl"
    target.write_text("mine")
    status, message = refusal("-o", str(target))
    assert (status, "is not overwritten" in message, target.read_text(), made_entries()) == (2, True, "mine", [])


@pytest.mark.django_db
def test_a_file_that_appears_meanwhile_is_not_overwritten_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "ledger.jsonl"
    monkeypatch.setattr(os, "fsync", lambda _file: target.write_text("theirs"))
    status, _ = refusal("-o", str(target))
    assert (status, target.read_text(), list(tmp_path.iterdir())) == (1, "theirs", [target])


@pytest.mark.django_db
def test_a_folder_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    status, message = refusal("-o", str(tmp_path / "no" / "ledger.jsonl"))
    assert (status, "name a file in an existing, writable folder" in message) == (2, True)


@pytest.mark.django_db
def test_an_export_that_cannot_be_recorded_is_not_published(draft: Make, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.record([draft()], now=now)

    def broken(*_args: Any, **_given: Any) -> None:
        raise RuntimeError("the ledger can't be written")

    monkeypatch.setattr(exports.ledger, "record", broken)
    with pytest.raises(RuntimeError):
        command("-o", str(tmp_path / "ledger.jsonl"))
    out = io.StringIO()
    with pytest.raises(RuntimeError):
        call_command("auditexport", stdout=out)
    assert (list(tmp_path.iterdir()), out.getvalue()) == ([], "")


@pytest.mark.django_db(transaction=True)
def test_an_export_that_fails_midway_has_left_its_transaction_while_the_error_travels(
    draft: Make, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction.atomic():
        ledger.record([draft()], now=now)
    portions, closed = exports.bulk.portions, []

    def watched(query: Any, size: int) -> Any:
        try:
            yield from portions(query, size)
        finally:
            closed.append(True)

    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            if data:
                raise OSError(28, "No space left on device")
            return 0

    monkeypatch.setattr(exports.bulk, "portions", watched)
    with pytest.raises(OSError, match="No space") as travelling:
        make_export(form="jsonl", filters=Filters(), into=Full(), actor=SYSTEM)
    assert (closed, connection.in_atomic_block) == ([True], False)
    assert travelling.tb is not None  # it holds the frames, and what lives in them


@pytest.mark.django_db
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    status, message = refusal("-o", str(tmp_path / "ledger.jsonl"))
    assert (status, message, list(tmp_path.iterdir())) == (1, "the export could not be written: No space left on device", [])


@pytest.mark.django_db
def test_where_there_are_no_hard_links_the_file_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_self: Path, _target: Path) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", none)
    command("-o", str(tmp_path / "ledger.jsonl"))
    assert list(tmp_path.iterdir()) == [tmp_path / "ledger.jsonl"]


@pytest.mark.django_db
def test_a_terminal_sees_progress_and_the_export_stays_clean(draft: Make, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.record([draft()], now=now)
    screen = io.StringIO()
    monkeypatch.setattr(auditexport, "Console", lambda **_given: Console(file=screen, force_terminal=True, width=100))
    out, _ = command()
    assert "exporting" in screen.getvalue()
    assert "1/1" in screen.getvalue()
    assert out.encode() == bytes(Entry.objects.get(verb="audit.test.happened").body) + b"\n"


def test_a_reader_that_has_seen_enough_is_no_error(draft: Make, now: datetime, shell_environment: dict[str, str], project_folder: Path) -> None:
    with transaction.atomic():
        ledger.record([draft(facts={"text": "x" * 900}) for _ in range(500)], now=now)
    argv = [sys.executable, "manage.py", "auditexport"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, cwd=project_folder, env=shell_environment, **pipes) as process:
        assert json.loads(process.stdout.readline())["verb"] == "audit.test.happened"
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read().startswith(b"exported 500 entries")


def test_bad_input_in_a_shell_exits_2_without_a_traceback(shell_environment: dict[str, str], project_folder: Path) -> None:
    argv = [sys.executable, "manage.py", "auditexport", "--since", "\x1b[31mred"]
    done = subprocess.run(argv, cwd=project_folder, env=shell_environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--since '␛[31mred' is not an instant" in done.stderr
    assert "Traceback" not in done.stderr
