"""The use-cases of runs: start, cancel, judge again, read. Doors parse, call one of these, and render.

Each writes its ledger entry in its own transaction; a refusal is recorded after the rollback, in one of its own.
"""

from .answering import Settlement, send_signal, settle_call, why_not
from .asked import asked_of
from .comparing import held_whole
from .containing import is_uncontained, uncontained_among
from .deciding import HeldWait, answer_held, hold_wait, note_held
from .ending import end_unattended
from .fitting import park_incompatible, resume_compatible
from .halting import heed_stops, of_runs, stops_over
from .judgements import deciding, what_would_pass, why_not_passed
from .late import settle_late, take_late
from .listing import OUTCOMES, Listed, Wanted, lanes_of_runs, newest_of_each, newest_runs, read_as, runs_wanted
from .phrases import awaited, causes, with_waits
from .reading import SHORTEST_PREFIX, StepInShort, extent_of_work, find_run, run_document, runs_visible_to, steps_in_short
from .refusals import refused_starts
from .starting import reverify, start_run
from .stopping import cancel_orphans, cancel_run
from .stops import how_to_name, lift_stop, set_stop, stop_document, stop_records, stops_visible_to
from .waits import (
    WantedWaits,
    call_document,
    call_records,
    calls_visible_to,
    cause_in_vain,
    contract_of,
    find_call,
    find_wait,
    listed_waits,
    takes,
    unanswered,
    unresolved_calls,
    wait_document,
    wait_records,
    waits_visible_to,
    waits_wanted,
)

__all__ = [
    "OUTCOMES",
    "SHORTEST_PREFIX",
    "HeldWait",
    "Listed",
    "Settlement",
    "StepInShort",
    "Wanted",
    "WantedWaits",
    "answer_held",
    "asked_of",
    "awaited",
    "call_document",
    "call_records",
    "calls_visible_to",
    "cancel_orphans",
    "cancel_run",
    "cause_in_vain",
    "causes",
    "contract_of",
    "deciding",
    "end_unattended",
    "extent_of_work",
    "find_call",
    "find_run",
    "find_wait",
    "heed_stops",
    "held_whole",
    "hold_wait",
    "how_to_name",
    "is_uncontained",
    "lanes_of_runs",
    "lift_stop",
    "listed_waits",
    "newest_of_each",
    "newest_runs",
    "note_held",
    "of_runs",
    "park_incompatible",
    "read_as",
    "refused_starts",
    "resume_compatible",
    "reverify",
    "run_document",
    "runs_visible_to",
    "runs_wanted",
    "send_signal",
    "set_stop",
    "settle_call",
    "settle_late",
    "start_run",
    "steps_in_short",
    "stop_document",
    "stop_records",
    "stops_over",
    "stops_visible_to",
    "take_late",
    "takes",
    "unanswered",
    "uncontained_among",
    "unresolved_calls",
    "wait_document",
    "wait_records",
    "waits_visible_to",
    "waits_wanted",
    "what_would_pass",
    "why_not",
    "why_not_passed",
    "with_waits",
]
