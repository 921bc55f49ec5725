"""What bounds the calls of the runs that one engine drives, beside their agents: kept here from one look to the next.

Reads no row and no clock. Used by the boundary, which asks it before each call.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from agents import registry
from agents.layers import PIPELINE, Layer
from agents.registry import Behalf
from agents.stops import Place
from runs.boundary.standing import Stands
from runs.boundary.values import Above, Bound

NOT_DRIVEN: Final = Above(lost="its run is not driven by this worker any more")


class Around:
    """The runs that are driven here, each with all above it and with the person on whose behalf it is made."""

    def __init__(self) -> None:
        self.lines: dict[UUID, Sequence[Place]] = {}
        self.behalves: dict[UUID, Behalf] = {}
        self._bounds: dict[str, Bound] = {}
        self._lost: dict[Behalf, str | None] = {}
        self._asked_at: dict[str | Behalf, datetime] = {}
        self._known: dict[UUID, Above] = {}

    def take(self, run: UUID, line: Sequence[Place], behalf: Behalf | None) -> None:
        """It is driven here."""
        self.lines[run] = line
        self._known.pop(run, None)
        if behalf is not None:
            self.behalves[run] = behalf

    def leave(self, run: UUID) -> None:
        self.lines.pop(run, None)
        self.behalves.pop(run, None)
        self._known.pop(run, None)

    @property
    def pipelines(self) -> frozenset[str]:
        """All that bound what is driven here."""
        return frozenset(place.pipeline for line in self.lines.values() for place in line)

    @property
    def people(self) -> frozenset[Behalf]:
        return frozenset(self.behalves.values())

    def learn(self, stands: Stands, *, asked_at: datetime) -> None:
        """What was asked for earlier may come later."""
        self._bounds.update({name: stands.bounds[name] for name in self._newer(stands.bounds, asked_at)})
        self._lost.update({behalf: stands.lost[behalf] for behalf in self._newer(stands.lost, asked_at)})
        self._known.clear()

    def _newer(self, read: Iterable[str | Behalf], asked_at: datetime) -> list[Any]:
        newer = [what for what in read if self._asked_at.get(what, asked_at) <= asked_at]
        self._asked_at.update(dict.fromkeys(newer, asked_at))
        return newer

    def above(self, run: UUID) -> Above:
        """What bounds this run's calls. What is not known here lets nothing through."""
        known = self._known.get(run)
        if known is None:
            if run not in self.lines:
                return NOT_DRIVEN
            known = self._known[run] = self._above(run)
        return known

    def _above(self, run: UUID) -> Above:
        names = tuple(dict.fromkeys(place.pipeline for place in self.lines[run]))
        unknown = next((name for name in names if name not in self._bounds), None)
        if unknown is not None:
            return Above(lost=f"there is no pipeline '{unknown}' any more, so nobody knows what it lets its runs do")
        bounds = {name: self._bounds[name] for name in names}
        layers = [Layer(f"{PIPELINE}{name}", bound.permissions) for name, bound in bounds.items() if bound.permissions is not None]
        policies = {name: policy for bound in bounds.values() for name, policy in bound.policies.items()}
        return Above(tuple(layers), policies, self._why_lost(self.behalves.get(run)))

    def _why_lost(self, behalf: Behalf | None) -> str | None:
        if behalf is None:
            return None
        why = self._lost.get(behalf, "is not known to this worker")
        return None if why is None else registry.lost_said(behalf, why)
