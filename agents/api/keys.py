"""`/api/v1/keys/` and `/api/v1/agents/{agent}/keys/`: with what the program that is an agent asks for itself."""

from __future__ import annotations

from typing import Any, Final

from rest_framework.response import Response

from agents import registry
from agents.api.key_shapes import KEY_ASKED
from agents.errors import NotGranted, Retired, TooManyKeys, UnknownAgent, UnknownKey
from agents.models import AgentKeyQuerySet
from agents.registry import Stands
from agents.registry.keys import LASTS
from audit import clock
from audit.api.doors import Asked, Door, operation
from audit.api.pages import PAGING, Order, cut
from audit.api.shapes import PERSON_PATTERN, Shape, named, ref, text
from audit.errors import Conflict, Invalid

TAG = "agents"
NEWEST = Order("created_at", "id", newest_first=True)
FILTERS: Final[dict[str, Shape]] = {
    "agent": named("only keys of this agent", "feed-reader"),
    "owner": text("only keys that this person owns, by their user name", pattern=PERSON_PATTERN, example="bob"),
}


def rendered(stands: Stands) -> dict[str, Any]:
    key = stands.key
    return {
        "id": key.id,
        "agent": key.agent.name,
        "name": key.name,
        "owner": key.owner.username,
        "scopes": key.scopes,
        "opens": sorted(stands.opens) if stands.why_not is None else [],
        "works": stands.why_not is None,
        "why_not": stands.why_not,
        **{name: None if (at := getattr(key, name)) is None else clock.to_text(at) for name in _INSTANTS},
    }


_INSTANTS = ("created_at", "expires_at", "used_at", "revoked_at")


def _page(rows: AgentKeyQuerySet, asked: Asked) -> Response:
    found, following = cut(rows, NEWEST, asked)
    return Response({"items": [rendered(each) for each in registry.keys_stand(found)], "next": following})


class AllKeysView(Door):
    @operation(
        id="list_keys",
        tag=TAG,
        summary="List keys of agents",
        does=(
            "The keys of all agents that you may see, newest first, without their texts. With `owner` those that one person answers for: what "
            "would stop working if they left."
        ),
        query={**FILTERS, **PAGING},
        gives=ref("AgentKeyPage"),
        refuses=(UnknownAgent,),
    )
    def get(self, asked: Asked) -> Response:
        wanted = {name: value for name, value in asked.query.items() if name in FILTERS}
        return _page(registry.keys_found(asked.actor, **wanted), asked)


class KeysView(Door):
    @operation(
        id="list_agent_keys",
        tag=TAG,
        summary="List an agent's keys",
        does="Newest first, without their texts: whose each is, what it opens, when it was used last, and why it doesn't work where it doesn't.",
        query=PAGING,
        gives=ref("AgentKeyPage"),
        refuses=(UnknownAgent,),
    )
    def get(self, asked: Asked, agent: str) -> Response:
        return _page(registry.keys_found(asked.actor, agent=agent), asked)

    @operation(
        id="make_agent_key",
        tag=TAG,
        summary="Make a key for an agent",
        does=(
            "With it the program that is the agent asks as the agent, and only what its scopes open: `read` its own record and the runs that it "
            "started, `can` whether it may do something, `start:PIPELINE` (or `start:*`) runs of its team's pipelines. You own it: it works while "
            "you may change what the agent's team owns, and while the agent isn't suspended, stopped or retired. What it starts counts as "
            f"started by you where an approval is decided. It lasts {LASTS} unless `expires` says otherwise, at most 365d. Its text is in this "
            "answer and nowhere else. You must be a member of its team."
        ),
        takes=KEY_ASKED,
        gives=ref("MadeAgentKey"),
        status=201,
        refuses=(UnknownAgent, NotGranted, Retired, Invalid, TooManyKeys, Conflict),
    )
    def post(self, asked: Asked, agent: str) -> Response:
        said = asked.body
        made = registry.make_key(
            agent, actor=asked.actor, scopes=said["scopes"], expires=said.get("expires", LASTS), name=said.get("name", "")
        )  # fmt: skip
        return Response({**rendered(registry.key_shown(made.key.id, actor=asked.actor)), "key": made.text}, status=201)


class KeyView(Door):
    @operation(
        id="revoke_agent_key",
        tag=TAG,
        summary="Revoke a key of an agent",
        does="The key is refused from its next use on. Runs that it started go on. You must be a member of its team.",
        gives=ref("AgentKey"),
        refuses=(UnknownAgent, UnknownKey, NotGranted, Conflict),
    )
    def delete(self, asked: Asked, agent: str, key: str) -> Response:
        registry.revoke_key(key, actor=asked.actor, of=agent)
        return Response(rendered(registry.key_shown(key, actor=asked.actor)))
