"""Model aliases and model agents on their way into versions and releases: instructions and recorded replies taken from the folder, aliases pinned.

Calls nobody and reads no secret. Called by preparing, applying and composing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from agents import spec
from agents.models import Artifact, ModelAlias, Version
from agents.spec import Document, Problem
from agents.spec.model_agents import MAX_INSTRUCTIONS_BYTES
from audit.actors import Actor
from audit.canonical import digest_bytes

from . import pricing
from .folders import Taken, pack
from .writing import Turn

STORED = "artifact:"
_FILE: Final = re.compile(r"[\w./ -]+")
_NO_ADDRESS: Final = "the endpoint of recorded replies is the name of a file of this folder, such as replies.json, and no address"


def complete_agent(document: Document, taken: Taken) -> list[Problem]:
    """Put the instructions' text into the version: whoever changes the file makes another version."""
    said = document.spec["run"]["model"]
    data = taken.code.get(said["instructions"])
    if data is None:
        return [_at(document, ("run", "model", "instructions"), _no_file(said["instructions"], taken))]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = ""
    if not text.strip() or "\0" in text or len(data) > MAX_INSTRUCTIONS_BYTES:
        wanted = f"a text in UTF-8 of 1 to {MAX_INSTRUCTIONS_BYTES:,} bytes"
        return [_at(document, ("run", "model", "instructions"), f"{said['instructions']!r} has {len(data):,} bytes and must be {wanted}")]
    identity = digest_bytes(spec.folded(text).encode())
    document.spec.update(instructions=text, executable={"kind": "model", "alias": said["alias"], "instructions": identity})
    return []


def complete_alias(document: Document, taken: Taken, attached: dict[str, bytes]) -> list[Problem]:
    """Recorded replies are stored by digest, as code is; the endpoint then names what is stored."""
    if document.spec["provider"] != "scripted":
        return []
    file = document.spec["endpoint"]
    if file not in taken.code:
        wrong = _no_file(file, taken) if _FILE.fullmatch(file) else _NO_ADDRESS  # which is not repeated: credentials may stand in it
        return [_at(document, ("endpoint",), wrong)]
    zipped = pack({file: taken.code[file]})
    attached[digest_bytes(zipped)] = zipped
    document.spec["endpoint"] = f"{STORED}{digest_bytes(zipped)}/{file}"
    return []


def _no_file(name: str, taken: Taken) -> str:
    near = get_close_matches(name, taken.code, n=1)
    return f"the folder has no file {name[:80]!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def store(turn: Turn, attached: Mapping[str, bytes]) -> None:
    """The attached files as artifacts."""
    for digest, zipped in sorted(attached.items()):
        Artifact.objects.get_or_create(digest=digest, defaults={"data": zipped, "size": len(zipped), "files": 1, "created_at": turn.now})


def unknown_aliases(agents: Iterable[Document], models: Iterable[Document], actor: Actor) -> list[Problem]:
    """Agents that ask an alias which is neither in the folder nor stored where the actor may see it."""
    known = {*ModelAlias.objects.visible_to(actor).values_list("name", flat=True), *(document.name for document in models)}
    found = []
    for document in agents:
        alias = spec.alias_of(document.spec)
        if alias is not None and alias not in known:
            near = get_close_matches(alias, sorted(known), n=1)
            hint = f"; did you mean '{near[0]}'?" if near else "; add a document `kind: model` with this name"
            found.append(_at(document, ("run", "model", "alias"), f"there is no model alias '{alias}'{hint}"))
    return found


def pinned(agents: Iterable[Version], given: Mapping[str, Mapping[str, Any]], actor: Actor) -> dict[str, dict[str, Any]]:
    """What a release holds of each alias that these agents ask and the actor may see, its price included; `given` ones are taken as they are."""
    names = {alias for version in agents if (alias := spec.alias_of(version.spec))}
    rows = list(ModelAlias.objects.visible_to(actor).select_related("team").filter(name__in=names - given.keys()))
    prices = pricing.prices_of((row.provider, row.model) for row in rows) if rows else {}
    found = {row.name: {**row.live_values(), "price": _record(prices.get((row.provider, row.model)))} for row in rows}
    return found | {name: dict(given[name]) for name in names & given.keys()}


def foreign(agents: Iterable[Version], given: Mapping[str, Mapping[str, Any]], actor: Actor) -> frozenset[str]:
    """Aliases that the actor may look at and whose key is not theirs to spend. `given` ones are pinned already."""
    names = {alias for version in agents if (alias := spec.alias_of(version.spec))} - given.keys()
    rows = ModelAlias.objects.visible_to(actor).filter(name__in=names).values_list("name", "team__name") if names else ()
    return frozenset(name for name, team in rows if not actor.belongs_to(team))


def _record(price: Any) -> dict[str, Any] | None:
    return None if price is None else price.as_record()


def meanings(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What the aliases of a release stand for, for people."""
    return {name: f"{alias['provider']}/{alias['model']}, {_priced(alias['price'])}" for name, alias in sorted(manifest.get("aliases", {}).items())}


def _priced(price: Mapping[str, Any] | None) -> str:
    return "no price" if price is None else f"version {price['version']} of its price"


def unpriced(manifests: Iterable[Mapping[str, Any]]) -> list[str]:
    """What to know of aliases whose model has no price: every call is refused."""
    without = {name: alias for manifest in manifests for name, alias in manifest.get("aliases", {}).items() if alias["price"] is None}
    return [
        f"model alias '{name}' can't be asked: no price of {alias['provider']}/{alias['model']} is known. Say it with"
        f" `manage.py prices set {alias['provider']} {alias['model']} --input USD --output USD`, then apply with --publish again"
        for name, alias in sorted(without.items())
    ]


def _at(document: Document, path: spec.Path, message: str) -> Problem:
    return Problem(document.file, document.line_of(path), message)
