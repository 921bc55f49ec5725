"""`/api/v1/groups/…`: groups of people, and the teams that are shown to them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from rest_framework.response import Response

from agents import registry
from agents.api.shapes import GROUP_ASKED, NEW_GROUP_ASKED, PERSON_ASKED
from agents.api.teams import MANAGES, OWN, TAG, people
from agents.errors import NotGranted, UnknownGroup, UnknownPerson, UnknownTeam
from audit.api.doors import Asked, Door, operation
from audit.api.pages import BY_NAME, PAGING, page
from audit.api.shapes import ref
from audit.errors import Conflict, Invalid

REFUSALS = (NotGranted, UnknownGroup, UnknownPerson, Conflict)
OF_A_TEAM = (NotGranted, UnknownTeam, UnknownGroup, Conflict)


def rendered(group: Group) -> dict[str, Any]:
    return {"name": group.name}


def shown(name: str, asked: Asked) -> Response:
    place = registry.group_shown(name, actor=asked.actor)
    teams = [team.name for team in place.shown]
    return Response({**rendered(place.group), "people": list(place.people), "shown": teams, "other_shown": place.other_shown})


class GroupsView(Door):
    @operation(
        id="list_groups",
        tag=TAG,
        summary="List groups",
        does="All groups, by name, for whoever manages people; for everybody else none.",
        query=PAGING,
        gives=ref("GroupPage"),
    )
    def get(self, asked: Asked) -> Response:
        return Response(page(registry.groups_visible_to(asked.actor), BY_NAME, asked, rendered))

    @operation(
        id="create_group",
        tag=TAG,
        summary="Make a group",
        does=f"A group of nobody, that is shown nothing. {MANAGES}",
        takes=NEW_GROUP_ASKED,
        gives=ref("Group"),
        status=201,
        refuses=(NotGranted, Invalid, Conflict),
    )
    def post(self, asked: Asked) -> Response:
        return Response(rendered(registry.create_group(asked.body["name"], actor=asked.actor)), status=201)


class GroupView(Door):
    @operation(
        id="show_group",
        tag=TAG,
        summary="Show a group",
        does="Who is in it, and which teams are shown to it. Of teams that you don't see you learn how many there are.",
        gives=ref("ShownGroup"),
        refuses=(UnknownGroup,),
    )
    def get(self, asked: Asked, group: str) -> Response:
        return shown(group, asked)

    @operation(
        id="delete_group",
        tag=TAG,
        summary="Delete a group",
        does=f"One of nobody, that is shown nothing: people are taken out and teams hidden first. {MANAGES}",
        gives={},
        status=204,
        refuses=(NotGranted, UnknownGroup, Conflict),
    )
    def delete(self, asked: Asked, group: str) -> Response:
        registry.delete_group(group, actor=asked.actor)
        return Response(status=204)


class GroupPeopleView(Door):
    @operation(
        id="add_to_group",
        tag=TAG,
        summary="Put a person into a group",
        does=f"From their next request on the person sees what is shown to the group; so the teams of the group have to be yours. {MANAGES}",
        takes=PERSON_ASKED,
        gives=ref("ShownGroup"),
        refuses=REFUSALS,
    )
    def post(self, asked: Asked, group: str) -> Response:
        registry.add_to_group(group, asked.body["person"], actor=asked.actor)
        return shown(group, asked)


class GroupPersonView(Door):
    @operation(
        id="take_from_group",
        tag=TAG,
        summary="Take a person out of a group",
        does=f"From their next request on the person sees by it no more. {MANAGES}",
        gives=ref("ShownGroup"),
        refuses=REFUSALS,
    )
    def delete(self, asked: Asked, group: str, person: str) -> Response:
        registry.take_from_group(group, person, actor=asked.actor)
        return shown(group, asked)


class OnlookerGroupsView(Door):
    @operation(
        id="show_team_to_group",
        tag=TAG,
        summary="Show a team to a group",
        does=f"Everybody in the group may look at what the team owns, and change nothing. {OWN}",
        takes=GROUP_ASKED,
        gives=ref("People"),
        refuses=OF_A_TEAM,
    )
    def post(self, asked: Asked, team: str) -> Response:
        registry.show_team_to_group(team, asked.body["group"], actor=asked.actor)
        return Response(people(team, asked))


class OnlookerGroupView(Door):
    @operation(
        id="hide_team_from_group",
        tag=TAG,
        summary="Hide a team from a group",
        does=f"Nobody sees the team by this group any more; whoever sees it otherwise still does. {MANAGES}",
        gives=ref("People"),
        refuses=OF_A_TEAM,
    )
    def delete(self, asked: Asked, team: str, group: str) -> Response:
        registry.hide_team_from_group(team, group, actor=asked.actor)
        return Response(people(team, asked))
