"""Performers: shape a step into a request, and read a reply as an outcome. They write nothing and decide nothing about runs.

The worker's only way to the boundary.
"""

from agents.stops import news
from runs.boundary import Account, Boundary, CallError, NeverSent, Place, Refusal, Reply, Request, Standing, standings, unpacked

from .functions import Dispatch, perform
from .models import following, meaning, recalled
from .shaping import Unshapable, artifacts, hand_of, outcome_of, providers, refused, shape

__all__ = [
    "Account",
    "Boundary",
    "CallError",
    "Dispatch",
    "NeverSent",
    "Place",
    "Refusal",
    "Reply",
    "Request",
    "Standing",
    "Unshapable",
    "artifacts",
    "following",
    "hand_of",
    "meaning",
    "news",
    "outcome_of",
    "perform",
    "providers",
    "recalled",
    "refused",
    "shape",
    "standings",
    "unpacked",
]
