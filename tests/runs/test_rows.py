"""Rows that are read past the ORM are the ORM's rows."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, timedelta
from itertools import product
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from django.test.utils import CaptureQueriesContext

from agents.models import Agent, Pipeline, Team
from audit import bulk, clock
from audit.models import Charge, Entry, Opening, Pending
from runs import store
from runs.models import Call, Run, Step
from tests import pipelines
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)

TTL = timedelta(seconds=30)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    worker = agent("worker", "work:run", more="cost: 0.002 USD\nfreshness: {field: at, max_age: 10m}")
    functions = "def run(**_) -> dict:\n    from datetime import datetime, UTC\n    return {'at': datetime.now(UTC).isoformat()}\n"
    pipelines.publish(tmp_path / "p", functions=functions, agents=[worker], steps="- {id: work, agent: worker}")
    run = pipelines.start()
    pipelines.drive(run)
    Agent.objects.update(review_by=date(2031, 1, 2))
    return run


def seen_by_another_connection(model: type[models.Model], **named: object) -> bool:
    def look() -> bool:
        try:
            return model._default_manager.filter(**named).exists()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(look).result()


@pytest.mark.parametrize("model", [Run, Step, Call, Entry, Opening, Charge, Agent, Pipeline, Team])
def test_what_is_read_in_bulk_is_what_the_orm_reads(run: Run, model: type[models.Model]) -> None:
    wanted = {each.pk: each for each in model._default_manager.all()}
    found = {each.pk: each for each in bulk.read(model, match=[model._meta.pk.name], rows=[[key] for key in [*wanted, *wanted]])}
    names = [field.attname for field in model._meta.concrete_fields]
    assert found and found.keys() == wanted.keys()
    for key, each in found.items():
        read = [bytes(value) if isinstance(value, memoryview) else value for value in (getattr(wanted[key], name) for name in names)]
        assert [getattr(each, name) for name in names] == read
        assert [type(getattr(each, name)) for name in names] == [type(value) for value in read]
        assert not each._state.adding


def test_instants_are_read_with_their_zone(run: Run) -> None:
    read = bulk.read(Run, match=["id"], rows=[[run.id]])[0]
    assert read.created_at.utcoffset() == timedelta(0) and read.created_at == run.created_at.astimezone(UTC)


def test_pairs_are_rows_that_belong_together(run: Run) -> None:
    pairs = bulk.read_pairs(Step, Run, on=("run", "id"), match=["key"], rows=[["work"], ["verify"], ["nothing"]])
    assert [(step.run_id, other.id) for step, other in pairs] == [(run.id, run.id)] * len(pairs)
    assert {step.key for step, _ in pairs} >= {"work"}


def test_a_statement_that_breaks_a_constraint_raises_as_the_orm_does_and_writes_no_part_of_it(run: Run) -> None:
    entry = Entry.objects.first()
    assert entry is not None
    before = Pending.objects.count()
    rows = [(Pending, ("entry",), [[uuid4()]]), (Opening, ("entry", "path", "salt", "value"), [[entry.id, "x", b"", b""]] * 2)]
    with pytest.raises(IntegrityError), transaction.atomic():
        bulk.insert_all(rows)
    assert Pending.objects.count() == before


def test_statements_that_travel_together_raise_within_their_transaction_and_the_next_one_is_written(run: Run) -> None:
    entry, before = uuid4(), Pending.objects.count()
    twice = [(Pending, ("entry",), [[entry]])] * 2
    for _ in range(20):  # the commit that was sent behind them is answered in the same breath, or a moment later
        with pytest.raises(IntegrityError), bulk.atomic():
            bulk.insert_all(twice)
    assert Pending.objects.count() == before
    with bulk.atomic():
        bulk.insert(Pending, ("entry",), [[entry]])
        assert bulk.read(Pending, match=["entry"], rows=[[entry]])[0].entry == entry
    assert seen_by_another_connection(Pending, entry=entry)


def test_what_is_wrong_only_at_the_end_of_a_transaction_is_raised_by_it_too(run: Run) -> None:
    step = run.steps.first()
    with pytest.raises(IntegrityError), bulk.atomic():
        bulk.update_where(Step, match=["id"], change=["run"], rows=[[step.pk, uuid4()]], answers=False)  # there is no such run
    assert run.steps.filter(pk=step.pk).exists()
    with bulk.atomic():
        assert bulk.read(Run, match=["id"], rows=[[run.id]]) == [run]


def test_a_block_that_is_left_by_an_error_commits_nothing_that_was_sent(run: Run) -> None:
    entry = uuid4()

    def broken_off() -> None:
        with bulk.atomic():
            bulk.insert(Pending, ("entry",), [[entry]])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert not seen_by_another_connection(Pending, entry=entry)


def test_the_answer_of_an_update_can_be_read_behind_what_was_asked_after_it(run: Run) -> None:
    run.refresh_from_db()
    with bulk.atomic():
        done = bulk.updating(Run, match=["id", "revision"], change=["revision"], rows=[[run.id, run.revision, run.revision + 1]])
        missed = bulk.updating(Run, match=["id", "revision"], change=["revision"], rows=[[run.id, run.revision, run.revision + 1]])
        now = clock.now()
        assert (done(), missed()) == ({run.id}, set())
        assert now.tzinfo is not None


def test_a_wrong_statement_is_a_database_error(run: Run) -> None:
    with pytest.raises(DatabaseError):
        bulk.statement("SELECT nothing FROM nowhere", ())


def test_whoever_listens_to_queries_hears_these_too(run: Run) -> None:
    with CaptureQueriesContext(connection) as heard:
        assert bulk.read(Run, match=["id"], rows=[[run.id]]) == [run]
    assert len(heard) == 1 and "runs_run" in heard[0]["sql"]


def test_portions_hold_every_value_once_in_order(run: Run) -> None:
    query = Entry.objects.in_order().values_list("body")
    found = [bytes(body) for portion in bulk.portions(query, 3) for body in portion]
    assert found == [bytes(body) for (body,) in query]
    assert list(bulk.portions(Entry.objects.filter(team__in=[]).values_list("body"), 3)) == []


def test_what_is_claimed_is_what_reads_as_ready(run: Run) -> None:
    """The claim says in SQL what `Run.objects.ready` says: each condition met and not met, in every combination."""
    now = clock.now()
    hour = timedelta(hours=1)
    columns = [field.attname for field in Run._meta.concrete_fields]
    rows = []
    for (state, outcome), lease, deadline, integrity in product(
        [("queued", None), ("running", None), ("finished", "failed")], [None, -hour, hour], [-hour, hour], ["intact", "broken"]
    ):
        values = {name: getattr(run, name) for name in columns} | {"id": uuid4(), "state": state, "outcome": outcome, "integrity": integrity}
        values |= {"lease_until": None if lease is None else now + lease, "deadline_at": now + deadline}
        rows.append([values[name] for name in columns])
    bulk.insert(Run, columns, rows)
    ready = set(Run.objects.ready(clock.now()))
    assert 0 < len(ready) < len(rows)
    assert set(store.claim(owner=uuid4(), ttl=TTL, limit=100)) == ready
    assert store.claim(owner=uuid4(), ttl=TTL, limit=100, only=[]) == []
