"""What changed in the code of agents, as whoever publishes sees it: every changed file is named, and nothing is left out in silence."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from agents import registry
from agents.models import Artifact
from agents.registry import diffs
from agents.registry.changes import FileChange
from agents.registry.diffs import Room, file_changes, shares
from tests.agents.folders import READING, numbers
from tests.agents.inventory import ONLOOKER, SYSTEM, publish


def only(before: bytes | None, after: bytes | None) -> FileChange:
    return file_changes([("a.py", before, after)], Room())[0]


def lines(before: bytes | None, after: bytes | None) -> tuple[str, ...]:
    return only(before, after).lines


def test_a_changed_file_is_a_unified_diff() -> None:
    found = only(b"one\ntwo\nthree\n", b"one\n2\nthree\n")
    assert (found.what, found.lines, found.left_out) == ("changed", ("@@ -1,4 +1,4 @@", " one", "-two", "+2", " three", " "), 0)
    assert only(None, b"one").what == "added" and lines(None, b"one") == ("@@ -0,0 +1 @@", "+one")
    assert only(b"one", None).what == "removed" and lines(b"one", None) == ("@@ -1 +0,0 @@", "-one")


def test_what_would_hide_or_move_text_is_a_glyph_and_other_ends_of_lines_are_a_difference() -> None:
    assert lines(b"", "a\u202eb\x1b[2J".encode())[-1] == "+a<U+202E>b␛[2J"
    assert lines(b"a\n", b"a\r\n")[1:3] == ("-a", "+a␍")
    assert lines(b"a", b"a\n")[1:] == (" a", "+")


def test_a_file_that_is_no_text_is_named_with_its_size() -> None:
    for data in (b"\0\1", b"\xff\xfe"):
        found = only(b"text", data)
        assert (found.lines, found.note) == ((), "not a text: 4 bytes, now 2")


def test_a_file_that_is_too_large_to_be_compared_is_named_with_its_size() -> None:
    for data in (b"x" * (diffs.LARGEST_FILE + 1), b"\n" * diffs.MOST_LINES_OF_A_FILE):
        assert only(b"", data).note == f"too large to be compared here: 0 bytes, now {len(data):,}"


def test_a_long_line_is_cut_and_says_how_long_it_is() -> None:
    (line,) = lines(None, b"x" * 5_000)[1:]
    assert len(line) < 1_100 and line.endswith("… (… of 5,000 characters)")


def test_what_small_ones_leave_over_goes_to_the_others() -> None:
    assert shares(10, [9, 1, 9]) == [4, 1, 5] and shares(10, [2, 3]) == [2, 3] and shares(1, [5, 5]) == [0, 1] and shares(5, []) == []


def test_all_files_together_have_so_much_room_and_what_is_left_out_is_counted() -> None:
    files = [("a", None, b"1\n2\n3\n4\n5"), ("b", None, b"1"), ("c", None, b"1\n2\n3\n4\n5")]
    found = file_changes(files, Room(lines=10))
    assert [(file.path, len(file.lines), file.left_out) for file in found] == [("a", 4, 2), ("b", 2, 0), ("c", 4, 2)]
    assert file_changes([("c", None, b"12345\n67890")], Room(characters=22))[0].left_out == 1


def test_no_long_file_hides_another_whatever_their_names() -> None:
    code = b"def f():\n    return {'evil': 1}\n"
    for long in (b"# harmless\n" * 420, b"x" * 900 + b"\n" + (b"y" * 900 + b"\n") * 120):
        readme, work, last = file_changes([("a_readme.py", None, long), ("work.py", None, code), ("z.py", None, long)], Room())
        assert work.lines[1:3] == ("+def f():", "+    return {'evil': 1}") and not work.left_out
        assert readme.lines and last.lines and readme.left_out and last.left_out
        assert sum(len(file.lines) for file in (readme, work, last)) <= diffs.MOST_LINES


def test_what_there_is_no_time_to_compare_is_shown_as_replaced_and_takes_no_time_of_others() -> None:
    long = ("a.py", b"1\n2\n3\n4\n5\n6", b"1\nb\n3\n4\ne\n6")
    slow, quick, new = file_changes([long, ("b.py", b"1\n2", b"1\n3"), ("c.py", None, b"1\n" * 90)], Room(compared=5))
    assert slow.lines == ("@@ -2,4 +2,4 @@", "-2", "-3", "-4", "-5", "+b", "+3", "+4", "+e") and not slow.note
    assert quick.lines == ("@@ -1,2 +1,2 @@", " 1", "-2", "+3") and new.lines[0] == "@@ -0,0 +1,91 @@"
    (gone,) = file_changes([("a.py", b"1\n1\n1", b"1\n1")], Room(compared=0))
    assert gone.lines == ("@@ -3,1 +2,0 @@", "-1")


@pytest.fixture
def redrafted(tmp_path: Path, db: None) -> Path:
    """Published, then stored anew with another line of code, a file more and a picture."""
    publish(numbers(tmp_path / "one"))
    folder = numbers(tmp_path / "one", reading=READING.replace("1}", "2}"))
    (folder / "more.py").write_text("X = '<script>'\n")
    (folder / "picture.png").write_bytes(b"\x89PNG\0")
    registry.apply_folder(folder, actor=SYSTEM)
    return folder


def test_a_preview_shows_what_changed_in_the_code_once_for_all_agents_that_run_from_it(redrafted: Path) -> None:
    (code,) = registry.preview("numbers", actor=SYSTEM).code
    assert (code.agents, [(file.path, file.what) for file in code.files]) == (
        ("auditor", "reader"),
        [("more.py", "added"), ("picture.png", "added"), ("reading.py", "changed")],
    )
    assert {'-    return {"number": 1}', '+    return {"number": 2}'} <= set(code.files[2].lines)
    (alone,) = registry.preview("reader", actor=SYSTEM).code
    assert (alone.agents, alone.files) == (("reader",), code.files)


def test_who_is_shown_the_team_is_shown_the_code_that_changed(redrafted: Path) -> None:
    assert registry.preview("numbers", actor=ONLOOKER).code


def test_a_look_at_what_applying_would_do_shows_the_code_too(redrafted: Path) -> None:
    (redrafted / "more.py").write_text("X = 2\n")
    (code,) = registry.apply_folder(redrafted, actor=SYSTEM, dry_run=True).code
    assert [(file.path, file.lines[1:3]) for file in code.files] == [("more.py", ("-X = '<script>'", "+X = 2"))]
    out = StringIO()
    call_command("apply", folder=redrafted, dry_run=True, stdout=out)
    assert out.getvalue().count("code of ") == 1
    assert "    +X = 2\n" in out.getvalue()


def test_code_that_can_not_be_read_is_said(redrafted: Path) -> None:
    Artifact.objects.update(data=b"no zip")
    (code,) = registry.preview("reader", actor=SYSTEM).code
    assert code.unreadable and not code.files


def test_the_files_that_are_shown_are_bounded_and_the_others_counted(redrafted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffs, "Room", lambda: Room(files=1))
    (code,) = registry.preview("reader", actor=SYSTEM).code
    assert (len(code.files), code.more_files) == (1, 2)


def test_the_command_shows_the_diff_before_it_publishes(redrafted: Path) -> None:
    out = StringIO()
    call_command("publish", "numbers", dry_run=True, stdout=out)
    said = out.getvalue()
    assert '    -    return {"number": 1}\n    +    return {"number": 2}\n' in said and "picture.png added (not a text: 0 bytes, now 5)" in said
