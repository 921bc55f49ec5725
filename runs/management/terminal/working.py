"""Whether anybody takes up what a command has made ready."""

from contextlib import suppress

from django.db import Error

from audit.management.typed import manage
from runs import sweeps
from runs.management.terminal.screen import Screen


def say_where_nobody_works(screen: Screen) -> None:
    """A line for people: what is ready stands still until there is a worker. Says nothing where that can't be asked."""
    with suppress(Error):
        if not screen.json and sweeps.needs_engine():
            screen.note(f"No worker has been heard of lately, and what is ready waits for one: make worker, or {manage()} worker", "yellow")
