"""What too many wrong passwords have locked, for whoever manages people; and lifting it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from audit import clock
from audit.actors import Actor
from audit.admin import Deed, LongListAdmin, act
from audit.requests import actor_of
from audit.visible import visible
from audit.wording import ago, instant
from orchestra_site.models import Tries
from orchestra_site.tries import lift_lock

MOST: Final = 50


def locks_of(person: User, actor: Actor) -> Sequence[Tries]:
    """What is locked about a person at this moment, as far as the actor may see it."""
    return list(Tries.objects.locks(clock.now()).visible_to(actor).filter(person=person).select_related("person")[:MOST])


@admin.register(Tries)
class LockAdmin(LongListAdmin):
    """The page of a lock is where it is lifted; the list says all else."""

    nothing = "After too many wrong passwords none is looked at for a while. While that lasts it stands here, and can be lifted."
    list_display = ("what", "until")
    list_select_related = ("person",)
    change_list_template = "admin/site/locks.html"
    keyset = ("ends", "id")

    @admin.display(description="locked")
    def what(self, lock: Tries) -> str:
        return visible(lock.subject, 300)

    @admin.display(description="until (UTC)")
    def until(self, lock: Tries) -> str:
        return f"{instant(lock.ends)}, {ago(lock.ends, lock.seen_at)}"  # type: ignore[attr-defined] # set by `listed`

    def listed(self, request: HttpRequest, rows: list[Any]) -> list[Any]:  # noqa: ARG002 - as its base
        now = clock.now()  # once, not for each row: it is the database's
        for row in rows:
            row.seen_at = now
        return rows

    def has_module_permission(self, request: HttpRequest) -> bool:
        return actor_of(request).may_manage_people

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return Tries.objects.locks(clock.now()).visible_to(actor_of(request))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002 - Django's
        self.offered_to(request)
        lock, actor = self.found(request, object_id), actor_of(request)

        def perform(_: Mapping[str, Any]) -> str:
            return f"Allowed again: {lift_lock(lock.pk, actor=actor)}."

        says = [
            f"Too many wrong passwords have locked {lock.subject}, until {instant(lock.ends)} UTC. Then it ends by itself.",
            "Make sure that it was the person who mistyped. Lifted, as many wrong passwords may be tried again.",
        ]
        return act(self, request, Deed("Lift a lock", "Let passwords be tried again", self.url("changelist"), perform, says))
