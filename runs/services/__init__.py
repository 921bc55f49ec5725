"""The use-cases of runs: start, cancel, judge again, read. Doors parse, call one of these, and render.

Each writes its ledger entry in its own transaction; a refusal is recorded after the rollback, in one of its own.
"""

from .ending import end_unattended
from .reading import SHORTEST_PREFIX, find_run, run_document, runs_visible_to
from .starting import reverify, start_run
from .stopping import cancel_run

__all__ = ["SHORTEST_PREFIX", "cancel_run", "end_unattended", "find_run", "reverify", "run_document", "runs_visible_to", "start_run"]
