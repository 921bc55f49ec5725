"""A handful of the crash matrix, with real processes: whatever happens to a worker, its runs end as they would have, and nothing happens twice."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos import faults, matrix, workload
from tests.chaos.matrix import Case
from tests.chaos.points import FAILING, POINTS
from tests.chaos.results import Result

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def broken(tmp_path: Path, shell_environment: dict[str, str]) -> Callable[..., Result]:
    """Play one case; what it has shown, with the logs where something is wrong."""

    def played(point: str, kind: str) -> Result:
        workload.publish(tmp_path / "pipelines")
        result = matrix.run(Case(point, kind), tmp_path / "case", shell_environment)
        assert result.problems == [], result.log
        return result

    return played


def test_there_are_points_before_and_after_everything_that_a_worker_writes() -> None:
    assert len(FAILING) >= 60
    for point in POINTS.values():
        owner, attribute = faults._located(point.target)
        assert callable(getattr(owner, attribute)), point.name


def test_a_worker_killed_between_an_answer_and_its_record(broken: Callable[..., Result]) -> None:
    assert broken("tell.after", "kill").faults == ["kill"]
