"""Who wrote a version counts as its writer also where somebody else has stored it under their name, changed a little."""

from pathlib import Path

import pytest

from agents import registry
from agents.models import Agent, Pipeline, Version
from audit.actors import Actor
from tests.agents.inventory import SYSTEM
from tests.approving import member
from tests.pipelines import agent

pytestmark = pytest.mark.django_db(transaction=True)
CODE = "def f() -> dict:\n    return {'whose': 'bob'}\n"
MODEL = """kind: model
name: small
team: platform
provider: scripted
model: m
endpoint: replies.json
---
kind: agent
name: worker
team: platform
role: decide
purpose: Test.
input: {type: object}
output: {type: object}
run: {model: {alias: small, instructions: say.txt}}
timeout: 1s
"""


@pytest.fixture
def team(tmp_path: Path) -> None:
    store(tmp_path / "team", "kind: team\nname: platform", SYSTEM, publish=True)


@pytest.fixture
def alice(team: None) -> Actor:
    return member("alice", "platform")


@pytest.fixture
def bob(team: None) -> Actor:
    return member("bob", "platform")


def store(path: Path, text: str, by: Actor, *, publish: bool = False, code: str = CODE, says: str = "") -> None:
    path.mkdir()
    (path / "work.py").write_text(code, encoding="utf-8")
    (path / "say.txt").write_text(says, encoding="utf-8")
    (path / "replies.json").write_text("[]", encoding="utf-8")
    (path / "all.yaml").write_text(text, encoding="utf-8")
    registry.apply_folder(path, actor=by, publish=publish)


def worker(more: str) -> str:
    return agent("worker", "work:f", more=more)


def writers(owner: Agent | Pipeline | None = None) -> set[str]:
    version = Version.objects.of(owner or Agent.objects.get(name="worker")).order_by("number").last()
    assert version is not None
    return {who.removeprefix("person:") for who in registry.publishers_of([version], made=True)[registry.subject_of(version)]}


def test_a_draft_that_is_stored_anew_with_the_same_code_stays_its_writers_too(alice: Actor, bob: Actor, tmp_path: Path) -> None:
    store(tmp_path / "bobs", worker("risk_tier: low"), bob)
    store(tmp_path / "hers", worker("risk_tier: middle"), alice)
    assert writers() == {"alice", "bob"}


def test_code_that_was_brought_by_somebody_else_stays_theirs_whatever_stood_there_between(alice: Actor, bob: Actor, tmp_path: Path) -> None:
    store(tmp_path / "first", worker("risk_tier: low"), SYSTEM, publish=True, code=CODE.replace("bob", "none"))
    store(tmp_path / "bobs", worker("risk_tier: low"), bob)
    store(tmp_path / "gone", worker("risk_tier: low"), alice, code=CODE.replace("bob", "none"))  # his draft is discarded
    store(tmp_path / "hers", worker("risk_tier: middle"), alice)
    assert writers() == {"alice", "bob"}


def test_instructions_that_were_brought_by_somebody_else_stay_theirs(alice: Actor, bob: Actor, tmp_path: Path) -> None:
    for number, (said, by) in enumerate((("nothing", SYSTEM), ("what bob wants", bob), ("nothing", alice))):  # his draft is discarded
        store(tmp_path / str(number), MODEL, by, publish=by is SYSTEM, says=said)
    store(tmp_path / "hers", f"{MODEL}risk_tier: low", alice, says="what bob wants")
    assert writers() == {"alice", "bob"}


@pytest.mark.parametrize("says", ["what bob wants", "what bob wanted"])
def test_instructions_of_a_draft_stay_its_writers_under_another_name_or_changed_by_a_word(
    alice: Actor, bob: Actor, tmp_path: Path, says: str
) -> None:
    name = "worker" if says.endswith("wanted") else "clerk"
    store(tmp_path / "first", MODEL, SYSTEM, publish=True, says="nothing")
    store(tmp_path / "bobs", MODEL, bob, says="what bob wants")
    store(tmp_path / "hers", MODEL.replace("name: worker", f"name: {name}"), alice, says=says)
    assert writers(Agent.objects.get(name=name)) == {"alice", "bob"}


def test_whoever_wrote_a_draft_stays_its_writer_whatever_stands_in_its_place_next(alice: Actor, bob: Actor, tmp_path: Path) -> None:
    store(tmp_path / "first", worker("risk_tier: low"), SYSTEM, publish=True, code=CODE.replace("bob", "none"))
    store(tmp_path / "bobs", worker("risk_tier: low"), bob)
    store(tmp_path / "hers", worker("risk_tier: low"), alice, code=f"{CODE}# one line\n")
    store(tmp_path / "gone", worker("risk_tier: low"), alice, code=CODE.replace("bob", "none"))  # her draft is discarded
    store(tmp_path / "again", worker("risk_tier: middle"), alice, code=f"{CODE}# one line\n")
    assert writers() == {"alice", "bob"}


def test_what_is_left_of_a_draft_is_its_writers_and_what_is_not_is_nobodys(alice: Actor, bob: Actor, tmp_path: Path) -> None:
    store(tmp_path / "first", worker("risk_tier: low"), SYSTEM, publish=True)
    store(tmp_path / "bobs", worker("rate: 5/1h"), bob)
    store(tmp_path / "hers", worker("risk_tier: low\nrate: 5/1h"), alice)
    assert writers() == {"alice", "bob"}
    store(tmp_path / "again", worker("risk_tier: high"), alice)
    assert writers() == {"alice"}


def test_a_version_of_ones_own_code_or_of_a_shells_has_no_other_writer(alice: Actor, tmp_path: Path) -> None:
    for number, (tier, by) in enumerate((("low", SYSTEM), ("middle", alice), ("high", alice))):
        store(tmp_path / str(number), worker(f"risk_tier: {tier}"), by, publish=True)
    assert writers() == {"alice"}
