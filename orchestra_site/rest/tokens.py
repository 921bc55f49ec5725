"""`/api/v1/tokens/` and `/api/v1/me/`: one's own credentials, and who one is."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.response import Response

from agents.errors import NotGranted, UnknownPerson
from audit import clock
from audit.api.doors import Asked, Door, operation
from audit.api.pages import PAGING, Order, page
from audit.api.shapes import given, ref, text, whole
from audit.errors import Invalid
from orchestra_site.models import Token
from orchestra_site.tokens import DAYS, MOST_DAYS, MOST_NAME, TooManyTokens, UnknownToken, create_token, revoke_token, revoke_tokens

TAG = "tokens"
NEWEST = Order("created", "id", newest_first=True)


def rendered(token: Token) -> dict[str, Any]:
    return {
        "id": str(token.id),
        "name": token.name,
        "person": token.user.username,
        "created_at": clock.to_text(token.created),
        "expires_at": clock.to_text(token.expiry),
        "used_at": None if token.used_at is None else clock.to_text(token.used_at),
    }


class TokensView(Door):
    @operation(
        id="list_tokens",
        tag=TAG,
        summary="List your tokens",
        does="Your tokens that have not ended, newest first, without their texts. Whoever may manage people sees everybody's but an administrator's.",
        query=PAGING,
        gives=ref("TokenPage"),
    )
    def get(self, asked: Asked) -> Response:
        rows = Token.objects.visible_to(asked.actor).live(clock.now()).select_related("user")
        return Response(page(rows, NEWEST, asked, rendered))

    @operation(
        id="create_token",
        tag=TAG,
        summary="Make a token for yourself",
        does=(
            f"A new credential that acts as you. It lasts {DAYS} days unless `days` says otherwise, at most {MOST_DAYS}; made with a token, it never "
            "outlives that one. Its text is in this answer and nowhere else. Needs a session or a token; the first one is made by "
            "`manage.py token PERSON`."
        ),
        takes=given(
            name=text("what it is for", most=MOST_NAME, example="nightly job"),
            days=whole("how long it lasts", least=1, most=MOST_DAYS, example=7),
            optional=("name", "days"),
            examples=[{"name": "nightly job", "days": 7}],
        ),
        gives=ref("MadeToken"),
        status=201,
        refuses=(Invalid, NotGranted, TooManyTokens),
    )
    def post(self, asked: Asked) -> Response:
        made = create_token(asked.actor.id, actor=asked.actor, days=asked.body.get("days"), name=asked.body.get("name", ""))
        return Response({**rendered(made.token), "token": made.text}, status=201)

    @operation(
        id="revoke_tokens",
        tag=TAG,
        summary="Revoke all your tokens",
        does="All of them are refused from their next use on, also the one that asks. Sessions go on.",
        gives=ref("Revoked"),
        refuses=(NotGranted,),
    )
    def delete(self, asked: Asked) -> Response:
        return Response({"revoked": revoke_tokens(asked.actor.id, actor=asked.actor)})


class TokenView(Door):
    @operation(
        id="revoke_token",
        tag=TAG,
        summary="Revoke a token",
        does="The token is refused from its next use on. Yours, or where you may manage people anybody's but an administrator's.",
        gives={},
        status=204,
        refuses=(UnknownToken, NotGranted),
    )
    def delete(self, asked: Asked, token: UUID) -> Response:
        revoke_token(token, actor=asked.actor)
        return Response(status=204)


class PersonTokensView(Door):
    @operation(
        id="revoke_tokens_of",
        tag=TAG,
        summary="Revoke all tokens of a person",
        does="All of them are refused from their next use on. Your own, or where you may manage people anybody's but an administrator's.",
        gives=ref("Revoked"),
        refuses=(UnknownPerson, NotGranted),
    )
    def delete(self, asked: Asked, person: str) -> Response:
        return Response({"revoked": revoke_tokens(person, actor=asked.actor)})


class MeView(Door):
    @operation(
        id="show_me",
        tag=TAG,
        summary="Show who you are",
        does=(
            "The person whose credential was sent, the teams and the permissions they have at this moment. With an agent's key: the agent, "
            "the key's owner as the person, and the scopes that hold."
        ),
        gives=ref("Me"),
        opened_by=("*",),
    )
    def get(self, asked: Asked) -> Response:
        actor, ends = asked.actor, getattr(asked.actor.by, "ends", None)
        return Response(
            {
                "person": actor.on_behalf_of if actor.is_agent else actor.id,
                "agent": actor.id if actor.is_agent else None,
                "auth": actor.auth,
                "expires_at": None if ends is None else clock.to_text(ends),
                "scopes": sorted(actor.scopes),
                "teams": sorted(actor.teams),
                "reads": sorted(actor.reads),
                "permissions": sorted(actor.permissions),
                "roles": sorted(actor.roles),
                "does": sorted(actor.does),
            }
        )
