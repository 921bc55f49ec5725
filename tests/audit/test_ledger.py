"""The only writer of entries: what it writes, what it refuses, and that a run's sequence has no gap and no double."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from audit import ledger, reports
from audit.actors import Actor
from audit.errors import Conflict, Invalid, NoTransaction, UnknownVerb
from audit.identity import new_id
from audit.ledger import Draft, Head, Verb
from audit.models import Blob, Entry, Opening, Pending

Make = Callable[..., Draft]
ALICE = Actor("person", "alice", "session", teams=frozenset({"platform"}))


def written() -> Entry:
    return Entry.objects.get()


@pytest.mark.django_db
def test_an_entry_is_the_exact_canonical_bytes_of_its_envelope(draft: Make, now: datetime) -> None:
    run = new_id()
    ledger.record([draft(run, team="platform", agent="feed-reader", facts={"n": 1})], now=now)
    entry = written()
    assert bytes(entry.body) == rfc8785.dumps(entry.envelope())
    assert entry.envelope() == {
        "v": 1,
        "id": str(entry.id),
        "at": "2026-11-20T12:00:00.123456Z",
        "verb": "audit.test.happened",
        "actor": {"kind": "system", "id": "system", "auth": "test"},
        "on_behalf_of": None,
        "team": "platform",
        "agent": "feed-reader",
        "subject": "thing:one",
        "run": str(run),
        "seq": 1,
        "prev": None,
        "facts": {"n": 1},
        "commitments": {},
    }


@pytest.mark.django_db
def test_the_columns_say_what_the_envelope_says(draft: Make, now: datetime) -> None:
    actor = Actor("person", "alice", "token", on_behalf_of="bob")
    ledger.record([draft(actor=actor, team="platform", at=now - timedelta(hours=1))], now=now)
    entry = written()
    assert entry.trusted_envelope() == entry.envelope()
    assert (entry.actor_kind, entry.actor, entry.on_behalf_of, entry.team) == ("person", "alice", "bob", "platform")
    assert (entry.at, entry.run, entry.seq) == (now - timedelta(hours=1), None, None)


@pytest.mark.django_db
def test_an_instant_in_another_zone_is_written_in_utc(draft: Make, now: datetime) -> None:
    ledger.record([draft()], now=now.astimezone(timezone(timedelta(hours=5, minutes=45))))
    assert written().trusted_envelope()["at"] == "2026-11-20T12:00:00.123456Z"


@pytest.mark.django_db
def test_a_runs_entries_are_numbered_without_gap_and_each_holds_the_one_before(draft: Make, now: datetime) -> None:
    run, other = new_id(), new_id()
    heads = ledger.record([draft(run), draft(other), draft(run)], now=now, heads={run: Head(), other: Head()})
    heads = ledger.record([draft(run), draft(other)], now=now, heads=heads)
    bodies = [bytes(entry.body) for entry in Entry.objects.filter(run=run).order_by("seq")]
    chain = [json.loads(body)["prev"] for body in bodies]
    assert chain == [None, *(hashlib.sha256(body).hexdigest() for body in bodies[:2])]
    assert heads == {run: ledger.head_of(run), other: ledger.head_of(other)}
    assert (heads[run].seq, heads[other].seq) == (3, 2)
    assert reports.chain_problems(run) == reports.chain_problems(other) == []


@pytest.mark.django_db
def test_a_head_that_is_not_given_is_read(draft: Make, now: datetime) -> None:
    run = new_id()
    ledger.record([draft(run)], now=now)
    assert ledger.record([draft(run)], now=now) == {run: ledger.head_of(run)}
    assert ledger.head_of(run).seq == 2


@pytest.mark.django_db
def test_a_late_fact_has_the_run_and_no_seq_and_does_not_move_the_head(draft: Make, now: datetime) -> None:
    run = new_id()
    heads = ledger.record([draft(run)], now=now)
    assert ledger.record([draft(run, sequenced=False)], now=now, heads=heads) == heads
    assert [(each["seq"], each["prev"]) for each in reports.entries_of(run)] == [(1, None), (None, None)]


@pytest.mark.django_db
def test_two_writers_from_the_same_head_do_not_both_succeed(draft: Make, now: datetime) -> None:
    run = new_id()
    heads = ledger.record([draft(run)], now=now)
    ledger.record([draft(run)], now=now, heads=heads)
    with pytest.raises(IntegrityError), transaction.atomic():
        ledger.record([draft(run)], now=now, heads=heads)
    assert ledger.head_of(run).seq == 2


@pytest.mark.django_db
def test_the_heads_of_many_runs_are_read_at_once_and_only_where_their_rows_and_the_ledger_agree(draft: Make, now: datetime) -> None:
    two, one, none, lost = (new_id() for _ in range(4))
    ledger.record([draft(two), draft(two), draft(one)], now=now)
    found = ledger.heads_at({two: 2, one: 1, none: 0, lost: 3})
    assert found == {two: ledger.head_of(two), one: ledger.head_of(one), none: Head()}


@pytest.mark.django_db
def test_an_id_may_be_made_beforehand_so_that_other_rows_can_point_at_it(draft: Make, now: datetime) -> None:
    mine = draft(openings={"output": 1})
    ledger.record([mine], now=now)
    assert written().trusted_envelope()["id"] == str(mine.id) == str(Opening.objects.get().entry)


@pytest.mark.django_db
def test_every_entry_waits_for_the_sealer(draft: Make, now: datetime) -> None:
    ledger.record([draft() for _ in range(250)], now=now)
    assert set(Pending.objects.values_list("entry", flat=True)) == set(Entry.objects.values_list("id", flat=True))
    assert Pending.objects.count() == 250


@pytest.mark.django_db
def test_an_opening_lies_beside_the_entry_which_holds_only_its_commitment(draft: Make, now: datetime) -> None:
    value = {"name": "Zoë", "share": 0.25, "ключ": [1, None]}
    ledger.record([draft(openings={"output": value})], now=now)
    entry, opening = written(), Opening.objects.get()
    assert entry.envelope()["commitments"] == {"output": hashlib.sha256(bytes(opening.salt) + rfc8785.dumps(value)).hexdigest()}
    assert "Zo" not in bytes(entry.body).decode()
    assert len(bytes(opening.salt)) == 32
    assert reports.openings_of([entry.id]) == {entry.id: {"output": value}}
    assert reports.opened_digests([entry.envelope()], "prompt") == {}
    assert reports.opened_digests([entry.envelope()], "output") == {entry.id: hashlib.sha256(rfc8785.dumps(value)).hexdigest()}


@pytest.mark.django_db
def test_every_opening_has_a_salt_of_its_own(draft: Make, now: datetime) -> None:
    ledger.record([draft(openings={"output": "yes", "prompt": "yes"}) for _ in range(2)], now=now)
    salts = {bytes(opening.salt) for opening in Opening.objects.all()}
    assert (len(salts), {len(salt) for salt in salts}) == (4, {32})


@pytest.mark.django_db
def test_the_same_value_twice_makes_commitments_that_do_not_show_it(draft: Make, now: datetime) -> None:
    ledger.record([draft(openings={"output": "yes", "prompt": "yes"})], now=now)
    commitments = written().envelope()["commitments"]
    assert commitments["output"] != commitments["prompt"]


@pytest.mark.django_db
def test_erasing_an_opening_leaves_the_entry_and_its_chain_as_they_were(draft: Make, now: datetime) -> None:
    run = new_id()
    ledger.record([draft(run, openings={"output": "a person's words", "prompt": "p"}), draft(run)], now=now)
    first = Entry.objects.get(seq=1)
    Opening.objects.filter(entry=first.id, path="output").delete()
    assert bytes(Entry.objects.get(seq=1).body) == bytes(first.body)
    assert first.envelope()["commitments"].keys() == {"output", "prompt"}
    assert reports.openings_of([first.id]) == {first.id: {"prompt": "p"}}
    assert reports.chain_problems(run) == []


@pytest.mark.django_db
def test_an_opening_that_was_changed_is_not_shown_as_what_was_committed_to(draft: Make, now: datetime) -> None:
    ledger.record([draft(openings={"output": "no"})], now=now)
    Opening.objects.update(value=b'"yes"')
    assert reports.openings_of([written().id]) == {written().id: {}}
    assert reports.opened_digests([written().envelope()], "output") == {}


@pytest.mark.django_db
def test_an_unknown_verb_is_refused_and_nothing_is_written(draft: Make, now: datetime) -> None:
    with pytest.raises(UnknownVerb, match=r"audit\.test\.imagined"):
        ledger.record([draft(), Draft("audit.test.imagined", Actor.system(), "thing:one")], now=now)
    assert not Entry.objects.exists()
    assert not Pending.objects.exists()


@pytest.mark.django_db
def test_an_opening_that_its_verb_does_not_name_is_refused(draft: Make, now: datetime) -> None:
    with pytest.raises(UnknownVerb, match="has no opening diary"):
        ledger.record([draft(openings={"diary": "x", "output": 1})], now=now)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_recorded_outside_a_transaction(draft: Make, now: datetime) -> None:
    with pytest.raises(NoTransaction):
        ledger.record([draft()], now=now)
    with pytest.raises(NoTransaction):
        ledger.charge([ledger.ChargeDraft(amount_nano=1)], now=now)
    assert not Entry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_entry_goes_with_the_change_that_is_rolled_back(draft: Make, now: datetime) -> None:
    with transaction.atomic():
        ledger.record([draft(openings={"output": 1})], now=now)
        transaction.set_rollback(True)
    assert not (Entry.objects.exists() or Pending.objects.exists() or Opening.objects.exists())


@pytest.mark.django_db
@pytest.mark.parametrize("facts", [{"cost": 0.5}, {"deep": [{"n": 2**53}]}, {"naïve": 1}, {"run": UUID(int=1)}], ids=str)
def test_facts_that_an_entry_may_not_hold_are_refused(draft: Make, now: datetime, facts: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=r"the entry 'audit\.test\.happened' can't be written: entry\.facts"):
        ledger.record([draft(facts=facts)], now=now)


@pytest.mark.django_db
def test_an_entry_above_32_kib_is_refused_with_its_size_and_one_at_the_limit_is_not(draft: Make, now: datetime) -> None:
    ledger.record([draft(facts={"text": ""})], now=now)
    room = 32 * 1024 - len(bytes(written().body))
    ledger.record([draft(facts={"text": "x" * room})], now=now)
    with pytest.raises(Invalid, match="would have 32769 bytes, above the ledger's limit of 32768"):
        ledger.record([draft(facts={"text": "x" * (room + 1)})], now=now)


@pytest.mark.django_db
@pytest.mark.parametrize("subject", ["", "a" * 201, "nul\x00", "line\nbreak", "thing:\u202eeno"], ids=repr)
def test_a_name_that_would_hide_or_break_something_is_refused(draft: Make, now: datetime, subject: str) -> None:
    with pytest.raises(Invalid, match="can't name anything"):
        ledger.record([draft(subject=subject)], now=now)


@pytest.mark.django_db
def test_an_opening_that_json_cannot_carry_is_refused_by_name(draft: Make, now: datetime) -> None:
    with pytest.raises(Invalid, match="the opening 'output'"):
        ledger.record([draft(openings={"output": float("nan")})], now=now)


@pytest.mark.django_db
def test_a_seq_without_a_run_is_refused(draft: Make, now: datetime) -> None:
    with pytest.raises(Invalid, match="only within a run"):
        ledger.record([draft(sequenced=True)], now=now)


@pytest.mark.django_db
def test_recording_nothing_is_nothing(now: datetime) -> None:
    assert ledger.record([], now=now) == {}


def test_a_naive_instant_is_refused(draft: Make, transactional_db: None) -> None:
    with pytest.raises(ValueError, match="has no time zone"), transaction.atomic():
        ledger.record([draft()], now=datetime(2026, 11, 20))  # noqa: DTZ001 - that is the case


def test_a_verb_may_be_registered_again_but_not_as_another() -> None:
    ledger.register(Verb("audit.test.happened", frozenset({"output", "prompt"})))
    with pytest.raises(Conflict):
        ledger.register(Verb("audit.test.happened", frozenset({"output"})))


@pytest.mark.parametrize("name", ["happened", "audit.happened", "Audit.test.happened", "audit.test.happened.twice", "audit..happened"])
def test_a_name_that_is_not_a_verb_is_not_registered(name: str) -> None:
    with pytest.raises(Invalid):
        ledger.register(Verb(name))
    assert name not in {verb.name for verb in ledger.registered()}


@pytest.mark.django_db
def test_an_outsider_sees_only_the_entries_of_their_own_teams(draft: Make, now: datetime) -> None:
    ledger.record([draft(team="platform"), draft(team="sales"), draft()], now=now)
    charlie = Actor("person", "charlie", "session")
    auditor = Actor("person", "dora", "session", permissions=frozenset({"see-everything"}))
    assert [entry.team for entry in Entry.objects.visible_to(ALICE)] == ["platform"]
    assert not Entry.objects.visible_to(charlie).exists()
    assert Entry.objects.visible_to(auditor).count() == Entry.objects.visible_to(Actor.system()).count() == 3


class AnySequence(TestCase):
    """Whatever is recorded in whatever portions, each run's sequence is whole."""

    @given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=5), max_size=6), st.booleans())
    def test_no_gap_no_double_and_the_heads_are_what_is_stored(self, portions: list[list[tuple[int, bool]]], keep: bool) -> None:
        runs = [new_id() for _ in range(3)]
        heads: dict[Any, Head] = {}
        for portion in portions:
            drafts = [
                Draft("audit.test.happened", Actor.system("test"), "thing:one", run=runs[which], sequenced=sequenced) for which, sequenced in portion
            ]
            heads = ledger.record(drafts, now=datetime.fromisoformat("2026-11-20T12:00:00Z"), heads=heads if keep else {})
        for which, run in enumerate(runs):
            expected = sum(place == which and sequenced for portion in portions for place, sequenced in portion)
            assert ledger.head_of(run).seq == expected
            assert reports.chain_problems(run) == []


@pytest.mark.django_db
def test_a_large_value_is_stored_once_however_many_entries_hold_it(draft: Make, now: datetime) -> None:
    large, other = {"rows": ["x" * 100] * 400}, {"rows": ["y" * 100] * 400}
    drafts = [draft(openings={"output": value}) for value in (large, large, other)]
    with transaction.atomic():
        ledger.record(drafts, now=now)
    with transaction.atomic():
        ledger.record([again := draft(openings={"output": large})], now=now)
    assert Blob.objects.count() == 2
    assert {bytes(opening.value) for opening in Opening.objects.all()} == {b""}
    held = reports.openings_of([each.id for each in (*drafts, again)])
    assert [held[each.id]["output"] for each in (*drafts, again)] == [large, large, other, large]


@pytest.mark.django_db
def test_a_large_value_that_was_changed_is_no_evidence(draft: Make, now: datetime) -> None:
    entry = draft(openings={"output": {"rows": ["x" * 100] * 400}})
    with transaction.atomic():
        ledger.record([entry], now=now)
    Blob.objects.update(value=b'{"rows":[]}')
    assert reports.openings_of([entry.id]) == {entry.id: {}}
