"""What to do about each cause of failure, and where to look first. Words only; used by the page of a run."""

from collections.abc import Mapping
from typing import Any, Final

from runs import services
from runs.admin.timeline import said
from runs.models import Cause

WHAT_TO_DO: Final[Mapping[str, str]] = {
    Cause.STALE: "Look at the step's input: the source is older than the contract allows. Refresh the source, or ask its owner why it stands still.",
    Cause.MISSING: "What was to be read isn't there. Check the input below and the source it names.",
    Cause.CONTRACT: "The output breaks its schema; the message names the place. The agent's owner mends the agent, or its contract.",
    Cause.DEADLINE: "It took longer than it may. Its calls say what took the time. Raise the timeout, or make the work smaller.",
    Cause.STALLED: "It said nothing for longer than progress_timeout. Its last call shows where it stood.",
    Cause.EXCEPTION: "The function raised, or the program ended with an error; the details hold the end of what it said. The agent's owner mends it.",
    Cause.CRASHED: "Its process ended or ran out of memory. The details hold its last output.",
    Cause.REFUSED: "The agent itself declined, or its answer was cut short; its message says which. Ask for less, or allow a longer answer.",
    Cause.UPSTREAM: "A source outside answered badly or not at all. Look at the calls of the step, and try again when it is back.",
    Cause.INPUT: "The wiring: what the pipeline handed to this step is not what it takes. The pipeline's owner mends the `with:` of the step.",
    Cause.BUDGET: "A limit would have been exceeded, or there is no price to reckon with. The owner above can change what the message says.",
    Cause.DENIED: "No permission allows it, or this installation doesn't. The message says what would have to change; whoever owns that decides.",
    Cause.EXPIRED: "Nobody answered in time. Find out who was to and why they didn't; start again, or give the wait or its policy more time.",
    Cause.DECLINED: "Somebody who was asked said no; the message has the reason. Settle that with them, or start again with what they would approve.",
    Cause.RATE: "The agent has made as many calls as its rate allows; the message says when the next one fits. Start again then, or raise the rate.",
    Cause.BREAKER: "The agent's last calls have all failed, so it rests; the message says until when. Look at those failures first.",
    Cause.STOPPED: "What it needs was stopped, and nobody let it go on in time; or its agent is retired. The list of stops says by whom and why.",
    Cause.REJECTED: "The run below was rejected by its own verifier. Its page has the checks: what was claimed, and what was found.",
    Cause.UNVERIFIED: "The run below came to a result that nobody could judge. Its page says why; it is judged again by the same release.",
    Cause.LOST: "Five workers in a row were gone while they had it. Look at the workers' own logs: memory, restarts.",
    Cause.UNRESOLVED: "Nobody knows whether the act happened. Look at the system that it acts on before doing anything again.",
    Cause.TAMPERED: "A row and its ledger entry say different things. Keep the database as it is and find out who wrote to it.",
    Cause.DIVERGED: "After a crash the function asked for something else under the same key. It must ask in the same order each time.",
    Cause.INCOMPATIBLE: "The release was made for another engine, or needs a model provider that isn't here. The message says which.",
}


def what_to_do(failure: Mapping[str, Any] | None) -> str:
    """One sentence or two; empty where there is no failure or nothing to say."""
    return "" if failure is None else WHAT_TO_DO.get(failure["cause"], "")


def where_to_look(document: Mapping[str, Any]) -> int | None:
    """The number of the step to open first: the one that the failure names, that a rejected criterion blames, or the last that failed."""
    keys = [step["key"] for step in document["steps"]]
    failure, verdict = document["failure"], document["verdict"]
    named = None if failure is None else failure.get("step")
    if named is None and verdict is not None:
        named = (services.deciding(verdict) or {}).get("blames")
    if named in keys:
        return keys.index(named)
    return next((number for number in range(len(keys) - 1, -1, -1) if said(document["steps"][number]) == "failed"), None)
