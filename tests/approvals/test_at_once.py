"""Several who decide, and time or a cancel that comes in the same moment: one of them was first, and everybody else is told."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from approvals import services
from approvals.errors import AlreadyDecided
from approvals.models import Decision, Request
from audit import clock, reports
from audit.actors import Actor
from audit.errors import OrchestraError
from runs.models import Call, Run, Wait
from runs.services import cancel_run
from tests import approving, pipelines
from tests.approving import member

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_S = 60
NAMES = ("bob", "carol", "dora", "erin")


def at_once(works: Sequence[Callable[[], Any]], patience_s: float = PATIENCE_S) -> list[Any]:
    """What each came to, or the refusal that it met; all begin together."""
    begin, found = threading.Barrier(len(works)), dict[int, Any]()

    def run(place: int, work: Callable[[], Any]) -> None:
        begin.wait(PATIENCE_S)
        try:
            found[place] = work()
        except OrchestraError as refusal:
            found[place] = refusal
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(place, work)) for place, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patience_s)
        assert not thread.is_alive()
    return [found[place] for place in range(len(works))]


def says(request: Request, who: Actor, decision: str) -> Callable[[], Request]:
    return lambda: services.decide(request=str(request.pk), decision=decision, reason="looked at it", actor=who)


def test_of_many_who_decide_at_once_one_counts_and_the_others_are_told(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path)
    people = [member(name, "platform") for name in NAMES]
    words = ["approved", "declined", "approved", "declined"]
    came_to = at_once([says(request, who, word) for who, word in zip(people, words, strict=True)])
    taken = [each for each in came_to if isinstance(each, Request)]
    told = [each for each in came_to if isinstance(each, AlreadyDecided)]
    assert (len(taken), len(told), Decision.objects.count()) == (1, 3, 1)
    said = pipelines.drive(run)
    approved = Decision.objects.get().decision == "approved"
    assert (said["outcome"], approving.calls(run)) == (("verified", 1) if approved else ("failed", 0))
    assert reports.chain_problems(run.id) == []


def test_as_many_as_are_needed_count_when_all_approve_at_once_and_the_call_goes_out_once(tmp_path: Path) -> None:
    policy = "kind: policy\nname: two\nteam: platform\napprovers: {teams: [platform]}\nrequired: 2"
    run, request = approving.waiting(tmp_path, rule=f"{approving.RULE} policy two", policy=policy)
    people = [member(name, "platform") for name in NAMES]
    came_to = at_once([says(request, who, "approved") for who in people])
    assert sorted(type(each).__name__ for each in came_to) == ["AlreadyDecided", "AlreadyDecided", "Request", "Request"]
    assert pipelines.drive(run)["outcome"] == "verified"
    assert (Decision.objects.count(), Call.objects.filter(approval=request.pk).count()) == (2, 1)


def test_a_cancel_and_a_decision_at_once_send_nothing_after_the_cancel(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path)
    bob = member("bob", "platform")
    cancelled, decided = at_once([lambda: cancel_run(run=str(run.id), actor=pipelines.SYSTEM), says(request, bob, "approved")])
    assert isinstance(cancelled, Run) and isinstance(decided, Request | AlreadyDecided)
    assert pipelines.document(run)["outcome"] in ("cancelled", None)
    assert pipelines.drive(run)["outcome"] == "cancelled"
    assert approving.calls(run) == 0


@pytest.mark.parametrize("late_ms", [-60, 0, 60])
def test_its_time_and_a_decision_at_once_are_never_both(tmp_path: Path, late_ms: int) -> None:
    run, request = approving.waiting(tmp_path)
    bob = member("bob", "platform")
    ends = clock.now() + timedelta(milliseconds=300)
    Wait.objects.filter(pk=request.pk).update(expires_at=ends)
    Run.objects.filter(id=run.id).update(wake_at=ends, deadline_at=ends)

    def decide_then() -> Any:
        while clock.now() < ends + timedelta(milliseconds=late_ms):
            pass
        return says(request, bob, "approved")()

    _, decided = at_once([lambda: pipelines.drive(run), decide_then])
    said = pipelines.drive(run)
    if isinstance(decided, Request):
        assert (said["outcome"], approving.calls(run)) == ("verified", 1)
    else:
        assert (said["failure"]["cause"], approving.calls(run), Decision.objects.count()) == ("expired", 0, 0)


def test_two_engines_that_hear_of_a_yes_send_the_call_once(tmp_path: Path) -> None:
    run, request = approving.waiting(tmp_path)
    services.decide(request=str(request.pk), decision="approved", actor=member("bob", "platform"))
    at_once([lambda: pipelines.drive(run), lambda: pipelines.drive(run)])
    assert pipelines.document(run)["outcome"] == "verified"
    assert (approving.calls(run), Call.objects.filter(approval=request.pk).count()) == (1, 1)
