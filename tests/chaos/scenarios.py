"""Faults of everything but a worker's own code: servers that go, a queue that forgets, a disk that is full. Filled in below by name."""

from collections.abc import Callable, Mapping
from typing import Any

SCENARIOS: Mapping[str, Callable[..., Any]] = {}
