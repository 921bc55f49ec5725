"""A team's folder: taken once as bytes, stored by digest, unpacked read-only for the children.

Never imports or interprets what lies in it. The zip is deterministic (sorted names, fixed stamps, nothing compressed: what
zlib writes differs between its builds), so equal folders have equal digests on every machine.
"""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from django.conf import settings

from agents.errors import ArtifactRefused
from agents.models import Artifact
from agents.spec import Problem
from audit.canonical import digest_bytes

MAX_BYTES = 16 * 1024 * 1024
MAX_FILES = 1_000
MAX_DEPTH = 16
SPEC_SUFFIXES = frozenset({".yaml", ".yml"})
_LEFT_OUT_SUFFIXES = frozenset({".pyc", ".pyo"})
_UNPACKING, _CHANGED = ".unpacking-", ".changed-"
_MOST_ASIDE = 8
"""Changed copies that are kept: who changes one again and again does not fill the disk."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Taken:
    """A folder's content at one moment: the YAML files by relative name, all else as a zip with its digest."""

    name: str
    specs: dict[str, bytes]
    code: dict[str, bytes]
    zipped: bytes
    digest: str
    refused: tuple[Problem, ...] = ()
    """Every link, special file and exceeded limit; the rest is then not the whole folder and never stored."""


def take(folder: Path) -> Taken:
    """Read the whole folder; ArtifactRefused lists every link, special file and exceeded limit in `problems`."""
    taken = look(folder)
    if taken.refused:
        raise ArtifactRefused(None, problems=list(taken.refused))
    return taken


def look(folder: Path) -> Taken:
    """As `take`, for whoever also tells what is wrong with the other files. ArtifactRefused for what is no folder."""
    if not folder.is_dir():
        raise ArtifactRefused(f"{folder} is no folder; give the folder that holds the YAML files and the code")
    problems: list[Problem] = []
    files: dict[str, bytes] = {}
    total = 0
    for name, path in _walk(folder, PurePosixPath(), problems):
        left = MAX_BYTES - total
        if len(files) >= MAX_FILES:
            problems.append(Problem(name, 1, f"the folder has more than {MAX_FILES:,} files; keep data and environments outside it"))
            break
        data = _read(path, left + 1)
        if len(data) > left:
            problems.append(Problem(name, 1, f"with this file the folder has more than {MAX_BYTES:,} bytes; keep data and environments outside it"))
            break
        files[name] = data
        total += len(data)
    specs = {name: data for name, data in files.items() if PurePosixPath(name).suffix in SPEC_SUFFIXES}
    code = {name: data for name, data in files.items() if name not in specs}
    zipped = pack(code)
    return Taken(folder.resolve().name, specs, code, zipped, digest_bytes(zipped), tuple(problems))


def pack(files: Mapping[str, bytes]) -> bytes:
    """The deterministic zip of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.create_system = 3
            member.external_attr = (stat.S_IFREG | 0o444) << 16
            archive.writestr(member, files[name])
    return buffer.getvalue()


def unpacked(digest: str) -> Path:
    """A read-only folder with the content of the stored artifact, shared by all processes of this installation.

    Checked against the digest each time: what was changed on the disk is put aside and unpacked anew.
    """
    shelf = Path(settings.ORCHESTRA_HOME) / "artifacts"
    target = shelf / digest
    if intact(target, digest):
        return target
    row = Artifact.objects.filter(digest=digest).values_list("data", flat=True).first()
    if row is None:
        raise ArtifactRefused(f"artifact {digest} is not stored here")
    data = bytes(row)
    if digest_bytes(data) != digest:
        raise ArtifactRefused(f"artifact {digest} does not have its digest any more: its row was changed in the database; apply the folder again")
    shelf.mkdir(parents=True, exist_ok=True)
    with _locked(shelf):
        if not intact(target, digest):  # else another process was first
            fresh = Path(tempfile.mkdtemp(prefix=_UNPACKING, dir=shelf))
            write_out(unzip(data), fresh, read_only=True)
            _reach_the_disk(fresh)
            _put_aside(target)
            fresh.rename(target)
            _sync(shelf)
            _sweep(shelf)
    return target


def private_files() -> tuple[Path, ...]:
    """What no child needs and each is kept from where the system can: the generated key, the SQLite file and those beside it."""
    database = settings.DATABASES["default"]
    names = [f"{database['NAME']}{suffix}" for suffix in ("", "-wal", "-shm", "-journal")] if database["ENGINE"].endswith("sqlite3") else []
    return (Path(settings.ORCHESTRA_HOME) / "secret_key", *map(Path, names))


_seen: dict[tuple[Path, str], tuple[tuple[str, int, int, int], ...]] = {}


def intact(folder: Path, digest: str) -> bool:
    """Whether the folder holds exactly what the digest says; a folder seen before is only looked at, not read."""
    if not folder.is_dir():
        return False
    signature = tuple(sorted(_stamps(folder)))
    if _seen.get((folder, digest)) == signature:
        return True
    try:
        files = {name: (folder / name).read_bytes() for name, *_ in signature}
    except OSError:
        return False
    if digest_bytes(pack(files)) != digest:
        return False
    _seen[folder, digest] = signature
    return True


def unzip(data: bytes) -> dict[str, bytes]:
    """The files of a zip that `pack` made; any other name than a plain relative one is refused."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        if len(names) > MAX_FILES or sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
            raise ArtifactRefused
        for name in names:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise ArtifactRefused(f"artifact holds the name {name!r}, which leads out of its folder")
        return {name: archive.read(name) for name in names}


def write_out(files: Mapping[str, bytes], folder: Path, *, read_only: bool = False) -> None:
    """Write the files below an existing folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if not read_only:
        return
    for path in folder.rglob("*"):
        path.chmod(0o555)  # files too: a command may start any of them
    folder.chmod(0o555)


def _walk(folder: Path, under: PurePosixPath, problems: list[Problem]) -> Iterator[tuple[str, Path]]:
    if len(under.parts) > MAX_DEPTH:
        problems.append(Problem(str(under), 1, f"folders lie more than {MAX_DEPTH} deep"))
        return
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        name = str(under / entry.name)
        if entry.name.startswith(".") or entry.name == "__pycache__" or PurePosixPath(name).suffix in _LEFT_OUT_SUFFIXES:
            continue
        if wrong := _why_not(entry):
            problems.append(Problem(ascii(name).strip("'"), 1, wrong))
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), under / entry.name, problems)
        else:
            yield name, Path(entry.path)


def _why_not(entry: os.DirEntry[str]) -> str | None:
    if not entry.name.isprintable() or "\\" in entry.name:
        return "the name has characters that can't be shown, or a backslash; rename it"
    if entry.is_symlink():
        return "is a link; links are not followed, put the file itself here"
    if not entry.is_dir(follow_symlinks=False) and not entry.is_file(follow_symlinks=False):
        return "is neither a file nor a folder"
    return None


def _read(path: Path, most: int) -> bytes:
    """At most `most` bytes, and never through a link that was put there after the look."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        return file.read(most)


def _stamps(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    """Every file below, whatever its name: a planted .pyc counts as a change."""
    for path in folder.rglob("*"):
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            yield path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns, status.st_ino


@contextmanager
def _locked(shelf: Path) -> Iterator[None]:
    """One process at a time unpacks: two that saw the same bad copy would else put each other's good one aside."""
    with (shelf / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _put_aside(target: Path) -> None:
    """Kept for whoever wants to know what was changed. Beside it: to move a read-only folder into another one takes a right to write in it."""
    if os.path.lexists(target):
        aside = Path(tempfile.mkdtemp(prefix=_CHANGED, dir=target.parent))
        aside.rmdir()
        target.rename(aside)


def _sweep(shelf: Path) -> None:
    """Under the lock: what a process that died has not finished, and all but the newest of what was changed."""
    aside = sorted(shelf.glob(f"{_CHANGED}*"), key=lambda path: path.lstat().st_ctime_ns)
    for path in [*shelf.glob(f"{_UNPACKING}*"), *aside[:-_MOST_ASIDE]]:
        with suppress(OSError):  # somebody else's is theirs to remove
            for folder in [path, *path.rglob("*")]:
                if folder.is_dir() and not folder.is_symlink():
                    folder.chmod(0o755)
            shutil.rmtree(path)


def _reach_the_disk(folder: Path) -> None:
    """Before it gets its name: when the power fails, a file of that name would else be there without its content."""
    for path in [*folder.rglob("*"), folder]:
        _sync(path)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
