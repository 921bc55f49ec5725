"""Granting and withdrawing permissions, on the page of an agent or a team: says what it will do, does it by one use-case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse

from agents import registry
from agents.admin.publishing import forbidden_to, proposing
from agents.models import Agent, Team
from audit.actors import Actor
from audit.admin import Deed, ReadOnlyAdmin, act, link_to, text_field
from audit.requests import actor_of
from audit.visible import visible

MOST_TYPED: Final = 20_000


class GrantForm(forms.Form):
    permissions = text_field(
        "Permissions", lines=4, longest=MOST_TYPED, such_as="allow read feed:metrics/*",
        help_text="One a line, as files write them: allow, require_approval or deny, a verb, a resource, and what bounds it, such as "
        "rate 10/1h, until 2026-12-31, policy NAME, when CONDITION.",
    )  # fmt: skip


class WithdrawForm(forms.Form):
    permission = text_field("Permission", lines=2, longest=MOST_TYPED, help_text="As it stands.")


def grant(page: ReadOnlyAdmin, request: HttpRequest, holder: Agent | Team) -> HttpResponse:
    actor = actor_of(request)

    def perform(said: Mapping[str, Any]) -> str:
        rules = [line.strip() for line in said["permissions"].splitlines() if line.strip()]
        return _done(registry.permit(type(holder), holder.name, grant=rules, actor=actor))

    says = [*_says(holder), "All that a file says of permissions can be said here, and is judged as there."]
    return act(page, request, _deed("Grant permissions to", "Grant", holder, actor, perform, says, form=GrantForm))


def withdraw(page: ReadOnlyAdmin, request: HttpRequest, holder: Agent | Team) -> HttpResponse:
    actor, asked = actor_of(request), request.GET.get("permission", "")

    def perform(said: Mapping[str, Any]) -> str:
        return _done(registry.permit(type(holder), holder.name, withdraw=[said["permission"]], actor=actor))

    form = lambda data=None: WithdrawForm(data, initial={"permission": asked})  # noqa: E731 - as the form class that stands there elsewhere
    return act(page, request, _deed("Withdraw a permission of", "Withdraw", holder, actor, perform, _says(holder), form=form, danger=True))


def _says(holder: Agent | Team) -> list[str]:
    whose = "The agent gets a version of its own for it, with the same code." if isinstance(holder, Agent) else "It is for each agent of the team."
    first = proposing(_team(holder), "publishing")
    holds = "It then holds for runs at work too." if first else "This holds from now on, also for runs at work."
    return [*([first] if first else []), f"{holds} {whose}", "Files that are applied later say it again: write it there too."]


def _team(holder: Agent | Team) -> Team:
    return holder.team if isinstance(holder, Agent) else holder


def _deed(words: str, button: str, holder: Agent | Team, actor: Actor, perform: Any, says: list[str], **more: Any) -> Deed:
    forbidden, back = _forbidden_to(holder, actor), f"{link_to(holder)}#permissions"
    button = "Propose" if proposing(_team(holder), "publishing") else button
    return Deed(f"{words} {holder.name}", button, back, perform, says, about=holder, forbidden=forbidden, **more)


def _forbidden_to(holder: Agent | Team, actor: Actor) -> str | None:
    if isinstance(holder, Agent):
        why = registry.why_not_permitted(holder)
        return forbidden_to(holder, actor, "change") or (f"{why[:1].upper()}{why[1:]}." if why else None)
    name = holder.name
    return None if actor.may_change(name) else f"Only who may change what team '{name}' owns does this: {actor.lacks(name)}."


def _done(done: registry.Permitted) -> str:
    said = [*(f"granted: {rule}" for rule in done.granted), *(f"withdrawn: {rule}" for rule in done.withdrawn), *done.denied]
    return f"{visible('; '.join(said), 900)}."
