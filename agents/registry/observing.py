"""Teams whose agents are only observed: what no permission allows is carried out and recorded, so that nobody is locked out who is new.

Reads only; says it wherever somebody could take it for enforced. Called by applying and by the site's checks.
"""

from __future__ import annotations

from collections.abc import Iterator

from agents import validation
from agents.models import Team
from agents.models.agent import WORKING
from audit.clock import now as now_is

from .judging import teams_once_published
from .preparing import Prepared

MOST_NAMED = 10


def hints(prepared: Prepared) -> Iterator[str]:
    """Of each agent of the folder that works for such a team what would be refused otherwise."""
    teams = teams_once_published(prepared)
    for document in prepared.parsed.agents:
        team = teams[document.spec["team"]]
        if not team.observe:
            continue
        place = f"{document.file}:{document.line}: agent '{document.name}' works for team '{team.name}', whose agents are only observed: nothing is"
        lacking = validation.refused_uses(document.spec["uses"], [*document.spec["permissions"], *team.permissions], now_is())
        said = [f"{use!r:.200} (none of its permissions allows that)" for use, _ in lacking]
        what = f"; it uses {', '.join(said[:MOST_NAMED])}" if said else ""
        yield f"{place} refused to it for want of a permission{what}. `observe: false` in the team's document enforces them"


def observed_teams() -> list[str]:
    """Those that own agents at work."""
    return list(Team.objects.filter(observe=True, agents__state__in=WORKING).order_by("name").values_list("name", flat=True).distinct())
