"""Whoever belongs nowhere sees nothing and changes nothing, at every address that the resolver knows; onlookers look and don't act."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from agents import registry
from agents.models import Agent, Pipeline, Price, Release, Stop, Team, TeamGroupObjectPermission, Version
from approvals.models import Comment, Decision
from audit.identity import new_id
from audit.models import Entry
from orchestra_site.models import Token
from orchestra_site.tokens import create_token
from runs.models import Call, Run, Wait
from tests import approving, rest, waiting
from tests.pipelines import SYSTEM
from tests.rest import V1, Caller

pytestmark = pytest.mark.django_db(transaction=True)

OPEN = {"schema/", "docs/"}
OWN = {"", "me/", "me/password/", "tokens/"}  # about oneself, or the same for everybody
BODIES: dict[str, Any] = {
    "runs/": {"pipeline": "sample", "input": {"number": 1}},
    "suspend/": {"reason": "x"},
    "retire/": {"reason": "x"},
    "members/": {"person": "charlie"},
    "onlookers/": {"person": "charlie"},
    "teams/<name:team>/groups/": {"group": "onlookers"},
    "<person:group>/people/": {"person": "charlie"},
    "people/": {"name": "dora"},
    "groups/": {"name": "others"},
    "permissions/": {"permission": "see-everything", "allowed": True},
    "apply/": {"files": {"team.yaml": "kind: team\nname: platform\naccountable: me\n"}},
    "publish/": {},
    "rollback/": {},
    "tokens/": {},
    "me/password/": {"old": "x", "new": "y"},
    "prices/": {"provider": "p", "model": "m", "input_nano": "1", "output_nano": "1"},
    "stops/": {"scope": "everything", "reason": "x"},
    "decide/": {"decision": "declined", "reason": "x"},
    "comment/": {"text": "x"},
    "settle/": {"decision": "unknown", "reason": "x"},
    "<name:signal>/": {"payload": {"amount": 1}},
}

QUERIES = {"<name:agent>/may/": "?verb=read&resource=feed:metrics"}

ALL = [each for each in rest.addresses() if each[1] not in OPEN]
READS = [path for method, path in ALL if method == "get"]
WRITES = [each for each in ALL if each[0] != "get"]


@pytest.fixture
def places(caller: Caller, alice: User, tmp_path: Path) -> dict[str, str]:
    """What exists, by the name that addresses give it; the run waits, for a signal or for a word on its call."""
    policy = "kind: policy\nname: production\nteam: platform\napprovers: {teams: [platform]}"
    approving.publish(tmp_path / "a", policy=policy)
    _, request = approving.started()
    waiting.publish(tmp_path / "w", waiting.EITHER)
    run = waiting.parked()
    named = {"team": "platform", "agent": "worker", "pipeline": "sample", "person": "alice", "number": "1", "run": str(run.id), "alias": "reasoning"}
    registry.create_group("onlookers", actor=SYSTEM)
    named |= {"group": "onlookers", "signal": "payment", "wait": str(waiting.wait_of(run).id), "call": str(waiting.call_of(run).id)}
    token = create_token("alice", actor=SYSTEM).token
    entry = Entry.objects.filter(run=run.id).order_by("at").first()
    assert entry is not None
    named["stop"] = str(registry.stop("version", "worker@1", actor=SYSTEM, reason="odd").id)
    ids = {"release": run.release.digest, "entry": str(entry.id), "token": str(token.id), "lock": str(new_id())}
    return {**named, **ids, "approval": str(request.pk), "policy": "production"}


def filled(path: str, places: dict[str, str]) -> str:
    query = next((query for end, query in QUERIES.items() if path.endswith(end)), "")
    return f"{V1}/" + re.sub(r"<\w+:(\w+)>", lambda found: places[found[1]], path) + query


def body_of(method: str, path: str) -> Any:
    return next((body for end, body in BODIES.items() if path.endswith(end)), None) if method == "post" else None


def test_nobody_is_let_in(places: dict[str, str]) -> None:
    assert len(ALL) > 51
    for method, path in ALL:
        refused = Caller().send(method.upper(), filled(path, places), body_of(method, path))
        assert (refused.status, refused.code) == (401, "unauthenticated"), path


def state() -> tuple[Any, ...]:
    """Everything that a door may change, apart from refusals' entries and the asker's own tokens."""
    people = list(User.objects.order_by("pk").values_list("username", "is_active", "password", "user_permissions"))
    teams = [(team.name, team.accountable, sorted(team.members.values_list("username", flat=True))) for team in Team.objects.all()]
    owned = [list(model.objects.order_by("name").values_list("name", "state")) for model in (Agent, Pipeline)]
    runs: list[Any] = list(Run.objects.values_list("id", "state", "outcome", "cancel_requested_at"))
    runs += [list(Stop.objects.order_by("pk").values_list("pk", "lifted_at"))]
    runs += [list(model.objects.order_by("pk").values_list("pk", "state")) for model in (Wait, Call)]
    runs += [Decision.objects.count(), Comment.objects.count()]
    groups = [(group.name, sorted(group.user_set.values_list("username", flat=True))) for group in Group.objects.order_by("name")]
    return (
        people,
        teams,
        groups,
        TeamGroupObjectPermission.objects.count(),
        owned,
        runs,
        Price.objects.count(),
        Version.objects.count(),
        Release.objects.count(),
        Token.objects.filter(user__username="alice").count(),
    )


def test_an_outsider_sees_nothing_and_changes_nothing(outsider: Caller, places: dict[str, str]) -> None:
    before = state()
    for path in READS:
        answer = outsider.get(filled(path, places))
        if "<" in path:
            assert answer.status == 404 and answer.code.startswith(("unknown-", "no-such-")), path
        elif path == "people/":
            assert [each["name"] for each in answer.body["items"]] == ["charlie"]
        elif path == "charges/summary/":
            assert (answer.body["total"]["charges"], answer.body["items"]) == (0, [])
        elif path not in OWN:
            assert answer.body == {"items": [], "next": None}, path
    for method, path in WRITES:
        if path in OWN:
            continue
        answer = outsider.send(method.upper(), filled(path, places), body_of(method, path))
        assert answer.status in (403, 404), (method, path, answer.body)
        assert answer.status == 404 or "<" not in path or "prices" in path or "manage-people" in answer.body["detail"], (path, answer.body)
    assert state() == before


def test_an_onlooker_sees_everything_of_the_team_and_changes_nothing(onlooker: Caller, places: dict[str, str]) -> None:
    before = state()
    for path in READS:
        if "alias" not in path and "<person" not in path:
            assert onlooker.get(filled(path, places)).status == 200, path
    for method, path in WRITES:
        if path in OWN:
            continue
        answer = onlooker.send(method.upper(), filled(path, places), body_of(method, path))
        assert answer.status == (404 if "token" in path or "lock" in path else 403), (method, path, answer.body)
        assert answer.body["detail"]
    assert state() == before
