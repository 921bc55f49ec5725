"""What a process that serves pages does once, before its first request; used by the doors a server loads."""

import gc

from django.urls import get_resolver


def get_ready() -> None:
    """Load what a first request would wait for, and look through it for garbage never again: a page of many rows would wait for that too."""
    get_resolver().url_patterns  # noqa: B018 - a property that loads
    gc.collect()
    gc.freeze()
