"""What the installation keeps to itself is empty to a child, where the system gives a file system of its own to hide it in."""

import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from agents import registry
from agents.children import Broken, Job, OnProgress, Pool, Returned, describe, process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mount namespaces are Linux's")

Run = Callable[..., Coroutine[Any, Any, Any]]

READS = """
import os, time
import orchestra
def read(path):
    with open(path) as file:
        return file.read()
def late(path):
    orchestra.progress()
    until = time.monotonic() + 10
    while not os.path.exists(path) or read(path):
        if time.monotonic() > until:
            return read(path)
        time.sleep(0.02)
    return "hidden"
def around(path, other):
    tried = []
    for way in (lambda: os.remove(path), lambda: os.link(path, other), lambda: os.rename(other + ".moved", path), lambda: os.chmod(path, 0o600)):
        try:
            way()
        except OSError as error:
            tried.append(error.errno)
    return [len(tried), read(path)]
"""


async def _never(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    raise AssertionError(tool)


def _ignore(message: str | None, fraction: float | None) -> None:
    pass


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret_key"
    file.write_text("s3cret")
    return file


@pytest.fixture
async def read(tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    """Calls a function of a child from which `secret`, and a file that is yet to come, are hidden."""
    pools: list[Pool] = []

    async def call(
        path: Path, function: str = "read", *, level: str = "full", hidden: tuple[Path, ...] = (), on_progress: OnProgress = _ignore, **more: str
    ) -> Any:
        monkeypatch.setattr(process, "_given", {"level": level})
        folder = tmp_path / "code"
        folder.mkdir(exist_ok=True)
        (folder / "team.py").write_text(READS)
        pools.append(Pool(1, (secret, tmp_path / "to-come", *hidden)))
        job = Job(folder, f"team:{function}", {"path": str(path), **more}, {}, 256 << 20, False, "k")
        outcome = await pools[-1].call(job, timeout_s=20, progress_timeout_s=None, on_call=_never, on_progress=on_progress)
        assert isinstance(outcome, Returned | Broken)
        if level == "full" and not hidden and process._given["level"] != "full":
            pytest.skip("this system has no namespaces")
        return outcome

    yield call
    for pool in pools:
        await pool.close()


def _text(path: Path) -> str:
    return path.read_text()


def _make_anew(path: Path) -> None:
    path.unlink()
    path.write_text("another")


async def test_a_hidden_file_is_empty_to_the_child_and_unchanged_for_its_worker(read: Run, secret: Path) -> None:
    assert (await read(secret)).value == ""
    assert _text(secret) == "s3cret"


async def test_a_file_that_is_not_hidden_is_read_as_before(read: Run, tmp_path: Path) -> None:
    (tmp_path / "feed.csv").write_text("a,b")
    assert (await read(tmp_path / "feed.csv")).value == "a,b"


async def test_a_hidden_file_that_is_made_while_the_child_lives_is_covered_soon(read: Run, tmp_path: Path) -> None:
    later = tmp_path / "to-come"
    assert (await read(later, "late", on_progress=lambda *_: later.write_text("written ahead"))).value == "hidden"
    assert _text(later) == "written ahead"


async def test_the_cover_does_not_hold_the_file_for_its_worker(read: Run, secret: Path) -> None:
    assert (await read(secret)).value == ""
    _make_anew(secret)  # while that child is warm
    assert (await read(secret)).value == ""
    assert _text(secret) == "another"


async def test_a_child_can_not_take_the_cover_away(read: Run, secret: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.moved").write_text("")
    assert (await read(secret, "around", other=str(tmp_path / "copy"))).value == [4, ""]
    assert _text(secret) == "s3cret"


@pytest.mark.parametrize("level", ["net", "none"])
async def test_the_lower_levels_hide_nothing(read: Run, secret: Path, level: str) -> None:
    assert (await read(secret, level=level)).value == "s3cret"


async def test_what_can_not_be_hidden_costs_the_level(read: Run, secret: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a-folder"
    folder.mkdir()
    assert (await read(secret, hidden=(folder,))).value == "s3cret"
    assert process._given["level"] != "full"


async def test_a_module_that_is_described_reads_nothing_hidden(secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_given", {"level": "full"})
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "team.py").write_text(f"read = open({str(secret)!r}).read()\nif read:\n    raise ValueError(read)\ndef work() -> int: ...")
    described = await describe(folder, ["team:work"], hidden=[secret])
    if process._given["level"] != "full":
        pytest.skip("this system has no namespaces")
    assert described.functions["team:work"].problems == ()


def test_the_key_and_the_sqlite_file_are_what_is_hidden(settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ORCHESTRA_HOME = tmp_path
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", str(tmp_path / "db"))
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3")
    assert [path.name for path in registry.private_files()] == ["secret_key", "db", "db-wal", "db-shm", "db-journal"]
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.postgresql")
    assert [path.name for path in registry.private_files()] == ["secret_key"]
