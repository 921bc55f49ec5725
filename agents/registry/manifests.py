"""What a pipeline would run instead of what it runs: two manifests held against each other, the pipelines that it runs included.

Called by whatever shows people what is published or goes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agents.models import Release

from .changes import FieldChange, compare

Manifest = Mapping[str, Any]
Brought = tuple[str, str, int]
"""A version that would come to run: ("agent" or "pipeline", name, number)."""
NOTHING: Final[Manifest] = {"pipeline": {"version": None, "digest": None, "spec": {}}, "agents": {}}
"""Of a pipeline that runs nothing yet."""


def manifest_of(release: str | None) -> Manifest:
    """By digest."""
    return NOTHING if release is None else Release.objects.values_list("manifest", flat=True).get(digest=release)


def fields_between(before: Manifest, after: Manifest) -> tuple[FieldChange, ...]:
    """Of the pipeline itself, what models its aliases stand for, and which releases of other pipelines it runs."""
    old, new = ({key: each[name] for key, name in _BESIDE if each.get(name)} for each in (before, after))
    return (*compare(before["pipeline"]["spec"], after["pipeline"]["spec"]), *compare(old, new))


_BESIDE: Final = (("models", "aliases"), ("pipelines", "pipelines"))


def agents_between(before: Manifest, after: Manifest) -> list[str]:
    """Those that would run in another version, by name."""
    return sorted(name for name, one in after["agents"].items() if before["agents"].get(name, {}).get("digest") != one["digest"])


def brought(before: Manifest, after: Manifest) -> Iterator[Brought]:
    """Every version that would come to run, also in a pipeline that it runs."""
    if before["pipeline"]["digest"] != after["pipeline"]["digest"]:
        yield "pipeline", after["pipeline"]["name"], after["pipeline"]["version"]
    for name in agents_between(before, after):
        yield "agent", name, after["agents"][name]["version"]
    was = before.get("pipelines", {})
    for name, pin in after.get("pipelines", {}).items():
        then = was.get(name, {}).get("release")
        if then != pin["release"]:
            yield from brought(manifest_of(then), manifest_of(pin["release"]))
