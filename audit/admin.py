"""The audit tables in the admin, for looking only: nothing here can add, change or delete.

Every text is shown through audit.visible and escaped by the template. Knows no rule; reads models and reports.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from audit.models import Charge, Entry, Message, Opening, Pending
from audit.visible import visible

_LONG = 40_000

if TYPE_CHECKING:  # the stubs are generic, Django's class is not
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(_ModelAdmin):
    """Refuses every change, the superuser's too, and shows field values made visible."""

    actions = None
    list_per_page = 50
    show_full_result_count = False  # counting millions of rows takes longer than looking at fifty

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        """The fields that the class names, or all of them, texts made visible."""
        return self.fields or [shown(each.name, 2000) if isinstance(each, models.CharField) else each.name for each in self.opts.fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.get_fields(request, obj)


def shown(name: str, limit: int = 80) -> Any:
    """A column that shows a text field made visible, sortable like the field."""

    @admin.display(description=name.replace("_", " "), ordering=name, empty_value="-")
    def column(row: models.Model) -> str | None:
        value = getattr(row, name)
        return None if value in (None, "") else visible(value, limit)

    return column


def _indented(data: bytes | memoryview) -> str:
    """JSON for reading: indented, each line made visible. Templates escape it."""
    lines = json.dumps(json.loads(bytes(data)), ensure_ascii=False, indent=2).split("\n")
    return "\n".join(visible(line, 2000) for line in lines)[:_LONG]


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    list_display = ("at", shown("verb"), shown("subject"), shown("actor"), shown("team"), shown("agent"), "seq")
    list_display_links = ("at",)
    list_filter = ("actor_kind",)
    search_fields = ("verb", "subject", "actor", "agent", "team")
    ordering = ("-at", "-id")
    fields: ClassVar[Any] = ("record", "digest")

    @admin.display(description="record")
    def record(self, entry: Entry) -> str:
        return _indented(entry.body)


@admin.register(Opening)
class OpeningAdmin(ReadOnlyAdmin):
    list_display = ("entry", shown("path"), "preview")
    search_fields = ("=entry",)
    fields: ClassVar[Any] = ("entry", shown("path"), "opened", "commitment")

    @admin.display(description="value")
    def preview(self, opening: Opening) -> str:
        return visible(bytes(opening.value[:400]).decode(errors="replace"), 80)

    @admin.display(description="value")
    def opened(self, opening: Opening) -> str:
        return _indented(opening.value)


@admin.register(Pending)
class PendingAdmin(ReadOnlyAdmin):
    list_display = ("entry",)


@admin.register(Charge)
class ChargeAdmin(ReadOnlyAdmin):
    list_display = ("at", shown("agent"), shown("pipeline"), shown("team"), shown("model"), "amount_nano", "estimated")
    list_display_links = ("at",)
    list_filter = ("estimated",)
    search_fields = ("agent", "pipeline", "team", "provider", "model")
    ordering = ("-at",)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("created_at", shown("topic"), shown("dedupe_key"), "attempts", "due_at", "done_at")
    list_display_links = ("created_at",)
    list_filter = ("topic",)
    search_fields = ("topic", "dedupe_key")
    ordering = ("-id",)
