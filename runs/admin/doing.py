"""What can be done to runs from the admin: start one, cancel one, have one judged again. Each a page, a button and one use-case."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid4

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from agents import registry
from agents.models import Pipeline, Version
from audit import clock
from audit.actors import Actor
from audit.admin import Deed, act, link_to
from audit.admin.base import ReadOnlyAdmin
from audit.requests import actor_of
from audit.wording import lasting
from runs import services
from runs.admin.starting import given, start_form
from runs.models import Run, RunState

MOST_NAMED: Final = 5


def start(page: ReadOnlyAdmin, request: HttpRequest, pipeline_id: UUID) -> HttpResponse:
    """A form made from the contract of the pipeline's input."""
    actor = actor_of(request)
    pipeline = Pipeline.objects.visible_to(actor).select_related("team", "current_release").filter(pk=pipeline_id).first()
    spec = None if pipeline is None else _spec(pipeline)
    if pipeline is None or spec is None:
        raise Http404
    name, started = pipeline.name, {"at": ""}

    def perform(said: Mapping[str, Any]) -> str:
        as_of = clock.from_text(said["as_of"]) if said["as_of"] else None
        run = services.start_run(
            pipeline=name,
            input=given(spec["input"], said),
            actor=actor,
            draft=said["draft"],
            as_of=as_of,
            trigger="admin",
            idempotency_key=said["key"],
        )
        started["at"] = link_to(run)
        return f"Run {run.id} of '{name}' is queued."

    says = (
        f"A run of '{name}' starts with its {'current release' if pipeline.current_release_id else 'newest draft'}.",
        f"It must be finished within {lasting(spec['limits']['timeout_ms'] / 1000)}; an independent verifier then judges the result.",
    )
    deed = Deed(
        title=f"Start {name}", button="Start the run", back=link_to(pipeline), perform=perform, says=says, after=lambda: started["at"],
        form=lambda *data: start_form(spec["input"], *data, key=str(uuid4()), draft=pipeline.current_release_id is None),
        forbidden=_may_not_start(pipeline, actor), about=pipeline,
    )  # fmt: skip
    return act(page, request, deed)


def cancel(page: ReadOnlyAdmin, request: HttpRequest, run: Run) -> HttpResponse:
    actor = actor_of(request)

    def perform(_: Mapping[str, Any]) -> str:
        done = services.cancel_run(run=str(run.id), actor=actor)
        ended = done.effective(clock.now()).outcome
        return f"Run {run.id} is {ended}." if ended else f"Run {run.id} is asked to end; whoever drives it feels it within two seconds."

    says = (
        "Work that is under way is stopped, and no new call is made. What was done already stays done.",
        "The run ends as cancelled. That is final: it can't be taken up again, only started anew.",
    )
    over = "This run has finished, and finished is final: there is nothing to cancel." if run.state == RunState.FINISHED else None
    forbidden = _forbidden(actor.may_cancel(run.team.name), run.team.name, actor) or over
    return act(page, request, Deed("Cancel this run", "Cancel the run", link_to(run), perform, says, danger=True, forbidden=forbidden, about=run))


def reverify(page: ReadOnlyAdmin, request: HttpRequest, run: Run) -> HttpResponse:
    actor, started = actor_of(request), {"at": ""}

    def perform(_: Mapping[str, Any]) -> str:
        newer = services.reverify(run=str(run.id), actor=actor)
        started["at"] = link_to(newer)
        return f"Run {newer.id} judges the result of run {run.id} again."

    says = (
        "A new run of the verifier alone judges the stored result against the same criteria, as of the moment at which this run finished.",
        "Nothing is done again, and this run stays as it is; the newer verdict is shown beside it.",
    )
    forbidden = _forbidden(actor.may_operate(run.team.name), run.team.name, actor)
    deed = Deed("Judge this result again", "Judge again", link_to(run), perform, says, forbidden=forbidden, about=run, after=lambda: started["at"])
    return act(page, request, deed)


def address_of_start(pipeline: Pipeline) -> str:
    return reverse("admin:runs_run_start", args=[pipeline.pk])


def _spec(pipeline: Pipeline) -> Mapping[str, Any] | None:
    """What a run starts with: the current release, or the newest version where none is published."""
    if pipeline.current_release is not None:
        found: Mapping[str, Any] = pipeline.current_release.manifest["pipeline"]["spec"]
        return found
    newest = Version.objects.of(pipeline).order_by("-number").first()
    return None if newest is None else newest.spec


def _may_not_start(pipeline: Pipeline, actor: Actor) -> str | None:
    """Who may instead, by name: whoever sees a team sees its members."""
    team = pipeline.team.name
    if actor.may_start(team):
        return None
    if team in actor.teams:
        return f"You may look at '{pipeline.name}', but {actor.lacks(team)}."
    members = registry.people_of(team, actor=actor).members
    who = ", ".join(members[:MOST_NAMED]) + (f" and {len(members) - MOST_NAMED} more" if len(members) > MOST_NAMED else "")
    named = f": {who}" if members else "; it has none yet, so ask whoever manages people here"
    return f"You may look at '{pipeline.name}'. A run of it is started by a member of team '{team}'{named}."


def _forbidden(may: bool, team: str, actor: Actor) -> str | None:
    why = actor.lacks(team) if team in actor.teams else f"it belongs to team '{team}' and only its people can do this"
    return None if may else f"You may look at this, but {why}."
