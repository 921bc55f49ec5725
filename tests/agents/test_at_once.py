"""Two people who change the inventory at the same moment: whoever began comes first, and nobody works with what was read before."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections

from agents import registry
from agents.errors import NotPublishable
from agents.models import Agent, Pipeline, Version, VersionState
from agents.registry import accounts, applying, pricing, publishing, retiring, rollbacks
from audit.errors import Conflict
from tests.agents.folders import AUDITOR, PIPELINE, READER, READING, TEAM, numbers
from tests.agents.inventory import SYSTEM, facts_of, pinned, publish, release

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_S = 60
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture(autouse=True)
def _several_writers() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer: whoever comes second waits at BEGIN")


class Meeting:
    """`first` stops where it calls `seam`, until `second` is done or waits for a lock; then both go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any, seam: str) -> None:
        self._reached, self._go = threading.Event(), threading.Event()
        self.errors: dict[str, Exception] = {}
        real, first = getattr(module, seam), list[threading.Thread]()

        def stopping(*args: Any, **options: Any) -> Any:
            found = real(*args, **options)
            if not first:
                first.append(threading.current_thread())
                self._reached.set()
                assert self._go.wait(PATIENCE_S)
            return found

        monkeypatch.setattr(module, seam, stopping)

    def of(self, first: Callable[[], Any], second: Callable[[], Any]) -> dict[str, Exception]:
        """What each was refused with, by `first` and `second`."""
        threads = {name: threading.Thread(target=self._run, args=(name, work)) for name, work in (("first", first), ("second", second))}
        threads["first"].start()
        assert self._reached.wait(PATIENCE_S)
        threads["second"].start()
        while threads["second"].is_alive() and not self._somebody_waits():
            threads["second"].join(0.02)
        self._go.set()
        for thread in threads.values():
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        return self.errors

    def _run(self, name: str, work: Callable[[], Any]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the test looks at what it was
            self.errors[name] = error
        finally:
            connections.close_all()

    @staticmethod
    def _somebody_waits() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            return bool(cursor.fetchone()[0])


@pytest.fixture
def twice(tmp_path: Path) -> Path:
    """Published, changed in its code, published again."""
    publish(numbers(tmp_path / "one"))
    publish(numbers(tmp_path / "one", reading=READING.replace("1}", "2}")))
    return tmp_path / "one"


def drafted(folder: Path, **parts: str) -> None:
    registry.apply_folder(numbers(folder, **parts), actor=SYSTEM)


def live(name: str) -> Version:
    return Version.objects.get(agent__name=name, state=VersionState.PUBLISHED)


LONGER = PIPELINE.replace("1m", "2m")
MORE = READER.replace('["allow read file:*"]', '["allow read file:*", "allow write file:*"]')
SECOND = PIPELINE.replace("name: numbers", "name: sums")


def test_an_agent_s_rollback_does_not_undo_a_pipeline_s_publication(twice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drafted(twice, pipeline=LONGER, reading=READING.replace("1}", "2}"))
    meeting = Meeting(monkeypatch, rollbacks, "users_of")
    assert meeting.of(lambda: registry.rollback("reader", actor=SYSTEM), lambda: registry.publish("numbers", actor=SYSTEM)) == {}
    current = release()
    assert (current.manifest["pipeline"]["version"], Version.objects.get(pipeline__name="numbers", state="published").number) == (2, 2)
    told = facts_of("agents.release.published")
    assert [one["before"] for one in told[1:]] == [one["digest"] for one in told[:-1]]


def test_a_pipeline_s_publication_does_not_undo_an_agent_s_rollback(twice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drafted(twice, pipeline=LONGER, reading=READING.replace("1}", "2}"))
    meeting = Meeting(monkeypatch, publishing, "compose")
    assert meeting.of(lambda: registry.publish("numbers", actor=SYSTEM), lambda: registry.rollback("reader", actor=SYSTEM)) == {}
    assert pinned(release())["reader"] == live("reader").number == 1


def test_what_an_agent_may_do_is_what_its_published_version_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "one"
    publish(numbers(folder))
    drafted(folder, reader=MORE)
    drafted(folder, pipeline=LONGER, reader=READER.replace("Read a number.", "Read it."))
    meeting = Meeting(monkeypatch, publishing, "compose")
    refused = meeting.of(lambda: registry.publish("numbers", actor=SYSTEM), lambda: registry.publish("reader", actor=SYSTEM, version=2))
    assert refused.keys() <= {"second"}
    assert Agent.objects.get(name="reader").permissions == live("reader").spec["permissions"]


def test_an_agent_that_is_being_published_in_a_pipeline_is_not_retired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drafted(tmp_path / "one")
    meeting = Meeting(monkeypatch, publishing, "compose")
    refused = meeting.of(lambda: registry.publish("numbers", actor=SYSTEM), lambda: registry.retire("reader", actor=SYSTEM, reason="old"))
    assert isinstance(refused["second"], Conflict) and "needed by 'numbers'" in str(refused["second"])
    assert Agent.objects.get(name="reader").state == "active"


def test_a_pipeline_is_not_published_with_an_agent_that_is_being_retired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drafted(tmp_path / "one")
    meeting = Meeting(monkeypatch, retiring, "users_of")
    refused = meeting.of(lambda: registry.retire("reader", actor=SYSTEM, reason="old"), lambda: registry.publish("numbers", actor=SYSTEM))
    assert isinstance(refused["second"], NotPublishable) and "'reader' is retired" in str(refused["second"].details["problems"])
    assert Pipeline.objects.get().current_release is None


def test_a_pipeline_that_is_being_published_in_another_is_not_retired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(numbers(tmp_path / "one"))
    step = "{id: read, agent: reader, with: {file: =input.file}}"
    above = SECOND.replace(step, "{id: read, pipeline: numbers, with: {file: =input.file}, timeout: 2m}").replace("1m", "5m")
    drafted(tmp_path / "two", team="", reader="", auditor="", pipeline=above)
    meeting = Meeting(monkeypatch, publishing, "compose")
    refused = meeting.of(lambda: registry.publish("sums", actor=SYSTEM), lambda: registry.retire("numbers", actor=SYSTEM, reason="old"))
    assert refused.keys() == {"second"} and "needed by 'sums'" in str(refused["second"])


def test_an_apply_and_a_publication_never_wait_for_each_other(twice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drafted(twice, pipeline=LONGER)
    meeting = Meeting(monkeypatch, publishing, "compose")
    other = numbers(tmp_path / "other", reading=READING.replace("1}", "3}"))
    assert meeting.of(lambda: registry.publish("numbers", actor=SYSTEM), lambda: publish(other)) == {}
    assert pinned(release())["reader"] == live("reader").number


def test_an_agent_and_a_pipeline_never_get_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(numbers(tmp_path / "zero", pipeline="", reader=READER, auditor=AUDITOR))
    agent = numbers(tmp_path / "one", team=TEAM, reader=READER.replace("name: reader", "name: numbers"), auditor="", pipeline="")
    pipeline = numbers(tmp_path / "two")
    meeting = Meeting(monkeypatch, applying, "_taken_names")
    refused = meeting.of(lambda: registry.apply_folder(agent, actor=SYSTEM), lambda: registry.apply_folder(pipeline, actor=SYSTEM))
    assert isinstance(refused["second"], NotPublishable) and "is the name of an agent already" in str(refused["second"].details["problems"])


def test_an_apply_and_a_look_through_the_prices_never_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alias = "kind: model\nname: {}\nteam: platform\nprovider: anthropic\nmodel: {}\nsecret: env:SOME_KEY\n"
    both = TEAM + "---\n" + alias.format("second", "{0}") + "---\n" + alias.format("first", "{0}")
    folder = numbers(tmp_path / "one", team=both.format("before"))
    registry.apply_folder(folder, actor=SYSTEM)
    numbers(folder, team=both.format("after"))
    meeting = Meeting(monkeypatch, pricing, "ensure")
    assert meeting.of(lambda: registry.apply_folder(folder, actor=SYSTEM), lambda: registry.update_prices(actor=SYSTEM)) == {}


def test_of_two_names_that_differ_only_in_capitals_the_first_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = Meeting(monkeypatch, accounts, "_refuse_taken")
    refused = meeting.of(lambda: registry.create_person("Zoe", actor=SYSTEM), lambda: registry.create_person("zoe", actor=SYSTEM))
    assert list(refused) == ["second"] and isinstance(refused["second"], Conflict)
    assert [person.username for person in User.objects.all()] == ["Zoe"]
