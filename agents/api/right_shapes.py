"""What the doors say of what agents may do, as JSON Schema. Pure values; the components beside it hold them."""

from __future__ import annotations

from typing import Any, Final

from agents.grants import EFFECTS
from agents.models import Standing
from audit.api.doors import Asked
from audit.api.shapes import PRINTABLE, Shape, flag, given, instant, listing, maybe, named, one_of, ref, text, whole

MAY_ASKED: Final[dict[str, Shape]] = {
    "verb": text("such as read, write, call or connect", pattern=PRINTABLE, example="read"),
    "resource": text("kind and name", pattern="^[^\\x00-\\x1f\\x7f-\\x9f]{1,1000}$", example="feed:metrics"),
    "args": text("what the call would be given, as one JSON object, for permissions with a condition", least=2, most=8_000),
    "pipeline": named("in a run of this pipeline, which may bound what its runs do", "deploy"),
    "as": text("in a run that this person has started, with what they may at this moment", pattern=PRINTABLE, most=150, example="alice"),
}
SAID: Final = given(
    holder=text("the agent, the pipeline or the person", example="pipeline:deploy"),
    effect=one_of(*EFFECTS, meaning="what it says by itself"),
    rule=maybe(text("the permission that decides there; null where none names it, and of a person")),
    why=text(),
    meaning="What one of those says that bound a call together.",
)
_ROOM: Final[dict[str, Shape]] = {
    "used": maybe(whole("how much of the rate of that permission is used up now, over all runs; null where it has none")),
    "of": maybe(whole("how many uses its rate has")),
    "fits_at": maybe(instant("when the next one fits, where none fits now: a call before is refused with the cause rate")),
}
MAY: Final = given(
    _ROOM,
    agent=text(),
    state=one_of(*Standing),
    verb=text(),
    resource=text(),
    effect=one_of(*EFFECTS, meaning="what the boundary would say now"),
    rule=maybe(text("the permission that decides; null where none names it, and it is denied")),
    source=maybe(text("who holds it: the agent, its team or the pipeline", example="agent:deployer")),
    why=text(),
    change=text("what would change the answer"),
    observed=flag("it is allowed only because for want of a permission nothing is refused to the agents of its team"),
    layers=listing(SAID, "what each of those says that bound the call together, the agent first; the strictest decides"),
    draft=maybe(one_of(*EFFECTS, meaning="what it would be once the draft is published, where that is something else")),
    meaning="Whether an agent may do something.",
)
_RULES: Final = listing(text("a permission as files write it", least=1, most=2_000, example="allow write deploy:staging"), most=100)
PERMIT_ASKED: Final = given(
    grant={**_RULES, "description": "what is granted, in any writing"},
    withdraw={**_RULES, "description": "what is withdrawn, as it stands"},
    dry_run=flag("true: say what it would do, and write nothing"),
    optional=("grant", "withdraw", "dry_run"),
    examples=[
        {"grant": ["allow write deploy:staging", "require_approval write deploy:production policy to-production"]},
        {"withdraw": ["allow write deploy:*"], "grant": ["allow write deploy:staging rate 10/1h"], "dry_run": True},
    ],
)
ASKS: Final = "1 of team 'platform' must say yes to it first, under policy 'two-people' (version 1)"
PERMITTED: Final = given(
    holder=text("the agent or the team", example="agent:deployer"),
    version=maybe(whole("the agent's version that says so; null of a team, which has none")),
    granted=listing(text(), "in their canonical form"),
    withdrawn=listing(text()),
    denied=listing(text(), "a sentence for each use that runs and is refused from now on"),
    permissions=listing(text(), "all that it has now"),
    asks=maybe(text("of a dry run: who would have to say yes to it first; null: nobody", example=ASKS)),
    meaning="What was granted and withdrawn.",
)


def wanted(asked: Asked) -> dict[str, Any]:
    """What is to be granted and withdrawn, as the use-case takes it."""
    said = asked.body
    return {"grant": said.get("grant", []), "withdraw": said.get("withdraw", []), "dry_run": said.get("dry_run", False)}


RIGHT: Final = given(
    _ROOM,
    rule=text("the permission", example="allow write deploy:staging"),
    source=text("who holds it: the agent or its team", example="agent:deployer"),
    effect=one_of(*EFFECTS, "none", meaning="what it says now; none: nothing"),
    why=text(),
    used_at=maybe(instant("when a call was last let through by it; exact where it has a rate, else there may be more within the hour from then")),
    unused=flag("not used for 90 days"),
    meaning="A permission in force.",
)
RIGHTS: Final = given(
    agent=text(),
    state=one_of(*Standing),
    observed=flag("what none of them names is recorded, and not refused"),
    known_since=instant("uses before that were not noted"),
    permissions=listing(ref("Right"), "its own, then its team's"),
    meaning="All that an agent may do now.",
)
