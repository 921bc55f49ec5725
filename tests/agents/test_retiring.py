"""Taking out of use and bringing back: what starts, what is refused, what stays."""

from pathlib import Path

import pytest

from agents import registry
from agents.errors import NotGranted, NotPublishable, Retired, UnknownAgent
from agents.models import Agent, Pipeline
from audit.errors import Conflict, Invalid, OrchestraError
from tests.agents.folders import PIPELINE, READER, numbers
from tests.agents.inventory import MEMBER, ONLOOKER, SYSTEM, facts_of, publish, release

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _published(tmp_path: Path) -> None:
    publish(numbers(tmp_path / "one"))


def test_a_retired_pipeline_starts_nothing_until_it_is_reinstated() -> None:
    registry.retire("numbers", actor=MEMBER, reason="replaced")
    for draft in (False, True):
        with pytest.raises(Retired, match="reinstate numbers"):
            release(draft=draft)
    with pytest.raises(Retired):
        registry.publish("numbers", actor=SYSTEM)
    assert registry.reinstate("numbers", actor=MEMBER).state == "active"
    assert release().pipeline.name == "numbers"
    assert facts_of("agents.pipeline.retired") == [{"was": "active"}]
    assert facts_of("agents.pipeline.reinstated") == [{"state": "active"}]


def test_an_agent_that_a_pipeline_in_use_needs_cannot_be_retired() -> None:
    with pytest.raises(Conflict, match="needed by 'numbers'"):
        registry.retire("reader", actor=SYSTEM, reason="old")
    assert Agent.objects.get(name="reader").state == "active"
    registry.retire("numbers", actor=SYSTEM, reason="old")
    assert registry.retire("reader", actor=SYSTEM, reason="old").state == "retired"
    with pytest.raises(Conflict, match="needs agent reader"):
        registry.reinstate("numbers", actor=SYSTEM)
    assert registry.reinstate("reader", actor=SYSTEM).state == "suspended"  # as it may have been: whoever brings it back looks at it first
    assert registry.resume("reader", actor=SYSTEM).state == "active"
    assert registry.reinstate("numbers", actor=SYSTEM).state == "active"
    assert facts_of("agents.agent.retired") == [{"was": "active"}]
    assert facts_of("agents.agent.reinstated") == [{"state": "suspended"}]


def test_what_is_retired_is_not_published(tmp_path: Path) -> None:
    registry.retire("numbers", actor=SYSTEM, reason="old")
    registry.retire("reader", actor=SYSTEM, reason="old")
    with pytest.raises(NotPublishable) as refused:
        publish(numbers(tmp_path / "two", pipeline=PIPELINE.replace("1m", "2m")))
    assert any("'reader' is retired" in str(problem) for problem in refused.value.details["problems"])


@pytest.mark.parametrize("options", [{}, {"publish": True}, {"dry_run": True}])
def test_a_retired_pipeline_is_not_applied_before_it_is_reinstated(tmp_path: Path, options: dict[str, bool]) -> None:
    registry.retire("numbers", actor=SYSTEM, reason="old")
    changed = numbers(tmp_path / "two", pipeline=PIPELINE.replace("1m", "2m"))
    with pytest.raises(NotPublishable) as refused:
        registry.apply_folder(changed, actor=SYSTEM, **options)
    assert any("'numbers' is retired; `manage.py reinstate numbers` brings it back" in str(one) for one in refused.value.details["problems"])
    assert Pipeline.objects.get(name="numbers").versions.count() == 1
    registry.reinstate("numbers", actor=SYSTEM)
    registry.apply_folder(changed, actor=SYSTEM, **options)


@pytest.mark.parametrize("name", ["numbers", "reader"])
def test_what_is_retired_is_not_rolled_back_and_that_is_an_entry(tmp_path: Path, name: str) -> None:
    publish(numbers(tmp_path / "two", pipeline=PIPELINE.replace("1m", "2m"), reader=READER.replace("5s", "6s")))
    registry.retire("numbers", actor=SYSTEM, reason="old")
    registry.retire("reader", actor=SYSTEM, reason="old")
    before = release_of("numbers")
    with pytest.raises(Retired, match=f"reinstate {name}"):
        registry.rollback(name, actor=SYSTEM)
    with pytest.raises(Retired, match=f"reinstate {name}"):
        registry.preview(name, actor=SYSTEM)
    assert release_of("numbers") == before
    assert facts_of("agents.version.refused")[-1]["code"] == "retired"


def release_of(pipeline: str) -> str:
    current = Pipeline.objects.get(name=pipeline).current_release
    assert current is not None
    return current.digest


def test_what_is_so_already_is_a_conflict_with_an_entry() -> None:
    with pytest.raises(Conflict, match="not retired but active"):
        registry.reinstate("numbers", actor=SYSTEM)
    registry.retire("numbers", actor=SYSTEM, reason="old")
    with pytest.raises(Conflict, match="retired already"):
        registry.retire("numbers", actor=SYSTEM, reason="old")
    assert [facts["asked"] for facts in facts_of("agents.agent.refused")] == ["reinstate", "retire"]


def test_a_retirement_has_a_reason_and_a_member() -> None:
    with pytest.raises(Invalid, match="needs a reason"):
        registry.retire("numbers", actor=SYSTEM, reason=" ")
    with pytest.raises(NotGranted):
        registry.retire("numbers", actor=ONLOOKER, reason="old")
    assert Pipeline.objects.get(name="numbers").state == "active"


def test_every_move_of_a_state_is_in_the_history_of_its_row() -> None:
    registry.suspend("reader", actor=SYSTEM, reason="look")
    registry.resume("reader", actor=SYSTEM)
    states = list(Agent.objects.get(name="reader").history.order_by("-history_id").values_list("state", flat=True)[:2])
    assert states == ["active", "suspended"]


@pytest.mark.parametrize(
    ("name", "reason", "code"), [("nobody", "old", "unknown-pipeline"), ("numbers", " ", "invalid"), ("a\u202eb", "old", "unknown-pipeline")]
)
def test_whatever_is_refused_leaves_an_entry(name: str, reason: str, code: str) -> None:
    with pytest.raises(OrchestraError):
        registry.retire(name, actor=SYSTEM, reason=reason)
    assert facts_of("agents.agent.refused") == [{"code": code, "asked": "retire", "problems": 1}]


def test_nothing_is_brought_back_that_is_not_there_and_that_is_an_entry() -> None:
    with pytest.raises(UnknownAgent):
        registry.reinstate("numbers", actor=SYSTEM, kind=Agent)
    assert facts_of("agents.agent.refused") == [{"code": "unknown-agent", "asked": "reinstate", "problems": 1}]
