"""Whether a call needs people's yes, and whether the one that there is covers exactly what would be sent. Pure; reads no row and no clock.

The binding is SHA-256 over RFC 8785 of agent, version, uses, arguments, policy and release: whatever of it changes voids a yes.
Used by the stages of admission; knows nothing of who decides.
"""

from collections.abc import Sequence

from agents import layers
from agents.grants import Decision
from agents.spec.policies import Policy, binding_of, default_policy
from runs.boundary.values import NOTHING_ABOVE, Above, Ask, Refusal, Request, Standing
from runs.engine.asides import Asking
from runs.engine.states import CallKind, Cause

CHANGED = "what would be sent, or the policy for it, is another one than what was approved"


def wanted(request: Request, standing: Standing | None, decisions: Sequence[Decision], above: Above = NOTHING_ABOVE) -> Refusal | Ask | None:
    """None: no approval is needed, or the one that there is covers it."""
    if request.asking is not None:
        return _turn_of_people(request, request.asking, standing)
    needing = [(use, decision) for use, decision in zip(request.uses, decisions, strict=False) if decision.needs_approval]
    if not needing or standing is None:
        return None
    policy = _policy_of(request, standing, above, [decision.policy for _, decision in needing])
    if isinstance(policy, Refusal):
        return policy
    uses = tuple((verb, resource, rule, holder) for (verb, resource), decision in needing for holder, rule in layers.rules_asking(decision))
    binding = binding_of(
        agent=request.agent.name,
        version=request.agent.digest,
        uses=list(dict.fromkeys(use for use, _ in needing)),
        arguments=request.arguments,
        policy=policy,
        release=request.release,
    )
    if _covers(request, binding):
        return None
    if request.kind is CallKind.INLINE or request.ordinal > 0:
        return _unaskable(request, uses[0])
    return _ask(request, binding, policy, uses)


def _covers(request: Request, binding: str) -> bool:
    """Whether the yes that there is covers exactly this."""
    return request.approved is not None and request.approved.binding == binding


def _ask(request: Request, binding: str, policy: Policy, uses: tuple[tuple[str, str, str, str], ...]) -> Ask:
    return Ask(binding, policy, uses, voids=None if request.approved is None else CHANGED)


def _turn_of_people(request: Request, asking: Asking, standing: Standing | None) -> Refusal | Ask | None:
    """It always takes their yes, and nothing is sent with it: what they said yes to is what their turn gives."""
    policy = default_policy(request.agent.team) if not asking.policy or standing is None else standing.policies.get(asking.policy)
    if policy is None:
        said = f"step '{request.step}' is to be decided under policy '{asking.policy}', and none of this name is in force"
        return Refusal(Cause.DENIED, f"{said}. Apply its document with --publish", f"policy:{asking.policy}")
    binding = binding_of(
        agent=asking.maker.name, version=asking.maker.digest, uses=(), arguments=request.arguments, policy=policy, release=request.release
    )  # fmt: skip
    return None if _covers(request, binding) else _ask(request, binding, policy, ())


def _policy_of(request: Request, standing: Standing, above: Above, named: Sequence[str | None]) -> Policy | Refusal:
    names = sorted({name for name in named if name is not None})
    if len(names) > 1 or (names and None in named):
        said = " and ".join([*(f"policy '{name}'" for name in names), *(["the default policy"] if None in named else [])])
        hint = "Let the permissions of what it uses together name one policy, or split the agent"
        return Refusal(Cause.DENIED, f"one call of '{request.agent.name}' would have to be approved by {said}: one is approved by one. {hint}")
    if not names:
        return default_policy(standing.team)
    policy = standing.policies.get(names[0]) or above.policies.get(names[0])
    if policy is None:
        said = f"a permission for what '{request.agent.name}' does names policy '{names[0]}', and none of this name is in force"
        return Refusal(Cause.DENIED, f"{said}. Apply its document with --publish", f"policy:{names[0]}")
    return policy


def _unaskable(request: Request, use: tuple[str, str, str, str]) -> Refusal:
    """It is made while its agent is at work: nobody can be waited for there."""
    verb, resource, rule, holder = use
    whose = f" of {layers.spoken(holder)}" if holder else ""
    said = f"'{request.agent.name}' may {verb} {resource} only with an approval: the permission \"{rule}\"{whose} asks for a person's yes"
    inline = request.kind is CallKind.INLINE
    why = "an inline check is not sent, so nothing of it waits" if inline else "what it asks for on its way can't wait for one"
    return Refusal(Cause.DENIED, f"{said}, and {why}. Name it in the agent's `uses`, so that the whole step waits")
