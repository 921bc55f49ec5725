"""R4 at publish: who may verify, and what a verify must name."""

from typing import Any

import pytest

from tests.agents.pipeline_specs import (
    AUDITOR,
    NAMER,
    READ,
    TEXT,
    WRITE,
    WRITER,
    for_each,
    only,
    open_object,
    parallel,
    pipeline,
    refused,
    step,
    switch,
)


def test_a_pipeline_without_verify_is_refused() -> None:
    only(pipeline(verify=None), (), "no verify")


def test_a_verifier_that_had_a_part_in_the_work_is_refused() -> None:
    work = step("judge", "auditor", with_={"claim": 1})
    only(pipeline(READ, work, WRITE), ("verify", "agent"), "has a part in the work and would verify it")


def test_a_verifier_that_is_only_a_fallback_had_its_part_too() -> None:
    work = step("judge", "reader", with_={"feed": "x", "claim": 1}, fallback="auditor")
    only(pipeline(work, WRITE | {"with": {"count": 1}}), ("verify", "agent"), "has a part in the work")


def test_a_performer_hidden_deep_in_the_nodes_is_seen() -> None:
    deep = for_each("l", "=steps.read.series", "row", [switch("s", (None, [parallel("q", {"a": [step("judge", "auditor", with_={"claim": 1})]})]))])
    only(pipeline(READ, deep), ("verify", "agent"), "has a part in the work")


def test_a_copy_of_a_performer_under_another_name_is_refused() -> None:
    only(pipeline(), ("verify", "agent"), "runs the same code as 'writer'", auditor=AUDITOR | {"executable": WRITER["executable"]})


@pytest.mark.parametrize(
    "lineage",
    [
        {"auditor": AUDITOR | {"derived_from": "writer"}},
        {"writer": WRITER | {"derived_from": "auditor"}},
        {"auditor": AUDITOR | {"derived_from": "namer"}, "namer": NAMER | {"derived_from": "writer"}},
        {"auditor": AUDITOR | {"derived_from": "base"}, "writer": WRITER | {"derived_from": "base"}},
    ],
)
def test_lineage_either_way_makes_a_copy(lineage: dict[str, Any]) -> None:
    only(pipeline(), ("verify", "agent"), "lineage", **lineage)


def test_a_circle_of_lineage_does_not_hang() -> None:
    assert refused(pipeline(), auditor=AUDITOR | {"derived_from": "namer"}, namer=NAMER | {"derived_from": "auditor"}) == []


def test_a_verifier_that_is_no_check_is_refused() -> None:
    only(pipeline(), ("verify", "agent"), "only an agent of role check", auditor=AUDITOR | {"role": "decide"})


@pytest.mark.parametrize(
    "output",
    [open_object(ok=TEXT), open_object(checks=TEXT), {"type": "string"}, open_object(checks={"type": "array", "items": open_object(verdict=TEXT)})],
)
def test_a_verifier_whose_output_is_no_verdict_is_refused(output: Any) -> None:
    only(pipeline(), ("verify", "agent"), "is not a verdict", auditor=AUDITOR | {"output": output})


@pytest.mark.parametrize("claim", ["=input.feed", "result", "==result", 5, {"a": ["=run.id"]}, None])
def test_a_verify_that_names_no_result_verifies_nothing(claim: Any) -> None:
    only(pipeline(verify={"agent": "auditor", "with": {"claim": claim}, "timeout_ms": None}), ("verify", "with"), "verifies nothing")


def test_a_verdict_is_no_work_to_verify() -> None:
    proof = {"kind": "verify", "id": "proof", "agent": "auditor", "with": {"claim": "=steps.read"}, "timeout_ms": None}
    only(pipeline(READ, proof), ("verify", "with"), "verifies nothing")
    again = pipeline(READ, proof, WRITE, verify={"agent": "auditor", "with": {"claim": "=steps.proof"}, "timeout_ms": None})
    only(again, ("verify", "with"), "verifies nothing")


def test_a_verify_node_obeys_the_same_rules() -> None:
    node = {"kind": "verify", "id": "proof", "agent": "reader", "with": {"feed": "x"}, "timeout_ms": None}
    messages = [message for path, message in refused(pipeline(READ, node, WRITE)) if path[:2] == ("steps", 1)]
    assert [word for word in ("role gather", "part in the work", "verifies nothing") if any(word in message for message in messages)] == [
        "role gather",
        "part in the work",
        "verifies nothing",
    ]


def test_a_verifier_in_a_loop_may_judge_the_item_of_earlier_work() -> None:
    node = {"kind": "verify", "id": "proof", "agent": "auditor", "with": {"claim": "=row"}, "timeout_ms": None}
    assert refused(pipeline(READ, for_each("l", "=steps.read.series", "row", [node]), WRITE)) == []
    only(pipeline(READ, for_each("l", "=[1, 2]", "row", [node]), WRITE), ("steps", 1, "do", 0, "with"), "verifies nothing")


def test_a_verifier_gets_the_criteria_without_asking_in_with() -> None:
    assert refused(pipeline(), auditor=AUDITOR | {"input": open_object(claim=True, criteria={"type": "array"})}) == []
