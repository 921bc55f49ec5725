"""Versions of agents and pipelines, releases, model aliases: for looking only."""

from __future__ import annotations

from rest_framework.response import Response

from agents.api import finding, rendering
from agents.errors import NoSuchRelease, NoSuchVersion, UnknownAgent, UnknownAlias, UnknownPipeline
from agents.models import Agent, ModelAlias, Pipeline, Release, Version
from audit.actors import READ
from audit.api.doors import Asked, Door, operation
from audit.api.pages import BY_NAME, PAGING, Order, page
from audit.api.shapes import named, ref

NEWEST = Order("number", newest_first=True)
RELEASED = Order("created_at", "id", newest_first=True)


def _listed(owner: Agent | Pipeline, asked: Asked) -> Response:
    rows = Version.objects.of(owner).select_related("agent", "pipeline").defer("spec")
    return Response(page(rows, NEWEST, asked, rendering.version))


def _shown(owner: Agent | Pipeline, number: int) -> Response:
    found = finding.version(owner, number)
    return Response({**rendering.version(found), "spec": found.spec})


class AgentVersionsView(Door):
    @operation(
        id="list_agent_versions",
        tag="agents",
        summary="List an agent's versions",
        does="Newest first, without what they say.",
        query=PAGING,
        gives=ref("VersionPage"),
        refuses=(UnknownAgent,),
        opened_by=(READ,),
    )
    def get(self, asked: Asked, agent: str) -> Response:
        return _listed(finding.agent(agent, asked.actor), asked)


class AgentVersionView(Door):
    @operation(
        id="show_agent_version",
        tag="agents",
        summary="Show a version of an agent",
        does="All that it says; it never changes.",
        gives=ref("ShownVersion"),
        refuses=(UnknownAgent, NoSuchVersion),
        opened_by=(READ,),
    )
    def get(self, asked: Asked, agent: str, number: int) -> Response:
        return _shown(finding.agent(agent, asked.actor), number)


class PipelineVersionsView(Door):
    @operation(
        id="list_pipeline_versions",
        tag="pipelines",
        summary="List a pipeline's versions",
        does="Newest first, without what they say.",
        query=PAGING,
        gives=ref("VersionPage"),
        refuses=(UnknownPipeline,),
    )
    def get(self, asked: Asked, pipeline: str) -> Response:
        return _listed(finding.pipeline(pipeline, asked.actor), asked)


class PipelineVersionView(Door):
    @operation(
        id="show_pipeline_version",
        tag="pipelines",
        summary="Show a version of a pipeline",
        does="All that it says; it never changes.",
        gives=ref("ShownVersion"),
        refuses=(UnknownPipeline, NoSuchVersion),
    )
    def get(self, asked: Asked, pipeline: str, number: int) -> Response:
        return _shown(finding.pipeline(pipeline, asked.actor), number)


class ReleasesView(Door):
    @operation(
        id="list_releases",
        tag="pipelines",
        summary="List releases",
        does="Of the pipelines that you may see, newest first, without what they pin.",
        query={"pipeline": named("only releases of this pipeline"), **PAGING},
        gives=ref("ReleasePage"),
    )
    def get(self, asked: Asked) -> Response:
        rows = Release.objects.visible_to(asked.actor).select_related("pipeline", "version").defer("manifest", "version__spec")
        wanted = {"pipeline__name": asked.query["pipeline"]} if "pipeline" in asked.query else {}
        return Response(page(rows.filter(**wanted), RELEASED, asked, rendering.release))


class ReleaseView(Door):
    @operation(
        id="show_release",
        tag="pipelines",
        summary="Show a release",
        does="Everything that a run of it runs with; it never changes.",
        gives=ref("ShownRelease"),
        refuses=(NoSuchRelease,),
    )
    def get(self, asked: Asked, release: str) -> Response:
        return Response(rendering.shown_release(finding.release(release, asked.actor)))


class AliasesView(Door):
    @operation(
        id="list_model_aliases",
        tag="model aliases",
        summary="List model aliases",
        does="Names for models, of the teams that you belong to or that are shown to you. A secret is only ever named.",
        query=PAGING,
        gives=ref("ModelAliasPage"),
    )
    def get(self, asked: Asked) -> Response:
        rows = ModelAlias.objects.visible_to(asked.actor).select_related("team")
        return Response(page(rows, BY_NAME, asked, rendering.alias))


class AliasView(Door):
    @operation(
        id="show_model_alias",
        tag="model aliases",
        summary="Show a model alias",
        does="Which provider and model a name stands for.",
        gives=ref("ModelAlias"),
        refuses=(UnknownAlias,),
    )
    def get(self, asked: Asked, alias: str) -> Response:
        return Response(rendering.alias(finding.alias(alias, asked.actor)))
