"""Child interpreters: the only place that runs a team's code, and the only one that starts processes for it.

Must not know Django, rows or the boundary; standard library only, and importing it changes nothing.
Called by the registry (`describe`) and by the children adapter (`Pool`).
"""

from agents.children.describe import describe
from agents.children.pool import Pool
from agents.children.values import (
    Broken,
    CallError,
    Described,
    DescribedFunction,
    Job,
    MayGo,
    NeverSent,
    OnCall,
    OnProgress,
    PoolClosed,
    Program,
    Returned,
)

__all__ = [
    "Broken",
    "CallError",
    "Described",
    "DescribedFunction",
    "Job",
    "MayGo",
    "NeverSent",
    "OnCall",
    "OnProgress",
    "Pool",
    "PoolClosed",
    "Program",
    "Returned",
    "describe",
]
