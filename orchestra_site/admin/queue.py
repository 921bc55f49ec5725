"""The queue's tables in the admin, locked, and only for whoever sees everything: arguments of tasks may name what belongs to any team.

Whoever can add a schedule makes the queue's workers call any function, so here they can only be looked at. Tokens are not shown at all.
"""

from typing import Any, ClassVar

from django.contrib import admin
from django_q.models import Failure, OrmQ, Schedule, Success
from knox.models import AuthToken

from audit.admin import ReadOnlyAdmin, shown

# Their own pages would neither be filtered nor, in this theme, be legible. Tokens have a page of their own.
for model in (Failure, OrmQ, Schedule, Success, AuthToken):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    nothing = "manage.py migrate writes the schedules that the queue needs."
    list_display = (shown("name"), shown("func"), "schedule_type", "minutes", "next_run")
    fields: ClassVar[Any] = ("name", "func", "schedule_type", "minutes", "repeats", "next_run")


@admin.register(Success, Failure)
class TaskAdmin(ReadOnlyAdmin):
    nothing = "What the queue has done lately stands here; runs don't depend on it."
    list_display = (shown("func"), "started", "stopped", "success", "attempt_count")
    fields: ClassVar[Any] = ("id", "name", "func", "started", "stopped", "success", "attempt_count")


@admin.register(OrmQ)
class WaitingAdmin(ReadOnlyAdmin):
    nothing = "What the queue is still to do stands here; runs don't depend on it."
    list_display = ("id", "key", "lock")
    fields: ClassVar[Any] = ("id", "key", "lock")
