"""Several hosts, each in a network of its own, and one whose cable is pulled: it is fenced, nothing happens twice, and what it knows is kept."""

import pytest

from tests.chaos import cut
from tests.chaos.scenarios.hosts import why_not


@pytest.mark.slow
def test_a_host_that_is_cut_off_is_followed_and_says_late_what_it_knows() -> None:
    if reason := why_not():
        pytest.skip(reason)
    result = cut.played_apart(0, more=0)
    assert result.problems == [], f"{result.problems}\n{result.log}"
    assert (result.faults, result.runs) == (["cut"], 5)
