"""Performers: shape a step into a request, and read a reply as an outcome. They write nothing and decide nothing about runs.

The worker's only way to the boundary.
"""

from runs.boundary import (
    Account,
    Ask,
    Boundary,
    CallError,
    NeverSent,
    Place,
    Refusal,
    Reply,
    Request,
    Standing,
    Stands,
    Wanted,
    as_it_stands,
    standings,
    stands,
    unpacked,
)

from .functions import Dispatch, perform
from .models import following, meaning, recalled
from .shaping import Unshapable, artifacts, kind_of, outcome_of, providers, shape, unsent

__all__ = [
    "Account",
    "Ask",
    "Boundary",
    "CallError",
    "Dispatch",
    "NeverSent",
    "Place",
    "Refusal",
    "Reply",
    "Request",
    "Standing",
    "Stands",
    "Unshapable",
    "Wanted",
    "artifacts",
    "as_it_stands",
    "following",
    "kind_of",
    "meaning",
    "outcome_of",
    "perform",
    "providers",
    "recalled",
    "shape",
    "standings",
    "stands",
    "unpacked",
    "unsent",
]
