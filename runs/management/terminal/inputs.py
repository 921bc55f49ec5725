"""Reading what was typed: `--input k=v` by the pipeline's own input schema, a file of JSON, an instant.

All problems are said at once. Knows which schema applies, not whether the input fits it: the use-case refuses that.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from agents import registry
from audit import clock, strict_json
from audit.actors import Actor
from audit.errors import BadJson, OrchestraError
from audit.visible import visible
from runs.errors import BadInput

MAX_FILE = 5 * 1024 * 1024
_UNSAID = object()
_SAID = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a JSON list", "object": "a JSON object"}


def instant_given(text: str | None) -> datetime | None:
    """The instant of --as-of; without an offset nobody knows when it is."""
    if text is None:
        return None
    try:
        return clock.from_text(text)
    except ValueError as error:
        raise BadInput(f"--as-of: {error}") from None


def inputs_given(pipeline: str, *, pairs: Sequence[str], file: str | None, draft: bool, actor: Actor) -> dict[str, Any]:
    """The input as one object: the file's, then each --input over it. BadInput with every problem."""
    schema = _schema_of(pipeline, draft=draft, actor=actor)
    given = _from_file(file) if file is not None else {}
    problems: list[str] = []
    names = Counter(pair.partition("=")[0] for pair in pairs)
    problems += [f"--input {visible(name, 60)} is given {count} times; give it once" for name, count in names.items() if name and count > 1]
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            problems.append(f"--input {visible(pair, 80)}: write it as name=value")
            continue
        value = _value(name, text, schema, problems)
        if value is not _UNSAID:
            given[name] = value
    problems += _unknown(given, schema)
    if problems:
        raise BadInput(f"the input of '{visible(pipeline, 80)}' can't be read: {'; '.join(problems)}", problems=problems)
    return given


def value_given(name: str, text: str | None, file: str | None) -> Any:
    """A JSON value from `--name` or from the file of `--name-file`; null where neither is given. BadInput."""
    if file is not None:
        said = f"--{name}-file {visible(file, 200)}"
        return strict_json.loads(_bytes(file, said), said)
    return None if text is None else strict_json.read(text, f"--{name}")


def _schema_of(pipeline: str, *, draft: bool, actor: Actor) -> Mapping[str, Any]:
    """The schema the run will be held to. What is wrong with the pipeline itself is refused, and recorded, by starting it."""
    try:
        release = registry.release_for(pipeline, draft=draft, actor=actor)
    except OrchestraError:
        return {}
    schema = release.manifest["pipeline"]["spec"]["input"]
    return schema if isinstance(schema, Mapping) else {}


def _value(name: str, text: str, schema: Mapping[str, Any], problems: list[str]) -> Any:
    """Text where the schema takes text; else JSON; where it does not say, JSON if it is some and text if not.

    JSON that REST would refuse (a key twice, a number beyond all bounds) is refused here too, and never taken for text.
    """
    types = _types(schema, name)
    if "string" in types:
        return text
    said = f"--input {visible(name, 60)}"
    try:
        return strict_json.read(text, said)
    except strict_json.NoJson:
        if not types:
            return text
        problems.append(f"{said}={visible(text, 60)}: it takes {' or '.join(_SAID.get(each, each) for each in sorted(types))}")
    except BadJson as odd:
        problems.append(odd.message)
    return _UNSAID


def _types(schema: Mapping[str, Any], name: str) -> frozenset[str]:
    said = schema.get("properties", {}).get(name, {})
    types = said.get("type", ()) if isinstance(said, Mapping) else ()
    return frozenset([types] if isinstance(types, str) else types)


def _unknown(given: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """A mistyped name is said with the nearest one; only where the schema lets no others in."""
    if schema.get("additionalProperties") is not False:
        return []
    known = sorted(schema.get("properties", {}))
    problems = []
    for name in sorted(given.keys() - set(known)):
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"it takes {', '.join(known) or 'none at all'}"
        problems.append(f"there is no input '{visible(name, 60)}'; {hint}")
    return problems


def _from_file(name: str) -> dict[str, Any]:
    said = f"--input-file {visible(name, 200)}"
    try:
        given = strict_json.loads(_bytes(name, said), said)
    except BadJson as odd:
        raise BadInput(odd.message) from None
    if not isinstance(given, dict):
        raise BadInput(f"{said} holds {type(given).__name__}; a run's input is one JSON object")
    return given


def _bytes(name: str, said: str) -> bytes:
    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as source:
            data = source.read(MAX_FILE + 1)
    except OSError as error:
        raise BadInput(f"{said} can't be read: {error.strerror}") from None
    if len(data) > MAX_FILE:
        raise BadInput(f"{said} is larger than {MAX_FILE // 1024 // 1024} MiB; hand over a path or a URL instead of the data")
    return data
