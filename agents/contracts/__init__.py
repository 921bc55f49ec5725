"""Contracts as values: JSON Schema 2020-12 checked offline, one schema held against another, the age of a value.

Pure: must not fetch, read a file or a clock. Used by publishing, the registry and the engine.
"""

from agents.contracts.checking import Contract, compiled, violations
from agents.contracts.covering import closed, covers, disjoint
from agents.contracts.freshness import age_ms, observed_at
from agents.contracts.schemas import schema_faults, schema_problems
from agents.spec.verdict import VERDICT_SCHEMA

__all__ = [
    "VERDICT_SCHEMA",
    "Contract",
    "age_ms",
    "closed",
    "compiled",
    "covers",
    "disjoint",
    "observed_at",
    "schema_faults",
    "schema_problems",
    "violations",
]
