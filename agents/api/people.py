"""`/api/v1/people/…`: who may sign in, and what they may beyond their teams."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from rest_framework.response import Response

from agents import registry
from agents.api.teams import MANAGES, TAG
from agents.errors import NotGranted, UnknownPerson
from agents.registry.roles import PERMISSIONS
from audit import clock
from audit.api.doors import Asked, Door, operation
from audit.api.pages import PAGING, Order, page
from audit.api.shapes import Shape, flag, given, maybe, one_of, person, ref, text
from audit.errors import Conflict, Invalid

BY_USERNAME = Order("username")
FILTERS: dict[str, Shape] = {
    "active": flag("true: only those who may sign in; false: only those who may not"),
    "administrator": flag("true: only administrators; false: only others"),
}


def rendered(user: User) -> dict[str, Any]:
    return {
        "name": user.username,
        "active": user.is_active,
        "administrator": user.is_superuser,
        "email": user.email or None,
        "created_at": clock.to_text(user.date_joined),
        "signed_in_at": None if user.last_login is None else clock.to_text(user.last_login),
    }


class PeopleView(Door):
    @operation(
        id="list_people",
        tag=TAG,
        summary="List accounts",
        does="All accounts, by name, for whoever manages people; for everybody else their own. Who belongs to a team is said with the team.",
        query={**FILTERS, **PAGING},
        gives=ref("PersonPage"),
    )
    def get(self, asked: Asked) -> Response:
        columns = {"active": "is_active", "administrator": "is_superuser"}
        wanted = {columns[name]: value for name, value in asked.query.items() if name in columns}
        return Response(page(registry.people_visible_to(asked.actor).filter(**wanted), BY_USERNAME, asked, rendered))

    @operation(
        id="create_person",
        tag=TAG,
        summary="Make an account",
        does=f"A person who may sign in, and sees nothing until they belong to a team. The password is in this answer and nowhere else. {MANAGES}",
        takes=given(
            name=person(),
            administrator=flag("may do everything, for every team; only an administrator makes another one"),
            optional=("administrator",),
            examples=[{"name": "dora"}],
        ),
        gives=ref("NewPerson"),
        status=201,
        refuses=(NotGranted, Invalid, Conflict),
    )
    def post(self, asked: Asked) -> Response:
        user, password = registry.create_person(asked.body["name"], actor=asked.actor, administrator=asked.body.get("administrator", False))
        return Response({**rendered(user), "password": password}, status=201)


class PersonView(Door):
    @operation(
        id="show_person",
        tag=TAG,
        summary="Show an account",
        does="Whether they may sign in, their teams, and what they may beyond these. Of teams that you don't see you learn how many there are.",
        gives=ref("ShownPerson"),
        refuses=(UnknownPerson,),
    )
    def get(self, asked: Asked, person: str) -> Response:
        found = registry.person_shown(person, actor=asked.actor)
        place = registry.place_of(found, actor=asked.actor)
        return Response(
            {
                **rendered(found),
                "teams": [team.name for team in place.teams],
                "other_teams": place.other_teams,
                "shown": [team.name for team in place.shown],
                "other_shown": place.other_shown,
                "permissions": list(place.permissions),
                "groups": [group.name for group in place.groups],
                "accounts": list(place.accounts),
            }
        )


class PasswordView(Door):
    @operation(
        id="reset_password",
        tag=TAG,
        summary="Give a person a new password",
        does=(
            "A random one in place of the present one: it is in this answer and nowhere else, and ends the person's sessions and tokens. Not for "
            f"somebody who may see or do more than you. {MANAGES}"
        ),
        gives=ref("NewPerson"),
        refuses=(NotGranted, UnknownPerson),
    )
    def post(self, asked: Asked, person: str) -> Response:
        user, password = registry.reset_password(person, actor=asked.actor)
        return Response({**rendered(user), "password": password})


class DeactivateView(Door):
    @operation(
        id="deactivate_person",
        tag=TAG,
        summary="End a person's access",
        does=f"Sessions and tokens of the person are refused from their next use on. {MANAGES}",
        gives=ref("Person"),
        refuses=(NotGranted, UnknownPerson, Conflict),
    )
    def post(self, asked: Asked, person: str) -> Response:
        return Response(rendered(registry.set_active(person, active=False, actor=asked.actor)))


class ActivateView(Door):
    @operation(
        id="activate_person",
        tag=TAG,
        summary="Let a person sign in again",
        does=f"What they were given before holds again, tokens that have not ended too. {MANAGES}",
        gives=ref("Person"),
        refuses=(NotGranted, UnknownPerson, Conflict),
    )
    def post(self, asked: Asked, person: str) -> Response:
        return Response(rendered(registry.set_active(person, active=True, actor=asked.actor)))


class EmailView(Door):
    @operation(
        id="set_email",
        tag=TAG,
        summary="Say where a person is written to",
        does=(
            "To this address goes what waits for them, where the installation sends e-mail; null takes it away. One's own without any permission, "
            "somebody else's with manage-people; an administrator's is theirs and other administrators' to set."
        ),
        takes=given(email=maybe(text("the address; null: none", example="alice@example.com")), examples=[{"email": "alice@example.com"}]),
        gives=ref("Person"),
        refuses=(NotGranted, UnknownPerson, Invalid, Conflict),
    )
    def post(self, asked: Asked, person: str) -> Response:
        return Response(rendered(registry.set_email(person, asked.body["email"] or "", actor=asked.actor)))


class SameView(Door):
    @operation(
        id="same_person",
        tag=TAG,
        summary="Say whose other account it is",
        does=(
            "Two accounts of one person are one where something is approved: what they did with either, neither approves. `as`: another account of "
            f"the same person; null: the account is nobody else's any more, which nobody says of their own. {MANAGES}"
        ),
        takes=given({"as": maybe(person("another account of theirs"))}, examples=[{"as": "alice"}, {"as": None}]),
        gives=ref("Person"),
        refuses=(NotGranted, UnknownPerson, Invalid, Conflict),
    )
    def post(self, asked: Asked, person: str) -> Response:
        other = asked.body["as"]
        done = registry.somebody_else(person, actor=asked.actor) if other is None else registry.same_person(person, other, actor=asked.actor)
        return Response(rendered(done))


class PermissionsView(Door):
    @operation(
        id="permit_person",
        tag=TAG,
        summary="Give or take a permission",
        does=f"What a person may beyond their teams: `see-everything` shows all teams' things and lets nobody change anything. {MANAGES}",
        takes=given(
            permission=one_of(*sorted(PERMISSIONS)),
            allowed=flag("true gives it, false takes it"),
            examples=[{"permission": "see-everything", "allowed": True}],
        ),
        gives=ref("Person"),
        refuses=(NotGranted, UnknownPerson, Invalid),
    )
    def post(self, asked: Asked, person: str) -> Response:
        user = registry.permit_person(person, asked.body["permission"], allowed=asked.body["allowed"], actor=asked.actor)
        return Response(rendered(user))
