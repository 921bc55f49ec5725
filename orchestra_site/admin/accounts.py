"""People in the admin, for whoever may manage them: accounts, their teams and permissions, and the changes to those.

A password is made by the registry, shown once, and kept nowhere. Everybody changes their own under "Change password".
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldBooleanSwitchWidget

from agents import registry
from agents.registry.roles import PERMISSIONS
from audit.admin import Deed, LongListAdmin, act, link_to, shown, text_field
from audit.requests import actor_of
from audit.templatetags.showing import badge
from audit.wording import instant
from orchestra_site.admin.account import EmailForm, set_address, tokens_of
from orchestra_site.admin.locks import locks_of

if admin.site.is_registered(User):
    admin.site.unregister(User)

_SENTENCES: Final[Mapping[str, tuple[str, str, str, bool]]] = {
    "deactivate": (
        "Deactivate",
        "This person can no longer sign in. Open sessions and tokens end with their next request.",
        "can no longer sign in",
        True,
    ),
    "activate": ("Activate", "This person may sign in again, with the password and the teams that they had.", "may sign in again", False),
    "reset": (
        "New password",
        "A new random password is made in place of the present one and shown once. Open sessions and all tokens end.",
        "",
        True,
    ),
    "email": ("Set the e-mail address", "There the person is told what waits for them, where this installation sends e-mail.", "", False),
    "same": (
        "Same person as",
        "Two accounts of one person are one where something is approved: what they did with either, neither approves.",
        "",
        False,
    ),
    "nobody_else": ("Nobody else", "The account is nobody's other account any more.", "is nobody else", True),
    "give": ("Give a permission", "What a person may do beyond their teams. It holds from their next request on.", "was given", False),
    "take": ("Take a permission", "It holds from their next request on.", "lost", True),
}


class CreateForm(forms.Form):
    username = text_field("Name", longest=150, help_text="What they sign in with: letters, digits and @ . + - _.")
    administrator = forms.BooleanField(
        label="Administrator",
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        help_text="May do everything, for every team. Few people need that.",
    )


class SameForm(forms.Form):
    other = text_field("The other account", longest=150, help_text="By its user name: an account of the same person.")


class PermissionForm(forms.Form):
    permission = forms.ChoiceField(choices=[(name, name) for name in sorted(PERMISSIONS)], widget=UnfoldAdminSelectWidget())


@admin.register(User)
class PersonAdmin(LongListAdmin):
    heading = "People"
    list_display = (shown("username", called="name"), "stands", "administers", "signed_in", "since")
    search_fields = ("username",)
    search_help_text = "the beginning of a name"
    page_template = "admin/site/person.html"
    change_list_template = "admin/site/people.html"

    @admin.display(description="state")
    def stands(self, person: User) -> str:
        return render_to_string("admin/audit/badge.html", badge("active") if person.is_active else badge("retired", "inactive"))

    @admin.display(description="administrator", empty_value="-")
    def administers(self, person: User) -> str | None:
        return "yes" if person.is_superuser else None

    @admin.display(description="signed in last (UTC)", empty_value="never")
    def signed_in(self, person: User) -> str | None:
        return None if person.last_login is None else instant(person.last_login)

    @admin.display(description="account since (UTC)")
    def since(self, person: User) -> str:
        return instant(person.date_joined)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return actor_of(request).may_manage_people

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Nobody else sees who else has an account; of their teams, members and onlookers are on the team's page."""
        return User.objects.all() if actor_of(request).may_manage_people else User.objects.none()

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:  # noqa: ARG002 - Django's signature
        return queryset.filter(username__startswith=search_term.strip()), False

    def own_urls(self) -> Iterable[tuple[str, Callable[..., HttpResponse], str]]:
        deeds = [(f"<int:person_id>/{name}/", partial(self.do, what=name), name) for name in _SENTENCES]
        return [("create/", self.create, "create"), *deeds]

    def page_context(self, request: HttpRequest, row: User) -> dict[str, Any]:
        """Teams by name as far as whoever looks sees them; the others are a number."""
        actor = actor_of(request)
        return {
            "place": registry.place_of(row, actor=actor),
            "tokens": tokens_of(row, actor),
            "locks": [(lock, link_to(lock)) for lock in locks_of(row, actor)],
            "urls": {name: self.url(name, row.pk) for name in _SENTENCES},
        }

    def create(self, request: HttpRequest) -> HttpResponse:
        actor = actor_of(request)

        def perform(said: Mapping[str, Any]) -> HttpResponse:
            person, password = registry.create_person(said["username"], actor=actor, administrator=said["administrator"])
            return self._once(request, person, password)

        says = ["A new account that may sign in here. It belongs to no team until somebody adds it to one, so it sees nothing at first."]
        return act(self, request, Deed("Create a person", "Create", self.url("changelist"), perform, says, CreateForm))

    def do(self, request: HttpRequest, person_id: int, what: str) -> HttpResponse:
        person, actor = self.found(request, str(person_id)), actor_of(request)
        title, sentence, done, danger = _SENTENCES[what]

        def perform(said: Mapping[str, Any]) -> str | HttpResponse:
            if what == "reset":
                return self._once(request, *registry.reset_password(person.username, actor=actor))
            if what == "email":
                return set_address(person.username, said["email"], actor)
            if what == "same":
                registry.same_person(person.username, said["other"].strip(), actor=actor)
                return f"'{person.username}' is the same person as '{said['other'].strip()}'."
            if what == "nobody_else":
                registry.somebody_else(person.username, actor=actor)
                return f"'{person.username}' {done}."
            if what in ("activate", "deactivate"):
                registry.set_active(person.username, active=what == "activate", actor=actor)
                return f"'{person.username}' {done}."
            registry.permit_person(person.username, said["permission"], allowed=what == "give", actor=actor)
            return f"'{person.username}' {done} {said['permission']}."

        form = _form(what, person)
        back = self.url("change", person.pk)
        return act(self, request, Deed(f"{title}: {person.username}", title, back, perform, [sentence], form, danger=danger, about=person))

    def _once(self, request: HttpRequest, person: User, password: str) -> HttpResponse:
        """The one page on which a password is ever shown; like every page of the admin it says no-store."""
        return self.page(request, "admin/site/password_once.html", title="A password, shown once", person=person, password=password)


def _form(what: str, person: User) -> Callable[..., forms.Form]:
    if what == "email":
        return lambda data=None: EmailForm(data, initial={"email": person.email})
    if what == "same":
        return SameForm
    return PermissionForm if what in ("give", "take") else forms.Form
