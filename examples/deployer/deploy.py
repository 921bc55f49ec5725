"""Puts a build into an environment, here a folder: beside what is live first, then in its place. Doing it again leaves the same."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TypedDict

import orchestra

MOST_FILES = 1_000
MOST_BYTES = 64 * 1024 * 1024


class Deployed(TypedDict):
    """What was put where; digests are SHA-256."""

    environment: str
    folder: str
    files: dict[str, str]


def deploy(build: str, environment: str, root: str) -> Deployed:
    """The live folder is ROOT/ENVIRONMENT/current; the one before stays beside it as `before`."""
    source, place = Path(build).resolve(), Path(root).resolve() / environment
    files = _files_of(source)
    place.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".new-", dir=place))
    for name in files:
        (beside / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, beside / name)
    _put_live(beside, place)
    return {"environment": environment, "folder": str(place / "current"), "files": files}


def _files_of(source: Path) -> dict[str, str]:
    if not source.is_dir():
        raise orchestra.Failure("missing", f"there is no folder {str(source)!r} to deploy")
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    if not files or len(files) > MOST_FILES or size > MOST_BYTES:
        said = f"the build has {len(files)} files and {size:,} bytes; it may have 1 to {MOST_FILES:,} files and {MOST_BYTES:,} bytes"
        raise orchestra.Failure("refused", said)
    return {path.relative_to(source).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _put_live(beside: Path, place: Path) -> None:
    live, before = place / "current", place / "before"
    shutil.rmtree(before, ignore_errors=True)
    if live.exists():
        os.replace(live, before)
    os.replace(beside, live)
