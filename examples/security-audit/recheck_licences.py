"""The verifier's own look at licences: METADATA files of the import path, read as mail headers, graded by the README's table.

Uses neither importlib.metadata nor anything of the licence reader.
"""

import re
import sys
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

STEPS = ["permissive", "weak copyleft", "unknown", "copyleft"]
FREE_WORDS = (
    r"MIT(?![A-Z])|BSD|0BSD|APACHE|ISC(?![A-Z])|ISCL|PSF|PYTHON SOFTWARE FOUNDATION|PYTHON-2|ZLIB|UNLICENSE|PUBLIC DOMAIN|CC0|HPND|"
    r"HISTORICAL PERMISSION|ZPL|ZOPE PUBLIC|BSL-1|BOOST SOFTWARE|CNRI|WTFPL|X11(?![A-Z0-9])|NCSA(?![A-Z])"
)
TABLE = [  # the first that fits
    (
        "weak copyleft",
        r"LGPL|LESSER GENERAL|LIBRARY GENERAL|MPL(?![A-Z])|MOZILLA PUBLIC|EPL(?![A-Z])|ECLIPSE PUBLIC|CDDL(?![A-Z])|EUPL(?![A-Z])|CECILL-C",
    ),
    ("copyleft", r"A?GPL|AFFERO|GENERAL PUBLIC|SSPL|CECILL|OSL-"),
    ("permissive", FREE_WORDS),
]


def installed() -> dict[str, tuple[str, str]]:
    """Version and licence of each distribution, by normalised name; the first on the path wins."""
    found: dict[str, tuple[str, str]] = {}
    for entry in map(Path, sys.path):
        for folder in sorted([*entry.glob("*.dist-info"), *entry.glob("*.egg-info")]) if entry.is_dir() else []:
            said = _metadata(folder)
            if said is not None and said["Name"]:
                name = re.sub(r"[-_.]+", "-", said["Name"]).lower()
                found.setdefault(name, (said["Version"] or "", _licence(said)))
    return found


def declares(path: str) -> bool:
    """Requirements files; what a pyproject.toml says is only held against the metadata, not found again."""
    name = path.rpartition("/")[2]
    return name.startswith("requirements") and name.endswith((".txt", ".in", ".lock"))


def names_in(data: bytes) -> Iterator[tuple[int, str]]:
    """Line and normalised name of each requirement that begins with a name; continued lines belong to the one before."""
    continued = False
    for number, line in enumerate(data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        name = re.match(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:[\[<>=!~;@\\#(]|$)", line)
        if name and not continued:
            yield number, re.sub(r"[-_.]+", "-", name[1]).lower()
        continued = line.rstrip().endswith("\\")


def grade_of(licence: str) -> str:
    """OR: the freest. AND, and several classifiers: the strictest."""
    worst_of_each = [max(map(_step, re.split(r"\s+AND\s+|;", choice))) for choice in re.split(r"\s+OR\s+", licence.upper())]
    return STEPS[min(worst_of_each)]


def _step(part: str) -> int:
    return next((STEPS.index(name) for name, words in TABLE if re.search(rf"(?<![A-Z0-9])(?:{words})", part)), STEPS.index("unknown"))


def _metadata(folder: Path) -> "Message | None":
    for name in ("METADATA", "PKG-INFO"):
        if (folder / name).is_file():
            return message_from_bytes((folder / name).read_bytes())
    return None


def _licence(said: "Message") -> str:
    expression = str(said.get("License-Expression") or "").strip()
    if expression:
        return expression[:120]
    ends = {str(one).split("::")[-1].strip() for one in said.get_all("Classifier") or [] if str(one).startswith("License ::")} - {"OSI Approved"}
    if ends:
        return "; ".join(sorted(ends))[:120]
    field = str(said.get("License") or "").strip().split("\n")[0].strip()
    return field if field and len(field) <= 120 and field.upper() != "UNKNOWN" else "unknown"
