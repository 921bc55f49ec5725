"""Whether what an agent says it uses can be covered by what it may.

Must not decide a live call: grants do, on the filled-in resource. Here only what can be seen beforehand is refused.
"""

from collections.abc import Sequence

from agents.spec import Path
from agents.spec.permissions import DENY, Rule, RuleInvalid, parse_rule
from agents.validation.findings import Findings, Spec


def check_uses(name: str, spec: Spec, findings: Findings, path: Path) -> None:
    """Refuses a use that no permission can cover, whatever its template is filled with, and one that is denied whatever allows it."""
    for use in spec["uses"]:
        verb, _, resource = use.partition(" ")
        denied = _denied(spec["permissions"], verb, resource)
        if denied is not None:
            findings.add(path, f"agent {name!r} uses {use!r} and its permission {denied!r} wins over whatever allows that; take out one of the two")
        elif not any(_may_cover(permission, verb, resource) for permission in spec["permissions"]):
            findings.add(path, f"agent {name!r} uses {use!r} and none of its permissions allows that; add: allow {verb} {_before_hole(resource)}")


def _may_cover(permission: str, verb: str, resource: str) -> bool:
    """Whatever bounds it has: they are judged at each call."""
    rule = _rule(permission)
    if rule is None or rule.effect == DENY or rule.observe or rule.verb != verb:
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
