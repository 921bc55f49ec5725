"""Who may what, everywhere: each address with each method, each command, for each kind of person and nobody, of their own team and of a foreign one.

The expectations stand in tests/data/matrix.txt. Whatever has no row there, or another answer than its row says, fails with the row to write.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from agents.models import Agent, AgentKey, Pipeline, Price, Release, Stop, Team, TeamGroupObjectPermission, TeamUserObjectPermission, Version
from approvals.models import Comment, Decision
from orchestra_site import env
from orchestra_site.models import Token, Tries
from orchestra_site.tokens import create_token
from runs.models import Call, Run, Wait
from tests.documents import ROOT
from tests.doors import everywhere, typed, world
from tests.doors.everywhere import AGENT, EVERYBODY, PEOPLE, Place, World, taken_back
from tests.pipelines import SYSTEM
from tests.rest import Caller

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = ROOT / "tests" / "data" / "matrix.txt"
Row = tuple[str, ...]


def table() -> dict[str, Row]:
    """What is asked, as its row names it, and the answers in the order of EVERYBODY."""
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    rows = [line.rsplit(maxsplit=len(EVERYBODY)) for line in lines]
    assert len({row[0] for row in rows}) == len(rows), "a row stands twice"
    return {" ".join(row[0].split()): tuple(row[1:]) for row in rows}


def line_of(key: str, answers: Row) -> str:
    cells = (f"{answer:<{max(len(name), 7)}}" for name, answer in zip(EVERYBODY, answers, strict=True))
    return f"{key:<69} {' '.join(cells)}".rstrip()


def hold_to_the_table(found: dict[str, Row], door: str) -> None:
    said = {key: row for key, row in table().items() if key.startswith(f"{door} ")}
    missing = [f"  {line_of(key, row)}" for key, row in found.items() if said.get(key) != row]
    gone = [f"  (take out) {key}" for key in said if key not in found]
    if missing or gone:
        heading = f"{TABLE.relative_to(ROOT)} says otherwise, or nothing; if this is what is wanted, write there:"
        pytest.fail("\n".join([heading, *missing, *gone]), pytrace=False)


def word_for(status: int, location: str = "") -> str:
    if status == 401 or "/login/" in location:
        return "sign-in"
    if status < 400:
        return "yes"
    return {403: "no", 404: "404"}.get(status, str(status))


def asked(place: Place, about: str) -> str:
    path = re.sub(r"\^\(\?P<(\w+)>.*\)/\$", r"<\1>/", place.path) or "/"
    return f"{place.door} {place.method} {path} {about}"


@pytest.fixture
def made(tmp_path: Path) -> World:
    return everywhere.build(tmp_path)


def test_over_rest_everybody_may_what_the_table_says(made: World) -> None:
    callers = {name: Caller.of(User.objects.get(username=name)) for name in PEOPLE} | {AGENT: Caller(made.key), "nobody": Caller()}

    def answer(place: Place, about: str, name: str) -> str:
        body = made.body(place, about) if place.method == "POST" else None
        with taken_back():
            return word_for(callers[name].send(place.method, made.address(place, about), body).status)

    hold_to_the_table(rows_of("rest", answer), "rest")


OWN = ("", "me/", "me/password/", "tokens/")
"""About oneself, or the same for everybody."""


SHARING = (TeamGroupObjectPermission, TeamUserObjectPermission)


def state() -> tuple[Any, ...]:
    """Everything that a door may change, apart from refusals' entries and the asker's own tokens."""
    people = list(User.objects.order_by("pk").values_list("username", "is_active", "password", "user_permissions"))
    teams = [(team.name, team.accountable, sorted(team.members.values_list("username", flat=True))) for team in Team.objects.all()]
    groups = [(group.name, sorted(group.user_set.values_list("username", flat=True))) for group in Group.objects.order_by("name")]
    owned = [list(model.objects.order_by("name").values_list("name", "state")) for model in (Agent, Pipeline)]
    runs: list[Any] = list(Run.objects.order_by("pk").values_list("id", "state", "outcome", "cancel_requested_at"))
    runs += [list(model.objects.order_by("pk").values_list("pk", "state")) for model in (Wait, Call)]
    runs += [list(Stop.objects.order_by("pk").values_list("pk", "lifted_at"))]
    counts = [model.objects.count() for model in (*SHARING, Price, Version, Release, Tries, Decision, Comment)]
    people += list(User.objects.exclude(username__in=PEOPLE).order_by("pk").values_list("email", flat=True))  # everybody may set their own
    counts += [AgentKey.objects.filter(revoked_at__isnull=revoked).count() for revoked in (True, False)]
    return people, teams, groups, owned, runs, counts, Token.objects.exclude(user__username__in=PEOPLE).count()


def test_lists_hold_nothing_for_an_outsider_and_whoever_is_refused_has_changed_nothing(made: World) -> None:
    before = state()
    known = {"nobody": Caller(), AGENT: Caller(made.key)}
    for name in ("outsider", "onlooker", "auditor", "nobody", AGENT):
        caller = known[name] if name in known else Caller.of(User.objects.get(username=name))
        for place in everywhere.places():
            if place.door != "rest" or place.path in OWN or (name == AGENT and place.path == "runs/"):
                continue
            for about in place.about if place.method != "GET" else ():
                caller.send(place.method, made.address(place, about), made.body(place, about) if place.method == "POST" else None)
            if name == "outsider" and place.method == "GET" and "<" not in place.path and place.path not in ("schema/", "docs/"):
                answer = caller.get(made.address(place, "own"))
                assert not [each for each in answer.body["items"] if each.get("name") != name and each.get("scope") != "tool"], place
    assert state() == before


def test_in_the_admin_everybody_may_what_the_table_says(made: World) -> None:
    clients = {name: world.signed_in(name) for name in PEOPLE} | {AGENT: Client(headers={"Authorization": f"Bearer {made.key}"}), "nobody": Client()}

    def answer(place: Place, about: str, name: str) -> str:
        url = made.address(place, about)
        with taken_back():
            reply = clients[name].get(url) if place.method == "GET" else clients[name].post(url, made.body(place, about))
            return word_for(reply.status_code, reply.headers.get("Location", ""))

    hold_to_the_table(rows_of("admin", answer) | rows_of_all_models(answer), "admin")


def rows_of_all_models(answer: Any) -> dict[str, Row]:
    """The administrator asks at every model, the others take turns: what nobody may is the same everywhere, or it says where not."""
    found: dict[str, Row] = {}
    for key, models in everywhere.by_all_models().items():
        answers = []
        for number, name in enumerate(EVERYBODY):
            some = models if name == "administrator" else [each for at, each in enumerate(models) if (at - number) % 6 == 0]
            said = {path: answer(place, "own", name) for path, place in some}
            refused = set(said.values()) <= {"no", "404"}  # 404 where there is no such row, or none for this person
            answers.append("no" if refused else "sign-in" if set(said.values()) == {"sign-in"} else f"{said}")
        found[f"{key} own"] = tuple(answers)
    return found


def rows_of(door: str, answer: Any) -> dict[str, Row]:
    return {
        asked(place, about): tuple(answer(place, about, name) for name in EVERYBODY)
        for place in everywhere.places()
        if place.door == door
        for about in place.about
    }


@pytest.fixture
def shell_of(made: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put somebody's token into the environment, or none."""
    monkeypatch.setenv("COLUMNS", "250")

    def given(who: str) -> None:
        said = {"nobody": "", AGENT: made.key}
        monkeypatch.setenv(env.PERSONS_TOKEN, said[who] if who in said else create_token(who, actor=SYSTEM).text)

    return given


def test_every_command_gives_everybody_what_the_table_says(made: World, shell_of: Callable[[str], None]) -> None:
    found: dict[str, Row] = {f"command {name}": ("system",) * len(EVERYBODY) for name in sorted(typed.of_nobody())}
    answers: dict[str, list[str]] = {}
    for who in EVERYBODY:
        shell_of(who)
        for line in typed.lines():
            for about in line.about:
                with taken_back():
                    answers.setdefault(f"command {line.text} {about}", []).append(line.came_to(made, about, who))
    hold_to_the_table(found | {key: tuple(row) for key, row in answers.items()}, "command")


def test_no_command_that_is_somebodys_is_left_out_and_none_gives_them_more_than_rest() -> None:
    assert {line.command for line in typed.lines()} == typed.persons_commands()
    assert {line.text for line in typed.lines()} >= typed.REST.keys()
    rows = table()
    for line in typed.lines():
        for about in line.about:
            same = typed.twin(line, about)
            if same is not None:
                people = len(PEOPLE)
                assert rows[f"command {line.text} {about}"][:people] == rows[same][:people], (line, same)


def test_whoever_is_refused_a_command_has_changed_nothing(made: World, shell_of: Callable[[str], None]) -> None:
    before = state()
    for who in ("outsider", "onlooker", "auditor", AGENT):
        shell_of(who)
        for line in typed.lines():
            for about in line.about:
                line.came_to(made, about, who)
    assert state() == before


ABOUT_PEOPLE = ("groups/", "people/", "auth/", "tokens/", "orchestra_site/token/", "orchestra_site/tries/", "sign-in-locks/")
"""Whoever manages people has to do with accounts whatever team these belong to."""


def writes() -> Iterator[tuple[str, Row]]:
    for key, row in table().items():
        if key.split()[1] in ("POST", "DELETE"):
            yield key, row


def test_the_table_holds_what_roles_are_for() -> None:
    """Read once more as rules, so that a row that was copied from a wrong answer does not pass for what is wanted."""
    mine = ("rest POST me/password/", "rest POST tokens/", "rest DELETE tokens/", "admin POST orchestra_site/token/", "admin POST password_change/")
    for key, row in writes():
        may = {name for name, answer in zip(EVERYBODY, row, strict=True) if answer not in ("no", "404", "sign-in")}
        assert AGENT not in may or key == "rest POST runs/ own" or "nobody" in may, key  # it starts what its key names: nothing else
        if key.startswith(mine):
            continue
        if key.split()[2].startswith("approvals/"):
            assert not may & {"onlooker", "auditor", "integration", "outsider", "nobody"}, key
            assert not key.endswith(("foreign", "everything", "tool")) or may <= {"administrator"}, key
            assert "comment/" in key or "administrator" not in may, key  # whom the policy asks, and it asks the team
            continue
        if key.split()[2].startswith(("proposals/<uuid:proposal>/decide/", "agents/proposal/<path:object_id>/change/")):
            assert not may & {"onlooker", "auditor", "integration", "outsider", "nobody"}, key
            assert key.endswith("own") or may <= {"administrator"}, key
            assert "administrator" not in may or not key.endswith("own"), key  # whom the policy asks, and it asks the team
            continue
        if key.split()[2].startswith(("covers/", "agents/cover/")):  # for oneself by whoever is asked, for others by whoever manages people
            assert not may & {"onlooker", "auditor", "integration", "outsider", "nobody"}, key
            assert may <= {"administrator", "manager"} or key.endswith(("POST covers/ own", "arrange/ own")), key
            continue
        assert not may & {"onlooker", "approver", "auditor", "outsider", "nobody"}, key
        stops = any(word in key for word in ("suspend/", "cancel/", "POST stops/ ", "stop/set/"))
        more = {"compliance"} if stops else {"manager"} if any(word in key for word in ABOUT_PEOPLE) else set()
        assert not key.endswith("foreign") or may <= {"administrator"} | more, key
        assert "compliance" not in may or stops, key
        assert "integration" not in may or key.startswith("rest POST runs/ "), key
        assert not any(word in key for word in ("publish/", "rollback/", "apply/", "retire/", "resume/", "lift/")) or "operator" not in may, key
