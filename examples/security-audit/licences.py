"""The licence reader: what the tree declares, what is installed beside us, and under which licence each of it is.

A licence is what the distribution's own metadata says; where that says nothing, or it isn't installed, it is unknown. Nothing is looked up outside.
"""

import re
from importlib import metadata
from typing import Any

from declared import declarations
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from records import Cited, Dependency, Gap, LicenceScan
from tree import Unreadable, line_digest, lines_of, read

UNKNOWN = "unknown"
LONGEST = 120
ORDER = ("permissive", "weak copyleft", UNKNOWN, "copyleft")
WEAK = re.compile(r"\bLGPL|LESSER GENERAL|LIBRARY GENERAL|\bMPL\b|MPL-|MOZILLA PUBLIC|\bEPL\b|EPL-|ECLIPSE PUBLIC|\bCDDL\b|\bEUPL\b|EUPL-|CECILL-C")
STRONG = re.compile(r"\bA?GPL|AFFERO|GENERAL PUBLIC|\bSSPL|CECILL|\bOSL-")
FREE = re.compile(
    r"\bMIT\b|MIT-|\bBSD|\b0BSD|APACHE|\bISC\b|\bISCL\b|\bPSF|PYTHON SOFTWARE FOUNDATION|PYTHON-2|\bZLIB|UNLICENSE|PUBLIC DOMAIN|\bCC0|\bHPND|"
    r"HISTORICAL PERMISSION|\bZPL|ZOPE PUBLIC|\bBSL-1|BOOST SOFTWARE|\bCNRI|WTFPL|\bX11\b|\bNCSA\b"
)

_Installed = dict[str, metadata.Distribution]


def licences(root: str, paths: list[str]) -> LicenceScan:
    """`paths`: the files of the tree that declare dependencies."""
    gaps: list[Gap] = []
    places: dict[str, list[Cited]] = {}
    extras: dict[str, set[str]] = {}
    for path in paths:
        _read_declarations(root, path, places, extras, gaps)
    installed = _installed()
    needed = _needed(extras, installed)
    names = sorted(installed.keys() | places.keys())
    dependencies = [_dependency(name, installed.get(name), places.get(name, []), name in needed) for name in names]
    return {"dependencies": dependencies, "gaps": gaps}


def grade(licence: str) -> str:
    """Of alternatives (OR) the freest counts, of parts (AND, several classifiers) the strictest."""
    choices = re.split(r"\s+OR\s+", licence.upper())
    return min((_strictest(choice) for choice in choices), key=ORDER.index)


def _strictest(text: str) -> str:
    return max((_grade_of_one(part) for part in re.split(r"\s+AND\s+|;", text)), key=ORDER.index)


def _grade_of_one(text: str) -> str:
    if WEAK.search(text):
        return "weak copyleft"
    if STRONG.search(text):
        return "copyleft"
    return "permissive" if FREE.search(text) else UNKNOWN


def _read_declarations(root: str, path: str, places: dict[str, list[Cited]], extras: dict[str, set[str]], gaps: list[Gap]) -> None:
    try:
        data = read(root, path)
    except Unreadable as why:
        gaps.append({"path": path, "why": str(why)})
        return
    lines = lines_of(data)
    unread = 0
    for one in declarations(path, [line.decode("utf-8", "replace") for line in lines]):
        if one.requirement is None:
            unread += 1
            continue
        name = canonicalize_name(one.requirement.name)
        line, digest = line_digest(data, lines, one.line)
        places.setdefault(name, []).append({"path": path, "line": line, "digest": digest})
        if one.requirement.marker is None or one.requirement.marker.evaluate({"extra": ""}):  # else it isn't for this system
            extras.setdefault(name, set()).update(one.requirement.extras)
    if unread:
        gaps.append({"path": path, "why": f"{unread:,} of its lines can't be read as requirements"})


def _installed() -> _Installed:
    """The first of each name on the import path is the one that is used."""
    found: _Installed = {}
    for distribution in metadata.distributions():
        if distribution.metadata["Name"]:
            found.setdefault(canonicalize_name(distribution.metadata["Name"]), distribution)
    return found


def _needed(extras: dict[str, set[str]], installed: _Installed) -> set[str]:
    """What is declared, and what of the installed it asks for in turn."""
    needed: set[str] = set()
    pending = [(name, frozenset(asked)) for name, asked in extras.items()]
    seen: set[tuple[str, frozenset[str]]] = set()
    while pending:
        name, asked = pending.pop()
        if (name, asked) in seen:
            continue
        seen.add((name, asked))
        needed.add(name)
        if name in installed:
            pending += _required(installed[name], asked, installed)
    return needed


def _required(distribution: metadata.Distribution, asked: frozenset[str], installed: _Installed) -> list[tuple[str, frozenset[str]]]:
    found: list[tuple[str, frozenset[str]]] = []
    for text in distribution.requires or ():
        wanted = Requirement(text)
        if canonicalize_name(wanted.name) not in installed:
            continue
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *asked)):
            found.append((canonicalize_name(wanted.name), frozenset(wanted.extras)))
    return found


def _dependency(name: str, distribution: metadata.Distribution | None, declared: list[Cited], needed: bool) -> Dependency:
    licence = UNKNOWN if distribution is None else licence_of(distribution)
    version = "" if distribution is None else distribution.version
    return {"name": name, "version": version, "licence": licence, "grade": grade(licence), "declared": declared, "needed": needed}


def licence_of(distribution: metadata.Distribution) -> str:
    """The expression, else the classifiers, else the first line of the licence field if it is a name and not a text."""
    said: Any = distribution.metadata  # a message, whose `get` its type doesn't tell
    if expression := (said.get("License-Expression") or "").strip():
        return str(expression)[:LONGEST]
    classifiers = sorted({one.rpartition("::")[2].strip() for one in said.get_all("Classifier") or () if one.startswith("License ::")})
    if named := [one for one in classifiers if one != "OSI Approved"]:
        return "; ".join(named)[:LONGEST]
    field = (said.get("License") or "").strip().partition("\n")[0].strip()
    return field if field and len(field) <= LONGEST and field.upper() != "UNKNOWN" else UNKNOWN
