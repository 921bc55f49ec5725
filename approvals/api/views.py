"""`/api/v1/approvals/…`: what waits for people's yes, and what they say of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.response import Response

from approvals import services
from approvals.api.shapes import ALIKE_DECISION, COMMENT, DECISION, FILTERS
from approvals.errors import AlreadyDecided, BadDecision, ChangedSince, NotYours, UnknownApproval, Voided
from approvals.services import Inbox
from approvals.services.inbox import LOW, MOST_TOGETHER
from audit import clock
from audit.api.doors import Asked, Door, operation
from audit.api.pages import PAGING, Order, cut
from audit.api.shapes import ref

TAG = "approvals"
OLDEST = Order("wait_id")


def shown(approval: UUID, asked: Asked) -> dict[str, Any]:
    return services.as_json(services.document(services.find_request(str(approval), actor=asked.actor), actor=asked.actor))


class ApprovalsView(Door):
    @operation(
        id="list_approvals",
        tag=TAG,
        summary="List what waits for an approval",
        does=(
            "Requests of runs of the teams that you belong to or that are shown to you, and those that a policy puts to you; oldest first. "
            "Filters add up: `?state=open&mine=true` is what waits for you."
        ),
        query={**FILTERS, **PAGING},
        gives=ref("ApprovalPage"),
    )
    def get(self, asked: Asked) -> Response:
        services.tend()
        said = asked.query
        run = UUID(said["run"]) if "run" in said else None
        wanted = Inbox(said.get("state"), said.get("pipeline"), said.get("agent"), run, bool(said.get("mine")))
        now = clock.now()
        found, following = cut(services.requests_wanted(wanted, actor=asked.actor, now=now), OLDEST, asked)
        return Response({"items": services.listed(found, now), "next": following})


class ApprovalView(Door):
    @operation(
        id="show_approval",
        tag=TAG,
        summary="Show a request for an approval",
        does="All that a decision is about, also of one that is over: who would do what with which arguments, on what evidence, by which policy.",
        gives=ref("Approval"),
        refuses=(UnknownApproval,),
    )
    def get(self, asked: Asked, approval: UUID) -> Response:
        return Response(shown(approval, asked))


class DecideView(Door):
    @operation(
        id="decide_approval",
        tag=TAG,
        summary="Approve or decline",
        does=(
            "With as many approvals as the policy asks for, exactly this call goes out, once. One that declines ends the step. You must be a "
            "person whom the policy asks now, and have had no part in it: neither started the run or sent it a signal, nor written or published "
            "what it runs, nor granted the permission that it makes use of."
        ),
        takes=DECISION,
        gives=ref("Approval"),
        refuses=(UnknownApproval, NotYours, AlreadyDecided, Voided, ChangedSince, BadDecision),
    )
    def post(self, asked: Asked, approval: UUID) -> Response:
        said = asked.body
        more = {"reason": said.get("reason", ""), "seen": said.get("seen"), "arguments": said.get("arguments")}
        services.decide(request=str(approval), decision=said["decision"], **more, actor=asked.actor)
        return Response(shown(approval, asked))


class AlikeView(Door):
    @operation(
        id="decide_alike",
        tag=TAG,
        summary="Approve or decline all that ask for exactly the same",
        does=(
            "This request, and with it those of its `alike`: they are bound to the same digest, so to the same agent, version, arguments, "
            f"policy and release. Only calls of agents whose risk_tier is `{LOW}`, and was as they were asked for. Each is decided by itself, and "
            f"at most {MOST_TOGETHER} at a time."
        ),
        takes=ALIKE_DECISION,
        gives=ref("DecidedAlike"),
        refuses=(UnknownApproval, NotYours, AlreadyDecided, Voided, ChangedSince, BadDecision),
    )
    def post(self, asked: Asked, approval: UUID) -> Response:
        said = asked.body
        more = {"also": said["also"], "reason": said.get("reason", ""), "seen": said.get("seen")}
        done = services.decide_alike(request=str(approval), decision=said["decision"], **more, actor=asked.actor)
        refused = [{"id": each, "why": why} for each, why in done.refused]
        return Response({"decided": list(done.decided), "refused": refused})


class CommentView(Door):
    @operation(
        id="comment_on_approval",
        tag=TAG,
        summary="Comment on a request for an approval",
        does="Your words are kept beside an open request and decide nothing. Members of the run's team may, and whom the policy asks.",
        takes=COMMENT,
        gives=ref("Approval"),
        refuses=(UnknownApproval, NotYours, AlreadyDecided, BadDecision),
    )
    def post(self, asked: Asked, approval: UUID) -> Response:
        services.comment(request=str(approval), text=asked.body["text"], actor=asked.actor)
        return Response(shown(approval, asked))
