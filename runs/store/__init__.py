"""Rows to snapshots and transitions to rows: the only place where run state is read whole and written.

Used by the worker, use-cases and sweeps. Decides nothing: what changes was decided by the engine.
"""

from .claims import MAX_ATTEMPTS, TOGETHER, claim, family_at_work, forfeit_lease, heartbeat, look, release_lease
from .committer import Committer
from .fairness import WEIGHTS
from .lines import above as lines_above
from .lines import hand_of
from .loading import Loaded, Problem, load, load_rows, plan_of, plan_of_run
from .pacing import pace_of
from .settling import abandoned, call_records, confirmed, denied, failed, opened, resent, with_account
from .transitions import Approval, CallOpened, CallRecord, CallSettled, Committed, Granted, Seen, Stale, Transition
from .writing import commit, settle_late, take_back

__all__ = [
    "MAX_ATTEMPTS",
    "TOGETHER",
    "WEIGHTS",
    "Approval",
    "CallOpened",
    "CallRecord",
    "CallSettled",
    "Committed",
    "Committer",
    "Granted",
    "Loaded",
    "Problem",
    "Seen",
    "Stale",
    "Transition",
    "abandoned",
    "call_records",
    "claim",
    "commit",
    "confirmed",
    "denied",
    "failed",
    "family_at_work",
    "forfeit_lease",
    "hand_of",
    "heartbeat",
    "lines_above",
    "load",
    "load_rows",
    "look",
    "opened",
    "pace_of",
    "plan_of",
    "plan_of_run",
    "release_lease",
    "resent",
    "settle_late",
    "take_back",
    "with_account",
]
