"""Puts the folders of the examples where their modules find each other, as a child's import path does.

Appended, not first: an example's module must not hide one of ours.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import trees

OPS_DIGEST = Path(__file__).resolve().parents[2] / "examples" / "ops-digest"
SECURITY_AUDIT = OPS_DIGEST.parent / "security-audit"
sys.path += [str(OPS_DIGEST), str(SECURITY_AUDIT)]


@pytest.fixture
def ops_digest() -> Path:
    """The folder of the example."""
    return OPS_DIGEST


@pytest.fixture
def security_audit() -> Path:
    """The folder of the example."""
    return SECURITY_AUDIT


@pytest.fixture
def weak_tree(tmp_path: Path) -> Path:
    """A tree with something for every scanner, and nothing that isn't looked at."""
    tree = tmp_path / "tree"
    for name, text in trees.WEAK.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8")
    return tree


@pytest.fixture
def shipped(ops_digest: Path) -> str:
    """The series that comes with the example."""
    return str(ops_digest / "data" / "ec2_cpu_utilization_5f5533.csv")


@pytest.fixture
def judged_as_of(monkeypatch: pytest.MonkeyPatch):
    """Makes a run that is judged as of a past time."""
    import orchestra

    return lambda text: monkeypatch.setattr(orchestra, "as_of", lambda: datetime.fromisoformat(text))


@pytest.fixture
def csv_of(tmp_path: Path):
    """Writes values as a CSV, one a minute unless stamps (minutes) are given, and says where it is."""

    def write(values: list[float], *, minutes: list[float] | None = None, name: str = "cpu.csv", start: datetime | None = None) -> str:
        begun = start or datetime(2026, 1, 5, tzinfo=UTC)
        stamps = [begun + timedelta(minutes=minute) for minute in minutes or range(len(values))]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [f"{stamp:%Y-%m-%d %H:%M:%S},{value}" for stamp, value in zip(stamps, values, strict=True)]
        path.write_text("\n".join(["timestamp,value", *rows]) + "\n")
        return str(path)

    return write
