"""Every word of a run that can be written or read is reached by a test that asserts it: verbs, causes, outcomes, exit statuses.

A word counts where a test's source says it as text of its own, in quotes; the enums' own names don't.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

from runs.engine.states import EXIT_STATUS, CallState, Cause, Integrity, Outcome, StepState, Verb

HERE = Path(__file__).parent
PURE = HERE / "runs" / "engine"


@cache
def asserted() -> tuple[frozenset[str], frozenset[int]]:
    """The texts and numbers in the tests that drive whole runs (those of the pure engine reach no row and no ledger)."""
    texts: set[str] = set()
    numbers: set[int] = set()
    files = [file for folder in ("runs", "journeys", "doors") for file in (HERE / folder).rglob("test_*.py")]
    for file in files:
        if PURE in file.parents:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            elif isinstance(node, ast.Constant) and type(node.value) is int:
                numbers.add(node.value)
    return frozenset(texts), frozenset(numbers)


@pytest.mark.parametrize("word", [*Verb, *Cause, *Outcome, *Integrity, *StepState, *CallState], ids=lambda word: f"{type(word).__name__}-{word}")
def test_every_word_is_reached_by_a_test(word: str) -> None:
    assert str(word) in asserted()[0], f"no test of whole runs says {str(word)!r}: reach it, or don't register it yet"


@pytest.mark.parametrize("status", sorted(set(EXIT_STATUS.values())))
def test_every_exit_status_is_reached_by_a_test(status: int) -> None:
    assert status in asserted()[1]
