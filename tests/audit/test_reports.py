"""The read side: evidence that contradicts itself is none, and sums are the truth with its corrections."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from audit import ledger, reports
from audit.actors import Actor
from audit.errors import Invalid
from audit.identity import new_id
from audit.ledger import ChargeDraft, Draft
from audit.models import Entry, triggers
from audit.reports import Filters, Spent

pytestmark = pytest.mark.django_db
Make = Callable[..., Draft]
SYSTEM = Actor.system("test")


def tamper(entry: Entry, **values: Any) -> None:
    """What an owner of the database can do: take the guard off first."""
    triggers.drop(connection)
    Entry.objects.filter(id=entry.id).update(**values)
    triggers.create(connection)


def test_the_entry_at_a_place_in_a_run_is_found_for_many_runs_at_once(draft: Make, now: datetime) -> None:
    runs = [new_id() for _ in range(450)]
    ledger.record([draft(run, facts={"n": n}) for run in runs for n in (1, 2)], now=now)
    found = reports.bodies_at([(run, 2) for run in runs])
    assert set(found) == set(runs)
    assert {(body["seq"], body["facts"]["n"]) for body in found.values()} == {(2, 2)}


def test_a_place_that_no_entry_has_is_left_out(draft: Make, now: datetime) -> None:
    run = new_id()
    ledger.record([draft(run)], now=now)
    assert reports.bodies_at([(run, 2), (new_id(), 1)]) == {}
    assert reports.bodies_at([]) == {}


@pytest.mark.parametrize(
    "forged",
    [
        {"verb": "audit.test.imagined"},
        {"team": "sales"},
        {"actor": "mallory"},
        {"actor_kind": "person"},
        {"seq": 2},
        {"at": datetime.fromisoformat("2026-11-20T12:00:00Z")},
        {"body": b"{}"},
        {"body": b"not json"},
        {"body": b'{"n": 1.5}'},
        {"body": b"[]"},
    ],
    ids=str,
)
def test_an_entry_whose_columns_and_bytes_disagree_is_no_evidence(draft: Make, now: datetime, forged: dict[str, Any]) -> None:
    run = new_id()
    ledger.record([draft(run)], now=now)
    tamper(Entry.objects.get(), **forged)
    assert reports.bodies_at([(run, 1), (run, 2)]) == {}


def test_bytes_that_say_the_same_in_another_spelling_are_no_evidence(draft: Make, now: datetime) -> None:
    run = new_id()
    ledger.record([draft(run)], now=now)
    entry = Entry.objects.get()
    tamper(entry, body=json.dumps(entry.envelope()).encode())
    assert reports.bodies_at([(run, 1)]) == {}


def test_a_changed_body_shows_in_the_chain_and_a_removed_one_as_a_gap(draft: Make, now: datetime) -> None:
    run = new_id()
    ledger.record([draft(run, facts={"n": n}) for n in range(4)], now=now)
    second, third = Entry.objects.get(seq=2), Entry.objects.get(seq=3)
    tamper(second, body=bytes(second.body).replace(b'"n":1', b'"n":9'))
    assert reports.chain_problems(run) == [f"seq 3: prev is {third.envelope()['prev']}, the entry before has {Entry.objects.get(seq=2).digest}"]
    tamper(third, run=new_id())
    assert reports.chain_problems(run)[0] == "seq 3 is missing: the next is 4"


def test_filters_add_up_and_a_span_holds_its_start_and_not_its_end(draft: Make, now: datetime) -> None:
    run, hour = new_id(), timedelta(hours=1)
    ledger.record([draft(run, agent="reader"), draft(agent="reader", at=now - hour), draft(agent="writer", at=now - hour)], now=now)

    def count(**given: Any) -> int:
        return reports.matching(Filters(**given), actor=SYSTEM).count()

    assert (count(), count(run=run), count(agent="reader"), count(since=now), count(until=now)) == (3, 1, 2, 1, 2)
    assert count(agent="reader", since=now - hour, until=now) == 1


def test_a_persons_entries_are_what_they_did_and_what_was_done_for_them(draft: Make, now: datetime) -> None:
    alice = Actor("person", "alice", "session")
    ledger.record(
        [
            *(draft(actor=alice), draft(actor=Actor("system", "system", "worker", on_behalf_of="alice"))),
            *(draft(actor=Actor("person", "bob", "session")), draft(actor=Actor("system", "alice", "worker"))),
        ],
        now=now,
    )
    found = reports.matching(Filters(person="alice"), actor=SYSTEM)
    assert [(entry.actor_kind, entry.on_behalf_of) for entry in found] == [("person", None), ("system", "alice")]


def test_entries_of_one_instant_come_in_the_order_of_their_ids_not_of_their_rows(draft: Make, now: datetime) -> None:
    drafts = [draft(facts={"n": n}) for n in range(300)]
    ledger.record(drafts[::-1], now=now)
    assert [entry.envelope()["facts"]["n"] for entry in reports.matching(Filters(), actor=SYSTEM)] == list(range(300))


def test_a_runs_charges_are_summed_with_their_corrections(now: datetime) -> None:
    run, call = new_id(), new_id()
    tokens = {"input_tokens": 10, "cache_read_tokens": 20, "cache_write_tokens": 30, "output_tokens": 40}
    (first,) = ledger.charge([ChargeDraft(run=run, call=call, amount_nano=2_000_000, estimated=True, **tokens)], now=now)
    ledger.charge([ChargeDraft(run=run, call=call, amount_nano=-500_000, corrects=first), ChargeDraft(run=new_id(), amount_nano=7)], now=now)
    assert reports.charges_of(run) == Spent(1_500_000, 2_000_000, 2, **tokens)
    assert reports.charges_of(new_id()) == Spent()


def test_a_call_is_charged_once(now: datetime) -> None:
    once = ChargeDraft(call=new_id(), amount_nano=1)
    ledger.charge([once, ChargeDraft(amount_nano=1), ChargeDraft(amount_nano=1)], now=now)
    with pytest.raises(IntegrityError), transaction.atomic():
        ledger.charge([once], now=now)


@pytest.mark.parametrize("odd", [{"amount_nano": 0.5}, {"amount_nano": True}, {"output_tokens": None}, {"model": "m\x00"}], ids=str)
def test_a_charge_is_in_integers_and_its_names_are_printable(now: datetime, odd: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        ledger.charge([ChargeDraft(**{"amount_nano": 1, **odd})], now=now)


def test_a_negative_charge_must_correct_another(now: datetime) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ledger.charge([ChargeDraft(amount_nano=-1)], now=now)


def test_a_charge_keeps_every_dimension(now: datetime) -> None:
    given = ChargeDraft(
        amount_nano=2**62,
        run=new_id(),
        step="draft",
        call=new_id(),
        agent="writer",
        version=3,
        pipeline="ops-digest",
        team="platform",
        cost_centre="4711",
        tags={"env": "test"},
        provider="scripted",
        model="recorded",
        input_tokens=1,
        cache_read_tokens=2,
        cache_write_tokens=3,
        output_tokens=4,
        price_version="2026-11",
        estimated=True,
    )
    ledger.charge([given], now=now)
    from audit.models import Charge

    row = Charge.objects.get()
    assert ChargeDraft(**{name: getattr(row, name) for name in ledger._CHARGE_FIELDS}) == given
    assert row.at == now
