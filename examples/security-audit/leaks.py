"""The secret scanner: the detectors of detect-secrets over portions of the tree. Nothing of what it finds leaves it but a digest.

Asks the detectors line by line itself: the library's own loop spends most of its time on finding out what each of them wants to know,
passes over files by their names, and honours comments in the tree (pragma: allowlist) that would excuse a line.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from typing import Any

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.filters import heuristic
from detect_secrets.transformers import get_transformed_file
from records import Gap, Secret, SecretScan
from tree import Unreadable, line_digest, lines_of, read

import orchestra

MOST_OF_ONE_FILE = 500
LONGEST_LINE = 10_000  # some patterns take a time that grows with the square of a line
UNLIKELY: tuple[Callable[[str], bool], ...] = (
    heuristic.is_not_alphanumeric_string,
    heuristic.is_prefixed_with_dollar_sign,
    heuristic.is_templated_secret,
    heuristic.is_sequential_string,
    heuristic.is_potential_uuid,
)

Found = set[tuple[int, str, str]]  # line, kind, secret


def find(root: str, paths: list[str]) -> SecretScan:
    """Lines that look like secrets, each with its kind and the SHA-256 of the secret."""
    kinds: Any = get_mapping_from_secret_type_to_class()
    detectors = [kind() for kind in kinds.values()]
    found: list[Secret] = []
    gaps: list[Gap] = []
    looked_at: list[str] = []
    for number, path in enumerate(paths, start=1):
        orchestra.progress(f"{number} of {len(paths)} files", number / len(paths))
        try:
            data = read(root, path)
        except Unreadable as why:
            gaps.append({"path": path, "why": str(why)})
            continue
        looked_at.append(path)
        found += _cited(path, data, _of_file(path, data, detectors), gaps)
    return {"paths": looked_at, "findings": found, "gaps": gaps}


def _cited(path: str, data: bytes, found: Found, gaps: list[Gap]) -> Iterator[Secret]:
    lines = lines_of(data)
    if len(found) > MOST_OF_ONE_FILE:
        gaps.append({"path": path, "why": f"{len(found):,} places in it look like secrets; the first {MOST_OF_ONE_FILE} are kept"})
    if any(len(line) > LONGEST_LINE for line in lines):
        gaps.append({"path": path, "why": f"has lines of more than {LONGEST_LINE:,} bytes, which are not searched for secrets"})
    for number, kind, secret in sorted(found)[:MOST_OF_ONE_FILE]:
        line, digest = line_digest(data, lines, number)
        yield {
            "path": path,
            "line": line,
            "digest": digest,
            "kind": kind,
            "hash": hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest(),
        }


def _of_file(path: str, data: bytes, detectors: list[Any]) -> Found:
    """What isn't UTF-8 is looked at as Latin-1. YAML and the like are looked at as their values, as the library does."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    if any(len(line) > LONGEST_LINE for line in text.split("\n")):
        return _in_lines(path, text.split("\n"), detectors)
    file = io.StringIO(text, newline=None)
    file.name = path
    found = _in_lines(path, _transformed(file, eager=False) or file.getvalue().split("\n"), detectors)
    return found or _in_lines(path, _transformed(file, eager=True) or [], detectors)


def _transformed(file: Any, *, eager: bool) -> list[str] | None:
    file.seek(0)
    try:
        return get_transformed_file(file, use_eager_transformers=eager)
    except Exception:  # noqa: BLE001 -- a hostile file may break its parser in any way; it is then looked at as it is
        return None


def _in_lines(path: str, lines: list[str], detectors: list[Any]) -> Found:
    found: Found = set()
    for number, line in enumerate(lines, start=1):
        text = line.rstrip()
        if not text or len(text) > LONGEST_LINE:
            continue
        for detector in detectors:
            for one in detector.analyze_line(filename=path, line=text, line_number=number):
                if _is_likely(secret := one.secret_value or "", text, detector):
                    found.add((number, one.type, secret))
    return found


def _is_likely(secret: str, line: str, detector: Any) -> bool:
    """The library's heuristics; those that take long only where a detector has found something."""
    return not (
        any(rule(secret) for rule in UNLIKELY) or heuristic.is_likely_id_string(secret, line, detector) or heuristic.is_indirect_reference(line)
    )
