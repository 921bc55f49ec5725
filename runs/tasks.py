"""The queue's chores, short and idempotent: each may be lost, late or run twice without harm.

Named by dotted path in `runs.queue` and in the schedules; nothing else may be put on the queue.
"""

from runs import queue, sweeps
from runs.worker import spawn


def wake() -> str:
    """A run is ready: start an engine if none lives that would find it by itself.

    Not within a worker: its own engine may still be at its start, and another would be left behind when the worker ends.
    """
    if queue.Beside.engine:
        return "the worker that keeps this queue keeps an engine too"
    engine = sweeps.called_engine()
    if engine is None:
        return "an engine is at work, or nothing is ready"
    return f"started engine process {spawn.short_lived_engine(engine)}"


def sweep() -> str:
    """What time has decided is written, and a run that nobody takes gets an engine."""
    swept = sweeps.sweep()
    runs = f"ended {swept.ended}, checked {swept.checked}, broken {swept.broken}"
    return f"{runs}; agents suspended {swept.suspended}, told beforehand {swept.noticed}; {wake()}"
