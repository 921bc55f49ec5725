"""Versions, releases, stored code, model aliases in the admin: for looking only. What changes them is applying and publishing."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string

from agents.admin.histories import history_of
from agents.admin.owners import TeamFilter
from agents.models import Artifact, ModelAlias, Release, Version, VersionState
from agents.models.version import VersionQuerySet
from agents.registry.changes import compare
from agents.registry.differences import differences
from audit.admin import LongListAdmin, ReadOnlyAdmin, choice, shown
from audit.requests import actor_of
from audit.templatetags.showing import badge


@admin.register(Version)
class VersionAdmin(LongListAdmin):
    nothing = "Each manage.py apply -f FOLDER that changes an agent or a pipeline makes a version."
    list_display = ("__str__", "stands", shown("digest", 13), shown("author"), "created_at", "published_at")
    list_filter = (choice("state", VersionState.values),)
    list_select_related = ("agent", "pipeline")
    page_template = "admin/agents/version.html"

    @admin.display(description="state")
    def stands(self, version: Version) -> str:
        return render_to_string("admin/audit/badge.html", badge(version.state))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("agent__team", "pipeline__team").defer("spec")

    def lanes(self, request: HttpRequest) -> list[Q]:
        return VersionQuerySet.ways_to_own(actor_of(request))

    def page_context(self, request: HttpRequest, row: Version) -> dict[str, Any]:
        before = Version.objects.of(row.owner).filter(number__lt=row.number).order_by("-number").first()
        may_publish = row.state == VersionState.DRAFT and actor_of(request).may_change(row.owner.team.name)
        return {
            "before": before,
            "fields": None if before is None else differences(compare(before.spec, row.spec)),
            "may_publish": may_publish,
            "owner_model": row.owner._meta.model_name,  # noqa: SLF001 - Django's documented way to a model's names
        }


@admin.register(Release)
class ReleaseAdmin(LongListAdmin):
    nothing = "Publishing a pipeline makes a release."
    list_display = ("__str__", "version", "created_at", "published_at")
    list_select_related = ("pipeline", "version__pipeline")
    page_template = "admin/agents/release.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related("pipeline__team", "version__pipeline")
        return rows.defer("manifest", "version__spec")

    def page_context(self, request: HttpRequest, row: Release) -> dict[str, Any]:  # noqa: ARG002 - as its base
        pinned = [(name, one["version"], one["digest"]) for name, one in sorted(row.manifest["agents"].items())]
        run = [(name, one["version"], one["release"]) for name, one in sorted(row.manifest.get("pipelines", {}).items())]
        return {"pinned": pinned, "run": run, "current": row.pipeline.current_release_id == row.pk}


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin):
    heading = "Stored code"
    nothing = "Publishing keeps the folder of what is published, so that a rollback brings its code back."
    list_display = (shown("digest", 13), "bytes", "files", "created_at")
    fields = (shown("digest"), "bytes", "files", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Without the bytes: a page of fifty would read 800 MiB."""
        return super().get_queryset(request).defer("data")

    @admin.display(description="bytes", ordering="size")
    def bytes(self, artifact: Artifact) -> str:
        return f"{artifact.size:,}"


@admin.register(ModelAlias)
class ModelAliasAdmin(ReadOnlyAdmin):
    nothing = "An alias is a file of kind model in a folder that is applied: manage.py apply -f FOLDER. Agents without a model need none."
    list_display = (shown("name"), "team", shown("provider"), shown("model"), shown("endpoint"))
    list_filter = (TeamFilter,)
    list_select_related = ("team",)
    search_fields = ("name", "model")
    search_help_text = "a part of its name or the model's"
    page_template = "admin/agents/alias.html"

    def page_context(self, request: HttpRequest, row: ModelAlias) -> dict[str, Any]:
        values = {name.replace("_ref", "").capitalize(): value for name, value in row.live_values().items()}
        return {"values": values, "history": history_of(row, actor_of(request))}
