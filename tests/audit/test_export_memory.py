"""What an export holds at once: as much for many entries as for few, so that a ledger of any size can be exported."""

import os
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from django.db import transaction

from audit import exports, ledger
from audit.actors import Actor
from audit.ledger import Draft
from audit.reports import Filters

CHUNK = 50


def peak_bytes(form: str) -> int:
    with Path(os.devnull).open("wb") as nowhere:
        tracemalloc.start()
        try:
            made = exports.make_export(form=form, filters=Filters(), into=nowhere, actor=Actor.system("test"))
            return tracemalloc.get_traced_memory()[1] if made.count else 0
        finally:
            tracemalloc.stop()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_of_many_entries_holds_no_more_at_once_than_one_of_few(
    draft: Callable[..., Draft], now: datetime, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:  # fmt: skip
    monkeypatch.setattr(exports, "_CHUNK", CHUNK)

    def filled(entries: int) -> None:
        with transaction.atomic():
            ledger.record([draft(facts={"said": "x" * 500}) for _ in range(entries)], now=now)

    filled(4 * CHUNK)
    peak_bytes(form)  # what is loaded and kept from now on
    few = peak_bytes(form)
    filled(76 * CHUNK)  # twenty times as many
    assert peak_bytes(form) < 3 * few, "what has not been collected yet is there too; all rows at once would be far more"
