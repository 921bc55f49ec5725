"""What pipelines would run by a proposal: people see all of it, whoever wrote any of it doesn't say yes to it, and nothing else is run."""

from functools import partial
from pathlib import Path

import pytest

from agents import registry
from agents.models import Agent, Pipeline
from approvals.errors import NotYours, Voided
from approvals.services import proposal_documents
from audit.actors import Actor
from tests.approvals.test_proposals_held import WRITE, alice, decide, docs, sample, shown, tool  # noqa: F401 - a fixture among them
from tests.approving import actor, member
from tests.pipelines import agent
from tests.proposing import asked

pytestmark = pytest.mark.django_db(transaction=True)
LEAKS, SAFE = (f"def f() -> dict:\n    return {{'text': '{text}'}}\n" for text in ("secrets", "nothing"))
WITH_TOOL = "[{id: a, agent: worker}, {id: b, agent: tool}]"


def runs(pipeline: str) -> str:
    release = Pipeline.objects.select_related("current_release").get(name=pipeline).current_release
    assert release is not None
    return release.digest


def published(path: Path, text: str, by: Actor, **more: str) -> None:
    proposal = docs(path, text, by=by, publish=True, **more).proposal
    assert proposal is not None and decide(proposal, "carol") == "enacted"


@pytest.fixture
def leaked(alice: Actor, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    """bob's code ran in sample, until alice put hers in its place: in releases of the same version of the pipeline."""
    member("carol", "platform")
    for name, by, code in (("leaks", actor("bob"), LEAKS), ("safe", alice, SAFE)):
        docs(tmp_path / name, agent("worker", "work:f", more="risk_tier: low"), by=by, code=code)
        decide(asked(lambda: registry.publish("sample", actor=alice)), "carol")


@pytest.mark.usefixtures("leaked")
def test_a_pipeline_that_goes_back_shows_the_agents_and_the_code_that_it_brings_back(alice: Actor) -> None:  # noqa: F811
    proposal = asked(lambda: registry.rollback("sample", actor=alice))
    said = shown(proposal)
    assert said["pipeline:sample"] == ["release"] and "artifact" in said["agent:worker"]
    document = proposal_documents.document(proposal, actor=alice)
    assert "secrets" in str(document["code"]) and "bob" in document["authors"]


@pytest.mark.usefixtures("leaked")
def test_whoever_wrote_what_a_pipeline_brings_back_does_not_say_yes_to_it(alice: Actor) -> None:  # noqa: F811
    proposal = asked(lambda: registry.rollback("sample", actor=alice))
    with pytest.raises(NotYours, match="you wrote what it would publish"):
        decide(proposal, "bob")
    assert decide(proposal, "carol") == "enacted"


def test_whoever_published_an_agent_elsewhere_does_not_say_yes_to_its_coming_here(alice: Actor, tmp_path: Path) -> None:  # noqa: F811
    docs(tmp_path / "t", tool("red", f'permissions: ["{WRITE}"]'), by=member("bob", "red"), publish=True)
    proposes = (
        lambda: docs(tmp_path / "whole", sample(steps=WITH_TOOL), by=alice, publish=True).proposal,
        lambda: asked(lambda: registry.publish("sample", actor=alice)),
    )
    for propose in proposes:
        proposal = propose()
        assert proposal is not None
        with pytest.raises(NotYours, match="you wrote what it would publish"):
            decide(proposal, "bob")


def test_nor_to_its_coming_in_a_pipeline_that_is_run_here(alice: Actor, tmp_path: Path) -> None:  # noqa: F811
    child = sample("red", "[{id: a, agent: tool}]").replace("name: sample", "name: child")
    docs(tmp_path / "c", f"{tool('red')}\n---\n{child}", by=member("bob", "red"), publish=True)
    proposal = docs(tmp_path / "p", sample(steps="[{id: a, agent: worker}, {id: c, pipeline: child}]"), by=alice, publish=True).proposal
    assert proposal is not None
    with pytest.raises(NotYours, match="you wrote what it would publish"):
        decide(proposal, "bob")


def test_an_agent_goes_back_only_where_those_who_said_yes_saw_it(alice: Actor, tmp_path: Path) -> None:  # noqa: F811
    decide(asked(partial(registry.permit, Agent, "worker", grant=[WRITE], actor=alice)), "bob")
    decide(asked(lambda: registry.publish("sample", actor=alice)), "bob")
    proposal = asked(lambda: registry.rollback("worker", actor=alice))
    docs(tmp_path / "o", sample("red", "[{id: a, agent: worker}]").replace("name: sample", "name: other"), by=alice, publish=True)
    was = runs("other")
    with pytest.raises(Voided, match="pipelines would not run by it what they would have"):
        decide(proposal, "bob")
    assert runs("other") == was and shown(asked(lambda: registry.rollback("worker", actor=alice))).keys() >= {"pipeline:other", "pipeline:sample"}


def test_of_a_pipeline_that_is_made_anew_twice_the_last_release_is_shown(alice: Actor, tmp_path: Path) -> None:  # noqa: F811
    member("carol", "platform")
    published(tmp_path / "c", sample(steps="[{id: a, agent: worker}]").replace("name: sample", "name: child"), alice)
    published(tmp_path / "p", sample(steps="[{id: a, agent: worker}, {id: c, pipeline: child}]"), alice)
    decide(asked(partial(registry.permit, Agent, "worker", grant=["allow read feed:a"], actor=alice)), "bob")
    for name in ("child", "sample"):
        decide(asked(partial(registry.publish, name, actor=alice)), "bob")
    proposal = asked(lambda: registry.rollback("worker", to=1, actor=alice))
    changes = proposal_documents.document(proposal, actor=actor("bob"))["changes"]
    said = {each["subject"]: field["new"] for each in changes for field in each["fields"] if field["path"] == "release"}
    assert decide(proposal, "carol") == "enacted"
    assert said == {f"pipeline:{name}": runs(name) for name in ("child", "sample")}


def test_what_a_pipeline_runs_until_then_is_what_its_agents_are_held_against(alice: Actor, tmp_path: Path) -> None:  # noqa: F811
    """Not only what is in force of them: sample never ran the version that was given the permission."""
    decide(asked(partial(registry.permit, Agent, "worker", grant=[WRITE], actor=alice)), "bob")
    worker = agent("worker", "work:f", more=f'risk_tier: high\npermissions: ["{WRITE}"]')
    proposal = docs(tmp_path / "p", f"{worker}\n---\n{sample()}", by=alice, publish=True).proposal
    assert proposal is not None
    changes = proposal_documents.document(proposal, actor=actor("bob"))["changes"]
    fields = {each["from_version"]: {field["path"] for field in each["fields"]} for each in changes if each["subject"] == "agent:worker"}
    assert "permissions" in fields[1] and "permissions" not in fields[2] and "risk_tier" in fields[2]


def test_what_a_parent_runs_below_it_is_what_will_be_there(alice: Actor, tmp_path: Path) -> None:  # noqa: F811
    """The release that the folder makes of the child, not the one that runs until then."""
    member("carol", "platform")
    child = sample(steps="[{id: a, agent: worker}]").replace("name: sample", "name: child")
    parent = sample(steps="[{id: a, agent: worker}, {id: c, pipeline: child}]")
    published(tmp_path / "both", f"{child}\n---\n{parent}", alice)
    proposal = docs(tmp_path / "next", f"{child.replace('id: a', 'id: b')}\n---\n{parent}", by=alice, publish=True).proposal
    assert proposal is not None
    changes = proposal_documents.document(proposal, actor=actor("bob"))["changes"]
    pinned = {field["path"]: field["new"] for each in changes if each["subject"] == "pipeline:sample" for field in each["fields"]}
    assert decide(proposal, "carol") == "enacted" and pinned["pipelines.child.release"] == runs("child")
