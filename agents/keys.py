"""The text of an agent's key: how one is made, read and kept. `orck_live_<id>_<secret>_<checksum>`; all but the secret may be shown.

Owns the format and the keyed hash; knows no row. The prefix lets scanners of secrets find one, the checksum tells a cut or mistyped one apart
without a look into the database. Used by `agents.registry`.
"""

from __future__ import annotations

import re
import secrets
import string
from binascii import crc32
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from django.conf import settings
from django.utils.crypto import salted_hmac

from agents.errors import KeyRefused

PREFIX: Final = "orck"
ID_LENGTH: Final = 12
SECRET_LENGTH: Final = 43
"""Characters of 62: 256 random bits, so there is no guessing at one."""
_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_CHECK_LENGTH: Final = 6
_PARTS: Final = "_".join(f"([0-9A-Za-z]{{{length}}})" for length in (ID_LENGTH, SECRET_LENGTH, _CHECK_LENGTH))
_KEY: Final = re.compile(f"{PREFIX}_([a-z0-9]{{1,16}})_{_PARTS}")
_SALT: Final = "orchestra.agent-keys"


@dataclass(frozen=True, slots=True)
class Text:
    """What a key says. The secret shows in no repr: a traceback or a log may hold one."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"Text(id={self.id!r})"

    def __str__(self) -> str:
        said = f"{PREFIX}_{settings.ORCHESTRA_ENVIRONMENT}_{self.id}_{self.secret}"
        return f"{said}_{_checksum(said)}"


def new() -> Text:
    return Text(_random(ID_LENGTH), _random(SECRET_LENGTH))


def is_meant(said: str) -> bool:
    """Whether somebody means a key of an agent, be it whole or not."""
    return said.startswith(f"{PREFIX}_")


def read(said: str) -> Text:
    """KeyRefused for what can be no key of this installation; the message repeats nothing of it but the environment."""
    found = _KEY.fullmatch(said)
    if found is None or not compare_digest(_checksum(said[: -_CHECK_LENGTH - 1]), found[4]):
        raise KeyRefused("this is no key of an agent: its checksum doesn't fit the rest; it was cut or mistyped somewhere")
    if found[1] != settings.ORCHESTRA_ENVIRONMENT:
        raise KeyRefused(
            f"this key is of an installation that calls itself '{found[1]}', and this one is '{settings.ORCHESTRA_ENVIRONMENT}' "
            "(ORCHESTRA_ENVIRONMENT)"
        )
    return Text(found[2], found[3])


def hashed(secret: str) -> tuple[str, str]:
    """The keyed hash of a secret, and the name of the pepper that it was made with: today's."""
    name, pepper = next(iter(_peppers().items()))
    return _hash(secret, pepper), name


def is_secret(said: str, digest: str, pepper: str) -> bool:
    """In a time that says nothing of where they differ. False too where the pepper is known here no more."""
    return compare_digest(_hash(said, _peppers().get(pepper, "")), digest)


def is_current(pepper: str) -> bool:
    """Whether a hash was made with today's pepper; one that wasn't is made anew when its key is used."""
    return pepper == next(iter(_peppers()))


def _peppers() -> Mapping[str, str]:
    """By a name that gives nothing away: today's first, then those of the secret keys before. None of them lies in the database."""
    return {salted_hmac(f"{_SALT}.name", "", secret=each, algorithm="sha256").hexdigest()[:16]: each for each in _secret_keys()}


def _secret_keys() -> list[str]:
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def _hash(secret: str, pepper: str) -> str:
    return salted_hmac(_SALT, secret, secret=pepper or "none", algorithm="sha256").hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(text: str) -> str:
    """CRC-32 in base 62."""
    number, found = crc32(text.encode("ascii", "replace")), ""
    for _ in range(_CHECK_LENGTH):
        number, rest = divmod(number, len(_ALPHABET))
        found = _ALPHABET[rest] + found
    return found
