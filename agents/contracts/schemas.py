"""What makes a JSON Schema acceptable as a contract: 2020-12 only, small, self-contained, linear patterns.

Must not fetch or open anything a schema names. Used by publishing and by the registry for schemas from type hints.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from agents.contracts.checking import validator_of
from audit.canonical import NotCanonical, canonical_bytes
from audit.visible import visible

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_BYTES = 64 * 1024
MAX_DEPTH = 16
MAX_REFS = 500
MAX_BRANCHES = 200
MAX_PATTERN = 256
MAX_UNIQUE = 200
MAX_FAULTS = 100  # of what JSON Schema itself says: a schema of thousands of wrong members is told the first ones

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

Place = tuple[str | int, ...]
Node = tuple[Place, Any, int]
Fault = tuple[Place, str]


def schema_problems(schema: Any) -> list[str]:
    """Everything that keeps a schema from being a contract, each with its place in the schema."""
    return [problem for _, problem in schema_faults(schema)]


def schema_faults(schema: Any) -> list[Fault]:
    """The same, each with the path of the member that is wrong, or of the nearest one around it that is known."""
    if not isinstance(schema, Mapping):
        return [((), "a contract is an object such as {type: object, properties: {…}}")]
    if found := _size_problems(schema):
        return [((), problem) for problem in found]
    nodes = list(_nodes(schema))
    faults = [((*place, *key), f"{_written(place)}: {text}") for place, node, depth in nodes for key, text in _node_problems(node, depth)]
    faults += [*(((), problem) for problem in _count_problems(nodes)), *_reference_faults(nodes)]
    said = {place for place, _ in faults}
    if all(depth <= MAX_DEPTH for _, _, depth in nodes):
        faults += [fault for fault in _meta_faults(schema) if fault[0] not in said]
    return list(dict.fromkeys(faults)) or _compile_faults(schema)


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
    pending: list[Node] = [((), schema, 1)]
    while pending:
        place, node, depth = pending.pop()
        yield place, node, depth
        if isinstance(node, Mapping) and depth <= MAX_DEPTH:
            pending.extend(((*place, *name), inner, depth + 1) for name, inner in _inner(node))


def _inner(node: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    for key, value in node.items():
        if key in _ONE:
            yield (key,), value
        elif key in _LISTS and isinstance(value, list):
            yield from (((key, index), item) for index, item in enumerate(value))
        elif key in _NAMED and isinstance(value, Mapping):
            yield from (((key, name), item) for name, item in value.items())


def _pointer(place: Place) -> str:
    return "".join(f"/{part}" for part in place)


def _written(place: Place) -> str:
    return visible(_pointer(place) or "/")


def _node_problems(node: Any, depth: int) -> Iterator[Fault]:
    """Each with the key that it is about, if there is one."""
    if isinstance(node, bool):
        return
    if not isinstance(node, Mapping):
        yield (), "a schema is an object, true or false"
        return
    if depth > MAX_DEPTH:
        yield (), f"schemas are nested deeper than {MAX_DEPTH}; use $defs and $ref, or a flatter value"
    for key in node:
        yield from (((key,), text) for text in _keyword_problems(key))
    if node.get("$schema", DIALECT) not in {DIALECT, DIALECT + "#"}:
        yield ("$schema",), f"$schema must be {DIALECT}, or left out"
    yield from ((("format",), text) for text in _format_problems(node.get("format")))
    yield from _cost_problems(node)


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


def _cost_problems(node: Mapping[str, Any]) -> Iterator[Fault]:
    patterns: list[tuple[Place, str]] = [(("pattern",), node["pattern"])] if isinstance(node.get("pattern"), str) else []
    named = node.get("patternProperties")
    patterns += [(("patternProperties", pattern), pattern) for pattern in named] if isinstance(named, Mapping) else []
    for place, pattern in patterns:
        if len(pattern) > MAX_PATTERN:
            yield place, f"a pattern has {len(pattern)} characters and the limit is {MAX_PATTERN}"
        elif (wrong := _pattern_problem(pattern)) is not None:
            yield place, wrong
    most = node.get("maxItems")
    if node.get("uniqueItems") is True and not (isinstance(most, int) and most <= MAX_UNIQUE):
        yield ("uniqueItems",), f"uniqueItems compares every pair; add maxItems of at most {MAX_UNIQUE}"


@lru_cache(maxsize=1024)
def _pattern_problem(pattern: str) -> str | None:
    """The compiler would stop at the first that it can't read."""
    try:
        validator_of({"pattern": pattern})
    except ValueError as error:
        return _sentence(error)
    return None


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


def _reference_faults(nodes: list[Node]) -> list[Fault]:
    places = {_pointer(place) for place, _, _ in nodes}
    found: list[Fault] = []
    for place, node, _ in nodes:
        if not isinstance(node, Mapping) or "$ref" not in node:
            continue
        target, at = node["$ref"], (*place, "$ref")
        if not isinstance(target, str) or not target.startswith("#"):
            found.append((at, f"{_written(place)}: $ref {str(target)[:80]!r} names another document, which is never fetched; use #/$defs/name"))
        elif pointed_at(target) not in places:
            found.append((at, f"{_written(place)}: $ref {target[:80]!r} points at nothing in this schema"))
    return found or _circles(nodes)


def pointed_at(reference: str) -> str:
    """The place that a "#/…" reference names, written as the places of `_nodes` are."""
    return reference[1:].replace("%24", "$").replace("~1", "/").replace("~0", "~")


def _circles(nodes: list[Node]) -> list[Fault]:
    """A $ref that leads back to itself without going into a part of the value would be checked for ever."""
    places = {_pointer(place): place for place, _, _ in nodes}
    steps = {_pointer(place): list(_same_value(_pointer(place), node)) for place, node, _ in nodes if isinstance(node, Mapping)}
    done: set[str] = set()
    for start in steps:
        circle = _circle_from(start, steps, done)
        if circle is not None:
            return [(places.get(circle, ()), f"{visible(circle or '/')}: this $ref leads back to itself without consuming anything")]
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


def _meta_faults(schema: Mapping[str, Any]) -> Iterator[Fault]:
    """What JSON Schema itself says of it, member by member."""
    for error in islice(_META.iter_errors(schema), MAX_FAULTS):
        place = tuple(error.instance_path)
        yield place, f"{_written(place)}: {_sentence(error)}"


def _compile_faults(schema: Mapping[str, Any]) -> list[Fault]:
    """What is left to the compiler, which stops at the first."""
    try:
        validator_of(schema)
    except ValueError as error:
        place = tuple(getattr(error, "instance_path", []))
        return [(place, f"{_written(place)}: {_sentence(error)}")]
    return []


def _sentence(error: Exception) -> str:
    message = " ".join(str(getattr(error, "message", error)).split())[:240]
    return message + ("; patterns have no look-around and no back-references" if "regex" in message else "")


_META: Final = validator_of({"$ref": DIALECT})
