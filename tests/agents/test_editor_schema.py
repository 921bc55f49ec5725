"""The schema for editors says what the reader of files says."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from agents import registry, spec
from agents.registry.editor import editor_schema
from agents.spec.nodes import KEYS
from tests.agents.folders import AUDITOR, PIPELINE, READER, TEAM

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "docs" / "reference" / "pipeline.schema.json"

EVERYTHING = """\
kind: pipeline
name: everything
team: platform
accountable: someone
purpose: Every key of the format once.
input: {type: object}
criteria: {a: result != null, b: {judged: It is so.}}
steps:
  - {id: one, agent: a, with: {x: 1}, timeout: 5s, progress_timeout: 1s, retry: 2, fallback: b, on_failure: degrade, when: input.x > 1}
  - {id: two, agent: a, retry: {max: 2, backoff: 1s}, compensate: {agent: b, with: {x: 1}, timeout: 5s}, lookup: c}
  - {id: span, wait: {for: 10m}, on_failure: degrade, when: input.x > 1}
  - {id: instant, wait: {until: =input.at}}
  - {id: sent, wait: {signal: payment, timeout: 2d, on_expiry: continue, output: {type: object}}}
  - {id: both, parallel: {a: [{id: three, agent: a}], b: [{id: four, agent: a}]}, min_success: any, on_failure: stop, when: input.x > 1}
  - {for_each: =input.list, as: item, max_concurrency: 2, spread: 2, do: [{id: five, agent: a}], min_success: 2, on_failure: stop, when: input.x > 1}
  - switch: [{when: input.x > 1, do: [{id: six, agent: a}]}, {default: [{id: seven, agent: a}]}]
    on_failure: stop
    when: input.x > 1
  - {id: below, pipeline: other, with: {x: 1}, timeout: 5s, on_failure: stop, when: input.x > 1}
  - {id: looked_at, agent: a, approve_when: output.sure < 1}
  - {id: looked_at_again, agent: a, approve_when: {when: output.sure < 1, policy: production, rounds: 2}}
  - {id: go, approval: {policy: production, subject: {x: =input.x}, output: {type: object}, timeout: 2h}, on_failure: stop, when: input.x > 1}
  - {id: judged, verify: {agent: v, with: {x: 1}, timeout: 5s}}
verify: {agent: v, with: {x: 1}, timeout: 5s}
limits: {timeout: 1h, cost: 0.50 USD, calls: 3, max_lifetime: 30d}
replayable: true
priority: high
---
kind: agent
name: everything-agent
team: platform
accountable: someone
role: gather
purpose: Every key of the format once.
run: {python: "a:b"}
input: {type: object}
output: {type: object}
freshness: {field: as_of, max_age: 15m}
timeout: 5s
memory: 256MB
mode: {idempotent: =input.x}
uses: ["read feed:{input.x}"]
permissions:
  - allow read feed:*
  - {allow: write feed:x, from: "2027-01-01", until: "2028-01-01T00:00:00Z", rate: 10/hour, when: args.x != ''}
  - {require_approval: write feed:y, policy: production}
  - {deny: write feed:z, observe: true}
cost: 0.01 USD
rate: 60/1m
breaker: {failures: 5, rest: 1m}
derived_from: other
risk_tier: low
data_classes: [public]
review_by: "2027-01-01"
---
kind: policy
name: production
team: platform
approvers: {teams: [platform], people: [bob]}
required: 2
within: 4h
silence: {escalate: {approvers: {people: [carol]}, required: 1, within: 8h}}
reason: true
edits: true
---
kind: agent
name: program-agent
team: platform
role: gather
purpose: A program.
run: {command: [python, scan.py]}
---
kind: agent
name: inline
team: platform
role: decide
purpose: Nothing.
run: {inline: noop}
mode: at_most_once
---
kind: agent
name: reads
team: platform
role: gather
purpose: A page.
run: {tool: fetch}
---
kind: agent
name: asks
team: platform
role: decide
purpose: Words.
run: {model: {alias: reasoning, instructions: say.md, max_tokens: 500, stream: true}}
input: {type: object}
output: {type: object}
---
kind: model
name: reasoning
team: platform
provider: anthropic
model: one
endpoint: "http://localhost"
secret: env:KEY
---
kind: team
name: platform
accountable: someone
permissions: ["allow read feed:*"]
verbs: [refund]
resources: [order]
publishing: careful
resuming: careful
notices: [{webhook: "https://example.com/", secret: env:KEY, format: standard, events: [approval.requested]}]
"""


def documents(text: str) -> list[Any]:
    return list(yaml.load_all(text, yaml.SafeLoader))


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema_rs.validator_for(editor_schema(), offline=True)


def test_the_shipped_file_is_what_the_code_says() -> None:
    assert json.loads(SHIPPED.read_text(encoding="utf-8")) == editor_schema()


def test_every_key_of_the_schema_is_one_that_the_reader_takes(validator: Any) -> None:
    assert spec.read({"everything.yaml": EVERYTHING.encode()}).problems == []
    for document in documents(EVERYTHING):
        assert [str(error) for error in validator.iter_errors(document)] == []
    said = {key for document in documents(EVERYTHING) for key in _keys(document)}
    assert _schema_keys(editor_schema()) <= said


def test_what_the_reader_refuses_as_unknown_the_schema_refuses_too(validator: Any) -> None:
    for text in (TEAM, READER, AUDITOR, PIPELINE):
        (document,) = documents(text)
        assert validator.is_valid(document)
        assert not validator.is_valid({**document, "tiemout": "5s"})


def test_examples_and_the_scaffold_are_valid(validator: Any, tmp_path: Path) -> None:
    registry.new_pipeline("one", folder=tmp_path / "one")
    for path in [*(ROOT / "examples").rglob("*.yaml"), *(tmp_path / "one").glob("*.yaml")]:
        for document in documents(path.read_text(encoding="utf-8")):
            assert [f"{path}: {error}" for error in validator.iter_errors(document)] == []


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {str(key) for key in value} | {key for inner in value.values() for key in _keys(inner)}
    return {key for inner in value for key in _keys(inner)} if isinstance(value, list) else set()


def _schema_keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = set(value["properties"]) if isinstance(value.get("properties"), dict) else set()
        return own | {key for inner in value.values() for key in _schema_keys(inner)}
    return {key for inner in value for key in _schema_keys(inner)} if isinstance(value, list) else set()


def test_the_reader_looks_for_a_misspelt_key_of_a_node_among_those_of_the_schema() -> None:
    assert set().union(*(way["properties"] for way in editor_schema()["$defs"]["node"]["oneOf"])) == KEYS
