"""The keys of an agent, on its page: how each stands; making one, whose text is on one page, once; revoking one. One use-case each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse

from agents import registry
from agents.admin.publishing import forbidden_to
from agents.models import Agent
from agents.registry import Stands
from agents.registry.keys import LASTS, MOST_NAME
from audit import clock
from audit.actors import Actor
from audit.admin import Deed, ReadOnlyAdmin, act, link_to, text_field
from audit.requests import actor_of
from audit.wording import ago, instant


class KeyForm(forms.Form):
    scopes = text_field(
        "Scopes", longest=2_000, such_as="read can start:ops-digest",
        help_text="What it opens, divided by spaces; nothing is there by itself. read: its own record and its own runs. can: whether it may do "
        "something. start:PIPELINE, or start:* for all of its team: start runs, follow and cancel them.",
    )  # fmt: skip
    expires = text_field("Ends after", longest=40, initial=LASTS, help_text="30d, 12h; at most 365d. Then it ends by itself.")
    name = text_field("What for", required=False, longest=MOST_NAME, help_text="So that you know it in the list: the digest's own server.")


def rows_of(agent: Agent, actor: Actor) -> dict[str, Any]:
    """For the agent's page: its keys, each with when it ends, when it was used last, and the scopes that its owner has lost."""
    now = clock.now()
    found = registry.keys_of(agent.name, actor=actor, now=now)
    rows = [(one, ago(one.key.expires_at, now), "never" if one.key.used_at is None else ago(one.key.used_at, now), _lost(one)) for one in found]
    return {"keys": rows, "may_key": actor.may_change(agent.team.name)}


def _lost(stands: Stands) -> Sequence[str]:
    return sorted(set(stands.key.scopes) - stands.opens) if stands.why_not is None else []


def make(page: ReadOnlyAdmin, request: HttpRequest, agent: Agent) -> HttpResponse:
    actor = actor_of(request)

    def perform(said: Mapping[str, Any]) -> HttpResponse:
        scopes = said["scopes"].replace(",", " ").split()
        made = registry.make_key(agent.name, actor=actor, scopes=scopes, expires=said["expires"], name=said["name"])
        return page.page(request, "admin/agents/key_once.html", title="A key, shown once", object=agent, made=made, back=f"{link_to(agent)}#keys")

    says = [
        f"Whatever program sends it asks over REST as agent '{agent.name}', and only for what its scopes open. It decides and changes nothing.",
        "You own it: it works while you may change what the agent's team owns, and while the agent isn't suspended, stopped or retired.",
        "What it starts counts as started by you where an approval is decided.",
        "Its text is shown once, on the next page.",
    ]
    title, forbidden = f"Make a key for {agent.name}", forbidden_to(agent, actor, "key")
    return act(page, request, Deed(title, "Make it", f"{link_to(agent)}#keys", perform, says, KeyForm, forbidden=forbidden, about=agent))


def revoke(page: ReadOnlyAdmin, request: HttpRequest, agent: Agent, key: str) -> HttpResponse:
    actor = actor_of(request)
    found = registry.key_shown(key, actor=actor, of=agent.name).key

    def perform(_: Mapping[str, Any]) -> str:
        registry.revoke_key(key, actor=actor, of=agent.name)
        return f"Key {key} is revoked."

    which = f"Key {found.id}{f', {found.name},' if found.name else ''} that {found.owner.username} made at {instant(found.created_at)} UTC"
    says = [f"{which} is refused from its next use on. Whatever program uses it stops working; runs that it started go on."]
    title, forbidden = f"Revoke a key of {agent.name}", forbidden_to(agent, actor, "key")
    return act(page, request, Deed(title, "Revoke it", f"{link_to(agent)}#keys", perform, says, danger=True, forbidden=forbidden, about=agent))
