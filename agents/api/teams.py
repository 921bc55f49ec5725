"""`/api/v1/teams/…`: who belongs where, and whom a team is shown to."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response

from agents import registry
from agents.api import finding, rendering
from agents.api.right_shapes import PERMIT_ASKED, wanted
from agents.api.shapes import PERSON_ASKED
from agents.errors import NotGranted, NotPublishable, UnknownPerson, UnknownTeam
from agents.models import Team
from audit.api.doors import Asked, Door, operation
from audit.api.pages import BY_NAME, PAGING, page
from audit.api.shapes import ref
from audit.errors import Conflict, Invalid

TAG = "teams and people"
MANAGES = "Needs the permission manage-people."
OWN = "Needs the permission manage-people, and that you belong to the team yourself, or administer."
REFUSALS = (NotGranted, UnknownTeam, UnknownPerson, Conflict)


def people(team: str, asked: Asked) -> dict[str, Any]:
    found = registry.people_of(team, actor=asked.actor)
    groups = [each.name for each in found.groups]
    return {"team": found.team, "members": list(found.members), "shown_to": list(found.shown_to), "shown_to_groups": groups}


class TeamsView(Door):
    @operation(
        id="list_teams",
        tag=TAG,
        summary="List teams",
        does="The teams that you belong to or that are shown to you, by name.",
        query=PAGING,
        gives=ref("TeamPage"),
    )
    def get(self, asked: Asked) -> Response:
        return Response(page(Team.objects.visible_to(asked.actor), BY_NAME, asked, rendering.team))


class TeamView(Door):
    @operation(
        id="show_team",
        tag=TAG,
        summary="Show a team",
        does="A team and its people: who belongs to it, and whom it is shown to.",
        gives=ref("ShownTeam"),
        refuses=(UnknownTeam,),
    )
    def get(self, asked: Asked, team: str) -> Response:
        found = finding.team(team, asked.actor)
        who = people(team, asked)
        del who["team"]
        return Response({**rendering.team(found), **who})


class TeamPermissionsView(Door):
    @operation(
        id="permit_team",
        tag=TAG,
        summary="Grant permissions to all agents of a team, or withdraw them",
        does=(
            "What is granted or withdrawn holds from now on for each agent of the team, also in runs at work. It is judged as in a file; files that "
            "are applied later say it again. You must be a member of the team."
        ),
        takes=PERMIT_ASKED,
        gives=ref("Permitted"),
        refuses=(UnknownTeam, NotGranted, Invalid, NotPublishable, Conflict),
        proposes=True,
    )
    def post(self, asked: Asked, team: str) -> Response:
        return Response(registry.permit(Team, team, **wanted(asked), actor=asked.actor).as_record())


class MembersView(Door):
    @operation(
        id="add_member",
        tag=TAG,
        summary="Make a person a member",
        does=f"From their next request on the person sees what the team owns, and may act for it. {OWN}",
        takes=PERSON_ASKED,
        gives=ref("People"),
        refuses=REFUSALS,
    )
    def post(self, asked: Asked, team: str) -> Response:
        registry.add_member(team, asked.body["person"], actor=asked.actor)
        return Response(people(team, asked))


class MemberView(Door):
    @operation(
        id="remove_member",
        tag=TAG,
        summary="End a membership",
        does=f"From their next request on the person belongs to the team no more. {MANAGES}",
        gives=ref("People"),
        refuses=REFUSALS,
    )
    def delete(self, asked: Asked, team: str, person: str) -> Response:
        registry.remove_member(team, person, actor=asked.actor)
        return Response(people(team, asked))


class OnlookersView(Door):
    @operation(
        id="show_team_to_person",
        tag=TAG,
        summary="Show a team to a person",
        does=f"The person may look at what the team owns, and change nothing. {OWN}",
        takes=PERSON_ASKED,
        gives=ref("People"),
        refuses=REFUSALS,
    )
    def post(self, asked: Asked, team: str) -> Response:
        registry.show_team(team, asked.body["person"], actor=asked.actor)
        return Response(people(team, asked))


class OnlookerView(Door):
    @operation(
        id="hide_team_from_person",
        tag=TAG,
        summary="Hide a team from a person",
        does=f"The team is no longer shown to the person; members see it all the same. {MANAGES}",
        gives=ref("People"),
        refuses=REFUSALS,
    )
    def delete(self, asked: Asked, team: str, person: str) -> Response:
        registry.hide_team(team, person, actor=asked.actor)
        return Response(people(team, asked))
