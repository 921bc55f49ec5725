"""What other runs of a family must know at once of what one of them has written: children that were started, a parent that was answered.

Rings and cancels; writes nothing of the run itself. Used by the driver, after each commit.
"""

from collections.abc import Sequence
from uuid import UUID

from runs import bell, services
from runs.engine.commands import Move
from runs.engine.values import Plan
from runs.worker.messages import Tools


async def tell_family(tools: Tools, run: UUID, plan: Plan, move: Move, ready: Sequence[UUID]) -> None:
    """Every engine looks now for those that are ready. Children that nobody waits for any more end."""
    if ready:
        tools.wake()
    for each in ready:
        await tools.committer.call(bell.ring, each)
    if plan.starts_runs and (move.finish is not None or move.closed):
        await tools.committer.call(services.cancel_orphans, [run], actor=tools.actor)
