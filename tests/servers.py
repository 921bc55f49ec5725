"""A private PostgreSQL and a private Redis: a temporary folder, a free port, gone afterwards.

Owns starting and stopping them; must not know Django. Used by the tests' settings, by tests and by benchmarks.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import redis

NAME = "orchestra"  # of the superuser and of the database
START_S = 30
HERE = "127.0.0.1"
# Debian keeps the programs outside PATH, one folder a version; the others are Homebrew's.
_POSTGRESQL_FOLDERS = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin")


class Unavailable(Exception):
    """The server can't be started here; the message says why and what to install."""


@dataclass(slots=True)
class Server:
    """`process` is another one after `revive`."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]


def why_no_postgresql() -> str | None:
    """None where a private PostgreSQL can be started, else the reason."""
    if _postgresql_program("initdb") is None or _postgresql_program("postgres") is None:
        return "PostgreSQL's programs (initdb, postgres) were not found: install the package postgresql (Debian: apt-get install postgresql)"
    if os.geteuid() == 0 and _postgres_user() is None:
        return "PostgreSQL refuses to run as root and there is no user 'postgres' to run it as: run as another user"
    return None


def why_no_redis() -> str | None:
    """None where a private Redis can be started, else the reason."""
    if shutil.which("redis-server"):
        return None
    return "redis-server was not found: install the package redis-server (Debian: apt-get install redis-server)"


@contextmanager
def postgresql(*, durable: bool = True, within: Path | None = None, address: str = HERE) -> Iterator[Server]:
    """A PostgreSQL with an empty database; `durable=False` leaves out fsync, for tests. `within`: a folder for its own. Raises Unavailable.

    `address`: of this machine, where it listens; whoever is in the same network may come.
    """
    if reason := why_no_postgresql():
        raise Unavailable(reason)
    user = _postgres_user() if os.geteuid() == 0 else None
    password = secrets.token_urlsafe(18)
    with _folder("orchestra-pg-", owner=user, within=within) as folder:
        _initdb(folder, password, user)
        if address != HERE:
            with (folder / "data" / "pg_hba.conf").open("a", encoding="ascii") as rules:
                rules.write("host all all samenet scram-sha-256\n")
        start = partial(_start_postgresql, folder, password=password, durable=durable, user=user, address=address)
        yield from _serving(start, _postgresql_answers, signal.SIGINT)


@contextmanager
def redis_server(*, address: str = HERE) -> Iterator[Server]:
    """A Redis that keeps nothing on disk. Raises Unavailable."""
    if reason := why_no_redis():
        raise Unavailable(reason)
    with _folder("orchestra-redis-", owner=None) as folder:
        yield from _serving(partial(_start_redis, folder, address=address), _redis_answers, signal.SIGTERM)


def crash(server: Server) -> None:
    """End it at once and without a word, as a machine does that loses its power: PostgreSQL's immediate shutdown, Redis' death."""
    server.process.send_signal(signal.SIGQUIT if server.url.startswith("postgresql") else signal.SIGKILL)
    server.process.wait(timeout=START_S)


def revive(server: Server) -> None:
    """Start it again where it was, on the same data. Raises Unavailable."""
    user = _postgres_user() if os.geteuid() == 0 and server.url.startswith("postgresql") else None
    server.process = _spawn(server.process.args, server.folder, **_as(user))  # type: ignore[arg-type]
    if not _wait(server, _redis_answers if server.url.startswith("redis") else _postgresql_is_back):
        raise Unavailable(f"the server did not start again: {(server.folder / 'log').read_text(errors='replace')[-500:]}")


def _postgresql_program(name: str) -> str | None:
    found = [str(path) for pattern in _POSTGRESQL_FOLDERS for path in sorted(Path("/").glob(f"{pattern[1:]}/{name}"), key=_version, reverse=True)]
    return found[0] if found else shutil.which(name)


def _version(program: Path) -> int:
    digits = "".join(filter(str.isdigit, program.parent.parent.name))
    return int(digits or 0)


def _postgres_user() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None


@contextmanager
def _folder(prefix: str, *, owner: pwd.struct_passwd | None, within: Path | None = None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
    try:
        if owner is not None:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initdb(folder: Path, password: str, user: pwd.struct_passwd | None) -> None:
    # A password, although it lives for minutes: a trusting superuser would be a shell for everybody on this machine.
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password, encoding="ascii")
    if user is not None:
        os.chown(secret, user.pw_uid, user.pw_gid)
    argv = [str(_postgresql_program("initdb")), "-D", str(folder / "data"), "-U", NAME, "-E", "UTF8", "--no-locale", "--no-sync"]
    argv += ["--auth=scram-sha-256", f"--pwfile={secret}"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, check=False, **_as(user))
    if done.returncode:
        raise Unavailable(f"initdb failed: {done.stderr.decode(errors='replace')[-500:]}")


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _start_postgresql(folder: Path, port: int, *, password: str, durable: bool, user: pwd.struct_passwd | None, address: str) -> Server:
    options = {
        "port": port,
        "listen_addresses": address,
        "unix_socket_directories": "",
        "max_connections": 200,
        "shared_buffers": "128MB",
        **({} if durable else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}),
    }
    argv = [str(_postgresql_program("postgres")), "-D", str(folder / "data")]
    argv += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    process = _spawn(argv, folder, **_as(user))
    return Server(f"postgresql://{NAME}:{password}@{address}:{port}/{NAME}", folder, process)


def _start_redis(folder: Path, port: int, *, address: str) -> Server:
    password = secrets.token_urlsafe(18)
    settings = folder / "redis.conf"
    settings.write_text(f'port {port}\nbind {address}\nrequirepass {password}\nsave ""\nappendonly no\ndir "{folder}"\n', encoding="utf-8")
    settings.chmod(0o600)
    process = _spawn([str(shutil.which("redis-server")), str(settings)], folder)
    return Server(f"redis://:{password}@{address}:{port}/0", folder, process)


def _spawn(argv: Sequence[str], folder: Path, **identity: Any) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C in the test's terminal must reach the tests, which then stop the server in order.
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **identity)


def _stop_last(server: Server, stop_signal: signal.Signals) -> None:
    """Whatever serves by then: a crashed one may have been revived."""
    _stop(server.process, stop_signal)


def _serving(start: Callable[[int], Server], answers: Callable[[str], bool], stop_signal: signal.Signals) -> Iterator[Server]:
    """Starts on a free port; somebody else may take it in between, so three times at most."""
    said = ""
    with ExitStack() as stack:
        for _attempt in range(3):
            server = start(_free_port())
            stack.callback(_stop_last, server, stop_signal)
            if _wait(server, answers):
                yield server
                return
            said = (server.folder / "log").read_text(errors="replace")[-500:]
        raise Unavailable(f"the server did not start: {said}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(server: Server, answers: Callable[[str], bool]) -> bool:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.process.poll() is None:
        if answers(server.url):
            return True
        time.sleep(0.05)
    return False


def _postgresql_answers(url: str) -> bool:
    try:
        with psycopg.connect(url.removesuffix(NAME) + "postgres", autocommit=True, connect_timeout=5) as connection:
            connection.execute(f"CREATE DATABASE {NAME}")
            return True
    except psycopg.OperationalError:
        return False


def _postgresql_is_back(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


def _redis_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    if process.poll() is not None:
        return
    process.send_signal(stop_signal)  # PostgreSQL: SIGINT is the fast shutdown, which does not wait for clients
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
