"""What must hold, looked at after every commit and whenever something is sent. Reads rows with its own hands; shares no code with the engine.

`Watch` keeps what it saw last and holds what it sees now against it. Each rule has a name, which is what a failing seed says. A module for each
kind of row: `runs`, `steps`, `waits`, `calls`; `undoing` for what is undone; `watch` says when each is asked.
"""

from .seeing import Broken
from .watch import Watch

__all__ = ["Broken", "Watch"]
