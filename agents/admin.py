"""The inventory in the admin, for looking only: what changes it is `apply` and `rollback`.

Every text is shown through audit.visible and escaped by the template. Knows no rule; reads models.
"""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from agents.models import Agent, Artifact, ModelAlias, Pipeline, Price, Release, Team, Version
from audit.admin import ReadOnlyAdmin, shown
from audit.visible import visible

MAX_TEXT = 2_000
MAX_LINES = 2_000


def as_json(name: str) -> Any:
    """A JSON field for reading: indented, each line made visible; the template escapes it."""

    @admin.display(description=name.replace("_", " "))
    def column(row: models.Model) -> str:
        lines = json.dumps(getattr(row, name), ensure_ascii=False, indent=2).split("\n")
        return "\n".join(visible(line, MAX_TEXT) for line in lines[:MAX_LINES])

    return column


class InventoryAdmin(ReadOnlyAdmin):
    """As its base, and texts and JSON are made visible too; bytes are left out."""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002 - Django's signature
        return [self._shown(field) for field in self.opts.fields if not isinstance(field, models.BinaryField)]

    @staticmethod
    def _shown(field: models.Field[Any, Any]) -> Any:
        if isinstance(field, models.JSONField):
            return as_json(field.name)
        return shown(field.name, MAX_TEXT) if isinstance(field, models.CharField | models.TextField) else field.name


@admin.register(Team)
class TeamAdmin(InventoryAdmin):
    list_display = (shown("name"), shown("accountable"), "created_at")
    search_fields = ("name",)


@admin.register(Agent)
class AgentAdmin(InventoryAdmin):
    list_display = (shown("name"), "role", "state", "team", shown("accountable"), shown("purpose"), "review_by")
    list_filter = ("role", "state", "team")
    list_select_related = ("team",)
    search_fields = ("name", "purpose")


@admin.register(Pipeline)
class PipelineAdmin(InventoryAdmin):
    list_display = (shown("name"), "state", "team", "current_release", shown("accountable"), shown("purpose"))
    list_filter = ("state", "team")
    list_select_related = ("team", "current_release__pipeline")
    search_fields = ("name", "purpose")


@admin.register(Version)
class VersionAdmin(InventoryAdmin):
    list_display = ("__str__", "state", "digest", shown("author"), "created_at", "published_at")
    list_filter = ("state",)
    list_select_related = ("agent", "pipeline")
    search_fields = ("agent__name", "pipeline__name", "digest")


@admin.register(Release)
class ReleaseAdmin(InventoryAdmin):
    list_display = ("__str__", "version", "digest", "created_at", "published_at")
    list_select_related = ("pipeline", "version__pipeline")
    search_fields = ("pipeline__name", "digest")


@admin.register(Artifact)
class ArtifactAdmin(InventoryAdmin):
    list_display = ("digest", "size", "files", "created_at")
    search_fields = ("digest",)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Without the bytes: a page of fifty would read 800 MiB."""
        return super().get_queryset(request).defer("data")


@admin.register(ModelAlias)
class ModelAliasAdmin(InventoryAdmin):
    list_display = (shown("name"), "team", shown("provider"), shown("model"), shown("endpoint"))
    list_filter = ("provider", "team")
    list_select_related = ("team",)
    search_fields = ("name", "model")


@admin.register(Price)
class PriceAdmin(InventoryAdmin):
    list_display = ("__str__", "input_nano", "cache_read_nano", "cache_write_nano", "output_nano", shown("source"), "valid_from")
    list_filter = ("provider",)
    search_fields = ("model",)
