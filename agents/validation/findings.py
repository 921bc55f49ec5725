"""Collects refusals with their path and line while a pipeline is looked at.

Must not judge anything. Used by every rule beside it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from agents.spec import Path, Unread

Spec = Mapping[str, Any]


@dataclass(frozen=True)
class Refusal:
    """One reason why a pipeline can't be published: where in its normal form, in which line, and what to do."""

    path: Path
    line: int
    message: str


@dataclass
class Findings:
    """The refusals so far, and the agents and pipelines that names are looked up in.

    A pipeline is what a release pins of it: `input`, `output`, `height`, `workers`. `unusable` says why others can't be run here.
    """

    agents: Mapping[str, Spec]
    line_of: Callable[[Path], int]
    refusals: dict[Refusal, None] = field(default_factory=dict)
    pipelines: Mapping[str, Spec] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)
    others: Collection[str] = ()
    """Agents that the pipeline doesn't name, one of which may have been meant."""
    now: datetime | None = None
    """When it is looked at; without it nothing is said of what has ended."""

    bound: Sequence[str] | None = None
    """The permissions that bound the pipeline's runs, where it says any."""

    uncompiled: Collection[str] = ()
    """Expressions that can't be compiled, which is said already."""

    unread: Unread = field(default_factory=Unread)
    """What of the pipeline isn't what its writer meant."""

    doubtful: Collection[str] = ()
    """Agents and pipelines of which nothing is known for a problem of their own, which is said already."""

    def add(self, path: Path, message: str) -> None:
        if self.unread.holds(path):
            return  # it would only follow from what is wrong there
        self.refusals[Refusal(path, self.line_of(path), message)] = None

    def agent(self, name: Any, path: Path) -> Spec | None:
        """The agent's spec; an unknown one is a refusal."""
        spec = self.agents.get(name) if isinstance(name, str) else None
        if spec is None and name and name not in self.doubtful:
            self.add(path, f"there is no agent {name!r}{nearest(name, {*self.agents, *self.others})}")
        return spec

    def pipeline(self, name: Any, path: Path) -> Spec | None:
        """What a release would pin of this pipeline; one that can't be run here is a refusal."""
        pinned = self.pipelines.get(name) if isinstance(name, str) else None
        if pinned is None and name and name not in self.doubtful:
            self.add(path, self.unusable.get(name) or f"there is no pipeline {name!r}")
        return pinned


def nearest(name: str, known: Iterable[str]) -> str:
    """ "; did you mean …?" or what there is."""
    options = sorted(known)
    near = get_close_matches(name, options, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there is: {', '.join(options[:12])}" if options else ""
