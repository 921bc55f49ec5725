"""Readers for the environment variables of Orchestra, each refusing an odd value with one clear sentence.

Owns the reading and the refusing; must not know what a value is for. Called by settings.py only.
"""

import os
import re
import secrets
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

PREFIX = "ORCHESTRA_"
PERSONS_TOKEN = "ORCHESTRA_TOKEN"  # noqa: S105 - a name. Read where a command acts for a person, and no setting: nothing keeps it
KNOWN: set[str] = {PERSONS_TOKEN}  # every name that was asked for; a check warns of a variable that nobody reads

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_ORIGIN = re.compile(r"https?://(\*\.)?([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_ENDPOINT = re.compile(r"([a-z0-9_.-]{1,253}|\[[0-9a-f:.]+\]):[1-9][0-9]{0,4}")
_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
_SMTP = "django.core.mail.backends.smtp.EmailBackend"
_MAIL_SCHEMES = frozenset({"smtp", "smtp+tls", "smtp+ssl"})
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}")
_ENGINES = {"django.db.backends.sqlite3", "django.db.backends.postgresql"}


class OddSetting(ImproperlyConfigured):
    """A variable holds what it can't mean; the message names it and says what it may hold."""


def _raw(name: str) -> str | None:
    """The stripped text of a variable; an empty one counts as not set, as in most shells' `NAME= command`."""
    if not name.startswith(PREFIX):
        raise ValueError(f"{name} must start with {PREFIX}")
    KNOWN.add(name)
    return os.environ.get(name, "").strip() or None


def text(name: str, default: str) -> str:
    return _raw(name) or default


def choice(name: str, default: str, *, among: tuple[str, ...]) -> str:
    value = text(name, default)
    if value not in among:
        raise OddSetting(f"{name} is {value!r}, but must be one of {', '.join(among)}.")
    return value


def flag(name: str, default: bool) -> bool:
    value = _raw(name)
    if value is None:
        return default
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise OddSetting(f"{name} is {value!r}, but must be yes or no (1, true, on; 0, false, off).")


def whole(name: str, default: int, *, least: int, most: int) -> int:
    value = _raw(name)
    if value is None:
        return default
    # isascii: int() also reads other scripts' digits, and "1_000", and "+5"
    if not (value.isascii() and value.isdigit()) or not least <= int(value[:20]) <= most:
        raise OddSetting(f"{name} is {value!r}, but must be a whole number from {least} to {most}.")
    return int(value)


def names(name: str, default: tuple[str, ...]) -> list[str]:
    """A list, separated by commas."""
    value = _raw(name)
    return list(default) if value is None else [part.strip() for part in value.split(",") if part.strip()]


def origins(name: str) -> list[str]:
    """Origins as a browser says them, each a scheme and a host, with a port where it isn't the usual one."""
    found = names(name, ())
    for origin in found:
        if not _ORIGIN.fullmatch(origin):
            raise OddSetting(f"{name} has {origin!r}, but each must look like https://HOST, https://HOST:PORT or https://*.DOMAIN, and end there.")
    return found


def origin(name: str) -> str | None:
    """One of them, without a `*`; None where it is not set."""
    value = _raw(name)
    if value is None:
        return None
    plain = value.removesuffix("/")
    if "*" in plain or not _ORIGIN.fullmatch(plain):
        raise OddSetting(f"{name} is {value!r}, but must look like https://HOST or https://HOST:PORT, and end there.")
    return plain


def endpoints(name: str) -> frozenset[str]:
    """A list of HOST:PORT."""
    found = names(name, ())
    for endpoint in found:
        if not _ENDPOINT.fullmatch(endpoint):
            raise OddSetting(f"{name} has {endpoint!r}, but each must look like HOST:PORT, in small letters.")
    return frozenset(found)


def mailbox(name: str) -> str | None:
    """One e-mail address, without a name beside it."""
    value = _raw(name)
    if value is not None and not _MAILBOX.fullmatch(value):
        raise OddSetting(f"{name} is {value!r}, but must be one e-mail address, such as orchestra@example.com.")
    return value


def mail_server(name: str) -> dict[str, Any]:
    """Django's settings of the server that takes e-mail, by its URL; without one nothing is sent. The URL may hold a password and is not repeated."""
    value = _raw(name)
    if value is None:
        return {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
    wanted = f"{name} must look like smtp+tls://USER:PASSWORD@HOST:587, smtp+ssl://USER:PASSWORD@HOST:465 or smtp://HOST:25"
    if urlsplit(value).scheme not in _MAIL_SCHEMES:
        raise OddSetting(f"{wanted} (its scheme is {urlsplit(value).scheme!r}).")
    try:
        parsed: dict[str, Any] = environ.Env.email_url_config(value)
    except ValueError as error:  # a port that is no number
        raise OddSetting(f"{wanted}; its port can't be read.") from error
    if not parsed.get("EMAIL_HOST") or parsed.get("EMAIL_FILE_PATH") or "OPTIONS" in parsed:
        raise OddSetting(f"{wanted}, with a host and nothing after it.")
    usual = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}[urlsplit(value).scheme]
    kept = {key: parsed.get(key) or "" for key in ("EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD")}
    tls = {key: bool(parsed.get(key)) for key in ("EMAIL_USE_TLS", "EMAIL_USE_SSL")}
    return {"EMAIL_BACKEND": _SMTP, "EMAIL_HOST": parsed["EMAIL_HOST"], "EMAIL_PORT": parsed.get("EMAIL_PORT") or usual, **kept, **tls}


def header(name: str) -> str | None:
    """The name of a request's header."""
    value = _raw(name)
    if value is not None and not _HEADER.fullmatch(value):
        raise OddSetting(f"{name} is {value!r}, but must be the name of a header, such as X-Forwarded-Proto.")
    return value


def folder(name: str, default: Path) -> Path:
    """An absolute folder, made (for this user alone) where it is missing."""
    path = Path(text(name, str(default))).expanduser().absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OddSetting(f"{name} is {str(path)!r}, which can't be used as a folder: {error.strerror}.") from error
    return path


def database(name: str, default: Path) -> dict[str, Any]:
    """Django's settings of the one database: PostgreSQL by its URL, else a SQLite file."""
    value = _raw(name)
    if value is None:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(default)}
    if urlsplit(value).scheme not in {"postgresql", "postgres", "sqlite"}:
        raise OddSetting(
            f"{name} must look like postgresql://USER:PASSWORD@HOST:PORT/NAME or sqlite:////ABSOLUTE/FILE (its scheme is {urlsplit(value).scheme!r})."
        )
    try:
        parsed: dict[str, Any] = environ.Env.db_url_config(value)
    except ValueError as error:  # a port that is no number
        raise OddSetting(f"{name} can't be read: {error}.") from error
    if parsed.get("ENGINE") not in _ENGINES or not parsed.get("NAME"):
        raise OddSetting(f"{name} names no database: end it with one, as in postgresql://HOST/orchestra.")
    if parsed["ENGINE"].endswith("sqlite3") and not Path(parsed["NAME"]).is_absolute():
        raise OddSetting(f"{name} must name a SQLite file by its absolute path (sqlite:////ABSOLUTE/FILE): workers and children share it.")
    if parsed["ENGINE"].endswith("sqlite3") and not Path(parsed["NAME"]).parent.is_dir():
        raise OddSetting(f"{name} names a SQLite file in a folder that isn't there: make {str(Path(parsed['NAME']).parent)!r}, or name another.")
    return parsed


def redis_url(name: str) -> str | None:
    value = _raw(name)
    if value is not None and urlsplit(value).scheme not in {"redis", "rediss", "unix"}:
        raise OddSetting(f"{name} must look like redis://HOST:PORT/0, rediss://… or unix://… (its scheme is {urlsplit(value).scheme!r}).")
    if value is not None and urlsplit(value).scheme != "unix":
        _refuse_odd_redis(name, value)
    return value


def _refuse_odd_redis(name: str, value: str) -> None:
    """Said without the value: it may hold a password."""
    parts = urlsplit(value)
    try:
        port = parts.port
    except ValueError:
        raise OddSetting(f"{name} has a port that is no number from 0 to 65535; write it like redis://HOST:PORT/0.") from None
    if not parts.hostname or port == 0:
        raise OddSetting(f"{name} names no {'port' if parts.hostname else 'host'}; write it like redis://HOST:PORT/0.")
    if not re.fullmatch(r"/?|/[0-9]+", parts.path):
        raise OddSetting(f"{name} names its database by a number, as in redis://HOST:PORT/0 (here it is {parts.path!r}).")


def patient(url: str, *, seconds: int) -> str:
    """The address of a Redis with a bound on every answer: else a peer that is gone without a word is waited for for ever."""
    return url if "socket_timeout=" in url else f"{url}{'&' if '?' in url else '?'}socket_timeout={seconds}&socket_keepalive=yes"


def secret(name: str, file: Path) -> str:
    """The secret, or one that is made once, kept in a file that only this user may read."""
    value = _raw(name)
    if value is not None:
        if len(value) < 32:
            raise OddSetting(f"{name} has {len(value)} characters, but must have at least 32. Leave it out and one is made.")
        return value
    if not file.exists():
        _write_once(file, secrets.token_urlsafe(48))
    if file.stat().st_mode & 0o077:
        raise OddSetting(f"{str(file)!r} can be read by others. Run chmod 600 on it, or delete it and a new one is made (which ends all sessions).")
    return file.read_text(encoding="ascii").strip()


def former_secrets(name: str) -> list[str]:
    """Secrets that were in use before, separated by commas."""
    found = names(name, ())
    if short := [len(each) for each in found if len(each) < 32]:
        raise OddSetting(f"{name} has one with {short[0]} characters, but each must have at least 32, as ORCHESTRA_SECRET_KEY has.")
    return found


def word(name: str, default: str, *, most: int) -> str:
    """A short name of small letters and digits."""
    value = text(name, default)
    if not re.fullmatch(rf"[a-z0-9]{{1,{most}}}", value):
        raise OddSetting(f"{name} is {value!r}, but must have 1 to {most} small letters and digits.")
    return value


def token(name: str) -> str | None:
    """A secret that is said by others, so none is made where it is left out."""
    value = _raw(name)
    if value is not None and not (32 <= len(value) <= 200 and value.isascii() and value.isprintable() and " " not in value):
        raise OddSetting(f"{name} has {len(value)} characters, but must have 32 to 200, all of them ASCII and none a space.")
    return value


def _write_once(file: Path, value: str) -> None:
    """Two processes may start at once: a hard link fails for the second, so both read the same whole file."""
    descriptor, draft = tempfile.mkstemp(dir=file.parent)  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(value)
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
