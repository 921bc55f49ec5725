"""The files of DESIGN §4: strict YAML, every problem at once with its line, one normal form."""

from typing import Any

import pytest

from agents import spec
from agents.contracts import VERDICT_SCHEMA

AGENT = """kind: agent
name: feed-reader
team: platform
role: gather
purpose: Read one feed.
run: {python: feed:read}
"""
PIPELINE = """kind: pipeline
name: ops-digest
team: platform
input: {type: object}
steps:
  - {id: read, agent: feed-reader, with: {feed: =input.feed}}
verify: {agent: auditor, with: {claim: =result}}
"""


def read(text: str) -> spec.Parsed:
    return spec.read({"a.yaml": text.encode()})


def said(text: str) -> list[tuple[int, str]]:
    return [(problem.line, problem.message) for problem in read(text).problems]


def agent(more: str = "", base: str = AGENT) -> dict[str, Any]:
    parsed = read(base + more)
    assert parsed.problems == []
    return parsed.agents[0].spec


def pipeline(more: str = "", base: str = PIPELINE) -> dict[str, Any]:
    parsed = read(base + more)
    assert parsed.problems == []
    return parsed.pipelines[0].spec


def test_an_agent_has_one_normal_form_with_its_defaults() -> None:
    assert agent() == {
        "name": "feed-reader",
        "team": "platform",
        "accountable": None,
        "role": "gather",
        "purpose": "Read one feed.",
        "run": {"python": "feed:read"},
        "input": None,
        "output": None,
        "freshness": None,
        "timeout_ms": None,
        "memory_mb": 512,
        "mode": "read",
        "uses": [],
        "permissions": [],
        "cost_nano": 0,
        "derived_from": None,
        "risk_tier": None,
        "data_classes": [],
        "review_by": None,
        "artifact": None,
        "executable": None,
    }


def test_an_agents_measures_become_whole_numbers() -> None:
    read_in = agent(
        "freshness: {field: as_of, max_age: 1h30m}\ntimeout: 500ms\nmemory: 2GB\ncost: 0.002 USD\nreview_by: 2027-06-30\n"
        'mode: {idempotent: =input.order}\nuses: ["read feed:{input.feed}"]\npermissions: ["allow read feed:*"]\n'
    )
    assert read_in["freshness"] == {"field": "as_of", "max_age_ms": 5_400_000}
    assert (read_in["timeout_ms"], read_in["memory_mb"], read_in["cost_nano"]) == (500, 2048, 2_000_000)
    assert read_in["mode"] == {"idempotent": "=input.order"}


def test_roles_decide_defaults() -> None:
    assert agent(base=AGENT.replace("gather", "act"))["mode"] == "at_most_once"
    assert agent(base=AGENT.replace("gather", "check"))["output"] == VERDICT_SCHEMA
    same = agent(base=AGENT.replace("gather", "check").replace("python: feed:read", "inline: same"))
    assert same["executable"] == {"kind": "inline", "name": "same"}
    assert same["input"]["required"] == ["left", "right"]
    noop = agent("input: {type: object, required: [a]}\n", base=AGENT.replace("python: feed:read", "inline: noop"))
    assert noop["output"] == noop["input"] == {"type": "object", "required": ["a"]}


def test_a_pipeline_has_one_normal_form() -> None:
    assert pipeline("limits: {timeout: 2m, cost: 0.50 USD, calls: 40}\ncriteria: {a: result.ok, b: {judged: it reads well}}\n") == {
        "name": "ops-digest",
        "team": "platform",
        "accountable": None,
        "purpose": "",
        "input": {"type": "object"},
        "criteria": {"a": {"expression": "result.ok"}, "b": {"judged": "it reads well"}},
        "steps": [
            {
                "kind": "step",
                "id": "read",
                "agent": "feed-reader",
                "with": {"feed": "=input.feed"},
                "timeout_ms": None,
                "progress_timeout_ms": None,
                "retry": None,
                "fallback": None,
                "on_failure": "stop",
                "when": None,
            }
        ],
        "verify": {"agent": "auditor", "with": {"claim": "=result"}, "timeout_ms": None},
        "limits": {"timeout_ms": 120_000, "cost_nano": 500_000_000, "calls": 40},
        "replayable": False,
    }
    assert pipeline()["limits"] == {"timeout_ms": 3_600_000, "cost_nano": None, "calls": None}


NODES = """kind: pipeline
name: p
team: t
input: {type: object}
steps:
  - parallel:
      a: [{id: one, agent: x, retry: 2}]
      b: [{id: two, agent: x, retry: {max: 3, backoff: 2s}, when: input.go}]
    min_success: 1
    on_failure: degrade
  - for_each: =input.items
    as: item
    do:
      - switch:
          - {when: item.a, do: [{id: three, agent: x}]}
          - {default: [{id: three, agent: y, fallback: x}]}
  - id: proof
    verify: {agent: v, with: {claim: =steps.parallel_1}, timeout: 5s}
verify: {agent: v, with: {claim: =result}}
"""


def test_nodes_nest_and_get_ids_by_kind() -> None:
    both, loop, proof = pipeline(base=NODES)["steps"]
    assert (both["kind"], both["id"], both["min_success"], both["on_failure"]) == ("parallel", "parallel_1", 1, "degrade")
    assert both["branches"]["a"][0]["retry"] == {"max": 2, "backoff_ms": 1000}
    assert both["branches"]["b"][0]["retry"] == {"max": 3, "backoff_ms": 2000}
    assert (loop["items"], loop["as"], loop["max_concurrency"], loop["min_success"]) == ("=input.items", "item", 8, "all")
    assert [case["when"] for case in loop["do"][0]["cases"]] == ["item.a", None]
    assert proof == {"kind": "verify", "id": "proof", "agent": "v", "with": {"claim": "=steps.parallel_1"}, "timeout_ms": 5000}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("steps", 0, "branches", "b", 0, "when"), 8),
        (("steps", 1, "do", 0, "cases", 1, "do", 0, "fallback"), 16),
        (("steps", 2, "with", "claim"), 18),
        (("verify", "with", "claim"), 19),
        (("steps", 1, "nowhere", "at", "all"), 11),
    ],
)
def test_a_path_in_the_normal_form_knows_its_line(path: spec.Path, line: int) -> None:
    assert read(NODES).pipelines[0].line_of(path) == line


def test_several_documents_and_files_are_read_together() -> None:
    parsed = spec.read(
        {"b.yaml": PIPELINE.encode(), "a.yml": f"kind: team\nname: platform\naccountable: alice\n---\n{AGENT}---\n# nothing\n".encode()}
    )
    assert parsed.problems == []
    assert [document.name for document in (*parsed.teams, *parsed.agents, *parsed.pipelines)] == ["platform", "feed-reader", "ops-digest"]
    assert parsed.agents[0].line == 5


def test_a_model_holds_a_reference_and_never_a_secret() -> None:
    text = "kind: model\nname: reasoning\nteam: t\nprovider: anthropic\nmodel: m1\nsecret: {}\n"
    assert read(text.format("env:MODEL_KEY")).models[0].spec["secret_ref"] == "env:MODEL_KEY"
    assert "never the secret itself" in said(text.format("sk-123"))[0][1]


def test_all_problems_are_listed_at_once_with_their_lines() -> None:
    text = AGENT.replace("role: gather", "role: gater").replace("team: platform", "taem: platform") + "timeout: 10\nuses: [5]\n"
    lines = said(text)
    assert [line for line, _ in lines] == [1, 3, 4, 7, 8]
    assert "did you mean 'team'" in lines[1][1]
    assert "did you mean 'gather'" in lines[2][1]
    assert "10s" in lines[3][1]


def test_a_document_with_problems_is_not_handed_on() -> None:
    parsed = read(AGENT + "nope: 1\n---\n" + PIPELINE)
    assert (parsed.agents, len(parsed.pipelines), len(parsed.problems)) == ([], 1, 1)


def test_the_same_name_twice_is_a_problem_that_names_both_places() -> None:
    assert said(AGENT + "---\n" + AGENT) == [(8, "the agent 'feed-reader' is already in a.yaml:1; keep one")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run: {model: {alias: x}}", "has no 'instructions'; write instructions: digest.md"),
        ("run: {model: {alias: x, instructions: a.md, tools: [web]}}", "'tools' is not supported by this version; a model agent is one question"),
        ("run: {model: {alias: x, instructions: a.md, max_tokens: 0}}", "a whole number from 1 to 1000000"),
        ("run: {model: {alias: x, instructions: a.md}, python: feed:read}", "names both model and python; keep one"),
        ("run: {model: {alias: x, instructions: a.md}}\nmemory: 1GB", "a model runs elsewhere; leave memory out"),
        ("run: {model: {alias: x, instructions: a.md}}\ncost: 1 USD", "is said by the price of its alias's model; leave cost out"),
        ("run: {model: {alias: x, instructions: a.md}}\nmode: at_most_once", "so it always reads; leave mode out"),
        ("run: {model: {alias: x, instructions: a.md}}\noutput: {type: array}", "must be an object, since a model answers with one"),
        ("run: {command: ls -l}", "there is no shell that would split it"),
        ("run: {command: []}", "has 0 words; write 1 to 64"),
        ("run: {command: [head, -n, 5]}", "an entry of 'command' must be a text, not 5; quote it"),
        ("run: {command: [ls], python: feed:read}", "names python and command; keep one"),
        ("run: {a2a: {}}", "'a2a' is not supported"),
        ("run: {python: feed}", "module:function"),
        ("run: {python: ../x:y}", "module:function"),
        ("run: {inline: sam}", "did you mean 'same'"),
        ("run: {python: a:b, inline: noop}", "keep one"),
        ("run: {}", "nothing to run"),
        ("run: feed:read", "must be a mapping"),
        ("freshness: {field: as_of}", "no max_age"),
        ("timeout: 0s", "more than zero"),
        ("timeout: 400d", "366d"),
        ("timeout: ten seconds", "500ms"),
        ("cost: 5 EUR", "0.50 USD"),
        ("cost: 0.0000000001 USD", "0.50 USD"),
        ("memory: 1TB", "64MB"),
        ("mode: twice", "at_most_once"),
        ("mode: {idempotent: =steps.x}", "business key"),
        ('uses: ["read feed:{steps.x}"]', "only {input.…}"),
        ('uses: ["read feed:{"]', "lone"),
        ("uses: [read]", "a verb and a resource"),
        ("uses: read", "must be a list"),
        ("permissions: [forbid read x]", "it begins with one of allow, require_approval, deny"),
        ('permissions: ["allow read a*b"]', "a * may stand only at the very end of the resource, as in deny"),
        ("rate: 60", "such as 60/1m"),
        ("rate: 60/min", "such as 60/1m"),
        ("rate: 0/1m", "1 to 1,000 calls per 1s to 24h"),
        ("rate: 1001/1m", "1 to 1,000 calls per 1s to 24h"),
        ("rate: 1/999ms", "1 to 1,000 calls per 1s to 24h"),
        ("rate: 1/25h", "1 to 1,000 calls per 1s to 24h"),
        ("breaker: 5", "must be a mapping"),
        ("breaker: {failures: 5}", "{failures: 5, rest: 1m}"),
        ("breaker: {failures: 0, rest: 1m}", "1 to 100 failures in a row"),
        ("breaker: {failures: true, rest: 1m}", "1 to 100 failures in a row"),
        ("breaker: {failures: 5, rest: 25h}", "a rest of 1s to 24h"),
        ("breaker: {failures: 5, rest: 1m, per: 1h}", "has no key 'per'"),
        ("review_by: 2027-02-30", "2027-06-30"),
        ("input: string", "must be a mapping"),
        ("approve_when: x", "belongs to a step of a pipeline"),
        ("members: [alice]", "`manage.py members`"),
        ("derived_from: Not A Name", "small letters"),
    ],
)
def test_an_agents_odd_line_is_refused_with_what_to_do(line: str, words: str) -> None:
    text = AGENT.replace("run: {python: feed:read}\n", "") if line.startswith("run") else AGENT
    assert any(words in message for _, message in said(text + line + "\n")), said(text + line + "\n")


def test_rate_and_breaker_stand_in_the_normal_form_only_where_they_are_said() -> None:
    paced = read(AGENT + "rate: 60/1m\nbreaker: {failures: 5, rest: 90s}\n").agents[0].spec
    assert (paced["rate"], paced["breaker"]) == ({"calls": 60, "window_ms": 60_000}, {"failures": 5, "rest_ms": 90_000})
    assert not {"rate", "breaker"} & read(AGENT).agents[0].spec.keys()


@pytest.mark.parametrize("line", ["rate: 60/1m", "breaker: {failures: 5, rest: 1m}"])
def test_a_pace_of_an_inline_check_would_hold_for_nothing_and_is_refused(line: str) -> None:
    text = AGENT.replace("{python: feed:read}", "{inline: noop}")
    assert any("inline checks make no calls" in message for _, message in said(text + line + "\n"))


@pytest.mark.parametrize("permission", ["require_approval read feed:*", "deny read feed:secret/*"])
def test_a_permission_may_require_an_approval_or_deny(permission: str) -> None:
    assert read(f'{AGENT}permissions: ["{permission}"]\n').agents[0].spec["permissions"] == [permission]


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ("{id: a, supervisor: {lead: x}}", "'supervisor' is not supported"),
        ("{id: a, handoff: {}}", "'handoff' is not supported"),
        ("{id: a, group_chat: {}}", "'group_chat' is not supported"),
        ("{id: a, magentic: {}}", "'magentic' is not supported"),
        ("{id: a, approval: {}}", "has no subject; write what people are to say yes to"),
        ("{id: a, pipeline: other, retry: 2}", "'retry'"),
        ("{id: a, pipeline: {name: other}}", "'pipeline'"),
        ("{for_each: =input.list, as: x, spread: 1, do: [{id: a, agent: x}]}", "'spread' of a for_each node is 1; write a whole number from 2 to 64"),
        ("{id: a, agent: x, approve_when: =y}", "is a condition already"),
        ("{id: a}", "says nothing to do"),
        ("{id: a, wiht: {}}", "says nothing to do"),
        ("{id: a, agnet: x}", "has no key 'agnet'; did you mean 'agent'?"),
        ("{paralel: {a: []}}", "has no key 'paralel'; did you mean 'parallel'?"),
        ("{id: a, agent: x, switch: []}", "make two nodes"),
        ("{agent: x}", "has no 'id'"),
        ("{id: A-b, agent: x}", "underscores"),
        ("{id: a, agent: x, wiht: {}}", "did you mean 'with'"),
        ("{id: a, agent: x, with: [1]}", "must be a mapping"),
        ("{id: a, agent: x, retry: 99}", "from 0 to 10"),
        ("{id: a, agent: x, retry: {backoff: 1s}}", "no max"),
        ("{id: a, agent: x, on_failure: ignore}", "stop, degrade"),
        ("{id: a, agent: x, when: =input.a}", "leave the = at its beginning out"),
        ("{parallel: [a, b]}", "must be a mapping"),
        ("{parallel: {a: {id: x, agent: y}}}", "must be a list of nodes"),
        ("{parallel: {}}", "no branches"),
        ("{parallel: {a: [{id: x, agent: y}]}, min_success: 0}", "whole number from 1"),
        ("{for_each: input.items, as: i, do: [{id: x, agent: y}]}", "must be an expression"),
        ("{for_each: =input.items, do: [{id: x, agent: y}]}", "has no 'as'"),
        ("{for_each: =input.items, as: i}", "has no 'do'"),
        ("{switch: [{default: [{id: x, agent: y}]}, {when: a, do: [{id: x, agent: y}]}]}", "must be the last one"),
        ("{switch: {}}", "must be a list"),
        ("{id: a, wait: {for: 1m, until: soon}}", "says one of for"),
        ("{id: a, wait: {signal: paid}}", "has no timeout"),
        ("{id: a, wait: {for: 1m, timeout: 2m}}", "belongs to a signal"),
        ("{id: a, agent: x, compensate: {with: {}}}", "has no 'agent'"),
        ("{verify: {with: {}}}", "has no 'agent'"),
        ("just text", "must be a mapping"),
    ],
)
def test_an_odd_node_is_refused_with_what_to_do(node: str, words: str) -> None:
    text = PIPELINE.replace("{id: read, agent: feed-reader, with: {feed: =input.feed}}", node)
    assert any(line == 6 and words in message for line, message in said(text)), said(text)


@pytest.mark.parametrize("kind", ["grant", "budget"])
def test_a_kind_that_nothing_enforces_yet_is_refused_by_name(kind: str) -> None:
    assert f"kind '{kind}' is not supported by this version" in said(f"kind: {kind}\nname: x\n")[0][1]


def test_an_unknown_kind_suggests_the_nearest() -> None:
    assert "did you mean 'agent'" in said("kind: agnet\n")[0][1]
    assert "no kind" in said("name: x\n")[0][1]
    assert "must be a mapping" in said("- a\n")[0][1]


@pytest.mark.parametrize("kind", ["[]", "{}", "[team]", "5"])
def test_a_kind_that_is_no_text_is_refused_as_an_unknown_one(kind: str) -> None:
    assert "there is no kind" in said(f"kind: {kind}\n")[0][1]


def test_every_misspelt_key_of_a_node_without_a_kind_is_named_once() -> None:
    problems = [message for _, message in said(PIPELINE.replace("agent: feed-reader, with", "agnet: feed-reader, wiht"))]
    assert problems == ["a node has no key 'agnet'; did you mean 'agent'?", "a node has no key 'wiht'; did you mean 'with'?"]


def test_a_key_that_may_be_left_out_is_offered_where_it_is_misspelt() -> None:
    assert "did you mean 'permissions'?" in said("kind: team\nname: shop\npermission: []\n")[0][1]
