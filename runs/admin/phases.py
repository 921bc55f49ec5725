"""The four phases of a run's life, as its page shows them: understand, design, implement, verify.

Pure: reads a run document. What is shown is what rows and entries say, so a phase without any trace says that it did not happen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runs.admin.timeline import sent_back
from runs.models import SPREAD

AT_WORK: Final = frozenset({"running", "retrying"})
OPEN: Final = AT_WORK | {"waiting"}
UNDO: Final = "undo:"


@dataclass(frozen=True, slots=True)
class Phase:
    """`word` gives colour and sign: done, live, bad, wary, skipped or expected."""

    name: str
    word: str
    said: str
    began: str | None = None
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """All steps before the final verifier, in numbers: a document may hold only some of them."""

    total: int = 0
    done: int = 0
    failed: str | None = None
    cancelled: bool = False
    began: str | None = None
    ended: str | None = None


def work_of(states: Sequence[tuple[str, str]], extent: tuple[str | None, str | None]) -> Work:
    """From (key, state) of every step, the final verifier's left out, and when the first began and the last ended."""
    words = [state for _, state in states]
    failed = next((key for key, state in states if state == "failed"), None)
    return Work(len(words), words.count("returned") + words.count("skipped"), failed, "cancelled" in words, *extent)


def phases(document: Mapping[str, Any], work: Work | None = None) -> Sequence[Phase]:
    """`work` where the document doesn't hold every step."""
    steps = [step for step in document["steps"] if not _final(step) and ":" not in step["key"]]  # what undoes or looks up is beside it
    judging = [step for step in document["steps"] if _final(step)]
    work = work or work_of([(step["key"], "returned" if sent_back(step) else step["state"]) for step in steps], _extent(steps))
    return (_understand(document), _design(document), _implement(document, work, judging), _verify(document, judging))


def _final(step: Mapping[str, Any]) -> bool:
    """The verifier that ends the run; one within the work belongs to the work."""
    return bool(step["judges"]) and "/" not in step["key"] and step["key"] == "verify"


def _understand(document: Mapping[str, Any]) -> Phase:
    criteria = len({check["criterion"] for check in (document["verdict"] or {}).get("checks", ())})
    said = "input checked, criteria fixed before any work" + (f" ({criteria})" if criteria else "")
    return Phase("understand", "done", said, document["created_at"], document["created_at"])


def _design(document: Mapping[str, Any]) -> Phase:
    if document["started_at"] is None:
        if document["outcome"] is not None:
            return Phase("design", "skipped", "it ended before any worker took it", document["created_at"], document["finished_at"])
        return Phase("design", "queued", "waits for a worker", document["created_at"])
    said = f"the plan of release {document['release'][:12]}, pinned"
    return Phase("design", "done", said, document["created_at"], document["started_at"])


def _implement(document: Mapping[str, Any], work: Work, judging: Sequence[Mapping[str, Any]]) -> Phase:
    said = f"{work.done:,} of {work.total:,} steps done"
    if not work.total and document["reverifies"] is not None:
        return Phase("implement", "skipped", "was done in the run whose result this one judges")
    if not work.total:
        return Phase(
            "implement", "expected" if document["outcome"] is None else "skipped", "nothing yet" if document["outcome"] is None else "no step"
        )
    if document["outcome"] is None and not judging:
        return _at_work(document, said, work.began)
    if work.failed and not judging:
        return Phase("implement", "failed", f"{work.failed} failed; {said}", work.began, work.ended)
    cancelled = work.cancelled and not judging
    return Phase("implement", "cancelled" if cancelled else "degraded" if work.failed else "done", said, work.began, work.ended)


def _at_work(document: Mapping[str, Any], said: str, began: str | None) -> Phase:
    undoing = [step["key"].removeprefix(UNDO) for step in document["steps"] if step["key"].startswith(UNDO) and step["state"] in OPEN]
    if undoing:
        return Phase("implement", "live", f"{said}; {undoing[0]} is being undone", began)
    states = {step["state"] for step in document["steps"]}
    if "waiting" in states and not states & AT_WORK:
        return Phase("implement", "waiting", f"{said}; it waits", began)
    return Phase("implement", "live", said, began)


def _verify(document: Mapping[str, Any], judging: Sequence[Mapping[str, Any]]) -> Phase:
    began, ended = _extent(judging)
    verdict = document["verdict"]
    if document["trigger"] == SPREAD:
        return Phase("verify", "skipped", "some items of a loop: the run above has all of them judged")
    if not judging:
        waiting = document["outcome"] is None
        return Phase("verify", "expected" if waiting else "skipped", "after the work" if waiting else "there was no result to judge")
    if any(step["state"] in OPEN for step in judging):
        return Phase("verify", "live", f"{judging[-1]['agent']} judges", began)
    if verdict is None:
        return Phase("verify", "unverified", "no verdict could be had", began, ended)
    checks = verdict["checks"]
    held = sum(check["verdict"] == "pass" for check in checks)
    return Phase("verify", str(verdict["verdict"]), f"{held} of {len(checks)} checks hold, by {verdict['by']}", began, ended)


def _extent(steps: Sequence[Mapping[str, Any]]) -> tuple[str | None, str | None]:
    """From the first beginning to the last end, the latter only where all have ended. Texts in UTC sort as their instants do."""
    began = min((step["started_at"] for step in steps), default=None)
    ends = [step["finished_at"] for step in steps]
    return began, max(ends) if ends and all(ends) else None
