"""Instants as text: in UTC, and of a length that doesn't depend on the year."""

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from audit import clock, wording
from audit.instants import readable, recorded, to_the_second
from runs.engine.states import Effective, Integrity, Outcome, RunState
from runs.engine.values import instant_text

ROOT = Path(__file__).resolve().parent.parent.parent
EARLY = datetime(33, 4, 3, 15, 0, 0, 120, tzinfo=UTC)


def test_a_year_before_the_thousandth_has_four_digits_everywhere() -> None:
    assert (recorded(EARLY), to_the_second(EARLY), readable(EARLY)) == ("0033-04-03T15:00:00.000120Z", "0033-04-03T15:00:00Z", "0033-04-03 15:00:00")
    assert clock.to_text(EARLY) == instant_text(EARLY) == recorded(EARLY)
    assert clock.from_text(recorded(EARLY)) == EARLY
    assert wording.instant(EARLY) == readable(EARLY)
    assert Effective(RunState.FINISHED, Outcome.VERIFIED, Integrity.INTACT, EARLY).label == "verified as of 0033-04-03T15:00:00Z"


def test_an_instant_of_another_zone_is_written_in_utc() -> None:
    east = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert (recorded(east), readable(east)) == ("2026-02-28T23:30:00.000000Z", "2026-02-28 23:30:00")


@pytest.mark.parametrize("app", ["audit", "agents", "runs", "orchestra_site"])
def test_no_other_place_writes_a_year_by_itself(app: str) -> None:
    found = [path for path in (ROOT / app).rglob("*.py") if re.search(r"strftime\(|%Y-%m", path.read_text(encoding="utf-8"))]
    assert found == [], [str(Path(path).relative_to(ROOT)) for path in found]
