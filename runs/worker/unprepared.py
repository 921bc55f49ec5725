"""Claimed runs that can't be prepared here: how each ends, and which are left for another worker to try. None is left for ever.

In a committer thread; starts nothing. Called by the engine.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace

from agents.errors import ArtifactRefused
from runs import performers, store, sweeps
from runs.models import Cause, Run

log = logging.getLogger(__name__)


def fitted(loaded: store.Loaded, unready: Mapping[str, str]) -> store.Loaded:
    """A run whose model provider can't be used here says so and ends; it must not end the engine."""
    lacking = sorted(performers.providers(loaded.snapshot.plan) & unready.keys())
    if not lacking or loaded.problem is not None:
        return loaded
    message = f"the model provider '{lacking[0]}' can't be used where the worker runs: {unready[lacking[0]]}"
    return replace(loaded, problem=store.Problem(Cause.INCOMPATIBLE, message))


def to_be_ended(run: Run, error: Exception) -> store.Loaded | None:
    """The run with the problem that it ends of; None where it is left to its lease, or was marked broken.

    Code that is not what was published ends its run at once. Anything else may be this machine's trouble alone (a full disk), so others
    try too: each claim counts as an attempt. After the last one it ends `lost`; one of which not even the rows can be read is marked broken.
    """
    problem = _problem(run, error)
    if problem is None:
        said = "run %s can't be prepared here; it is taken again when its lease has run out (claim %d, and after %d it ends)"
        log.error(said, run.id, run.attempt, store.MAX_ATTEMPTS, exc_info=error)
        return None
    try:
        loaded = store.load([run.id])[0]
        store.call_records(loaded.calls.values())
    except Exception as unreadable:
        log.exception("run %s is to end and can't be read", run.id)
        if run.attempt > store.MAX_ATTEMPTS:
            sweeps.mark_broken(run, why=f"its rows can't be read ({type(unreadable).__name__})")
        return None
    if loaded.is_broken:
        sweeps.mark_broken(loaded.run)
        return None
    return replace(loaded, problem=loaded.problem or problem)


def _problem(run: Run, error: Exception) -> store.Problem | None:
    if isinstance(error, ArtifactRefused):
        return store.Problem(Cause.TAMPERED, str(error))
    if run.attempt <= store.MAX_ATTEMPTS:
        return None
    last = f"the last one because of {type(error).__name__}; the workers' logs say why"
    return store.Problem(Cause.LOST, f"{run.attempt - 1} workers in a row took this run and could not go on with it, {last}")
