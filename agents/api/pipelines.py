"""`/api/v1/pipelines/…`: what can be run, with which input, and which version of it."""

from __future__ import annotations

from rest_framework.response import Response

from agents import registry
from agents.api import finding, rendering
from agents.api.shapes import PUBLISH_ASKED, REASON_ASKED, ROLLBACK_ASKED
from agents.errors import NoSuchRelease, NoSuchVersion, NotGranted, NotPublishable, NotPublished, Retired, UnknownPipeline
from agents.models import Pipeline, Standing
from audit.api.doors import Asked, Door, operation
from audit.api.pages import BY_NAME, PAGING, page
from audit.api.shapes import Shape, named, one_of, ref, whole
from audit.errors import Conflict, Invalid

TAG = "pipelines"
MEMBER = "You must be a member of its team."
FILTERS: dict[str, Shape] = {
    "team": named("only pipelines of this team", "platform"),
    "state": one_of(*Standing, meaning="only pipelines in this state"),
}


class PipelinesView(Door):
    @operation(
        id="list_pipelines",
        tag=TAG,
        summary="List pipelines",
        does="The pipelines of the teams that you belong to or that are shown to you, by name.",
        query={**FILTERS, **PAGING},
        gives=ref("PipelinePage"),
    )
    def get(self, asked: Asked) -> Response:
        columns = {"team": "team__name", "state": "state"}
        wanted = {columns[name]: value for name, value in asked.query.items() if name in columns}
        rows = Pipeline.objects.visible_to(asked.actor).select_related("team", "current_release").defer("current_release__manifest")
        return Response(page(rows.filter(**wanted), BY_NAME, asked, rendering.pipeline))


class PipelineView(Door):
    @operation(
        id="show_pipeline",
        tag=TAG,
        summary="Show a pipeline",
        does="What a run takes (`input`, JSON Schema 2020-12), what its result is judged by (`criteria`), and the release that runs start with.",
        gives=ref("ShownPipeline"),
        refuses=(UnknownPipeline,),
    )
    def get(self, asked: Asked, pipeline: str) -> Response:
        found = finding.pipeline(pipeline, asked.actor)
        return Response(rendering.shown_pipeline(found, finding.stands(found)))


class PublishView(Door):
    @operation(
        id="publish_pipeline",
        tag=TAG,
        summary="Publish a pipeline's draft",
        does=(
            "The draft, with the drafts of the agents that it names, becomes one release, and runs start with it. `preview/` shows first what would "
            f"change and what forbids it. {MEMBER}"
        ),
        takes=PUBLISH_ASKED,
        gives=ref("Published"),
        refuses=(UnknownPipeline, NoSuchVersion, NotGranted, Retired, NotPublishable, Conflict),
        proposes=True,
    )
    def post(self, asked: Asked, pipeline: str) -> Response:
        done = registry.publish(pipeline, actor=asked.actor, kind=Pipeline, version=asked.body.get("version"), seen=asked.body.get("seen"))
        return Response(rendering.published(done))


class PreviewView(Door):
    @operation(
        id="preview_pipeline",
        tag=TAG,
        summary="Show what publishing a pipeline would do",
        does="The fields that differ from what is published now, the agents' drafts that would go with it, and every problem that forbids it.",
        query={"version": whole("a version that was never published; by default the draft", least=1, most=999_999_999)},
        gives=ref("Preview"),
        refuses=(UnknownPipeline, NoSuchVersion, Retired, Conflict),
    )
    def get(self, asked: Asked, pipeline: str) -> Response:
        found = finding.pipeline(pipeline, asked.actor)
        return Response(rendering.preview(registry.preview(found.name, actor=asked.actor, version=asked.query.get("version"))))


class RollbackView(Door):
    @operation(
        id="rollback_pipeline",
        tag=TAG,
        summary="Publish an earlier release of a pipeline again",
        does=f"What was in force before the present one, or a version or a release that was published, agents and code included. {MEMBER}",
        takes=ROLLBACK_ASKED,
        gives=ref("RolledBack"),
        refuses=(UnknownPipeline, Retired, NotPublished, NoSuchVersion, NoSuchRelease, NotGranted, NotPublishable, Invalid, Conflict),
    )
    def post(self, asked: Asked, pipeline: str) -> Response:
        done = registry.rollback(pipeline, actor=asked.actor, kind=Pipeline, to=asked.body.get("version"), release=asked.body.get("release"))
        return Response(rendering.rolled_back(done))


class RetireView(Door):
    @operation(
        id="retire_pipeline",
        tag=TAG,
        summary="Take a pipeline out of use",
        does=f"Nothing starts it any more; runs at work go on, and what it did stays. {MEMBER}",
        takes=REASON_ASKED,
        gives=ref("Pipeline"),
        refuses=(UnknownPipeline, NotGranted, Invalid, Conflict),
    )
    def post(self, asked: Asked, pipeline: str) -> Response:
        registry.retire(pipeline, actor=asked.actor, kind=Pipeline, reason=asked.body["reason"])
        return Response(rendering.pipeline(finding.pipeline(pipeline, asked.actor)))


class ReinstateView(Door):
    @operation(
        id="reinstate_pipeline",
        tag=TAG,
        summary="Bring a retired pipeline back",
        does=f"It is active again, or a draft if it was never published. {MEMBER}",
        gives=ref("Pipeline"),
        refuses=(UnknownPipeline, NotGranted, Conflict),
    )
    def post(self, asked: Asked, pipeline: str) -> Response:
        registry.reinstate(pipeline, actor=asked.actor, kind=Pipeline)
        return Response(rendering.pipeline(finding.pipeline(pipeline, asked.actor)))
