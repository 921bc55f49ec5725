"""A handful of the crash matrix, with real processes: whatever happens to a worker, its runs end as they would have, and nothing happens twice."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runs import services
from runs.store import committer
from runs.store.transitions import Transition
from runs.store.writing import commit
from tests import pipelines
from tests.chaos import faults, matrix, outside, workload
from tests.chaos.arena import until
from tests.chaos.faults import Fault, Trap
from tests.chaos.matrix import Case
from tests.chaos.points import FAILING, POINTS, TRANSITIONS
from tests.chaos.results import Result

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def broken(tmp_path: Path, shell_environment: dict[str, str]) -> Callable[..., Result]:
    """Play one case; what it has shown, with logs and stories where something is wrong."""

    def played(point: str, kind: str, hit: int = 1) -> Result:
        workload.publish(tmp_path / "pipelines")
        result = matrix.run(Case(point, kind, hit, journeys=1), tmp_path / "case", shell_environment)
        assert result.problems == [], f"{result.problems}\n{result.log}"
        return result

    return played


def test_a_worker_killed_within_a_transaction_leaves_nothing_of_it(broken: Callable[..., Result]) -> None:
    assert broken("settle.written", "kill").faults == ["kill"]


def test_a_worker_stopped_for_longer_than_its_lease_with_what_was_answered_in_its_hands(broken: Callable[..., Result]) -> None:
    assert broken("late.before", "raise").faults == ["stop", "raise"]


def test_a_worker_that_does_not_hear_that_its_intents_were_written(broken: Callable[..., Result]) -> None:
    assert broken("intent.after", "raise").faults == ["raise"]


def test_an_act_that_may_be_done_at_most_once_is_looked_up_when_its_worker_was_killed_with_the_answer(broken: Callable[..., Result]) -> None:
    assert broken("tell.after", "kill").faults == ["kill"]


def test_every_point_wraps_a_function_of_the_product_that_is_there() -> None:
    assert len(FAILING) > 60
    for point in POINTS.values():
        owner, attribute = faults._located(point.target)
        assert callable(getattr(owner, attribute)), point.name


def test_every_point_of_a_transition_can_be_asked_of_what_a_worker_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that can't be asked would break the worker that it is to watch, and its case would only wait in vain."""
    written: list[Sequence[Transition]] = []
    monkeypatch.setattr(committer, "commit", lambda batch: (written.append(batch), commit(batch))[1])
    worker = pipelines.agent("worker", "work:work")
    pipelines.publish(tmp_path, functions="def work() -> dict:\n    return {}", agents=[worker], steps="- {id: w, agent: worker}")
    assert pipelines.run()["outcome"] == "verified"
    met = {name for name, (is_meant, _) in TRANSITIONS.items() for batch in written for each in batch if is_meant(each)}
    assert met == {"begin", "intent", "settle", "finish"}


@pytest.mark.parametrize("door", matrix.DOORS)
def test_every_point_of_a_door_lies_on_its_way(door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that doesn't would never be met, and its cases would show nothing."""
    workload.publish(tmp_path / "pipelines")
    asked = outside.asked(workload.JOURNEY, "one", workload.make_world(tmp_path / "world"))
    if door != "start":
        run = services.start_run(actor=outside.BOB, **asked)
        until(lambda: pipelines.drive(run)["waits"][0]["kind"] == "signal", "the wait for a signal")
        asked = {"run": str(run.id)} | ({"signal": "go", "payload": {}} if door == "answer" else {})
    met: list[str] = []
    trap = Trap((), tmp_path, door)
    monkeypatch.setattr(trap, "reached", lambda point: met.append(point.name))
    mine = [point for point in POINTS.values() if point.scene == door]
    for point in mine:
        owner, attribute = faults._located(point.target)
        monkeypatch.setattr(owner, attribute, faults._wrapped(getattr(owner, attribute), point, trap))
    getattr(services, matrix.DOORS[door])(actor=outside.BOB, **asked)
    assert set(met) == {point.name for point in mine} and len(mine) == 3


def test_a_fault_strikes_once_at_the_hit_that_was_asked_for_and_leaves_a_mark(tmp_path: Path) -> None:
    trap = Trap((Fault("claim.before", "raise", hit=2),), tmp_path, "worker")
    point = POINTS["claim.before"]
    trap.reached(POINTS["claim.after"])
    trap.reached(point)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(point.error, match="injected"):
        trap.reached(point)
    trap.reached(point)
    assert [path.name for path in tmp_path.iterdir()] == ["worker.struck.1"]


def test_a_fault_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no fault 'kill' at 'claim\.during'"):
        Fault("claim.during", "kill")
