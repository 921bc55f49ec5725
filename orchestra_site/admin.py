"""The admin as a whole: its name, and the queue's tables locked.

Whoever can add a schedule makes the queue's workers call any function, so here they can only be looked at. Tokens are not shown at all.
"""

from typing import Any, ClassVar

from django.contrib import admin
from django_q.models import Failure, OrmQ, Schedule, Success
from knox.models import AuthToken

from audit.admin import ReadOnlyAdmin, shown

admin.site.site_header = "Orchestra"
admin.site.site_title = "Orchestra"
admin.site.index_title = "What exists, what is happening, what happened"

for model in (AuthToken, Failure, OrmQ, Schedule, Success):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    list_display = (shown("name"), shown("func"), "schedule_type", "minutes", "next_run")


@admin.register(Success, Failure)
class TaskAdmin(ReadOnlyAdmin):
    list_display = (shown("func"), "started", "stopped", "success", "attempt_count")
    fields: ClassVar[Any] = ("id", "name", "func", "started", "stopped", "success", "attempt_count")


@admin.register(OrmQ)
class WaitingAdmin(ReadOnlyAdmin):
    list_display = ("id", "key", "lock")
    fields: ClassVar[Any] = ("id", "key", "lock")
