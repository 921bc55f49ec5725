"""A team that has people decide what it publishes, and what is proposed there, for the tests of every door."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from agents import registry
from agents.models import Policy, Proposal, ProposalKind, Team
from agents.registry.proposed import item_of_grants, permit_deed
from agents.registry.proposing import Asked, put
from agents.registry.ruling import Asks
from agents.registry.writing import Turn
from audit import clock
from audit.actors import Actor
from tests import pipelines
from tests.approving import member
from tests.pipelines import SYSTEM, agent

POLICY = "kind: policy\nname: careful\nteam: platform\napprovers: {teams: [platform]}\nwithin: 2h"


def folder(path: Path, *, tier: str = "low", team: str = "", policy: str = "") -> Path:
    worker = agent("worker", "work:run", more=f"risk_tier: {tier}")
    code = "def run() -> dict:\n    return {}\n"
    made = pipelines.folder(path, functions=code, agents=[worker, policy or POLICY], steps="- {id: a, agent: worker}")
    file = made / "pipeline.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("name: platform\n", f"name: platform\n{team}", 1), encoding="utf-8")
    return made


def ruled(path: Path) -> Actor:
    """alice, of a team that has people decide what it publishes; bob is in it too."""
    registry.apply_folder(folder(path, team="publishing: careful\n"), actor=SYSTEM, publish=True)
    member("bob", "platform")
    return member("alice", "platform")


def proposed(path: Path, by: Actor, tier: str = "middle") -> Proposal:
    registry.apply_folder(folder(path, tier=tier), actor=by)
    return asked(lambda: registry.publish("worker", actor=by))


def asked(what: Callable[[], object]) -> Proposal:
    """What it waits for."""
    with pytest.raises(registry.Proposed) as waits:
        what()
    return waits.value.proposal


def put_to_people(team: Team, by: User) -> Proposal:
    """That its agents may read nothing of some feed, by the team's own policy, though its document asks for no yes."""
    actor = registry.actor_of_person(by, auth="test")
    policy = next(iter(registry.policies_in_force(Policy.objects.filter(team=team).values_list("name", flat=True)).values()))
    rules = [*team.permissions, "deny read feed:proposed"]
    deeds, shown = (permit_deed(team, rules, None),), (item_of_grants(team, rules, None),)
    asked = Asked(ProposalKind.PUBLISH, Asks(team, policy), deeds, frozenset({team.subject}), shown)
    with transaction.atomic():
        turn = Turn(actor, clock.now())
        made = put(turn, asked)
        turn.close()
    return made
