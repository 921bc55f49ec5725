"""The environment's readers refuse odd values; the checks find mistakes between values that are fine alone."""

import io
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.test import Client

from audit.management.typed import manage
from orchestra_site import checks, env

NAME = "ORCHESTRA_TEST_VALUE"


@pytest.fixture
def value(monkeypatch):
    return lambda text: monkeypatch.setenv(NAME, text)


@pytest.mark.parametrize("text", ["0", "11", "-1", "+5", "5.0", "1_0", "٥", "five", "9" * 30])
def test_a_number_outside_its_limits_is_refused_with_the_limits(value, text):
    value(text)
    with pytest.raises(ImproperlyConfigured, match=rf"^{NAME} is '.*', but must be a whole number from 1 to 10\.$"):
        env.whole(NAME, 5, least=1, most=10)


def test_a_number_within_its_limits_is_read(value):
    value(" 7 ")
    assert env.whole(NAME, 5, least=1, most=10) == 7


@pytest.mark.parametrize(("text", "meant"), [("1", True), ("Yes", True), ("on", True), ("0", False), ("FALSE", False), ("off", False), ("", True)])
def test_a_flag_is_read_in_the_usual_spellings(value, text, meant):
    value(text)
    assert env.flag(NAME, True) is meant


def test_a_flag_that_is_neither_yes_nor_no_is_refused(value):
    value("maybe")
    with pytest.raises(ImproperlyConfigured, match="'maybe', but must be yes or no"):
        env.flag(NAME, False)


def test_a_choice_outside_the_list_is_refused(value):
    value("LOUD")
    with pytest.raises(ImproperlyConfigured, match="one of CALM, BUSY"):
        env.choice(NAME, "CALM", among=("CALM", "BUSY"))


@pytest.mark.parametrize("text", ["https://*.example.com", "example.com", "https://example.com/path", "https://a b"])
def test_a_public_address_is_one_scheme_and_host(value, text):
    value(text)
    with pytest.raises(ImproperlyConfigured, match="must look like https://HOST or https://HOST:PORT, and end there"):
        env.origin(NAME)


def test_a_public_address_may_end_in_a_slash(value):
    value("https://example.com:8443/")
    assert env.origin(NAME) == "https://example.com:8443"


@pytest.mark.parametrize("text", ["https://example.com:1", "example.com", "EXAMPLE.com:1", "example.com:0"])
def test_an_endpoint_is_a_host_and_a_port(value, text):
    value(text)
    with pytest.raises(ImproperlyConfigured, match="each must look like HOST:PORT"):
        env.endpoints(NAME)


@pytest.mark.parametrize("text", ["alice", "Alice <alice@example.com>", "a@b, c@d", "a@example.com\nBcc: b"])
def test_a_sender_is_one_address(value, text):
    value(text)
    with pytest.raises(ImproperlyConfigured, match="must be one e-mail address"):
        env.mailbox(NAME)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smtp+tls://orchestra:s%40y@mail.example.com", ("mail.example.com", 587, "orchestra", "s@y", True, False)),
        ("smtp+ssl://mail.example.com:4650", ("mail.example.com", 4650, "", "", False, True)),
        ("smtp://127.0.0.1", ("127.0.0.1", 25, "", "", False, False)),
    ],
)
def test_a_mail_server_is_read_with_the_usual_port_of_its_scheme(value, text, said):
    value(text)
    read = env.mail_server(NAME)
    names = ("HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_TLS", "USE_SSL")
    assert tuple(read[f"EMAIL_{name}"] for name in names) == said


@pytest.mark.parametrize(
    "text", ["consolemail://", "smtp://", "smtp://u:secret@host:port", "smtp+tls://u:secret@host/x", "smtp://u:secret@host?ssl=1"]
)
def test_an_odd_mail_server_is_refused_and_its_password_is_not_repeated(value, text):
    value(text)
    with pytest.raises(ImproperlyConfigured, match="must look like smtp") as refused:
        env.mail_server(NAME)
    assert "secret" not in str(refused.value)


def test_a_list_loses_its_blanks(value):
    value("a.example, b.example,,")
    assert env.names(NAME, ()) == ["a.example", "b.example"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://host/name", "must look like postgresql://"),
        ("nonsense", "must look like postgresql://"),
        ("postgresql://host:port/name", "can't be read"),
        ("postgresql://host", "names no database"),
        ("sqlite:///relative.db", "absolute path"),
        ("sqlite://:memory:", "absolute path"),
    ],
)
def test_an_odd_database_address_is_refused(value, url, says):
    value(url)
    with pytest.raises(ImproperlyConfigured, match=says):
        env.database(NAME, Path("unused"))


def test_a_refused_database_address_does_not_show_its_password(value):
    value("mysql://someone:hunter2@host/name")
    with pytest.raises(ImproperlyConfigured) as refusal:
        env.database(NAME, Path("unused"))
    assert "hunter2" not in str(refusal.value)


def test_a_postgresql_address_is_read_with_its_escapes(value):
    value("postgresql://user:p%40ss@host:5433/name")
    parsed = env.database(NAME, Path("unused"))
    assert (parsed["USER"], parsed["PASSWORD"], parsed["HOST"], parsed["PORT"], parsed["NAME"]) == ("user", "p@ss", "host", 5433, "name")


def test_an_odd_redis_address_is_refused(value):
    value("http://host")
    with pytest.raises(ImproperlyConfigured, match="redis://HOST:PORT/0"):
        env.redis_url(NAME)


def test_a_folder_that_is_a_file_is_refused(value, tmp_path):
    (tmp_path / "file").touch()
    value(str(tmp_path / "file"))
    with pytest.raises(ImproperlyConfigured, match="can't be used as a folder"):
        env.folder(NAME, tmp_path)


def test_a_made_secret_is_for_this_user_alone_and_stays_the_same(monkeypatch, tmp_path):
    monkeypatch.delenv(NAME, raising=False)
    first = env.secret(NAME, tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert env.secret(NAME, tmp_path / "key") == first
    assert list(tmp_path.iterdir()) == [tmp_path / "key"]


def test_of_two_processes_that_make_a_secret_the_second_takes_the_firsts(tmp_path):
    env._write_once(tmp_path / "key", "first")
    env._write_once(tmp_path / "key", "second")
    assert (tmp_path / "key").read_text(encoding="ascii") == "first"


def test_a_secret_that_others_can_read_is_refused(monkeypatch, tmp_path):
    monkeypatch.delenv(NAME, raising=False)
    env.secret(NAME, tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ImproperlyConfigured, match="chmod 600"):
        env.secret(NAME, tmp_path / "key")


def test_a_short_secret_is_refused_without_being_shown(value, tmp_path):
    value("hunter2")
    with pytest.raises(ImproperlyConfigured, match="has 7 characters") as refusal:
        env.secret(NAME, tmp_path / "key")
    assert "hunter2" not in str(refusal.value)


def test_a_variable_of_somebody_else_is_never_read():
    with pytest.raises(ValueError, match="must start with ORCHESTRA_"):
        env.text("PATH", "")


def test_an_odd_setting_ends_a_command_with_one_sentence(project_folder, tmp_path):
    variables = {**os.environ, "DJANGO_SETTINGS_MODULE": "orchestra_site.settings", "ORCHESTRA_HOME": str(tmp_path), "ORCHESTRA_CHILDREN": "many"}
    done = subprocess.run([sys.executable, "manage.py", "check"], cwd=project_folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "ORCHESTRA_CHILDREN is 'many', but must be a whole number from 1 to 1024.\n"


@pytest.mark.parametrize("text", ["example.com", "https://a.example.com/", "https://*", "ftp://a.example.com", "https://a.example.com:port"])
def test_an_odd_origin_is_refused(value, text):
    value(f"https://fine.example.com,{text}")
    with pytest.raises(ImproperlyConfigured, match=re.escape(repr(text))):
        env.origins(NAME)


def test_an_odd_name_of_a_header_is_refused(value):
    value("X-Forwarded-Proto: https")
    with pytest.raises(ImproperlyConfigured, match="must be the name of a header"):
        env.header(NAME)


def loaded(folder: Path, home: Path, **said: str) -> SimpleNamespace:
    """The web's settings as a process with this environment has them."""
    names = ("ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "SECURE_PROXY_SSL_HEADER", "DATABASES")
    script = f"import json; from orchestra_site import settings; print(json.dumps({{name: getattr(settings, name) for name in {names}}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env={**os.environ, "ORCHESTRA_HOME": str(home), **said}, capture_output=True, check=True
    )
    return SimpleNamespace(**json.loads(done.stdout))


def refused(settings, web: SimpleNamespace, *, origin: str, **headers: str) -> bool:
    """Whether the form of sign-in, sent from a page of this origin through a proxy that ends TLS, is refused as another site's."""
    settings.ALLOWED_HOSTS, settings.CSRF_TRUSTED_ORIGINS = web.ALLOWED_HOSTS, web.CSRF_TRUSTED_ORIGINS
    settings.SECURE_PROXY_SSL_HEADER = web.SECURE_PROXY_SSL_HEADER
    browser, host = Client(enforce_csrf_checks=True), origin.removeprefix("https://")
    browser.get("/admin/login/", headers={"Host": host})
    form = {"username": "a", "password": "b", "csrfmiddlewaretoken": browser.cookies["csrftoken"].value}
    return browser.post("/admin/login/", form, headers={"Host": host, "Origin": origin, **headers}).status_code == 403


def test_behind_tls_people_sign_in_at_each_host_that_is_allowed(db, settings, project_folder, tmp_path):
    web = loaded(project_folder, tmp_path, ORCHESTRA_HTTPS="yes", ORCHESTRA_ALLOWED_HOSTS=".example.com,one.example.org")
    assert web.CSRF_TRUSTED_ORIGINS == ["https://*.example.com", "https://one.example.org"]
    for host in ("example.com", "a.example.com", "one.example.org"):
        assert not refused(settings, web, origin=f"https://{host}"), host
    assert refused(settings, web, origin="https://a.example.com:8443")


def test_a_port_of_its_own_is_an_origin_that_is_named(db, settings, project_folder, tmp_path):
    said = {"ORCHESTRA_HTTPS": "yes", "ORCHESTRA_ALLOWED_HOSTS": "a.example.com", "ORCHESTRA_ORIGINS": "https://a.example.com:8443"}
    assert not refused(settings, loaded(project_folder, tmp_path, **said), origin="https://a.example.com:8443")


def test_a_header_says_that_it_was_tls_only_where_that_is_told(db, settings, project_folder, tmp_path):
    assert loaded(project_folder, tmp_path, ORCHESTRA_HTTPS="yes").SECURE_PROXY_SSL_HEADER is None
    web = loaded(project_folder, tmp_path, ORCHESTRA_ALLOWED_HOSTS="*", ORCHESTRA_TLS_HEADER="X-Forwarded-Proto")
    assert not refused(settings, web, origin="https://a.example.com", **{"X-Forwarded-Proto": "https"})
    assert refused(settings, web, origin="https://a.example.com")


@pytest.fixture
def on(monkeypatch):
    return lambda vendor: monkeypatch.setattr(checks, "connection", SimpleNamespace(vendor=vendor))


def ids(messages):
    return [message.id for message in messages]


def test_a_retry_before_the_timeout_is_an_error(settings):
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "timeout": 60, "retry": 60}
    assert ids(checks.check_queue(None)) == ["orchestra.E001"]
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "retry": 61}
    assert checks.check_queue(None) == []


def test_a_heartbeat_as_long_as_half_the_lease_is_an_error(settings):
    settings.ORCHESTRA_LEASE_TTL_S, settings.ORCHESTRA_HEARTBEAT_S = 20, 10
    assert ids(checks.check_lease(None)) == ["orchestra.E002"]
    settings.ORCHESTRA_LEASE_TTL_S = 21
    assert checks.check_lease(None) == []


def test_a_misspelt_variable_is_warned_of_with_the_nearest_name(monkeypatch):
    monkeypatch.setenv("ORCHESTRA_LEASE_TTL", "20")
    [warning] = checks.check_names(None)
    assert (warning.id, warning.hint) == ("orchestra.W003", "Did you mean ORCHESTRA_LEASE_TTL_S?")


def test_an_old_sqlite_is_warned_of_where_several_write(on, monkeypatch):
    on("sqlite")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    assert ids(checks.check_sqlite(None)) == ["orchestra.W001"]
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))
    assert checks.check_sqlite(None) == []


@pytest.mark.django_db
def test_who_serves_and_who_works_is_told_of_an_old_sqlite_once(on, monkeypatch, project_folder):
    on("sqlite")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    monkeypatch.setattr("runs.management.commands.worker.Supervisor.run", lambda supervisor: None)
    recipe = (project_folder / "Makefile").read_text(encoding="utf-8").partition("\nserve: ")[2].partition("\n\n")[0]
    [check] = re.findall(r"manage\.py (check .*?) 2>&1 >/dev/null", recipe)
    for start in (check.split(), ["worker"]):
        said = io.StringIO()
        call_command(*start, stdout=io.StringIO(), stderr=said)
        assert said.getvalue().count("orchestra.W001") == 1
    assert "System check" not in said.getvalue()  # a worker says it in a line, beside what else is to be said where these tests run
    assert sum(line.startswith("orchestra.W001: SQLite 3") for line in said.getvalue().splitlines()) == 1


def test_a_shared_queue_over_a_file_is_warned_of(on, settings):
    on("sqlite")
    settings.ORCHESTRA_REDIS_URL = "redis://host/0"
    assert ids(checks.check_sqlite_is_local(None)) == ["orchestra.W002"]
    settings.ORCHESTRA_REDIS_URL = None
    assert checks.check_sqlite_is_local(None) == []


def test_a_made_secret_is_warned_of_where_several_machines_may_work(on, monkeypatch):
    on("postgresql")
    monkeypatch.delenv("ORCHESTRA_SECRET_KEY")
    assert ids(checks.check_secret(None)) == ["orchestra.W004"]
    monkeypatch.setenv("ORCHESTRA_SECRET_KEY", "x" * 32)
    assert checks.check_secret(None) == []


def test_debug_is_an_error_where_it_is_deployed(settings):
    settings.DEBUG = True
    assert ids(checks.check_debug(None)) == ["orchestra.E003"]
    settings.DEBUG = False
    assert checks.check_debug(None) == []


def test_sqlite_runs_with_the_settings_that_lose_no_acknowledged_row(db):
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has its own")
    with connection.cursor() as cursor:
        found = {
            name: cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "recursive_triggers", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "recursive_triggers": 1, "busy_timeout": 20_000}
    assert connection.transaction_mode == "IMMEDIATE"


def test_postgresql_gives_up_on_a_lock_instead_of_waiting_for_ever(db):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has its busy_timeout")
    with connection.cursor() as cursor:
        limits = [
            cursor.execute(f"SHOW {name}").fetchone()[0] for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        ]
    assert limits == ["10s", "1min", "30s"]


@pytest.mark.parametrize(("lease", "seconds"), [("3", 5), ("45", 45), ("3600", 60)])
def test_who_is_gone_within_a_transaction_holds_its_rows_for_a_lease_within_bounds(project_folder, tmp_path, lease, seconds):
    said = {"ORCHESTRA_DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c", "ORCHESTRA_LEASE_TTL_S": lease}
    options = loaded(project_folder, tmp_path, **said).DATABASES["default"]["OPTIONS"]["options"]
    assert options.endswith(f"idle_in_transaction_session_timeout={seconds}000")


def test_the_first_admin_is_made_once_with_a_password_that_works(db, client, capsys):
    call_command("createfirstadmin")
    password = capsys.readouterr().out.splitlines()[0].split()[-1]
    assert client.login(username="admin", password=password)
    call_command("createfirstadmin")
    assert f"`{manage()} person admin --password`" in capsys.readouterr().out


def test_whoever_administers_under_another_name_is_named(db, django_user_model, capsys):
    django_user_model.objects.create_user("root", is_superuser=True)
    call_command("createfirstadmin")
    assert capsys.readouterr().out.startswith("Sign in as 'root'") and not django_user_model.objects.filter(username="admin").exists()


def test_an_administrator_who_may_not_sign_in_does_not_count_as_the_first_one(db, django_user_model, capsys):
    django_user_model.objects.create_user("root", is_superuser=True, is_active=False)
    call_command("createfirstadmin")
    assert django_user_model.objects.get(username="admin").is_superuser
    django_user_model.objects.update(is_active=False)
    call_command("createfirstadmin")
    assert "--activate" in capsys.readouterr().err


def test_a_name_that_is_taken_makes_no_first_admin(db, django_user_model, capsys):
    django_user_model.objects.create_user("admin")
    call_command("createfirstadmin")
    assert "person NAME --create --administrator" in capsys.readouterr().err
    django_user_model.objects.update(username="Admin")
    call_command("createfirstadmin")
    assert "'admin' differs from that only in capital letters" in capsys.readouterr().err
    assert not django_user_model.objects.filter(is_superuser=True).exists()


def test_the_site_leads_to_the_admin(db, client):
    assert client.get("/").url == "/admin/"
    assert client.get("/admin/", follow=True).status_code == 200


def test_no_change_of_a_model_lacks_its_migration(db):
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
