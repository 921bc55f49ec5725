"""The tests' own ground: a transactional test leaves nothing behind, and the ledger's guard stands again afterwards."""

import os
import subprocess
import sys

import pytest
from django.db import DatabaseError, connection, transaction

from audit import clock, exports, ledger
from audit.actors import Actor
from audit.models import Entry, triggers

VERB = exports.EXPORT_MADE.name


@pytest.mark.parametrize("turn", ["first", "second"])
def test_an_entry_of_one_test_is_gone_in_the_next_and_still_guarded(transactional_db, turn):
    assert Entry.objects.count() == 0
    assert triggers.missing(connection) == []
    with transaction.atomic():
        ledger.record([ledger.Draft(verb=VERB, actor=Actor.system("test"), subject="audit:log")], now=clock.now())
    with pytest.raises(DatabaseError), transaction.atomic():
        Entry.objects.all()._raw_delete("default")
    assert Entry.objects.count() == 1


def test_a_command_that_a_test_starts_meets_the_tests_database(shell_environment, project_folder, alice):
    script = "from django.contrib.auth.models import User; print(*User.objects.values_list('username', flat=True))"
    argv = [sys.executable, "manage.py", "shell", "--no-imports", "-c", script]
    done = subprocess.run(argv, cwd=project_folder, env=shell_environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["alice"]


def test_a_developers_installation_is_not_touched(settings, project_folder):
    assert project_folder / "var" != settings.ORCHESTRA_HOME
    assert os.environ["ORCHESTRA_HOME"] == str(settings.ORCHESTRA_HOME)


def test_a_private_postgresql_answers(private_postgresql):
    import psycopg

    with psycopg.connect(private_postgresql.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_private_redis_answers(private_redis):
    import redis

    with redis.Redis.from_url(private_redis.url) as client:
        assert client.ping()
