"""What holds at once and what only with a publication; suspending and resuming, which hold at once for everything."""

import json
from pathlib import Path

import pytest

from agents import registry
from agents.errors import NotGranted, UnknownAgent
from agents.models import Agent, Standing
from agents.spec.permissions import MAX_PERMISSIONS
from audit.canonical import digest
from audit.errors import Conflict, Invalid
from audit.models import Entry, Opening
from tests.agents.folders import AUDITOR, READER, numbers
from tests.agents.inventory import MEMBER, ONLOOKER, OUTSIDER, SYSTEM, facts_of, pinned, problems_of, publish, release, verbs

pytestmark = pytest.mark.django_db
OTHER = READER.replace("allow read file:*", "allow read feed:*")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return numbers(tmp_path / "one")


def draft(folder: Path, **options: bool) -> registry.Applied:
    return registry.apply_folder(folder, actor=SYSTEM, **options)


def reader() -> Agent:
    return Agent.objects.get(name="reader")


def changed_paths(applied: registry.Applied) -> list[str]:
    return [field.path for change in applied.changes if change.name == "reader" for field in change.fields]


# Permissions and roles -------------------------------------------------------------------------------------------------------------


def test_a_draft_changes_no_permission_of_what_is_published(folder: Path) -> None:
    publish(folder)
    before = len(Entry.objects.filter(verb="agents.agent.permitted"))
    assert changed_paths(draft(numbers(folder, reader=OTHER))) == ["permissions"]
    assert reader().permissions == ["allow read file:*"]
    assert len(Entry.objects.filter(verb="agents.agent.permitted")) == before


def test_publishing_puts_the_drafts_permissions_in_force_with_an_entry(folder: Path) -> None:
    publish(folder)
    draft(numbers(folder, reader=OTHER))
    publish(folder)
    assert reader().permissions == ["allow read feed:*"]
    assert facts_of("agents.agent.permitted")[-1] == {"granted": 1, "withdrawn": 1, "digest": digest(["allow read feed:*"])}
    entry = Entry.objects.filter(verb="agents.agent.permitted").latest("id")
    told = Opening.objects.get(entry=entry.pk, path="permissions")
    assert json.loads(bytes(told.value)) == {"granted": ["allow read feed:*"], "withdrawn": ["allow read file:*"]}


def test_as_many_permissions_as_a_file_may_hold_are_published_and_taken_back(folder: Path) -> None:
    line = "allow read file:" + "x" * 180
    many = ", ".join(f'"{line}{number:04}"' for number in range(MAX_PERMISSIONS))
    publish(numbers(folder, reader=READER.replace('"allow read file:*"', many)))
    assert len(reader().permissions) == MAX_PERMISSIONS
    publish(numbers(folder))
    assert facts_of("agents.agent.permitted")[-1]["withdrawn"] == MAX_PERMISSIONS


def test_more_or_longer_permissions_are_problems_of_their_lines(folder: Path) -> None:
    many = READER.replace('"allow read file:*"', ", ".join(['"allow read file:x"'] * (MAX_PERMISSIONS + 1)))
    assert problems_of(numbers(folder, reader=many)) == [
        "numbers.yaml:11: 'permissions' of the agent 'reader' has 501 lines; write at most 500, with a * at the end of what belongs together"
    ]
    long = READER.replace("file:*", "file:" + "x" * 200)
    (said,) = problems_of(numbers(folder, reader=long))
    assert said.startswith("numbers.yaml:11: the permission 'allow read file:xxx") and said.endswith("has 216 characters; write at most 200")


def test_a_dry_run_of_a_publication_changes_no_permission(folder: Path) -> None:
    publish(folder)
    draft(numbers(folder, reader=OTHER), publish=True, dry_run=True)
    assert reader().permissions == ["allow read file:*"]


def test_an_agent_that_was_never_published_has_its_drafts_permissions(folder: Path) -> None:
    draft(folder)
    assert reader().permissions == ["allow read file:*"]
    draft(numbers(folder, reader=OTHER))
    assert reader().permissions == ["allow read feed:*"]


def test_a_suspended_draft_still_has_its_drafts_permissions(folder: Path) -> None:
    draft(folder)
    registry.suspend("reader", actor=SYSTEM, reason="wait")
    draft(numbers(folder, reader=OTHER))
    assert reader().permissions == ["allow read feed:*"]


def test_rolling_an_agent_back_brings_its_permissions_back(folder: Path) -> None:
    publish(folder)
    publish(numbers(folder, reader=OTHER))
    assert reader().permissions == ["allow read feed:*"]
    registry.rollback("reader", actor=SYSTEM)
    assert reader().permissions == ["allow read file:*"]


def test_rolling_a_pipeline_back_leaves_the_permissions_of_its_agents_published_versions(folder: Path) -> None:
    publish(folder)
    publish(numbers(folder, reader=OTHER))
    registry.rollback("numbers", actor=SYSTEM)
    assert pinned(release())["reader"] == 1
    assert reader().permissions == ["allow read feed:*"]


def test_a_role_follows_publication_and_ownership_holds_at_once(folder: Path) -> None:
    publish(folder)
    draft(numbers(folder, reader=READER.replace("gather", "decide").replace("Read a number.", "Read one.")))
    assert (reader().role, reader().purpose) == ("gather", "Read one.")
    publish(folder)
    assert reader().role == "decide"
    assert facts_of("agents.agent.changed") == [{"fields": ["purpose"]}, {"fields": ["role"]}]


# Suspending ------------------------------------------------------------------------------------------------------------------------


def test_a_suspended_agent_is_resumed_with_an_entry_each(folder: Path) -> None:
    publish(folder)
    assert registry.suspend("reader", actor=MEMBER, reason=" reads nonsense ").state == Standing.SUSPENDED
    assert facts_of("agents.agent.suspended") == [{"was": "active"}]
    assert bytes(Opening.objects.get(path="reason").value) == b'"reads nonsense"'
    assert registry.resume("reader", actor=MEMBER).state == Standing.ACTIVE
    assert facts_of("agents.agent.resumed") == [{"state": "active"}]


def test_an_agent_that_was_never_published_is_a_draft_again(folder: Path) -> None:
    draft(folder)
    registry.suspend("reader", actor=SYSTEM, reason="wait")
    assert registry.resume("reader", actor=SYSTEM).state == Standing.DRAFT


def test_an_agent_published_while_suspended_is_active_once_resumed(folder: Path) -> None:
    draft(folder)
    registry.suspend("reader", actor=SYSTEM, reason="wait")
    publish(folder)
    assert reader().state == Standing.SUSPENDED
    assert registry.resume("reader", actor=SYSTEM).state == Standing.ACTIVE


def test_asking_twice_changes_nothing_and_says_so(folder: Path) -> None:
    publish(folder)
    with pytest.raises(Conflict, match="not suspended but active"):
        registry.resume("reader", actor=SYSTEM)
    registry.suspend("reader", actor=SYSTEM, reason="once")
    before = verbs()
    with pytest.raises(Conflict, match=r"suspended already; `manage\.py resume reader`"):
        registry.suspend("reader", actor=SYSTEM, reason="twice")
    assert verbs() == [*before, "agents.agent.refused"]
    assert facts_of("agents.agent.refused") == [{"asked": asked, "code": "conflict", "problems": 1} for asked in ("resume", "suspend")]


def test_a_retired_agent_is_neither_suspended_nor_resumed(folder: Path) -> None:
    publish(folder)
    Agent.objects.filter(name="reader").update(state=Standing.RETIRED)
    with pytest.raises(Conflict, match="is retired and doesn't work anyway"):
        registry.suspend("reader", actor=SYSTEM, reason="x")
    with pytest.raises(Conflict, match="not suspended but retired"):
        registry.resume("reader", actor=SYSTEM)


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 1_001, "a\0b", "\ud800"])
def test_a_suspension_needs_a_reason_that_can_be_kept(folder: Path, reason: str) -> None:
    publish(folder)
    with pytest.raises(Invalid, match="reason"):
        registry.suspend("reader", actor=SYSTEM, reason=reason)
    assert reader().state == Standing.ACTIVE
    assert facts_of("agents.agent.refused") == [{"asked": "suspend", "code": "invalid", "problems": 1}]


def test_an_outsider_suspends_and_resumes_nothing(folder: Path) -> None:
    publish(folder)
    with pytest.raises(UnknownAgent, match="none yet that you may see"):
        registry.suspend("reader", actor=OUTSIDER, reason="x")
    with pytest.raises(NotGranted):
        registry.suspend("reader", actor=ONLOOKER, reason="x")
    registry.suspend("reader", actor=SYSTEM, reason="x")
    with pytest.raises(NotGranted):
        registry.resume("reader", actor=ONLOOKER)
    assert reader().state == Standing.SUSPENDED
    refused = [("suspend", "unknown-agent"), ("suspend", "denied"), ("resume", "denied")]
    assert facts_of("agents.agent.refused") == [{"asked": asked, "code": code, "problems": 1} for asked, code in refused]


def test_an_unknown_agent_names_the_nearest(folder: Path) -> None:
    publish(folder)
    with pytest.raises(UnknownAgent, match="there is no agent 'raeder'; did you mean 'reader'"):
        registry.suspend("raeder", actor=SYSTEM, reason="x")


@pytest.mark.parametrize(
    ("name", "subject"),
    [("raeder", "agent:raeder"), ("x" * 300, "agent:" + "x" * 100), ("", "agent:?"), ("\x1b[2J", "agent:?"), ("\udcff", "agent:?")],
)
def test_a_refusal_names_what_was_typed_where_that_can_be_a_name(folder: Path, name: str, subject: str) -> None:
    publish(folder)
    for ask in (lambda: registry.suspend(name, actor=SYSTEM, reason="x"), lambda: registry.resume(name, actor=SYSTEM)):
        with pytest.raises(UnknownAgent):
            ask()
    found = Entry.objects.filter(verb="agents.agent.refused")
    assert [(entry.subject, entry.envelope()["facts"]["code"]) for entry in found] == [(subject, "unknown-agent")] * 2


def test_a_pipeline_with_a_suspended_agent_still_has_its_release(folder: Path) -> None:
    publish(folder)
    before = release()
    registry.suspend("reader", actor=SYSTEM, reason="x")
    assert release() == before
    assert release(draft=True) == before
    publish(numbers(folder, auditor=AUDITOR.replace("5s", "9s")))
    assert pinned(release()) == {"auditor": 2, "reader": 1}
