"""The inventory in the admin, for looking only: what changes it is `apply` and `rollback`.

Every text is shown through audit.visible and escaped by the template. Knows no rule; reads models.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from agents.models import Agent, Artifact, ModelAlias, Pipeline, Release, Team, Version
from audit.admin import ReadOnlyAdmin, shown


@admin.register(Team)
class TeamAdmin(ReadOnlyAdmin):
    list_display = (shown("name"), shown("accountable"), "created_at")
    search_fields = ("name",)


@admin.register(Agent)
class AgentAdmin(ReadOnlyAdmin):
    list_display = (shown("name"), "role", "state", "team", shown("accountable"), shown("purpose"), "review_by")
    list_filter = ("role", "state", "team")
    list_select_related = ("team",)
    search_fields = ("name", "purpose")


@admin.register(Pipeline)
class PipelineAdmin(ReadOnlyAdmin):
    list_display = (shown("name"), "state", "team", "current_release", shown("accountable"), shown("purpose"))
    list_filter = ("state", "team")
    list_select_related = ("team", "current_release__pipeline")
    search_fields = ("name", "purpose")


@admin.register(Version)
class VersionAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "state", "digest", shown("author"), "created_at", "published_at")
    list_filter = ("state",)
    list_select_related = ("agent", "pipeline")
    search_fields = ("agent__name", "pipeline__name", "digest")


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "version", "digest", "created_at", "published_at")
    list_select_related = ("pipeline", "version__pipeline")
    search_fields = ("pipeline__name", "digest")


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin):
    list_display = ("digest", "size", "files", "created_at")
    exclude = ("data",)
    search_fields = ("digest",)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        """Without the bytes: a page of fifty would read 800 MiB."""
        return super().get_queryset(request).defer("data")


@admin.register(ModelAlias)
class ModelAliasAdmin(ReadOnlyAdmin):
    list_display = (shown("name"), "team", shown("provider"), shown("model"), shown("endpoint"))
    list_filter = ("provider", "team")
    list_select_related = ("team",)
    search_fields = ("name", "model")
