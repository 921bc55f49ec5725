"""A team's function or command at work, or a tool in its place: its own call, and the calls that a function asks for on the way.

Each of those goes through `Dispatch`, which finds its receipt or writes its intent, sends it, and settles it.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import Any, Protocol

from runs.boundary import Boundary, OnProgress, Reply, Request
from runs.engine.states import CallKind, Cause
from runs.performers.shaping import FETCH, shape_fetch


class Dispatch(Protocol):
    """Carries one tool call through intent, boundary and settlement; raises CallError with the cause where it is refused."""

    async def __call__(self, request: Request) -> Mapping[str, Any]: ...


async def perform(boundary: Boundary, request: Request, *, dispatch: Dispatch, on_progress: OnProgress) -> Reply:
    """Run the function, command or tool of a request whose intent is written. The ordinals of its calls count from 1, in the order it asks."""
    if request.kind is CallKind.TOOL:
        reply = await boundary.fetch(request)
        return replace(reply, answered=reply.cause is None)
    if request.kind is CallKind.COMMAND:
        return await boundary.call_command(request, on_progress=on_progress)
    ordinals = count(1)

    async def on_call(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return dict(await dispatch(shape_fetch(request, next(ordinals), tool, arguments)))

    reply = await boundary.call_function(request, on_call=on_call, on_progress=on_progress)
    # A function can't claim this cause: it comes from the tool that it asked, and so does the blame.
    return replace(reply, owner=f"tool:{FETCH}") if reply.cause is Cause.UPSTREAM else reply
