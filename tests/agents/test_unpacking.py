"""Folders taken, stored by digest, and unpacked read-only for whoever runs their code."""

import codecs
import os
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from agents import registry
from agents.errors import ArtifactRefused
from agents.models import Artifact
from agents.registry import folders
from tests.agents.folders import READING, numbers

pytestmark = pytest.mark.django_db
NOBODY = 65_534


# Folders ---------------------------------------------------------------------------------------------------------------------------


def test_equal_folders_have_equal_digests_whatever_their_stamps(tmp_path: Path) -> None:
    one, two = numbers(tmp_path / "one"), numbers(tmp_path / "two")
    os.utime(two / "reading.py", (1, 1))
    (two / "reading.py").chmod(0o600)
    assert folders.take(one).digest == folders.take(two).digest


def test_hidden_files_caches_and_the_yaml_itself_are_no_part_of_the_code(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    before = folders.take(folder)
    (folder / ".env").write_text("SECRET=1")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "reading.cpython-311.pyc").write_bytes(b"x")
    (folder / "more.yml").write_text("kind: team\nname: other\n")
    after = folders.take(folder)
    assert after.digest == before.digest
    assert sorted(after.code) == ["auditing.py", "reading.py"]
    assert sorted(after.specs) == ["more.yml", "numbers.yaml"]


def test_links_and_special_files_are_refused_all_at_once(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    (folder / "link.py").symlink_to("/etc/passwd")
    (folder / "linked").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(folder / "pipe")
    with pytest.raises(ArtifactRefused) as refused:
        folders.take(folder)
    assert [problem.file for problem in refused.value.details["problems"]] == ["link.py", "linked", "pipe"]


def test_a_folder_that_is_too_large_is_refused(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    with (folder / "zeros.bin").open("wb") as file:
        file.truncate(folders.MAX_BYTES + 1)
    with pytest.raises(ArtifactRefused) as refused:
        folders.take(folder)
    assert "16,777,216 bytes" in str(refused.value.details["problems"][0])


def test_a_folder_with_too_many_files_or_too_deep_is_refused(tmp_path: Path) -> None:
    many, deep = tmp_path / "many", tmp_path / "deep"
    many.mkdir()
    for number in range(folders.MAX_FILES + 1):
        (many / str(number)).touch()
    (deep / "/".join("d" * (folders.MAX_DEPTH + 1))).mkdir(parents=True)
    for folder in (many, deep):
        with pytest.raises(ArtifactRefused):
            folders.take(folder)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactRefused):
        folders.take(tmp_path / "none")


def test_a_name_that_leads_out_of_the_folder_is_not_unzipped() -> None:
    with pytest.raises(ArtifactRefused):
        folders.unzip(folders.pack({"../out.py": b""}))


# Unpacking -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path: Path, settings: Any) -> str:
    settings.ORCHESTRA_HOME = tmp_path / "home"
    taken = folders.take(numbers(tmp_path / "one"))
    Artifact.objects.create(digest=taken.digest, data=taken.zipped, size=len(taken.zipped), files=2, created_at=datetime.now(UTC))
    return taken.digest


def test_an_artifact_is_unpacked_read_only_and_once(stored: str) -> None:
    path = registry.unpacked(stored)
    assert (path / "reading.py").read_text() == READING
    assert (path / "reading.py").stat().st_mode & 0o222 == 0
    inode = path.stat().st_ino
    assert registry.unpacked(stored).stat().st_ino == inode


@pytest.fixture
def unprivileged(settings: Any) -> Iterator[Path]:
    """Somebody whom permissions hold for, with a home of their own: root may do everything."""
    with tempfile.TemporaryDirectory() as home:
        settings.ORCHESTRA_HOME = Path(home)
        if os.geteuid() != 0:
            yield settings.ORCHESTRA_HOME
            return
        codecs.lookup("cp437")  # of zipfile: it may lie where nobody else may read
        os.chown(home, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield settings.ORCHESTRA_HOME
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("planted", ["reading.py", "sitecustomize.py", "__pycache__/reading.cpython-311.pyc"])
def test_a_changed_copy_is_put_aside_and_made_anew(stored: str, unprivileged: Path, planted: str) -> None:
    path = registry.unpacked(stored)
    path.chmod(0o755)
    (path / "reading.py").chmod(0o644)
    (path / planted).parent.mkdir(exist_ok=True)
    (path / planted).write_text("print('planted')")
    path.chmod(0o555)
    again = registry.unpacked(stored)
    assert sorted(file.name for file in again.iterdir()) == ["auditing.py", "reading.py"]
    assert (again / "reading.py").read_text() == READING
    (aside,) = (unprivileged / "artifacts").glob(".changed-*")
    assert (aside / planted).read_text() == "print('planted')"


def test_what_was_left_by_the_dead_and_old_changed_copies_are_swept(stored: str, unprivileged: Path) -> None:
    shelf = registry.unpacked(stored).parent
    (shelf / ".unpacking-dead" / "half").mkdir(parents=True)
    (shelf / ".unpacking-dead").chmod(0o555)
    for _ in range(folders._MOST_ASIDE + 3):
        (shelf / stored / "reading.py").chmod(0o644)
        (shelf / stored / "reading.py").write_text("changed")
        registry.unpacked(stored)
    left = [path.name for path in shelf.iterdir() if path.is_dir() and path.name != stored]
    assert len(left) == folders._MOST_ASIDE
    assert all(name.startswith(".changed-") for name in left)


def test_a_row_that_lost_its_digest_is_never_unpacked(stored: str) -> None:
    Artifact.objects.filter(digest=stored).update(data=folders.pack({"reading.py": b"evil"}))
    with pytest.raises(ArtifactRefused):
        registry.unpacked(stored)


def test_an_unknown_artifact_is_refused(stored: str) -> None:
    with pytest.raises(ArtifactRefused):
        registry.unpacked("0" * 64)


@pytest.mark.django_db(transaction=True)
def test_many_who_unpack_at_once_get_the_same_folder(stored: str) -> None:
    found: list[Path] = []

    def unpack() -> None:
        found.append(registry.unpacked(stored))
        connections.close_all()

    threads = [threading.Thread(target=unpack) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert set(found) == {registry.unpacked(stored)}
    assert [path.name for path in found[0].parent.iterdir() if path.is_dir()] == [stored]
