"""Groups of people in the admin, for whoever manages people: who is in one, which teams are shown to it, and the changes to that.

A team is shown to a group on the page of the team. Django's own pages of groups would write past the use-cases.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse

from agents import registry
from audit.admin import Deed, ReadOnlyAdmin, act, link_to, shown, text_field
from audit.requests import actor_of

if admin.site.is_registered(Group):
    admin.site.unregister(Group)

_DEEDS: Final[Mapping[str, tuple[str, str, bool]]] = {
    "add": ("Put somebody in", "From their next request on this person sees every team that is shown to the group.", False),
    "remove": ("Take somebody out", "From their next request on this person sees by this group no more.", True),
    "end": ("Delete the group", "Only a group of nobody that is shown nothing is deleted: take people out and hide teams first.", True),
}


class CreateForm(forms.Form):
    name = text_field("Name", longest=63, help_text="A small letter, then small letters, digits and -.")


class PersonForm(forms.Form):
    person = text_field("Person", longest=150, help_text="The name that they sign in with.")


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin):
    nothing = "A group is people to whom teams are shown together."
    list_display = (shown("name", 150), "people", "teams")
    search_fields = ("name",)
    search_help_text = "a part of a name"
    page_template = "admin/site/group.html"
    change_list_template = "admin/site/groups.html"

    @admin.display(description="people")
    def people(self, group: Group) -> int:
        return int(group.people)  # type: ignore[attr-defined] # counted by the queryset

    @admin.display(description="teams shown to it")
    def teams(self, group: Group) -> int:
        return int(group.teams)  # type: ignore[attr-defined] # as above

    def has_module_permission(self, request: HttpRequest) -> bool:
        return actor_of(request).may_manage_people

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        counted = {"people": Count("user", distinct=True), "teams": Count("teamgroupobjectpermission", distinct=True)}
        return registry.groups_visible_to(actor_of(request)).annotate(**counted).order_by("name")

    def own_urls(self) -> Iterable[tuple[str, Callable[..., HttpResponse], str]]:
        deeds = [(f"<int:group_id>/{name}/", partial(self.do, what=name), name) for name in _DEEDS]
        return [("create/", self.create, "create"), *deeds]

    def page_context(self, request: HttpRequest, row: Group) -> dict[str, Any]:
        return {"place": registry.group_shown(row.name, actor=actor_of(request)), "urls": {name: self.url(name, row.pk) for name in _DEEDS}}

    def create(self, request: HttpRequest) -> HttpResponse:
        actor = actor_of(request)

        def perform(said: Mapping[str, Any]) -> str:
            return f"'{registry.create_group(said['name'], actor=actor).name}' is a group now, of nobody, that is shown nothing."

        says = ["A group of people whom teams are shown to together: put people in on its page, and show it a team on the team's."]
        return act(self, request, Deed("Create a group", "Create", self.url("changelist"), perform, says, CreateForm))

    def do(self, request: HttpRequest, group_id: int, what: str) -> HttpResponse:
        group, actor = self.found(request, str(group_id)), actor_of(request)
        title, sentence, danger = _DEEDS[what]

        def perform(said: Mapping[str, Any]) -> str:
            if what == "end":
                registry.delete_group(group.name, actor=actor)
                return f"Group '{group.name}' is deleted."
            (registry.add_to_group if what == "add" else registry.take_from_group)(group.name, said["person"], actor=actor)
            return f"'{said['person']}' {'is' if what == 'add' else 'is no longer'} in group '{group.name}'."

        form = forms.Form if what == "end" else partial(PersonForm, initial={"person": request.GET.get("person", "")})
        back = self.url("changelist") if what == "end" else link_to(group)
        return act(self, request, Deed(f"{title}: {group.name}", title, back, perform, [sentence], form, danger=danger, about=group))
