"""From a folder to complete specs: reads the files, and asks a child what the functions and expressions say.

Never imports a team's code and touches no row. Called by applying; what it lists as `problems` stops an apply, what it lists
as `gaps` only a publication.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agents import children, contracts, spec
from agents.children import Described, DescribedFunction
from agents.spec import Document, Parsed, Problem
from agents.spec.permissions import conditions_of
from audit.actors import Actor
from audit.canonical import MAX_INTEGER, NotCanonical, canonical_bytes

from . import modelling, programs
from .folders import Taken, look, private_files, write_out
from .shadowing import shadows
from .writing import require_member


@dataclass(slots=True)
class Prepared:
    """A folder ready to be written: its documents with schemas and executables filled in."""

    taken: Taken
    parsed: Parsed
    problems: list[Problem] = field(default_factory=list)
    gaps: list[Problem] = field(default_factory=list)
    attached: dict[str, bytes] = field(default_factory=dict)
    """Files that aliases name, as artifacts by digest."""
    uncompiled: frozenset[str] = frozenset()
    """Expressions of which a problem says that they can't be compiled."""
    shadows: tuple[Problem, ...] = ()
    """Files that would be imported in the place of Python's own; then nothing of the folder is."""

    @property
    def documents(self) -> list[Document]:
        """All documents, owners before what they own."""
        return [*self.parsed.teams, *self.parsed.policies, *self.parsed.models, *self.parsed.agents, *self.parsed.pipelines]


def prepare(folder: Path, *, actor: Actor) -> Prepared:
    """Read, describe, fill in and check; only what is no folder at all is an error (ArtifactRefused), or a stranger's (NotGranted).

    Where the folder has files that are refused, nothing is said of its code, nor of documents that may stand in them.
    """
    taken = look(folder)
    parsed = spec.read(taken.specs)
    prepared = Prepared(taken, replace(parsed, spoilt=parsed.spoilt | {""}) if taken.refused else parsed)
    _refuse_strangers(prepared, actor)
    prepared.shadows = tuple(shadows(taken.code)) if _functions(parsed) else ()
    prepared.problems += [*taken.refused, *parsed.problems, *prepared.shadows]
    if not prepared.documents and not prepared.problems:
        empty = "the folder holds no .yaml file with a document; `manage.py new pipeline NAME` writes a first one"
        prepared.problems.append(Problem(taken.name, 1, empty))
    prepared.problems += _clashes(prepared.parsed)
    for document in prepared.parsed.models if not taken.refused else ():
        prepared.problems += modelling.complete_alias(document, taken, prepared.attached)
    described = _describe(prepared)
    prepared.uncompiled = frozenset(source.strip() for source, reason in described.expressions.items() if reason is not None)
    for document in parsed.every("agent"):
        if not taken.refused and _says_what_runs(document):
            _complete(document, prepared, described)
        prepared.problems += _wrong_schemas(document)
    for document in parsed.every("pipeline"):
        prepared.problems += _uncompiled(document, described)
    for document in _holders(parsed):
        prepared.problems += _uncompiled_conditions(document, described)
    for document in [*prepared.documents, *parsed.rough]:
        prepared.problems += _unstorable(document)
    return prepared


def prepare_stored(document: Document) -> Prepared:
    """A document of a team or an agent that is stored already, as it would be with other permissions: those are all that is new."""
    lists: dict[str, list[Document]] = {"team": [], "agent": []}
    lists[document.kind].append(document)
    prepared = Prepared(Taken(document.name, {}, {}, b"", ""), Parsed(lists["team"], lists["agent"], [], [], []))
    prepared.problems += _unstorable(document)
    return prepared


def uncompiled(conditions: Mapping[int, str], file: str) -> list[Problem]:
    """Of these conditions, by their lines, those that can't be compiled; outside of a transaction, since a child is asked."""
    if not conditions:
        return []
    with tempfile.TemporaryDirectory(prefix="orchestra-describe-") as scratch:
        described = asyncio.run(children.describe(Path(scratch), [], sorted(set(conditions.values())), hidden=private_files()))
    reasons = [(line, source, described.expressions.get(source)) for line, source in conditions.items()]
    return [_uncompiled_at(file, line, source, reason) for line, source, reason in reasons if reason is not None]


def _uncompiled_at(file: str, line: int, source: str, reason: str) -> Problem:
    return Problem(file, line, f"condition {source!r:.200}: {reason.partition(chr(10))[0]}")


def _refuse_strangers(prepared: Prepared, actor: Actor) -> None:
    """Before a child looks at the code: whoever may not store it does not have it run here either."""
    for document in [*prepared.documents, *prepared.parsed.rough]:
        team = document.name if document.kind == "team" else str(document.spec["team"])
        require_member(actor, team, f"{document.kind} '{document.name}'")


def _clashes(parsed: Parsed) -> list[Problem]:
    """Agents and pipelines share their names, so that `rollback NAME` and a ledger's reader know what is meant."""
    agents = {document.name: document for document in parsed.every("agent")}
    return [
        Problem(document.file, document.line, f"'{document.name}' is also an agent ({agents[document.name].file}); a name belongs to one object")
        for document in parsed.every("pipeline")
        if document.name in agents
    ]


def _holders(parsed: Parsed) -> list[Document]:
    """Who may have permissions."""
    return parsed.every("team", "agent", "pipeline")


def _describe(prepared: Prepared) -> Described:
    parsed = prepared.parsed
    functions = _functions(parsed) if not prepared.taken.refused and not prepared.shadows else []
    conditions = {source for document in _holders(parsed) for _, source in conditions_of(document.spec)}
    sources = sorted(conditions.union(source for document in parsed.every("pipeline") for _, source in expressions_of(document.spec)))
    if not functions and not sources:
        return Described({}, {})
    with tempfile.TemporaryDirectory(prefix="orchestra-describe-") as scratch:
        if functions:  # expressions need none of it, and compile whatever its files are called
            write_out(prepared.taken.code, Path(scratch))  # what is stored is what is described, whatever happens to the folder
        return asyncio.run(children.describe(Path(scratch), functions, sources, hidden=private_files()))


def _functions(parsed: Parsed) -> list[str]:
    runs = [document.spec["run"] for document in parsed.every("agent") if _says_what_runs(document)]
    return sorted({run["python"] for run in runs if "python" in run})


def _says_what_runs(document: Document) -> bool:
    return document.spec["run"] is not None and not document.unread.touches(("run",))


def _complete(document: Document, prepared: Prepared, described: Described) -> None:
    run = document.spec["run"]
    if "model" in run:
        prepared.problems += modelling.complete_agent(document, prepared.taken)
        return
    if "command" in run:
        _complete_command(document, prepared)
        return
    if "python" not in run:
        ((kind, name),) = run.items()  # what Orchestra ships: an inline check or a tool
        document.spec.update(artifact=None, executable={"kind": kind, "name": name})
        return
    if not prepared.shadows:
        _complete_function(document, run["python"], prepared, described)


def _complete_function(document: Document, named: str, prepared: Prepared, described: Described) -> None:
    function = described.functions.get(named) or DescribedFunction(named, problems=(f"{named}: it could not be read",))
    prepared.problems += [_at(document, ("run",), problem) for problem in function.problems]
    if function.problems:
        return
    # The definition's own name, so that an import under another name is still seen as the same executable (R4).
    executable = {"kind": "function", "file_digest": function.file_digest, "name": function.defined_as or named.partition(":")[2]}
    document.spec.update(artifact=prepared.taken.digest, executable=executable)
    for side, schema, problem in (("input", function.input, function.input_problem), ("output", function.output, function.output_problem)):
        if document.spec.get(side) is None:
            document.spec[side] = schema
            if schema is None and not document.unread.touches((side,)):
                prepared.gaps.append(_at(document, ("run",), f"agent '{document.name}' has no {side} contract: {problem}"))


def _complete_command(document: Document, prepared: Prepared) -> None:
    argv, code = document.spec["run"]["command"], prepared.taken.code
    wrong = [_at(document, ("run", "command", index), f"agent '{document.name}': {problem}") for index, problem in programs.problems_of(argv, code)]
    prepared.problems += wrong
    if wrong:
        return
    document.spec.update(artifact=prepared.taken.digest, executable=programs.executable_of(argv, code))
    for side in ("input", "output"):
        if document.spec.get(side) is None and not document.unread.touches((side,)):
            problem = f"a command has no type hints; write `{side}:` with a JSON Schema"
            prepared.gaps.append(_at(document, ("run",), f"agent '{document.name}' has no {side} contract: {problem}"))


def _wrong_schemas(document: Document) -> Iterator[Problem]:
    for side in ("input", "output"):
        if (schema := document.spec.get(side)) is not None:
            for place, problem in contracts.schema_faults(schema) if not document.unread.touches((side,)) else ():
                yield _at(document, (side, *place), f"{side} schema of agent '{document.name}': {problem}")


def _uncompiled(document: Document, described: Described) -> Iterator[Problem]:
    for path, source in expressions_of(document.spec):
        if (reason := described.expressions.get(source)) is not None and not document.unread.holds(path):
            yield _at(document, path, f"expression {source!r:.200}: {reason.partition(chr(10))[0]}")


def _uncompiled_conditions(document: Document, described: Described) -> Iterator[Problem]:
    for index, source in conditions_of(document.spec):
        if (reason := described.expressions.get(source)) is not None:
            yield _at(document, ("permissions", index), f"condition {source!r:.200}: {reason.partition(chr(10))[0]}")


def _unstorable(document: Document) -> Iterator[Problem]:
    """What has no canonical form has no digest; and PostgreSQL gives back neither a NUL nor every number as it was."""
    try:
        canonical_bytes(document.spec)
    except NotCanonical as error:
        yield Problem(document.file, document.line, f"{document.kind} '{document.name}' can't be stored: {error}")
    for path, problem in _not_kept(document.spec, ()):
        if not document.unread.holds(path):
            yield _at(document, path, problem)


def _not_kept(value: Any, path: spec.Path) -> Iterator[tuple[spec.Path, str]]:
    if isinstance(value, str) and "\0" in value:
        yield path, "the text holds a NUL character; take it out"
    elif isinstance(value, float) and value.is_integer() and abs(value) > MAX_INTEGER:
        yield path, f"the number {value:g} is whole and beyond 2^53, which no database keeps as a decimal one; write a smaller one"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _not_kept(str(key), (*path, key))
            yield from _not_kept(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _not_kept(inner, (*path, index))


def expressions_of(pipeline: dict[str, Any]) -> Iterator[tuple[spec.Path, str]]:
    """Every expression of a normalised pipeline with its path, without its leading `=`."""
    for name, criterion in pipeline["criteria"].items():
        if "expression" in criterion:
            yield ("criteria", name), criterion["expression"]
    yield from _in_value(pipeline["steps"], ("steps",))
    yield from _in_value((pipeline["verify"] or {}).get("with", {}), ("verify", "with"))


def _in_value(value: Any, path: spec.Path) -> Iterator[tuple[spec.Path, str]]:
    """Strings that start with one `=`, and every `when`, which is an expression without it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "when" and isinstance(inner, str) and "with" not in path:
                yield (*path, key), inner
            else:
                yield from _in_value(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _in_value(inner, (*path, index))
    elif isinstance(value, str) and value.startswith("=") and not value.startswith("=="):
        yield path, value[1:].strip()


def _at(document: Document, path: spec.Path, message: str) -> Problem:
    return Problem(document.file, document.line_of(path), message)
