"""Cover in the admin: who decides in whose stead while they are away; arranging it, ending it. One use-case each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from agents import registry
from agents.models import Cover
from agents.registry.covering import LONGEST
from audit import clock
from audit.actors import Actor
from audit.admin import Deed, LongListAdmin, act, text_field
from audit.requests import actor_of
from audit.visible import visible
from audit.wording import instant

AHEAD, EVERY = "ahead", "every"
_TIME = "A day, which begins at midnight UTC, or an instant such as 2026-12-28T12:00:00Z."


class CoverForm(forms.Form):
    deputy = text_field("Who decides", longest=150, such_as="bob", help_text="By their user name; somebody who is in a team with whoever is away.")
    since = text_field("From", longest=40, required=False, such_as="now", help_text=f"{_TIME} Empty: from now on.")
    until = text_field("Until", longest=40, such_as="2026-12-28", help_text=f"{_TIME} At most {LONGEST.days} days later; then it ends by itself.")


class OthersCoverForm(CoverForm):
    """For whoever manages people."""

    person = text_field("Who is away", longest=150, help_text="By their user name.")
    field_order = ("person", "deputy", "since", "until")


class Shows(admin.SimpleListFilter):
    """Without a choice: what holds or will."""

    title = "state"
    parameter_name = "shows"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        return [(EVERY, "also what is over")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        first, *others = super().choices(changelist)
        yield {**first, "display": "what holds, or will"}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Cover]) -> QuerySet[Cover]:  # noqa: ARG002 - as above
        return queryset if self.value() == EVERY else queryset & Cover.objects.ahead(clock.now())


@admin.register(Cover)
class CoverAdmin(LongListAdmin):
    """Each row leads to the page on which it is ended."""

    heading = "Cover"
    nothing = "While somebody is away, a colleague decides approvals in their stead."
    begins_with = ("Nobody stands in for anybody.", f"?shows={EVERY}", "What is over too")
    list_display = ("who", "away", "begins", "ends", "reads")
    list_filter = (Shows,)
    list_select_related = ("person", "deputy")
    change_list_template = "admin/agents/covers.html"
    keyset = ("created_at", "id")

    @admin.display(description="who decides")
    def who(self, cover: Cover) -> str:
        return visible(cover.deputy.username, 150)

    @admin.display(description="in whose stead")
    def away(self, cover: Cover) -> str:
        return visible(cover.person.username, 150)

    @admin.display(description="from (UTC)")
    def begins(self, cover: Cover) -> str:
        return instant(cover.since)

    @admin.display(description="until (UTC)")
    def ends(self, cover: Cover) -> str:
        return instant(cover.until)

    @admin.display(description="reads")
    def reads(self, cover: Cover) -> str:
        return cover.stands(clock.now())

    def own_urls(self) -> Iterable[tuple[str, Callable[..., HttpResponse], str]]:
        return [("arrange/", self.arrange, "arrange")]

    def arrange(self, request: HttpRequest) -> HttpResponse:
        actor = actor_of(request)

        def perform(said: Mapping[str, Any]) -> str:
            away = said.get("person") or actor.id
            made = registry.arrange_cover(away, said["deputy"].strip(), until=said["until"], since=said["since"], actor=actor)
            return (
                f"{made.deputy.username} decides in the stead of {made.person.username}, from {instant(made.since)} until {instant(made.until)} UTC."
            )

        says = [
            "Whoever is named finds what approval policies ask of the person away, is told of it, and decides it in their stead.",
            "The person away may still decide; whoever is first has had that say, so it counts once.",
            "The deputy decides nothing that either of the two had a part in, and can't hand it on. Each decision says in whose stead it was made.",
        ]
        form = (lambda data=None: OthersCoverForm(data, initial={"person": actor.id})) if actor.may_manage_people else CoverForm
        return act(self, request, Deed("Have somebody stand in", "Arrange it", self.url("changelist"), perform, says, form))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002 - Django's
        cover, actor = self.found(request, object_id), actor_of(request)

        def perform(_: Mapping[str, Any]) -> str:
            registry.end_cover(str(cover.pk), actor=actor)
            return f"{cover.deputy.username} decides in the stead of {cover.person.username} no more."

        who, away = visible(cover.deputy.username, 150), visible(cover.person.username, 150)
        says = [
            f"{who} decides in the stead of {away} from {instant(cover.since)} until {instant(cover.until)} UTC.",
            f"Arranged by {_who(cover.made_by)} at {instant(cover.created_at)} UTC.",
            "Ended before its time, what was decided until then stays so.",
        ]
        title = f"{who} for {away}"
        return act(self, request, Deed(title, "End it", self.url("changelist"), perform, says, danger=True, forbidden=_forbidden(cover, actor)))


def _who(by: str) -> str:
    return visible(by.removeprefix("person:"), 150) if by.startswith("person:") else "the command line"


def _forbidden(cover: Cover, actor: Actor) -> str | None:
    stands = cover.stands(clock.now())
    if stands in ("ended", "over"):
        return f"It is {stands}; there is nothing to be done about it any more."
    mine = actor.may_manage_people or actor.id in (cover.person.username, cover.deputy.username)
    return None if mine else "Either of the two ends it, or whoever manages people."
