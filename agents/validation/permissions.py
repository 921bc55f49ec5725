"""Whether what an agent says it uses can be covered by what it may.

Must not decide a live call: grants do, on the filled-in resource. Here only what can be seen beforehand is refused.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from agents.expressions import template_paths
from agents.expressions.paths import Segment, written
from agents.spec import Path
from agents.spec.permissions import DENY, Rule, RuleInvalid, instant_said, parse_rule
from agents.validation.findings import Findings, Spec, nearest
from agents.validation.shapes import Missing, Schema, Shape, declared, misfit, part

_PLAIN = {"type": ["string", "number", "boolean"]}


def check_uses(name: str, spec: Spec, findings: Findings, path: Path) -> None:
    """Refuses what `refused_uses` names, by the agent's permissions and by those that bound the pipeline's runs."""
    observe = bool(spec.get("observe")) and "inline" not in spec["run"]
    for use, reason in refused_uses(spec["uses"], spec["permissions"], findings.now, observe=observe):
        findings.add(path, f"agent {name!r} uses {use!r} and {reason}")
    if findings.bound is not None:
        for use, reason in refused_uses(spec["uses"], findings.bound, findings.now, whose="the pipeline's"):
            findings.add(path, f"agent {name!r} uses {use!r} and {reason}")


def refused_uses(
    uses: Sequence[str], permissions: Sequence[str], now: datetime | None = None, *, whose: str = "its", observe: bool = False
) -> Iterator[tuple[str, str]]:
    """Each use that no permission can cover, whatever its template is filled with, or that is denied whatever allows it; and a clause why.

    With `now`, a permission that has ended covers nothing; one that begins later may. `observe`: for want of one nothing is refused.
    """
    for use in uses:
        verb, _, resource = use.partition(" ")
        denied = _denied(permissions, verb, resource)
        if denied is not None:
            yield use, f"{whose} permission {denied!r} wins over whatever allows that; take out one of the two"
            continue
        if observe:
            continue
        covering = [rule for permission in permissions if (rule := _rule(permission)) is not None and _may_cover(rule, verb, resource)]
        ended = [rule.until for rule in covering if rule.until is not None and now is not None and rule.until <= now]
        if not covering:
            yield use, f"none of {whose} permissions allows that; add: allow {verb} {_before_hole(resource)}"
        elif len(ended) == len(covering):
            yield use, f"what allowed that held only until {instant_said(max(ended))}; give it a later `until`, or take both out"


def unfillable(use: str, schema: Schema) -> Iterator[str]:
    """What the agent's own input contract never holds of that which a template of `uses` is filled in with."""
    for path in template_paths(use):
        problem = _never_there(path, schema)
        if problem is not None:
            yield f"{{{written(path)}}} can't be filled in: {problem}"


def _never_there(path: tuple[Segment, ...], schema: Schema) -> str | None:
    shape: Shape | None = Shape(schema, promised=False)
    for depth in range(1, len(path)):
        try:
            inner = part(shape, path[depth])
        except Missing:
            return f"its input contract has no {path[depth]!r} in {written(path[:depth])}{nearest(str(path[depth]), declared(shape))}"
        shape = inner
    return "it is no text, number or boolean by its input contract" if misfit(_PLAIN, shape) else None


def _may_cover(rule: Rule, verb: str, resource: str) -> bool:
    """Whatever condition and rate it has: they are judged at each call."""
    if rule.effect == DENY or rule.observe or rule.verb != verb:
        return False
    fixed, open_ended = _fixed(resource), "{" in resource.replace("{{", "")
    if not rule.prefix:
        return rule.resource.startswith(fixed) if open_ended else rule.resource == fixed
    return fixed.startswith(rule.resource) or (open_ended and rule.resource.startswith(fixed))


def _denied(permissions: Sequence[str], verb: str, resource: str) -> str | None:
    """The line that denies every resource that the template can name, always."""
    fixed, open_ended = _fixed(resource), "{" in resource.replace("{{", "")
    for permission in permissions:
        rule = _rule(permission)
        if rule is None or rule.effect != DENY or rule.verb != verb or rule.is_bounded:
            continue
        if fixed.startswith(rule.resource) if rule.prefix else not open_ended and rule.resource == fixed:
            return permission
    return None


def _rule(permission: str) -> Rule | None:
    try:
        return parse_rule(permission)
    except RuleInvalid:
        return None


def _fixed(resource: str) -> str:
    """The part before the first hole, with doubled braces as single ones."""
    text = resource.replace("{{", "\0").partition("{")[0]
    return text.replace("\0", "{").replace("}}", "}")


def _before_hole(resource: str) -> str:
    fixed = _fixed(resource)
    return fixed + "*" if "{" in resource.replace("{{", "") else fixed
