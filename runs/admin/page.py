"""What the page of a run shows, from its document and its entries; values come out of the ledger's openings as they are.

Decides nothing: the document says what the run reads as. Bounded: of very long runs the first steps and entries are shown, and it says so.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agents import registry
from agents.models import Agent
from audit import clock, reports
from audit.actors import Actor
from audit.visible import visible
from runs import services
from runs.admin.advice import what_to_do, where_to_look
from runs.admin.findings import findings
from runs.admin.outline import Asked, outline
from runs.admin.phases import Work, phases, work_of
from runs.admin.timeline import timeline
from runs.models import Outcome, Run, RunState, WaitKind

MOST_ENTRIES: Final = 200
MOST_MISSING: Final = 10
USABLE: Final = frozenset({Outcome.VERIFIED, Outcome.DEGRADED})
REFRESH_S: Final = 3
REFRESH_WAITING_S: Final = 15
"""While it waits for somebody, who may be reading this."""


def context(run: Run, actor: Actor, asked: Asked) -> dict[str, Any]:
    """Everything the template needs; a number of statements that does not grow with the run."""
    steps = services.steps_in_short(run)
    told = outline(steps, asked)
    document, now = services.run_document(run, actor=actor, only=told.shown), clock.now()
    entries = reports.entries_of(run.id, limit=MOST_ENTRIES)
    look = where_to_look(document)
    team, live, word = run.team.name, document["outcome"] is None, word_of(document)
    return {
        "stopped": registry.stops_on(_stoppable(run, document), actor=actor),
        "run": document,
        "observing": document["observing"],
        "title": f"{visible(document['pipeline'], 80)}, {word}, {run.created_at:%H:%M} UTC",
        "word": word,
        "label": document["label"],
        "usable": word in USABLE,
        "phases": phases(document, _work(run, steps)),
        "timeline": timeline(document, now, told.folds),
        "outline": told,
        "asked": asked,
        "agents": _agents(document, actor),
        "of_child": {child["step"]: child["run"] for child in document["children"] if child["level"] == 1},
        "spread": any(child["pipeline"] == document["pipeline"] and child["step"] for child in document["children"]),
        "entries": entries,
        "more_entries": max(run.seq - len(entries), 0),
        "more_missing": max(len(document["missing"]) - MOST_MISSING, 0),
        "look": look,
        "look_key": None if look is None else document["steps"][look]["key"],
        "to_do": what_to_do(document["failure"]),
        "findings": findings(document["verdict"]),
        "not_passed": _not_passed(document, word),
        "limits": _limits(run, document),
        "refresh": (REFRESH_WAITING_S if document["state"] == RunState.WAITING else REFRESH_S) if live else None,
        "may_answer": actor.may_operate(team),
        "may_cancel": actor.may_cancel(team) and live,
        "may_reverify": actor.may_operate(team) and not live and bool(run.result_digest) and document["integrity"] != "broken",
        "may_start": actor.may_start(team),
    }


def _stoppable(run: Run, document: Mapping[str, Any]) -> list[str]:
    """It, its pipeline and team, and what its steps wait for the end of."""
    waited = [wait["subject"] for wait in document["waits"] if wait["kind"] == WaitKind.STOPPED]
    return [run.subject, f"pipeline:{document['pipeline']}", f"team:{document['team']}", *waited]


def _work(run: Run, steps: Sequence[services.StepInShort]) -> Work:
    return work_of([(step.key, step.state) for step in steps if step.key != "verify" and ":" not in step.key], services.extent_of_work(run))


def word_of(document: Mapping[str, Any]) -> str:
    return "broken" if document["integrity"] == "broken" else str(document["outcome"] or document["state"])


def _not_passed(document: Mapping[str, Any], word: str) -> tuple[str, str] | None:
    """Which criterion decided, and what would change it, of a run that its verdict keeps from being used."""
    verdict = document["verdict"]
    if word not in (Outcome.REJECTED, Outcome.UNVERIFIED) or verdict is None or verdict["verdict"] == "pass":
        return None
    return services.why_not_passed(verdict), services.what_would_pass(verdict)


def _agents(document: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
    """The pages of its agents, of those that may be looked at."""
    names = {step["agent"] for step in document["steps"]}
    return dict(Agent.objects.visible_to(actor).filter(name__in=names).values_list("name", "pk"))


def _limits(run: Run, document: Mapping[str, Any]) -> Sequence[tuple[str, Any, Any, int | None]]:
    """Calls and cost: what was used, the limit, and the share in percent."""

    def share(used: int, limit: int | None) -> int | None:
        return None if not limit else min(100, round(used / limit * 100))

    spent, most = int(document["cost_nano"]), run.cost_limit_nano
    return (("calls", document["calls"], run.calls_limit, share(document["calls"], run.calls_limit)), ("cost", spent, most, share(spent, most)))
