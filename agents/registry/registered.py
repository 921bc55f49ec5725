"""Whether the words of permissions are registered, and whether what their conditions name can be there: said when files are applied.

The words are everybody's and the team's own, as its document says them or, where it says nothing, as they are stored. Called by applying.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from agents import expressions, validation
from agents.contracts import disjoint, schema_problems
from agents.grants import BUILT_IN, Vocabulary, parse_rule, readable
from agents.models import Agent, Standing, Team
from agents.spec import Document, Problem
from agents.spec.permissions import ARGS

from .composing import agents_named
from .preparing import Prepared

_OF_A_FETCH: Final = frozenset({"url", "headers"})
"""What a function's own fetch is given: its agent's permissions are judged by that too."""


def unregistered(prepared: Prepared) -> list[Problem]:
    """Every verb and kind of resource that nobody registered, with the nearest known one; every condition that can never hold."""
    known, teams_of = vocabularies(prepared), _teams_of_agents(prepared)
    unsure = _unsure_teams(prepared)
    found = []
    for document in prepared.parsed.every("team", "agent", "pipeline"):
        team = document.name if document.kind == "team" else document.spec["team"]
        words = known.get(team, BUILT_IN)
        if document.kind == "pipeline":  # it bounds its agents, whosesoever they are: their words are those that it speaks in
            for agent in sorted(agents_named(document.spec) & teams_of.keys()):
                words = _with(words, known.get(teams_of[agent], BUILT_IN))
        said = [*_of_inputs(document), *_of_conditions(document)]
        if team not in unsure:
            said += [*_of_permissions(document, words), *_of_uses(document, words)]
        said = [(path, message) for path, message in said if not document.unread.holds(path)]
        found += [Problem(document.file, document.line_of(path), f"{document.kind} '{document.name}': {message}") for path, message in said]
    return found


def _unsure_teams(prepared: Prepared) -> set[str]:
    """Teams whose words can't be read."""
    parsed = prepared.parsed
    written = {document.name: document.unread for document in parsed.every("team")}
    owners = {document.spec["team"] for document in parsed.every("agent", "pipeline")}
    unread = {name for name, one in written.items() if one.touches(("verbs",)) or one.touches(("resources",))}
    return unread | {name for name in owners - written.keys() if parsed.may_hold(name)}


def unregistered_in_force() -> list[tuple[str, str]]:
    """Agents and teams whose stored permissions have such words, each with its first problem: nothing is allowed by that one."""
    rows = [*Agent.objects.exclude(state=Standing.RETIRED).select_related("team").order_by("name"), *Team.objects.order_by("name")]
    found = []
    for row in rows:
        words = row.vocabulary if isinstance(row, Team) else row.team.vocabulary
        rules = [rule for text in row.permissions if (rule := readable(text)) is not None]
        problems = (words.problem_of(rule.verb, rule.resource, prefix=rule.prefix) for rule in rules)
        problem = next((each for each in problems if each is not None), None)
        if problem is not None:
            found.append((row.subject, problem))
    return found


def vocabularies(prepared: Prepared) -> dict[str, Vocabulary]:
    """The words of each team that the folder names, as they will be."""
    said = {document.name: document.spec for document in prepared.parsed.every("team")}
    owned = prepared.parsed.every("agent", "pipeline")
    names = {*said, *(document.spec["team"] for document in owned), *_teams_of_agents(prepared).values()}
    stored = {team.name: team for team in Team.objects.filter(name__in=names)}
    known = {}
    for name in names:
        row, spec = stored.get(name, Team(name=name)), said.get(name, {})
        known[name] = BUILT_IN.and_also(spec.get("verbs", row.verbs), spec.get("resources", row.resources))
    return known


def _with(words: Vocabulary, others: Vocabulary) -> Vocabulary:
    return words.and_also(others.verbs, others.kinds)


def _teams_of_agents(prepared: Prepared) -> dict[str, str]:
    """Of every agent that a pipeline of the folder names, as far as it has permissions: whose it is."""
    named = {name for document in prepared.parsed.every("pipeline") if "permissions" in document.spec for name in agents_named(document.spec)}
    stored = dict(Agent.objects.filter(name__in=named).values_list("name", "team__name")) if named else {}
    return stored | {document.name: document.spec["team"] for document in prepared.parsed.every("agent")}


_Found = Iterator[tuple[tuple[str | int, ...], str]]


def _of_permissions(document: Document, words: Vocabulary) -> _Found:
    for index, text in enumerate(document.spec.get("permissions") or ()):
        rule = parse_rule(text)
        problem = words.problem_of(rule.verb, rule.resource, prefix=rule.prefix)
        if problem is not None:
            yield ("permissions", index), f"permission {rule.words!r:.120}: {problem}"


def _of_uses(document: Document, words: Vocabulary) -> _Found:
    """Only what stands before the first hole is known here; the boundary judges the rest, filled in."""
    for index, use in enumerate(document.spec.get("uses") or ()):
        verb, _, resource = use.partition(" ")
        fixed, hole, _ = resource.partition("{")
        problem = words.problem_of(verb, fixed, prefix=bool(hole))
        if problem is not None:
            yield ("uses", index), f"use {use!r:.120}: {problem}"


def _input_of(document: Document) -> Mapping[str, Any] | None:
    """What an agent takes, as a contract; None where it has none that can be judged."""
    schema = document.spec.get("input") if document.kind == "agent" and not document.unread.touches(("input",)) else None
    return schema if isinstance(schema, Mapping) and not schema_problems(schema) else None


def _of_inputs(document: Document) -> _Found:
    """A path that the agent's input contract rules out would fail every call: nobody could say what it touches."""
    schema = _input_of(document)
    if schema is not None:
        for index, use in enumerate(document.spec["uses"]):
            yield from ((("uses", index), f"use {use!r:.120}: {problem}") for problem in validation.unfillable(use, schema))


def _of_conditions(document: Document) -> _Found:
    """A name that the agent's input contract rules out would make every call an error, which denies it; so would what is no yes or no."""
    schema = _input_of(document)
    if schema is None:
        return
    for index, text in enumerate(document.spec["permissions"]):
        rule = parse_rule(text)
        for name in _asked_whole(rule.when, schema):
            yield ("permissions", index), f"the condition of {rule.words!r:.120} is {ARGS}.{name}, which is never true or false; compare it"
    if schema.get("additionalProperties") is not False:
        return
    there = {*(schema.get("properties") or {}), *(_OF_A_FETCH if "python" in (document.spec["run"] or {}) else ())}
    for index, text in enumerate(document.spec["permissions"]):
        for name in sorted(_names(parse_rule(text).when) - there):
            near = get_close_matches(name, sorted(there), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there is: {', '.join(sorted(there)) or 'nothing'}"
            yield ("permissions", index), f"the condition of {parse_rule(text).words!r:.120} names {ARGS}.{name}, which its input never holds; {hint}"


def _asked_whole(condition: str | None, schema: Mapping[str, Any]) -> Iterator[str]:
    """The member that a condition is, where that can be neither true nor false."""
    found = re.fullmatch(rf"\s*{ARGS}\.([A-Za-z_][A-Za-z0-9_]*)\s*", condition or "")
    named = found and schema.get("properties", {}).get(found[1])
    if found and isinstance(named, Mapping) and "$ref" not in named and disjoint(named, {"type": "boolean"}):
        yield found[1]


def _names(condition: str | None) -> set[Any]:
    """What a condition names directly below `args`; what it only asks for with has(…) too."""
    return set() if condition is None else {reference[1] for reference in expressions.references(condition) if len(reference) > 1}
