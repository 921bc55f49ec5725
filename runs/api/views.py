"""`/api/v1/runs/…`: a run's whole life."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response

from agents.errors import NotGranted, NotPublishable, NotPublished, Retired, UnknownPipeline
from audit import clock
from audit.actors import READ
from audit.actors import START as START_SCOPE
from audit.api.doors import Asked, Door, operation
from audit.api.pages import PAGING, Order, cut
from audit.api.shapes import ref, text, whole
from runs import services
from runs.api import watching
from runs.api.shapes import FILTERS, START
from runs.errors import AlreadyFinished, BadInput, IdempotencyConflict, NotReverifiable, Overloaded, Stopped, TooManyQueued, UnknownRun
from runs.models import Run
from runs.services import Listed, Wanted

TAG = "runs"
_FIELDS = {"failure_cause": "cause"}
NEWEST = Order("created_at", "id", newest_first=True)


def document(run: Run | str, asked: Asked) -> dict[str, Any]:
    """A run as it reads now, found anew: what was changed a moment ago is in it."""
    return services.run_document(services.find_run(str(run if isinstance(run, str) else run.id), actor=asked.actor), actor=asked.actor)


def rendered(listed: Listed) -> dict[str, Any]:
    run, said = listed.run, listed.effective
    return {
        "id": str(run.id),
        "pipeline": run.pipeline.name,
        "team": run.team.name,
        "state": str(said.state),
        "outcome": None if said.outcome is None else str(said.outcome),
        "integrity": str(said.integrity),
        "label": said.label,
        "draft": run.draft,
        "trigger": run.trigger,
        "started_by": run.started_by,
        "started_with": run.started_with or None,
        "on_behalf_of": run.person,
        **{name: _instant(getattr(run, name)) for name in ("as_of", "created_at", "started_at", "finished_at", "deadline_at")},
        "failure_cause": listed.cause or None,
        "failure_owner": listed.owner or None,
        "failure_team": listed.team or None,
        "cost_nano": str(run.spent_nano),
    }


def _instant(at: Any) -> str | None:
    return None if at is None else clock.to_text(at)


NOT_STARTED = (UnknownPipeline, NotPublished, Retired, Stopped)
"""What there is to be said of a pipeline of which no run is started."""
FOLLOWS = (READ, START_SCOPE)
"""The scopes by which an agent's key shows the runs that the agent started."""


class RunsView(Door):
    @operation(
        id="list_runs",
        tag=TAG,
        summary="List runs",
        does=(
            "Runs of the teams that you belong to or that are shown to you, newest first, each as it reads at this moment: one past its "
            "deadline reads failed, one whose rows contradict the ledger reads broken. Runs that a step of another run has started "
            "are left out unless `children` asks for them. Filters add up. A page may hold fewer than `limit` "
            "while `next` leads on."
        ),
        query={**FILTERS, **PAGING},
        gives=ref("RunPage"),
        opened_by=FOLLOWS,
    )
    def get(self, asked: Asked) -> Response:
        wanted = Wanted(**{_FIELDS.get(name, name): value for name in FILTERS if (value := asked.query.get(name)) is not None})
        now = clock.now()
        lanes = services.lanes_of_runs(wanted, actor=asked.actor, now=now)
        found, following = cut(services.runs_wanted(wanted, actor=asked.actor, now=now), NEWEST, asked, lanes=lanes)
        return Response({"items": [rendered(each) for each in services.read_as(found, wanted, now=now)], "next": following})

    @operation(
        id="start_run",
        tag=TAG,
        summary="Start a run",
        does=(
            "Queue a run of what the pipeline has published (`GET /api/v1/pipelines/{pipeline}/` shows the input that it takes). You must be a "
            "member of its team. The answer is the run document, and its header `Location` says where it is; a worker does the rest, so watch it "
            "with `/events/` or read it again. With `Idempotency-Key` the same start gives the same run however often it is sent: 201 the first "
            "time, 200 after that."
        ),
        headers={"Idempotency-Key": text("your name for this start, unique in the team", pattern="^[!-~]{1,200}$", example="nightly-2026-11-20")},
        takes=START,
        gives=ref("Run"),
        status=201,
        also={200: "The run that this key started before."},
        refuses=(*NOT_STARTED, NotGranted, NotPublishable, BadInput, IdempotencyConflict, TooManyQueued, Overloaded),
        opened_by=(START_SCOPE,),
    )
    def post(self, asked: Asked) -> Response:
        run = services.start_run(
            pipeline=asked.body["pipeline"],
            input=asked.body.get("input", {}),
            actor=asked.actor,
            draft=asked.body.get("draft", False),
            as_of=asked.body.get("as_of"),
            trigger="api",
            idempotency_key=asked.headers.get("Idempotency-Key"),
        )
        return Response(document(run, asked), status=200 if run.found_again else 201, headers={"Location": f"/api/v1/runs/{run.id}/"})


class RunView(Door):
    @operation(
        id="show_run",
        tag=TAG,
        summary="Show a run",
        does=(
            "The run document: state, outcome, input, result, steps with their calls, the verdict with what was read, the failure with its owner. "
            "`outcome` is null until the run has finished; only `verified` says that somebody independent looked and every criterion passed."
        ),
        gives=ref("Run"),
        refuses=(UnknownRun,),
        opened_by=FOLLOWS,
    )
    def get(self, asked: Asked, run: str) -> Response:
        return Response(document(run, asked))


class EventsView(Door):
    @operation(
        id="watch_run",
        tag=TAG,
        summary="Watch a run",
        does=(
            "The run's ledger entries with a seq beyond `after`, in order. With `wait` the answer comes as soon as there is one, or after that many "
            "seconds with none. Repeat with `after` = `last` until `finished`. Few may wait at once (in each process of the web server "
            f"ORCHESTRA_WATCHERS, by default 4; of one person {watching.MOST_OF_ONE}, or a quarter of many); whoever may not is answered at once, "
            "with `retry_after`: leave it for that many seconds. Facts that arrive after the end have no seq: `/api/v1/entries/?run=` has them."
        ),
        query={
            "after": whole("the last seq that you have; 0 for all", least=0, most=2**53 - 1),
            "limit": whole("how many at most; by default 50", least=1, most=200),
            "wait": whole("seconds to wait for something new", least=0, most=watching.MOST_S),
        },
        gives=ref("RunEvents"),
        refuses=(UnknownRun,),
        opened_by=FOLLOWS,
    )
    def get(self, asked: Asked, run: str) -> Response:
        after, limit = asked.query.get("after", 0), asked.query.get("limit", 50)
        return Response(watching.events(run, actor=asked.actor, after=after, limit=limit, wait_s=asked.query.get("wait", 0)))


class CancelView(Door):
    @operation(
        id="cancel_run",
        tag=TAG,
        summary="Cancel a run",
        does=(
            "Ask for the end of a run, and of those below it. Whoever drives one feels it within two seconds; one that nobody drives ends here. "
            "Asking twice is the "
            "same as once. You must be a member of its team."
        ),
        gives=ref("Run"),
        refuses=(UnknownRun, NotGranted, AlreadyFinished),
        opened_by=(START_SCOPE,),
    )
    def post(self, asked: Asked, run: str) -> Response:
        return Response(document(services.cancel_run(run=run, actor=asked.actor), asked))


class ReverifyView(Door):
    @operation(
        id="reverify_run",
        tag=TAG,
        summary="Judge a run's result again",
        does=(
            "A new run of the verifier alone over the stored result, judged as of the old run's finish. The old run stays as it is and shows the "
            "newer judgement in `reverified_by`. The header `Location` says where the new run is. You must be a member of its team."
        ),
        gives=ref("Run"),
        status=201,
        refuses=(UnknownRun, NotGranted, NotReverifiable, Stopped, TooManyQueued, Overloaded),
    )
    def post(self, asked: Asked, run: str) -> Response:
        new = services.reverify(run=run, actor=asked.actor, ring=True)
        return Response(document(new, asked), status=201, headers={"Location": f"/api/v1/runs/{new.id}/"})
