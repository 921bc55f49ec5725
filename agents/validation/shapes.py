"""What is known of the type of a value that an expression names: parts of schemas, taken apart and put together.

Must not know steps. A shape of None means that nothing is known, and nothing is claimed then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.contracts import closed, covers, disjoint

Schema = Mapping[str, Any] | bool
NOTES = frozenset({"title", "description", "default", "examples", "deprecated", "$comment", "$schema", "$defs", "readOnly", "writeOnly"})
_MIXES = frozenset({"allOf", "if", "not", "patternProperties", "dependentSchemas", "$ref", "unevaluatedProperties"})
_DEEPEST = 8


@dataclass(frozen=True)
class Shape:
    """A self-contained schema. `promised` says that a contract guarantees it (an output), not only that it is possible."""

    schema: Schema
    promised: bool


class Missing(Exception):
    """The schema has no such part."""


def part(shape: Shape | None, segment: str | int) -> Shape | None:
    """The shape of a member or item; None where it isn't known; Missing where it provably isn't there."""
    if shape is None:
        return None
    schema = _resolved(shape.schema)
    if not isinstance(schema, Mapping) or not set(schema) - NOTES:
        return None
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _part_of_any(shape, schema, key, segment)
    found = _member(schema, segment) if isinstance(segment, str) else _item(schema)
    return None if found is None else Shape(_carry(found, schema), shape.promised)


def _part_of_any(shape: Shape, schema: Mapping[str, Any], key: str, segment: str | int) -> Shape | None:
    if set(schema) - NOTES - {key}:
        return None
    found: list[Shape | None] = []
    for branch in schema[key]:
        try:
            found.append(part(Shape(_carry(branch, schema), shape.promised), segment))
        except Missing:
            continue
    if not found:
        raise Missing
    return any_of(found)


def _member(schema: Mapping[str, Any], name: str) -> Schema | None:
    types = schema.get("type")
    if types is not None and "object" not in ([types] if isinstance(types, str) else types):
        raise Missing
    properties = schema.get("properties", {})
    if name in properties:
        return None if "allOf" in schema else properties[name]
    if _MIXES & schema.keys():
        return None
    extra = schema.get("additionalProperties")
    # A schema that names its properties and says nothing of others promises no others.
    if extra is False or (extra is None and properties):
        raise Missing
    return extra if isinstance(extra, Mapping) else None


def _item(schema: Mapping[str, Any]) -> Schema | None:
    types = schema.get("type")
    if types is not None and "array" not in ([types] if isinstance(types, str) else types):
        raise Missing
    items = schema.get("items")
    return items if isinstance(items, Mapping) and "prefixItems" not in schema else None


def _resolved(schema: Schema) -> Schema:
    """Follows a $ref into the schema's own $defs; anything else that refers is left as it is."""
    for _ in range(50):
        if not isinstance(schema, Mapping) or not isinstance(schema.get("$ref"), str) or set(schema) - NOTES - {"$ref"}:
            return schema
        target = schema.get("$defs", {}).get(schema["$ref"].removeprefix("#/$defs/"))
        if target is None:
            return schema
        schema = _carry(target, schema)
    return schema


def _carry(inner: Schema, outer: Mapping[str, Any]) -> Schema:
    if isinstance(inner, bool) or "$defs" not in outer:
        return inner
    return {**inner, "$defs": outer["$defs"]}


def declared(shape: Shape | None) -> list[str]:
    """The names of an object's properties, for messages."""
    schema = _resolved(shape.schema) if shape is not None else True
    return sorted(schema.get("properties", {})) if isinstance(schema, Mapping) else []


# Putting together ----------------------------------------------------------------------------------------------------------------


def object_of(members: Mapping[str, Shape | None]) -> Shape:
    """The shape of {name: value}; unknown members are anything."""
    schemas, definitions = _joined(list(members.values()))
    schema = {
        "type": "object",
        "properties": dict(zip(members, schemas, strict=True)),
        "required": list(members),
        "additionalProperties": False,
        **definitions,
    }
    return Shape(schema, any(shape is not None and shape.promised for shape in members.values()))


def list_of(item: Shape | None) -> Shape:
    """The shape of a list of such items."""
    schemas, definitions = _joined([item])
    return Shape({"type": "array", "items": schemas[0], **definitions}, item is not None and item.promised)


def any_of(shapes: Sequence[Shape | None]) -> Shape | None:
    """One of these; unknown as soon as one of them is."""
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes) or not known:
        return None
    if len(known) == 1:
        return known[0]
    schemas, definitions = _joined(known)
    return Shape({"anyOf": schemas, **definitions}, all(shape.promised for shape in known))


def _joined(shapes: Sequence[Shape | None]) -> tuple[list[Schema], dict[str, Any]]:
    """The schemas side by side, their $defs renamed apart and lifted out."""
    schemas: list[Schema] = []
    definitions: dict[str, Any] = {}
    for index, shape in enumerate(shapes):
        schema = shape.schema if shape is not None and _is_portable(shape.schema) else True
        if isinstance(schema, Mapping):
            for name, inner in schema.get("$defs", {}).items():
                definitions[f"{index}.{name}"] = _renamed(inner, f"{index}.")
            schema = _renamed({key: value for key, value in schema.items() if key != "$defs"}, f"{index}.")
        schemas.append(schema)
    return schemas, {"$defs": definitions} if definitions else {}


def _is_portable(schema: Any) -> bool:
    """Whether every $ref points into the schema's own $defs, so that it can stand elsewhere."""
    if isinstance(schema, list):
        return all(_is_portable(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    reference = schema.get("$ref")
    if isinstance(reference, str) and (not reference.startswith("#/$defs/") or "/" in reference.removeprefix("#/$defs/")):
        return False
    return all(_is_portable(value) for value in schema.values())


def _renamed(schema: Any, prefix: str) -> Any:
    if isinstance(schema, list):
        return [_renamed(item, prefix) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    copy = {key: _renamed(value, prefix) for key, value in schema.items()}
    if isinstance(schema.get("$ref"), str):
        copy["$ref"] = f"#/$defs/{prefix}{schema['$ref'].removeprefix('#/$defs/')}"
    return copy


# Comparing -----------------------------------------------------------------------------------------------------------------------


def misfit(wanted: Schema, given: Shape | None, depth: int = 0) -> str | None:
    """Why a value can't be handed over: "never" or "not always"; None where it fits or can't be decided."""
    if given is None:
        return None
    if disjoint(wanted, given.schema):
        return "never"
    # Only a contract's promise is held to the letter: an input may well be narrower than its schema says.
    if not given.promised or depth > _DEEPEST:
        return None
    if not _leaves_open(given.schema) and covers(wanted, closed(given.schema)) == "no":
        return "not always"
    return _part_misfit(Shape(wanted, promised=True), given, depth + 1)


def _part_misfit(wanted: Shape, given: Shape, depth: int) -> str | None:
    """A list whose items don't fit passes as a whole (it could be empty), as does an object with one open part: look inside."""
    names: list[str | int] = [name for name in declared(given) if name in declared(wanted)]
    for segment in [*names, 0]:
        try:
            into, out_of = part(wanted, segment), part(given, segment)
        except Missing:
            continue
        if into is not None and misfit(into.schema, out_of, depth):
            return "not always"
    return None


def _leaves_open(schema: Any) -> bool:
    """Whether a part of the schema says nothing (Any, a bare object or list): then nothing is promised that could be broken."""
    if schema is True or not isinstance(schema, Mapping) or not set(schema) - NOTES:
        return schema is not False
    kind = schema.get("type")
    if kind == "object" and not schema.keys() & {"properties", "additionalProperties", *_MIXES, "anyOf", "oneOf"}:
        return True
    if kind == "array" and not schema.keys() & {"items", "prefixItems", "$ref"}:
        return True
    if schema.get("additionalProperties") is True:
        return True
    return any(_leaves_open(inner) for inner in _inner_schemas(schema))


def _inner_schemas(schema: Mapping[str, Any]) -> list[Any]:
    inner = [schema[key] for key in ("items",) if key in schema]
    if isinstance(schema.get("additionalProperties"), Mapping):
        inner.append(schema["additionalProperties"])
    for key in ("properties", "$defs"):
        inner += list(schema.get(key, {}).values())
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        inner += schema.get(key, [])
    return inner
