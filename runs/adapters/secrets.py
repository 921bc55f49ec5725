"""Secrets: a reference becomes the secret here, at the moment of a call, and nowhere else. It is never stored, logged or said.

Called by the providers, which are the only ones that may hold what it returns.
"""

import os
from pathlib import Path

from django.conf import settings

MOST_BYTES = 8 * 1024
_OWN = "ORCHESTRA_"


class NoSecret(Exception):
    """The reference leads to no secret; the message names the reference, never what lies there."""


def resolve(reference: str) -> str:
    """The secret behind `env:NAME` or `file:/PATH`: one line of printable ASCII, so that no whole file of a machine passes for a key."""
    kind, _, name = reference.partition(":")
    secret = _environment(name) if kind == "env" else _file(Path(name))
    if not secret.isprintable() or not secret.isascii():
        raise NoSecret(f"{reference} holds characters that no key has")
    return secret


def _environment(name: str) -> str:
    secret = "" if name.startswith(_OWN) else os.environ.get(name, "").strip()
    if not secret:
        raise NoSecret(f"env:{name} is not set where the worker runs")
    return secret


def _file(path: Path) -> str:
    """What Orchestra keeps for itself lies in its home, and goes to nobody."""
    try:
        if path.resolve().is_relative_to(Path(settings.ORCHESTRA_HOME).resolve()):
            raise NoSecret(f"file:{path} lies in Orchestra's own folder, and what lies there goes to nobody")
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:  # a pipe must not hold up whoever asks
            secret = (file.read(MOST_BYTES + 1) or b"").decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        secret = ""
    if not 0 < len(secret) <= MOST_BYTES:
        raise NoSecret(f"file:{path} can't be read where the worker runs, or holds no key")
    return secret
