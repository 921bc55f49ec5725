"""Performers: shape a step into a request, and read a reply as an outcome. They write nothing and decide nothing about runs.

The worker's only way to the boundary.
"""

from runs.boundary import Account, Boundary, CallError, Refusal, Reply, Request, Standing, standings, unpacked, usd

from .functions import Dispatch, perform
from .shaping import Unshapable, artifacts, outcome_of, shape

__all__ = [
    "Account",
    "Boundary",
    "CallError",
    "Dispatch",
    "Refusal",
    "Reply",
    "Request",
    "Standing",
    "Unshapable",
    "artifacts",
    "outcome_of",
    "perform",
    "shape",
    "standings",
    "unpacked",
    "usd",
]
