"""What makes a JSON Schema acceptable as a contract: 2020-12 only, small, self-contained, linear patterns.

Must not fetch or open anything a schema names. Used by publishing and by the registry for schemas from type hints.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from agents.contracts.checking import validator_of
from audit.canonical import NotCanonical, canonical_bytes

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_BYTES = 64 * 1024
MAX_DEPTH = 16
MAX_REFS = 500
MAX_BRANCHES = 200
MAX_PATTERN = 256
MAX_UNIQUE = 200

_ONE = frozenset({"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then", "unevaluatedItems"}) | {
    "unevaluatedProperties",
    "contentSchema",
}
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED = frozenset({"$defs", "dependentSchemas", "patternProperties", "properties"})
_PLAIN = frozenset(
    {"$schema", "$comment", "$ref", "type", "enum", "const", "required", "dependentRequired", "format", "pattern"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"}
    | {"minItems", "maxItems", "uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties"}
    | {"title", "description", "default", "deprecated", "readOnly", "writeOnly", "examples", "contentEncoding", "contentMediaType"}
    | {"discriminator"}  # what pydantic writes for tagged unions; it decides nothing
)
_CHECKED = frozenset(
    "date date-time time duration email idn-email hostname idn-hostname ipv4 ipv6 uri uri-reference uri-template iri iri-reference uuid "
    "json-pointer relative-json-pointer regex".split()
)
_SAID_BY_HINTS = frozenset(
    "path file-path directory-path socket-path binary base64 base64url password json-string multi-host-uri name-email color fraction zoneinfo "
    "ipvanyaddress ipvanyinterface ipvanynetwork ipv4interface ipv6interface ipv4network ipv6network "
    "uuid1 uuid3 uuid4 uuid5 uuid6 uuid7 uuid8".split()
)
"""What pydantic writes of some types, which check it as they convert."""
_KNOWN = _ONE | _LISTS | _NAMED | _PLAIN
_FORBIDDEN = {
    "$id": "leave it out; names of other documents are never looked up",
    "$anchor": "refer with #/$defs/name",
    "$dynamicRef": "refer with #/$defs/name",
    "$dynamicAnchor": "refer with #/$defs/name",
    "$recursiveRef": "refer with #/$defs/name",
    "$vocabulary": "leave it out",
    "definitions": "draft 2020-12 calls it $defs",
    "dependencies": "draft 2020-12 calls it dependentRequired or dependentSchemas",
    "additionalItems": "draft 2020-12 writes prefixItems and items",
}

Node = tuple[str, Any, int]


def schema_problems(schema: Any) -> list[str]:
    """Everything that keeps a schema from being a contract, each with its place in the schema."""
    if not isinstance(schema, Mapping):
        return ["a contract is an object such as {type: object, properties: {…}}"]
    found = _size_problems(schema)
    if found:
        return found
    nodes = list(_nodes(schema))
    for place, node, depth in nodes:
        found += _node_problems(place, node, depth)
    found += _count_problems(nodes) + _reference_problems(nodes)
    return list(dict.fromkeys(found)) or _meta_problems(schema)


def _size_problems(schema: Mapping[str, Any]) -> list[str]:
    try:
        size = len(canonical_bytes(schema))
    except (NotCanonical, RecursionError) as error:
        return [f"the schema is not plain JSON: {error}"]
    if size > MAX_BYTES:
        return [f"the schema has {size} bytes and the limit is {MAX_BYTES}; split it into smaller steps"]
    return []


def _nodes(schema: Any) -> Iterator[Node]:
    """Every sub-schema with its place and depth; deeper than one past the cap is not followed."""
    pending: list[Node] = [("", schema, 1)]
    while pending:
        place, node, depth = pending.pop()
        yield place, node, depth
        if isinstance(node, Mapping) and depth <= MAX_DEPTH:
            pending.extend((f"{place}/{name}", inner, depth + 1) for name, inner in _inner(node))


def _inner(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if key in _ONE:
            yield key, value
        elif key in _LISTS and isinstance(value, list):
            yield from ((f"{key}/{index}", item) for index, item in enumerate(value))
        elif key in _NAMED and isinstance(value, Mapping):
            yield from ((f"{key}/{name}", item) for name, item in value.items())


def _node_problems(place: str, node: Any, depth: int) -> Iterator[str]:
    where = f"{place or '/'}: "
    if isinstance(node, bool):
        return
    if not isinstance(node, Mapping):
        yield f"{where}a schema is an object, true or false"
        return
    if depth > MAX_DEPTH:
        yield f"{where}schemas are nested deeper than {MAX_DEPTH}; use $defs and $ref, or a flatter value"
    for key in node:
        yield from (where + text for text in _keyword_problems(key))
    if node.get("$schema", DIALECT) not in {DIALECT, DIALECT + "#"}:
        yield f"{where}$schema must be {DIALECT}, or left out"
    yield from (where + text for text in (*_format_problems(node.get("format")), *_cost_problems(node)))


def _keyword_problems(key: str) -> Iterator[str]:
    if key in _FORBIDDEN:
        yield f"the keyword {key!r} is not supported; {_FORBIDDEN[key]}"
    elif key not in _KNOWN and not key.startswith("x-"):
        near = get_close_matches(key, _KNOWN, n=1)
        yield f"unknown keyword {key!r}" + (f"; did you mean {near[0]!r}?" if near else "; nothing would check it")


def _format_problems(said: Any) -> Iterator[str]:
    if isinstance(said, str) and said not in _CHECKED | _SAID_BY_HINTS:
        near = get_close_matches(said, _CHECKED, n=1)
        known = f"did you mean {near[0]!r}?" if near else f"those that are checked: {', '.join(sorted(_CHECKED))}"
        yield f"unknown format {said[:80]!r}; {known}"


def _cost_problems(node: Mapping[str, Any]) -> Iterator[str]:
    patterns = [node["pattern"]] if isinstance(node.get("pattern"), str) else []
    named = node.get("patternProperties")
    patterns += list(named) if isinstance(named, Mapping) else []
    for pattern in patterns:
        if len(pattern) > MAX_PATTERN:
            yield f"a pattern has {len(pattern)} characters and the limit is {MAX_PATTERN}"
    most = node.get("maxItems")
    if node.get("uniqueItems") is True and not (isinstance(most, int) and most <= MAX_UNIQUE):
        yield f"uniqueItems compares every pair; add maxItems of at most {MAX_UNIQUE}"


def _count_problems(nodes: list[Node]) -> list[str]:
    schemas = [node for _, node, _ in nodes if isinstance(node, Mapping)]
    found = []
    refs = sum("$ref" in node for node in schemas)
    if refs > MAX_REFS:
        found.append(f"/: {refs} $ref and the limit is {MAX_REFS}")
    branches = sum(len(node[key]) for node in schemas for key in ("anyOf", "oneOf") if isinstance(node.get(key), list))
    if branches > MAX_BRANCHES:
        found.append(f"/: {branches} branches of anyOf and oneOf and the limit is {MAX_BRANCHES}")
    return found


def _reference_problems(nodes: list[Node]) -> list[str]:
    places = {place for place, _, _ in nodes}
    found = []
    for place, node, _ in nodes:
        if not isinstance(node, Mapping) or "$ref" not in node:
            continue
        target = node["$ref"]
        if not isinstance(target, str) or not target.startswith("#"):
            found.append(f"{place or '/'}: $ref {str(target)[:80]!r} names another document, which is never fetched; use #/$defs/name")
        elif pointed_at(target) not in places:
            found.append(f"{place or '/'}: $ref {target[:80]!r} points at nothing in this schema")
    return found or _circles(nodes)


def pointed_at(reference: str) -> str:
    """The place that a "#/…" reference names, written as the places of `_nodes` are."""
    return reference[1:].replace("%24", "$").replace("~1", "/").replace("~0", "~")


def _circles(nodes: list[Node]) -> list[str]:
    """A $ref that leads back to itself without going into a part of the value would be checked for ever."""
    steps = {place: list(_same_value(place, node)) for place, node, _ in nodes if isinstance(node, Mapping)}
    done: set[str] = set()
    for start in steps:
        circle = _circle_from(start, steps, done)
        if circle is not None:
            return [f"{circle or '/'}: this $ref leads back to itself without consuming anything"]
    return []


def _same_value(place: str, node: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(node.get("$ref"), str):
        yield pointed_at(node["$ref"])
    for key in ("allOf", "anyOf", "oneOf"):
        if isinstance(node.get(key), list):
            yield from (f"{place}/{key}/{index}" for index in range(len(node[key])))
    yield from (f"{place}/{key}" for key in ("not", "if", "then", "else") if key in node)
    if isinstance(node.get("dependentSchemas"), Mapping):
        yield from (f"{place}/dependentSchemas/{name}" for name in node["dependentSchemas"])


def _circle_from(start: str, steps: Mapping[str, list[str]], done: set[str]) -> str | None:
    on_path: list[str] = []
    pending: list[tuple[str, bool]] = [(start, False)]
    while pending:
        place, leaving = pending.pop()
        if leaving:
            done.add(on_path.pop())
        elif place in on_path:
            return place
        elif place not in done:
            on_path.append(place)
            pending.append((place, True))
            pending.extend((following, False) for following in steps.get(place, []))
    return None


def _meta_problems(schema: Mapping[str, Any]) -> list[str]:
    try:
        validator_of(schema)
    except ValueError as error:
        path = "/".join(str(part) for part in getattr(error, "instance_path", []))
        message = " ".join(str(getattr(error, "message", error)).split())[:240]
        hint = "; patterns have no look-around and no back-references" if "regex" in message else ""
        return [f"/{path}: {message}{hint}"]
    return []
