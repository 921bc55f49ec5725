"""`/api/v1/policies/…`: who decides what permissions leave to people. Policies come with files, as everything of the inventory does."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response

from agents import registry
from agents.errors import UnknownPolicy
from agents.models import Policy, PolicyVersion, VersionState
from audit.api.doors import Asked, Door, operation
from audit.api.pages import BY_NAME, PAGING, page
from audit.api.shapes import ref
from audit.clock import to_text

TAG = "policies"


def rendered(policy: Policy) -> dict[str, Any]:
    """A policy with what is in force of it, and what its next publication would put there."""
    rows = {row.state: row for row in PolicyVersion.objects.filter(policy=policy, state__in=[VersionState.PUBLISHED, VersionState.DRAFT])}
    said = {name: _version(rows.get(state)) for name, state in (("in_force", VersionState.PUBLISHED), ("draft", VersionState.DRAFT))}
    return {"name": policy.name, "team": policy.team.name, **said}


def _version(row: PolicyVersion | None) -> dict[str, Any] | None:
    if row is None:
        return None
    said = {key: row.spec[key] for key in ("stages", "reason", "edits")}
    return {"version": row.number, "digest": row.digest, "author": row.author, "created_at": to_text(row.created_at), **said}


class PoliciesView(Door):
    @operation(
        id="list_policies",
        tag=TAG,
        summary="List approval policies",
        does="Policies of the teams that you see, by name, each with what is in force of it.",
        query=PAGING,
        gives=ref("PolicyPage"),
    )
    def get(self, asked: Asked) -> Response:
        return Response(page(Policy.objects.visible_to(asked.actor).select_related("team"), BY_NAME, asked, rendered))


class PolicyView(Door):
    @operation(
        id="show_policy",
        tag=TAG,
        summary="Show an approval policy",
        does="Who may decide, how many must, within what time, and what silence means; in force now, and as a draft.",
        gives=ref("Policy"),
        refuses=(UnknownPolicy,),
    )
    def get(self, asked: Asked, policy: str) -> Response:
        return Response(rendered(registry.policy_shown(policy, asked.actor)))
