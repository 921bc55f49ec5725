"""Many requests: whatever time or a policy does to one is noticed wherever it stands, and a list costs as many statements for many as for few."""

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals import services
from approvals.models import Request
from approvals.services import Inbox, inbox, intake
from audit import clock
from runs.models import Wait
from tests import approving, waiting
from tests.approving import member

pytestmark = pytest.mark.django_db(transaction=True)
RULE = f"{approving.RULE} policy two"
ONE = "kind: policy\nname: two\nteam: platform\napprovers: {teams: [platform]}"
ESCALATES = f"{ONE}\nwithin: 1h\nsilence: {{escalate: {{approvers: {{people: [dora]}}, within: 2h}}}}"


def statements(work: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as seen:
        work()
    return len(seen)


def started(many: int) -> list[Request]:
    return [approving.started(input={"feed": f"p{number}"})[1] for number in range(many)]


def test_a_stage_begins_also_for_what_ends_after_many_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    member("dora")
    approving.publish(tmp_path, rule=RULE, policy=ESCALATES)
    *others, last = started(4)
    monkeypatch.setattr(intake, "MOST", 1)
    Wait.objects.filter(pk__in=[each.pk for each in others]).update(expires_at=last.wait.expires_at - timedelta(minutes=1))
    approving.age(last, timedelta(hours=1, seconds=1))
    assert services.waiting_for(approving.actor("dora"), most=10) == [last]
    last.refresh_from_db()
    assert (last.escalated_to, last.look_at) == (1, last.wait.expires_at)


def test_what_is_over_is_not_looked_at_again_and_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    member("dora")
    approving.publish(tmp_path, rule=RULE, policy=ESCALATES)
    first, second = started(2)
    monkeypatch.setattr(intake, "MOST", 1)
    waiting.expire(first.wait.run)
    for request in (first, second):
        approving.age(request, timedelta(hours=1, seconds=1))
    for _ in range(2):
        services.tend()
    assert [Request.objects.get(pk=each.pk).watched for each in (first, second)] == [False, True]
    assert Request.objects.get(pk=second.pk).escalated_to == 1
    assert services.listed([Request.objects.get(pk=first.pk)], clock.now())[0]["state"] == "expired"


def test_a_policy_that_changes_voids_everything_that_was_asked_under_it_however_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    approving.publish(tmp_path / "first", rule=RULE, policy=ONE)
    asked = started(3)
    monkeypatch.setattr(intake, "MOST", 1)
    approving.publish(tmp_path / "second", rule=RULE, policy=ONE + "\nrequired: 2")
    for left in (2, 1, 0):
        services.tend()
        assert Wait.objects.filter(pk__in=[each.pk for each in asked], state="open").count() == left
    assert {each["state"] for each in services.listed(Request.objects.all(), clock.now())} == {"void"}


def test_what_somebody_may_decide_is_found_behind_what_they_may_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "AT_ONCE", 2)
    approving.publish(tmp_path)
    asked = started(5)
    for request in asked[:4]:
        Wait.objects.create(
            run=request.wait.run, step="told", kind="signal", state="answered", opened_at=clock.now(), expires_at=clock.now(), ended_at=clock.now(),
            answered_by="person:bob", answer_entry=request.pk,
        )  # fmt: skip
    assert services.waiting_for(member("bob", "platform"), most=10) == asked[4:]


def test_a_list_costs_as_many_statements_for_many_as_for_few(tmp_path: Path) -> None:
    approving.publish(tmp_path, rule=RULE, policy=ONE + "\nrequired: 2")
    bob, carol = member("bob", "platform"), member("carol", "platform")

    def listed() -> Any:
        return services.listed(list(services.requests_wanted(Inbox(), actor=bob, now=clock.now())), clock.now())

    counts = []
    for _ in range(2):
        for request in started(3):
            services.decide(request=str(request.pk), decision="approved", actor=carol)
        counts.append((statements(listed), statements(lambda: services.waiting_for(bob, most=10))))
    assert len(listed()) == 6 and counts[0] == counts[1]


def test_requests_of_before_are_read_into_the_columns_that_find_them(tmp_path: Path) -> None:
    from django.apps import apps

    approving.publish(tmp_path, rule=RULE, policy=ONE)
    (request,) = started(1)
    Request.objects.update(policy_name="", policy_number=0, team="")
    import_module("approvals.migrations.0003_policies_of_requests").name_policies(apps, None)
    request.refresh_from_db()
    assert (request.policy_name, request.policy_number, request.team) == ("two", 1, "platform")
