"""Workers that vanish around an approval, as kill -9 leaves them: it is asked for once, used once, and the call goes out once."""

from pathlib import Path

import pytest

from approvals import services
from approvals.models import Decision, Request
from audit import reports
from audit.models import Entry
from runs.models import Call, Run, Wait
from tests import approving, pipelines
from tests.approving import member

pytestmark = pytest.mark.django_db(transaction=True)
WORK = """
import os, time
from pathlib import Path
import orchestra

def act(book: str) -> dict:
    with open(book, "a") as file:
        file.write(orchestra.context()["idempotency_key"] + "\\n")
    orchestra.progress("acting")
    time.sleep(0.4)
    return {}
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return tmp_path / "book"


def begun(tmp_path: Path, book: Path, *, mode: str) -> Run:
    more = f'mode: {mode}\nuses: ["write deploy:production"]\npermissions: ["{approving.RULE}"]'
    worker = pipelines.agent("worker", "work:act", role="act", more=more)
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[worker], steps="- {id: work, agent: worker, with: {book: =input.book}}")
    return pipelines.start(input={"book": str(book)})


def approve(run: Run, *, by: str = "bob") -> Request:
    request = approving.request_of(run)
    return services.decide(request=str(request.pk), decision="approved", actor=member(by, "platform"))


def waits(run: Run) -> list[str]:
    return list(Wait.objects.filter(run=run, kind="approval").order_by("id").values_list("state", flat=True))


def acts(book: Path) -> list[str]:
    return book.read_text().splitlines() if book.exists() else []


@pytest.mark.parametrize("at", ["runs.run.started", "runs.step.started", "runs.step.waiting", "runs.run.waiting"])
def test_one_that_vanishes_before_the_answer_has_people_asked_once(tmp_path: Path, book: Path, at: str) -> None:
    run = begun(tmp_path, book, mode="{idempotent: =input.book}")
    pipelines.crash(run, at=at)
    assert pipelines.drive(run)["label"] == "waiting for an approval"
    assert (waits(run), acts(book)) == (["open"], [])
    approve(run)
    assert (pipelines.drive(run)["outcome"], len(acts(book))) == ("verified", 1)


@pytest.mark.parametrize("at", ["runs.run.resumed", "runs.step.started"])
def test_one_that_vanishes_after_the_answer_leaves_it_to_the_next_who_uses_it_once(tmp_path: Path, book: Path, at: str) -> None:
    run = begun(tmp_path, book, mode="{idempotent: =input.book}")
    pipelines.drive(run)
    request = approve(run)
    pipelines.crash(run, at=at)
    assert pipelines.drive(run)["outcome"] == "verified"
    assert (waits(run), Call.objects.filter(approval=request.pk).count(), len(set(acts(book)))) == (["answered"], 1, 1)
    assert Entry.objects.filter(run=run.id, verb="runs.approval.consumed").count() == 1
    assert reports.chain_problems(run.id) == []


def test_a_call_that_may_be_sent_again_is_sent_again_with_the_same_yes(tmp_path: Path, book: Path) -> None:
    run = begun(tmp_path, book, mode="{idempotent: =input.book}")
    pipelines.drive(run)
    request = approve(run)
    pipelines.crash(run, at="progress")
    assert pipelines.drive(run)["outcome"] == "verified"
    assert (len(set(acts(book))), Decision.objects.count(), Call.objects.get(step="work").approval_id) == (1, 1, request.pk)


def test_a_call_that_acts_at_most_once_waits_for_a_word_on_it_and_made_anew_it_asks_again(tmp_path: Path, book: Path) -> None:
    from datetime import timedelta

    from audit import clock
    from runs.models import Resolution
    from runs.services import Settlement, settle_call

    run = begun(tmp_path, book, mode="at_most_once")
    pipelines.drive(run)
    approve(run)
    pipelines.crash(run, at="progress")
    assert pipelines.drive(run)["label"].startswith("waiting for a word on a call")
    Call.objects.filter(run=run).update(not_after=clock.now() - timedelta(minutes=1))
    settlement = Settlement(Resolution.NOT_DONE, None, "nothing is there")
    settle_call(call=str(Call.objects.get(run=run, step="work").id), settlement=settlement, actor=member("bob", "platform"))
    assert pipelines.drive(run)["label"] == "waiting for an approval"
    assert (waits(run), len(acts(book))) == (["answered", "open"], 1)
    approve(run, by="carol")  # whoever says that nothing was done doesn't also say that it be done again
    assert (pipelines.drive(run)["outcome"], len(acts(book))) == ("verified", 2)
