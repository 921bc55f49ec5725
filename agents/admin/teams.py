"""Teams in the admin: who belongs to one, whom it is shown to, what it owns; and, for whoever manages people, the changes to that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from agents import registry
from agents.admin import permitting, publishing
from agents.admin.histories import history_of
from agents.admin.words import in_words
from agents.models import Agent, Pipeline, Team
from audit.actors import Actor
from audit.admin import Deed, ReadOnlyAdmin, act, link_to, shown, text_field
from audit.requests import actor_of

MOST: Final = 200
_PEOPLE: Final[Mapping[str, tuple[str, str, str, bool]]] = {
    "add": ("Add a member", "A member sees everything that the team owns and may act for it: start, publish, suspend.", "is a member of", False),
    "remove": ("Remove a member", "From their next request on this person may no longer act for the team or see what is its own.", "left", True),
    "show": ("Show the team to somebody", "This person may look at everything that the team owns, and change nothing.", "may look at", False),
    "hide": ("Hide the team from somebody", "The team is no longer shown to this person. Members see it all the same.", "no longer sees", True),
}
_GROUPS: Final[Mapping[str, tuple[str, str, str, bool]]] = {
    "show-group": (
        "Show the team to a group",
        "Everybody in the group may look at everything that the team owns, and change nothing.",
        "is shown",
        False,
    ),
    "hide-group": (
        "Hide the team from a group",
        "Nobody sees the team by this group any more. Whoever sees it otherwise still does.",
        "no longer is shown",
        True,
    ),
}
_DEEDS: Final = {**_PEOPLE, **_GROUPS}
_CHANGES: Final[Mapping[str, Callable[..., Any]]] = {
    "add": registry.add_member,
    "remove": registry.remove_member,
    "show": registry.show_team,
    "hide": registry.hide_team,
    "show-group": registry.show_team_to_group,
    "hide-group": registry.hide_team_from_group,
}
_LETTING_IN: Final = frozenset({"add", "show", "show-group"})


class PersonForm(forms.Form):
    person = text_field("Person", longest=150, help_text="The name that they sign in with.")


class GroupForm(forms.Form):
    group = text_field("Group", longest=150, help_text="Its name, as it stands under Groups.")


@admin.register(Team)
class TeamAdmin(ReadOnlyAdmin):
    nothing = "A team comes with the first folder that names it: manage.py apply -f FOLDER."
    list_display = (shown("name"), shown("accountable"), "created_at")
    search_fields = ("name",)
    search_help_text = "a part of a name"
    page_template = "admin/agents/team.html"

    def own_urls(self) -> Iterable[tuple[str, Callable[..., HttpResponse], str]]:
        people = [(f"<uuid:team_id>/{name}/", partial(self.do, what=name), name) for name in _DEEDS]
        return [*people, ("<uuid:team_id>/grant/", self.grant, "grant"), ("<uuid:team_id>/withdraw/", self.withdraw, "withdraw")]

    def grant(self, request: HttpRequest, team_id: UUID) -> HttpResponse:
        return permitting.grant(self, request, self.found(request, str(team_id)))

    def withdraw(self, request: HttpRequest, team_id: UUID) -> HttpResponse:
        return permitting.withdraw(self, request, self.found(request, str(team_id)))

    def page_context(self, request: HttpRequest, row: Team) -> dict[str, Any]:
        actor = actor_of(request)
        people = registry.people_of(row.name, actor=actor)
        return {
            "stopped": registry.stops_on([row.subject], actor=actor),
            "observing": [row.name] if row.observe else [],
            "people": people,
            "may_manage": actor.may_manage_people,
            "may_let_in": actor.may_manage_people and actor.may_let_in(row.name),
            "agents": Agent.objects.visible_to(actor).filter(team=row)[:MOST],
            "pipelines": Pipeline.objects.visible_to(actor).filter(team=row)[:MOST],
            "permissions": in_words(row.permissions),
            "may_permit": actor.may_change(row.name),
            "permit_urls": {name: self.url(name, row.pk) for name in ("grant", "withdraw")},
            "proposed": publishing.proposed(row, actor),
            "history": history_of(row, actor),
            "urls": {name.replace("-", "_"): self.url(name, row.pk) for name in _DEEDS},
        }

    def do(self, request: HttpRequest, team_id: UUID, what: str) -> HttpResponse:
        team, actor = self.found(request, str(team_id)), actor_of(request)
        title, sentence, done, danger = _DEEDS[what]
        field = "group" if what in _GROUPS else "person"

        def perform(said: Mapping[str, Any]) -> str:
            _CHANGES[what](team.name, said[field], actor=actor)
            return f"'{said[field]}' {done} team '{team.name}'."

        deed = Deed(
            f"{title}: {team.name}", title, link_to(team), perform, [sentence], _form(field, request.GET.get(field)), danger=danger,
            forbidden=_forbidden(actor, team, lets_in=what in _LETTING_IN), about=team,
        )  # fmt: skip
        return act(self, request, deed)


def _forbidden(actor: Actor, team: Team, *, lets_in: bool) -> str | None:
    if not actor.may_manage_people:
        return "That needs the permission manage-people; ask whoever administers this installation."
    if lets_in and not actor.may_let_in(team.name):
        return "You may let people into your own teams only; ask one of this team's people who manages people, or an administrator."
    return None


def _form(field: str, said: str | None) -> Callable[..., forms.Form]:
    form = GroupForm if field == "group" else PersonForm
    return lambda data=None: form(data, initial={field: said or ""})
