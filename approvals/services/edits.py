"""Approving with edits: other arguments than were asked for, held against the agent's contract and against what the call may touch.

Reads only. An edit changes what is given, never what is touched: for that somebody has to ask anew. Called by deciding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents import contracts, expressions
from agents.errors import ExpressionError
from agents.registry.changes import compare
from agents.spec.policies import binding_of
from approvals.errors import BadDecision
from approvals.models import Kind, Request
from approvals.services import documents
from audit import canonical
from runs import services as runs
from runs.models import RESULT


@dataclass(frozen=True, slots=True)
class Edits:
    """The arguments that are approved instead, in which fields they differ, and what that is bound to."""

    arguments: Mapping[str, Any]
    changes: tuple[dict[str, Any], ...]
    binding: str


def given_as_edits(arguments: Any) -> Any:
    """What somebody typed for arguments. BadDecision for null, which would read as if nothing had been typed."""
    if arguments is None:
        raise BadDecision("the edited arguments are null, and no object; leave them out to approve what is asked for")
    return arguments


def edited(request: Request, asked: Mapping[str, Any], arguments: Any, *, approves: bool) -> Edits | None:
    """None where nothing is changed. BadDecision: the decision doesn't approve, the policy allows no edits, or these can't be."""
    given = documents.arguments_of(request)
    if arguments is None or _same(arguments, given):
        return None
    if not approves:
        raise BadDecision("other arguments go with an approval, and this is none: approve with them, or say in your reason what should change")
    if not request.governing.edits:
        raise BadDecision(f"{request.governing.said} allows no edits: approve what is asked for, or decline it")
    arguments = _as_kept(arguments)
    if request.kind == Kind.CALL:
        _refuse_other_call(request, given, arguments)
    else:
        _refuse_other_subject(request, arguments)
    changes = tuple({"path": each.path, "old": each.old, "new": each.new} for each in compare(given, arguments))
    uses = list(dict.fromkeys((use["verb"], use["resource"]) for use in asked["uses"]))
    binding = binding_of(
        agent=request.agent, version=asked["version_digest"], uses=uses, arguments=arguments, policy=request.governing, release=asked["release"]
    )  # fmt: skip
    return Edits(arguments, changes, binding)


def _same(arguments: Any, given: Any) -> bool:
    """As they would be sent: in Python `true` equals 1, and what was approved would be something else."""
    try:
        return canonical.digest(arguments) == canonical.digest(given)
    except canonical.NotCanonical:
        return False


def _as_kept(arguments: Any) -> Any:
    """As the run will read them."""
    try:
        return canonical.value_of(canonical.canonical_bytes(arguments, depth=canonical.MAX_DEPTH))
    except canonical.NotCanonical as error:
        raise BadDecision(f"the edited arguments can't be written as JSON: {error}") from None


def _refuse_other_call(request: Request, given: Any, arguments: Any) -> None:
    spec = request.wait.run.release.manifest["agents"][request.agent]["spec"]
    _refuse_unfit(request, spec, arguments)
    if _touched(spec, arguments) != _touched(spec, given):
        raise BadDecision("an edit may not change what the call touches: decline it, and have it asked for with what is right")


def _refuse_other_subject(request: Request, arguments: Any) -> None:
    """What an agent gave may become what its contract allows; what a pipeline puts to people itself, what its node says that it may be."""
    contract = runs.contract_of(request.wait)
    if contract is None:
        say = "write `output:` (JSON Schema) in its `approval:`, apply and publish"
        raise BadDecision(f"{request.about} can't be approved with edits: its pipeline doesn't say what it may become; {say}, or decline it")
    value = arguments
    if request.kind == Kind.RESULT:
        if not isinstance(arguments, Mapping) or arguments.keys() != {RESULT}:
            raise BadDecision(f"edit what '{request.agent}' gave as it is shown: an object with nothing but '{RESULT}'")
        value = arguments[RESULT]
    wrong = list(contract.violations(value))
    if wrong or not isinstance(arguments, Mapping):
        raise BadDecision(f"what was edited breaks the contract: {'; '.join(wrong) or 'it is no object'}", problems=wrong)


def _refuse_unfit(request: Request, spec: Mapping[str, Any], arguments: Any) -> None:
    wrong = list(contracts.compiled(spec["input"]).violations(arguments))
    if wrong or not isinstance(arguments, Mapping):
        said = f"the edited arguments break the contract of '{request.agent}': {'; '.join(wrong) or 'they are no object'}"
        raise BadDecision(said, problems=wrong)


def _touched(spec: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[str]:
    try:
        return [expressions.fill(template, {"input": arguments}) for template in spec["uses"]]
    except ExpressionError as error:
        raise BadDecision(f"what the call would touch can't be filled in from the edited arguments: {error.message}") from None
