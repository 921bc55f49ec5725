"""Runs that wait for an approval, and people who may and may not give it, for the tests of every door."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from agents import registry
from approvals import services
from approvals.models import Request
from audit.actors import Actor
from runs.models import Call, Run, Wait
from tests import pipelines
from tests.pipelines import SYSTEM, agent

WORK = "def run(feed: str, **_) -> dict:\n    return {'feed': feed}\n\ndef act(feed: str, **more) -> dict:\n    return {'done': feed, **more}\n"
STEPS = "- {id: work, agent: worker, with: {feed: =input.feed}}"
RULE = "require_approval write deploy:*"


def member(name: str, *teams: str) -> Actor:
    """A person who belongs to these teams, as a door would build them."""
    if not User.objects.filter(username=name).exists():
        registry.create_person(name, actor=SYSTEM)
    for team in teams:
        if team not in people_of(name):
            registry.add_member(team, name, actor=SYSTEM)
    return actor(name)


def people_of(name: str) -> set[str]:
    return set(User.objects.get(username=name).orchestra_teams.values_list("name", flat=True))


def actor(name: str) -> Actor:
    return Actor("person", name, "test", teams=frozenset(people_of(name)))


def publish(
    path: Path,
    *,
    rule: str = RULE,
    policy: str = "",
    more: str = "",
    steps: str = STEPS,
    contract: str = pipelines.ANY,
    by: Actor = SYSTEM,
    **parts: Any,
) -> None:
    """Team platform's pipeline `sample`, whose worker acts only with an approval; `policy` is a document beside it."""
    worker = agent("worker", "work:act", role="act", more=f'uses: ["write deploy:{{input.feed}}"]\npermissions: ["{rule}"]\n{more}')
    worker = worker.replace(f"input: {pipelines.ANY}", f"input: {contract}")
    folder = pipelines.folder(path, functions=WORK, agents=[worker, *([policy] if policy else [])], steps=steps, **parts)
    registry.apply_folder(folder, actor=by, publish=True)


def waiting(path: Path, *, by: Actor | None = None, input: Any = None, **said: Any) -> tuple[Run, Request]:  # noqa: A002 - as start_run says it
    """A run of `sample` that waits for an approval, and the request."""
    publish(path, **said)
    return started(by=by, input=input)


def started(*, by: Actor | None = None, input: Any = None) -> tuple[Run, Request]:  # noqa: A002 - as above
    from runs.services import start_run

    run = start_run(pipeline="sample", input=input or {"feed": "production"}, actor=by or SYSTEM, ring=False)
    assert pipelines.drive(run)["state"] == "waiting"
    return Run.objects.get(id=run.id), request_of(run)


def request_of(run: Run) -> Request:
    services.tend()
    return Request.objects.get(wait=Wait.objects.filter(run=run, kind="approval").latest("opened_at"))


def calls(run: Run) -> int:
    """How often what needs the approval was sent."""
    return Call.objects.filter(run=run, step="work").count()


def age(request: Request, by: timedelta) -> None:
    """As if it had been asked for so much earlier; its end stays where it is."""
    Wait.objects.filter(pk=request.pk).update(opened_at=request.wait.opened_at - by)
    request.refresh_from_db()
    earlier = None if request.remind_at is None else request.remind_at - by
    Request.objects.filter(pk=request.pk).update(look_at=request.look_at - by, remind_at=earlier)
