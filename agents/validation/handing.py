"""Holds what is handed over in `with:` against the input contract of the agent that takes it.

Must not know where in the pipeline it stands. What can't be decided is let through and never claimed to fit.
"""

from collections.abc import Mapping
from typing import Any

from agents.spec import Path
from agents.validation.findings import Findings
from agents.validation.scopes import Scope, check_expression
from agents.validation.shapes import Missing, Shape, any_of, list_of, misfit, object_of, part


def check_with(given: Mapping[str, Any], wanted: Any, who: str, scope: Scope, findings: Findings, path: Path) -> Shape:
    """Checks every expression in `given`, then whether the object can satisfy the contract `wanted` (None: not known).

    Returns the object's shape, as far as that shows.
    """
    shape = Shape(wanted, promised=True) if wanted is not None else None
    _missing_keys(given, shape, who, findings, path)
    found: dict[str, Shape | None] = {}
    for key, value in given.items():
        try:
            inner = part(shape, key)
        except Missing:
            inner = None
            if _is_closed(shape):
                findings.add((*path, key), f"{who} takes no {key!r}; its input contract is closed")
        found[key] = _hand_over(value, inner, who, scope, findings, (*path, key))
    return object_of(found)


def _missing_keys(given: Mapping[str, Any], shape: Shape | None, who: str, findings: Findings, path: Path) -> None:
    schema = shape.schema if shape is not None else None
    if not isinstance(schema, Mapping):
        return
    kind = schema.get("type", "object")
    if "object" not in ([kind] if isinstance(kind, str) else kind):
        findings.add(path, f"the input contract of {who} takes no object, and `with` always is one; make it {{type: object, …}}")
    for key in schema.get("required", []):
        if key not in given:
            findings.add(path, f"{who} requires {key!r} and `with` doesn't give it; add {key}: =…")


def _is_closed(shape: Shape | None) -> bool:
    return shape is not None and isinstance(shape.schema, Mapping) and shape.schema.get("additionalProperties") is False


def _hand_over(value: Any, wanted: Shape | None, who: str, scope: Scope, findings: Findings, path: Path) -> Shape | None:
    given = _shape_of(value, scope, findings, path)
    reason = misfit(wanted.schema, given) if wanted is not None else None
    if reason == "never":
        findings.add(path, f"{_said(value)} can never be what {who} takes as {path[-1]!r}: their contracts share no value")
    elif reason:
        findings.add(path, f"{_said(value)} isn't always what {who} takes as {path[-1]!r}; narrow the one contract or widen the other")
    return given


def _said(value: Any) -> str:
    return f"{value[:120]!r}" if isinstance(value, str) else "this value"


def _shape_of(value: Any, scope: Scope, findings: Findings, path: Path) -> Shape | None:
    """The shape of a `with` value; its expressions are checked on the way."""
    if isinstance(value, str) and value.startswith("=") and not value.startswith("=="):
        return check_expression(value[1:], scope, findings, path)
    if isinstance(value, Mapping):
        return object_of({key: _shape_of(inner, scope, findings, (*path, key)) for key, inner in value.items()})
    if isinstance(value, list):
        items = [_shape_of(inner, scope, findings, (*path, index)) for index, inner in enumerate(value)]
        return list_of(any_of(items)) if items else Shape({"const": []}, promised=False)
    return Shape({"const": value[1:] if isinstance(value, str) and value.startswith("==") else value}, promised=False)
