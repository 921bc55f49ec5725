"""What pipelines let their runs do at all, as it is in force: live, never pinned to a release.

Reads only. Called by the boundary, and by whoever asks beforehand.
"""

from __future__ import annotations

from collections.abc import Collection

from agents.models import Pipeline
from audit import bulk


def bounds_in_force(names: Collection[str]) -> dict[str, list[str] | None]:
    """By name the permissions of pipelines; None of one that says nothing, and so narrows nothing. One statement."""
    rows = bulk.read(Pipeline, match=["name"], rows=[[name] for name in sorted(names)]) if names else []
    return {row.name: row.permissions for row in rows}
