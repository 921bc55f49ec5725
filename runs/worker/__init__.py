"""The loop: claims runs, drives each of them by the engine's decisions, and commits what they change.

asyncio; one Engine per process. Knows no door; doors and tasks start it.
"""

from .engine import Engine, EngineOptions
from .messages import Event

__all__ = ["Engine", "EngineOptions", "Event"]
