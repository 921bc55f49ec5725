"""Stops in the admin: what is stopped, with the proof that it has come to rest; stopping something, and lifting a stop.

Decides nothing: who may is the registry's to say, and what has become of calls is `runs.services`'.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminSelectWidget

from agents import registry, stops
from agents.admin.publishing import proposing
from agents.models import Scope, Stop
from audit import clock
from audit.actors import Actor
from audit.admin import Deed, LongListAdmin, ReasonForm, act, choice, link_to, text_field
from audit.requests import actor_of
from audit.templatetags.showing import who
from audit.visible import visible
from audit.wording import instant
from runs import services

SAYS = (
    "From now on no call in its scope is sent. Workers feel it within a second and cut short what is in flight.",
    "What may be made anew waits for the end of the stop; what acts at most once waits for somebody who says whether it was done.",
    "Queued runs wait, no new one is started, and the clock of what waits stands still.",
)


CHOICES = [("", "choose one…"), *((str(scope), stops.WORDS.get(scope, str(scope))) for scope in Scope)]


class StopForm(ReasonForm):
    """What, by which name, and why."""

    scope = forms.ChoiceField(label="What", choices=CHOICES, widget=UnfoldAdminSelectWidget())
    name = text_field("Name", required=False, longest=100, help_text="Leave it empty to stop everything. A version is NAME@3, a run its id.")
    field_order = ("scope", "name", "reason")


@admin.register(Stop)
class StopAdmin(LongListAdmin):
    """Those in force and those that were lifted, the newest first."""

    heading = "Stops"
    nothing = "Nothing has been stopped. What somebody stops stands here, with the proof that nothing of it is sent any more."
    list_display = ("what", "stands", "since", "by", "until")
    list_display_links = ("what",)
    list_filter = (choice("scope", Scope.values),)
    keyset = ("stopped_at", "id")
    change_list_template = "admin/runs/stops.html"
    page_template = "admin/runs/stop.html"

    @admin.display(description="what")
    def what(self, row: Stop) -> str:
        return visible(stops.what(row.subject), 120)

    @admin.display(description="stands")
    def stands(self, row: Stop) -> str:
        return "in force" if row.lifted_at is None else "lifted"

    @admin.display(description="since (UTC)")
    def since(self, row: Stop) -> str:
        return instant(row.stopped_at)

    @admin.display(description="by")
    def by(self, row: Stop) -> str:
        return who(row.stopped_by)

    @admin.display(description="until (UTC)", empty_value="-")
    def until(self, row: Stop) -> str | None:
        return None if row.lifted_at is None else instant(row.lifted_at)

    def page_context(self, request: HttpRequest, row: Stop) -> dict[str, Any]:
        actor = actor_of(request)
        said = services.stop_document(row, actor=actor, now=clock.now())
        row.headed = f"Stop of {said['what']}"  # type: ignore[attr-defined]  # the frame's heading shows it before the row's own name
        may = row.lifted_at is None and _forbidden(row, actor) is None
        return {"title": row.headed, "said": said, "proof": said["proof"], "lift_url": self.url("lift", row.pk) if may else None}  # type: ignore[attr-defined]

    def own_urls(self) -> Iterable[tuple[str, Callable[..., HttpResponse], str]]:
        return [("set/", self.set, "set"), ("<uuid:stop_id>/lift/", self.lift, "lift")]

    def set(self, request: HttpRequest) -> HttpResponse:
        """Where a page leads here, it says what it is about."""
        actor, made = actor_of(request), {"at": ""}

        def perform(said: Mapping[str, Any]) -> str:
            row = services.set_stop(scope=said["scope"], name=said["name"], reason=said["reason"], actor=actor)
            made["at"] = link_to(row)
            return f"{stops.what(row.subject)} is stopped."

        wanted = {name: request.GET.get(name, "")[:100] for name in ("scope", "name")}
        deed = Deed(
            "Stop something", "Stop it", self.url("changelist"), perform, SAYS, danger=True, after=lambda: made["at"],
            form=partial(StopForm, initial=wanted),
        )  # fmt: skip
        return act(self, request, deed)

    def lift(self, request: HttpRequest, stop_id: UUID) -> HttpResponse:
        actor, row = actor_of(request), self.found(request, str(stop_id))

        def perform(_: Mapping[str, Any]) -> str:
            services.lift_stop(stop=str(row.id), actor=actor)
            return f"The stop of {stops.what(row.subject)} is lifted."

        first = next((said for team in registry.teams_of_stop(row) if (said := proposing(team, "resuming"))), None)
        says = (
            *([first] if first else []),
            "What waited for its end goes on, as far as it is under no other stop.",
            "Steps that were cut short are made anew; queued runs are begun.",
        )
        title = f"Lift the stop of {stops.what(row.subject)}"
        return act(
            self, request, Deed(title, "Propose" if first else "Lift it", link_to(row), perform, says, forbidden=_forbidden(row, actor), about=row)
        )


def _forbidden(row: Stop, actor: Actor) -> str | None:
    if row.team is None:
        return None if actor.administers else "This is no team's own: only who administers the installation lets it go on."
    team = row.team.name
    return None if actor.may_change(team) else f"You may look at this, but it belongs to team '{team}' and only its people can let it go on."
