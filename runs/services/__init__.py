"""The use-cases of runs: start, cancel, judge again, read. Doors parse, call one of these, and render.

Each writes its ledger entry in its own transaction; a refusal is recorded after the rollback, in one of its own.
"""

from .answering import Settlement, find_call, find_wait, send_signal, settle_call, unresolved_calls, waits_visible_to
from .ending import end_unattended
from .fitting import park_incompatible, resume_compatible
from .listing import OUTCOMES, Listed, Wanted, read_as, runs_wanted
from .reading import SHORTEST_PREFIX, find_run, run_document, runs_visible_to
from .refusals import refused_starts
from .starting import reverify, start_run
from .stopping import cancel_run

__all__ = [
    "OUTCOMES",
    "SHORTEST_PREFIX",
    "Listed",
    "Settlement",
    "Wanted",
    "cancel_run",
    "end_unattended",
    "find_call",
    "find_run",
    "find_wait",
    "park_incompatible",
    "read_as",
    "refused_starts",
    "resume_compatible",
    "reverify",
    "run_document",
    "runs_visible_to",
    "runs_wanted",
    "send_signal",
    "settle_call",
    "start_run",
    "unresolved_calls",
    "waits_visible_to",
]
