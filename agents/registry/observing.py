"""Teams whose agents are only observed: what no permission allows is carried out and recorded, so that nobody is locked out who is new.

Reads only; says it wherever somebody could take it for enforced. Called by applying and by the site's checks.
"""

from __future__ import annotations

from collections.abc import Iterator

from agents import validation
from agents.models import Team
from agents.models.agent import WORKING
from agents.spec.documents import Document
from audit.clock import now as now_is

from .judging import teams_once_published
from .preparing import Prepared

MOST_NAMED = 10


def hints(prepared: Prepared) -> Iterator[str]:
    """Of each such team that agents of the folder work for: which, and what would be refused to them otherwise."""
    teams = teams_once_published(prepared)
    working: dict[str, list[Document]] = {}
    for document in prepared.parsed.agents:
        if teams[document.spec["team"]].observe:
            working.setdefault(document.spec["team"], []).append(document)
    for name, documents in working.items():
        first, alone = documents[0], len(documents) == 1
        names = ", ".join(f"'{document.name}'" for document in documents[:MOST_NAMED]) + _more(len(documents))
        who, them = (f"agent {names} works", "it") if alone else (f"agents {names} work", "them")
        lacking = [f"{'it' if alone else repr(each.name)} uses {said}" for each in documents if (said := _lacking(each, teams[name]))]
        what = f"; {'; '.join(lacking[:MOST_NAMED])}{_more(len(lacking))}" if lacking else ""
        yield (
            f"{first.file}:{first.line}: {who} for team '{name}', whose agents are only observed: nothing is refused to {them} "
            f"for want of a permission{what}. `observe: false` in the team's document enforces them"
        )


def _lacking(document: Document, team: Team) -> str:
    """What the agent uses and no permission allows."""
    lacking = validation.refused_uses(document.spec["uses"], [*document.spec["permissions"], *team.permissions], now_is())
    return ", ".join([f"{use!r:.200} (none of its permissions allows that)" for use, _ in lacking][:MOST_NAMED])


def _more(count: int) -> str:
    return f" and {count - MOST_NAMED} more" if count > MOST_NAMED else ""


def observed_teams() -> list[str]:
    """Those that own agents at work."""
    return list(Team.objects.filter(observe=True, agents__state__in=WORKING).order_by("name").values_list("name", flat=True).distinct())
