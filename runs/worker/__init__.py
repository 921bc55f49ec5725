"""The loop: claims runs, drives each of them by the engine's decisions, and commits what they change.

asyncio; one Engine per process. Knows no door; doors and tasks start it.
"""

from .engine import Engine
from .messages import Event
from .options import EngineOptions

__all__ = ["Engine", "EngineOptions", "Event"]
