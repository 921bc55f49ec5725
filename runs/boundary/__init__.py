"""The one way out (R6): every call is admitted here, stage by stage, and only from here does anything touch an adapter.

Admission first; then the store writes the intent, then it is sent. Writes no rows. Called by performers.
"""

from runs.adapters.children import CallError, NeverSent, OnCall, OnProgress, Place

from .admission import admit
from .sending import Boundary, stored_replies, target_resource, unpacked, with_bound
from .standing import Stands, Wanted, as_it_stands, standings, stands
from .values import Above, Account, Ask, Refusal, Reply, Request, Standing

__all__ = [
    "Above",
    "Account",
    "Ask",
    "Boundary",
    "CallError",
    "NeverSent",
    "OnCall",
    "OnProgress",
    "Place",
    "Refusal",
    "Reply",
    "Request",
    "Standing",
    "Stands",
    "Wanted",
    "admit",
    "as_it_stands",
    "standings",
    "stands",
    "stored_replies",
    "target_resource",
    "unpacked",
    "with_bound",
]
