"""`/api/v1/agents/…`: who works here, what they may, and how they are stopped."""

from __future__ import annotations

from functools import partial
from typing import Any

from rest_framework.response import Response

from agents import registry
from agents.api import finding, rendering
from agents.api.right_shapes import MAY_ASKED, PERMIT_ASKED, wanted
from agents.api.shapes import AGENT_ROLLBACK_ASKED, PUBLISH_ASKED, REASON_ASKED
from agents.errors import NoSuchVersion, NotGranted, NotPublishable, NotPublished, Retired, UnknownAgent, UnknownPerson, UnknownPipeline
from agents.models import Agent, Role, Standing
from audit import clock, reports
from audit.actors import CAN, READ
from audit.api.doors import Asked, Door, operation
from audit.api.pages import BY_NAME, PAGING, page
from audit.api.shapes import Shape, named, one_of, ref, whole
from audit.errors import Conflict, Invalid

TAG = "agents"
MEMBER = "You must be a member of its team."
FILTERS: dict[str, Shape] = {
    "team": named("only agents of this team", "platform"),
    "role": one_of(*Role, meaning="only agents with this role"),
    "state": one_of(*Standing, meaning="only agents in this state"),
}


def _rendered(row: Agent) -> dict[str, Any]:
    return rendering.agent(row, clock.now().date())


class AgentsView(Door):
    @operation(
        id="list_agents",
        tag=TAG,
        summary="List agents",
        does="The agents of the teams that you belong to or that are shown to you, by name.",
        query={**FILTERS, **PAGING},
        gives=ref("AgentPage"),
    )
    def get(self, asked: Asked) -> Response:
        columns = {"team": "team__name", "role": "role", "state": "state"}
        wanted = {columns[name]: value for name, value in asked.query.items() if name in columns}
        rows = Agent.objects.visible_to(asked.actor).select_related("team").prefetch_related("notices").filter(**wanted)
        return Response(page(rows, BY_NAME, asked, partial(rendering.agent, today=clock.now().date())))


class AgentView(Door):
    @operation(
        id="show_agent",
        tag=TAG,
        summary="Show an agent",
        does="Who answers for it, what it may, which versions of it there are, and the newest run in which it did something.",
        gives=ref("ShownAgent"),
        refuses=(UnknownAgent,),
        opened_by=(READ,),
    )
    def get(self, asked: Asked, agent: str) -> Response:
        found = finding.agent(agent, asked.actor)
        last = reports.last_run_of(found.name, actor=asked.actor)
        at_work = None if last is None else {"run": str(last[0]), "at": clock.to_text(last[1])}
        runs = registry.versions_run([found.name], actor=asked.actor).get(found.name, ())
        return Response({**_rendered(found), **finding.stands(found), "runs": rendering.runs(runs), "last_run": at_work})


class MayView(Door):
    @operation(
        id="may_agent",
        tag=TAG,
        summary="Say whether an agent may do something",
        does=(
            "The answer that the boundary would give now, the permission that decides and what would change it: deny wins over require_approval, "
            "that over allow, and what no permission names is denied. Permissions are the agent's own and its team's; one with a condition is judged "
            "by `args`. With `pipeline` and `as` the answer is for a run of that pipeline that this person has started: no call has more rights than "
            "either. A price, a rate or an account may refuse the call all the same."
        ),
        query=MAY_ASKED,
        needs=("verb", "resource"),
        gives=ref("May"),
        refuses=(UnknownAgent, UnknownPipeline, UnknownPerson, Invalid),
        opened_by=(CAN,),
    )
    def get(self, asked: Asked, agent: str) -> Response:
        finding.agent(agent, asked.actor)  # whoever may not see it learns nothing of the arguments either
        args = registry.arguments_of(asked.query["args"]) if "args" in asked.query else None
        of = {"pipeline": asked.query.get("pipeline"), "person": asked.query.get("as")}
        return Response(registry.may(agent, asked.query["verb"], asked.query["resource"], actor=asked.actor, args=args, **of).as_record())


class RightsView(Door):
    @operation(
        id="rights_of_agent",
        tag=TAG,
        summary="List all that an agent may do",
        does=(
            "Each permission of it and of its team: what it says now (`none` where it says nothing), why, and when a call was last let through by "
            "it, to the hour. `unused`: not for 90 days, so somebody may take it out."
        ),
        gives=ref("Rights"),
        refuses=(UnknownAgent,),
        opened_by=(READ,),
    )
    def get(self, asked: Asked, agent: str) -> Response:
        return Response(registry.rights(agent, actor=asked.actor).as_record())

    @operation(
        id="permit_agent",
        tag=TAG,
        summary="Grant permissions, or withdraw them",
        does=(
            "What is granted or withdrawn holds from now on, also for runs at work; the agent gets a version of its own for it, with the same code. "
            "All that a file says of permissions can be said here, and is judged as there. A draft that waits stays as it is, and says its own; "
            f"so do files that are applied later. {MEMBER}"
        ),
        takes=PERMIT_ASKED,
        gives=ref("Permitted"),
        refuses=(UnknownAgent, NotGranted, Retired, Invalid, NotPublishable, Conflict),
        proposes=True,
    )
    def post(self, asked: Asked, agent: str) -> Response:
        return Response(registry.permit(Agent, agent, **wanted(asked), actor=asked.actor).as_record())


class SuspendView(Door):
    @operation(
        id="suspend_agent",
        tag=TAG,
        summary="Stop an agent",
        does=f"The stop of one agent: no call of it is sent, and what is in flight is cut short within a second. Runs wait for it. {MEMBER}",
        takes=REASON_ASKED,
        gives=ref("Agent"),
        refuses=(UnknownAgent, NotGranted, Invalid, Conflict),
    )
    def post(self, asked: Asked, agent: str) -> Response:
        return Response(_rendered(registry.suspend(agent, actor=asked.actor, reason=asked.body["reason"])))


class ResumeView(Door):
    @operation(
        id="resume_agent",
        tag=TAG,
        summary="Let a suspended agent work again",
        does=f"It works again, or is a draft again if it was never published. What waited for it goes on. {MEMBER}",
        gives=ref("Agent"),
        refuses=(UnknownAgent, NotGranted, Conflict),
        proposes=True,
    )
    def post(self, asked: Asked, agent: str) -> Response:
        return Response(_rendered(registry.resume(agent, actor=asked.actor)))


class RetireView(Door):
    @operation(
        id="retire_agent",
        tag=TAG,
        summary="Take an agent out of use",
        does=f"It is sent nothing any more; what it did, and its versions, stay. Refused while a pipeline in use needs it. {MEMBER}",
        takes=REASON_ASKED,
        gives=ref("Agent"),
        refuses=(UnknownAgent, NotGranted, Invalid, Conflict),
    )
    def post(self, asked: Asked, agent: str) -> Response:
        registry.retire(agent, actor=asked.actor, kind=Agent, reason=asked.body["reason"])
        return Response(_rendered(finding.agent(agent, asked.actor)))


class ReinstateView(Door):
    @operation(
        id="reinstate_agent",
        tag=TAG,
        summary="Bring a retired agent back",
        does=f"It comes back suspended, until `resume/` lets it work; or as a draft if it was never published. {MEMBER}",
        gives=ref("Agent"),
        refuses=(UnknownAgent, NotGranted, Conflict),
    )
    def post(self, asked: Asked, agent: str) -> Response:
        registry.reinstate(agent, actor=asked.actor, kind=Agent)
        return Response(_rendered(finding.agent(agent, asked.actor)))


class PublishView(Door):
    @operation(
        id="publish_agent",
        tag=TAG,
        summary="Publish an agent's draft",
        does=(
            f"Its role and permissions hold at once. Pipelines that use it stay as they are until they are published themselves (`stay`). "
            f"`preview/` shows first what would change. {MEMBER}"
        ),
        takes=PUBLISH_ASKED,
        gives=ref("Published"),
        refuses=(UnknownAgent, NoSuchVersion, NotGranted, Retired, NotPublishable, Conflict),
        proposes=True,
    )
    def post(self, asked: Asked, agent: str) -> Response:
        done = registry.publish(agent, actor=asked.actor, kind=Agent, version=asked.body.get("version"), seen=asked.body.get("seen"))
        return Response(rendering.published(done))


class PreviewView(Door):
    @operation(
        id="preview_agent",
        tag=TAG,
        summary="Show what publishing an agent would do",
        does="The fields that differ from what is published now. Changes nothing.",
        query={"version": whole("a version that was never published; by default the draft", least=1, most=999_999_999)},
        gives=ref("Preview"),
        refuses=(UnknownAgent, NoSuchVersion, Retired, Conflict),
    )
    def get(self, asked: Asked, agent: str) -> Response:
        found = finding.agent(agent, asked.actor)
        return Response(rendering.preview(registry.preview(found.name, actor=asked.actor, version=asked.query.get("version"))))


class RollbackView(Door):
    @operation(
        id="rollback_agent",
        tag=TAG,
        summary="Publish an earlier version of an agent again",
        does=f"The version before the present one, or the one named, code included; pipelines that run the present one get a new release. {MEMBER}",
        takes=AGENT_ROLLBACK_ASKED,
        gives=ref("RolledBack"),
        refuses=(UnknownAgent, Retired, NotPublished, NoSuchVersion, NotGranted, NotPublishable, Conflict),
    )
    def post(self, asked: Asked, agent: str) -> Response:
        return Response(rendering.rolled_back(registry.rollback(agent, actor=asked.actor, kind=Agent, to=asked.body.get("version"))))
