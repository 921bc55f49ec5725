"""Every address of the admin and of REST, every command, and what is sent there: for the matrix of who may what.

Knows which rows stand behind the parameters of an address, of the team of whoever asks and of a foreign one. No expectation lives here.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver

from agents import registry
from agents.models import Agent, ModelAlias, Pipeline, Policy, Release, Stop, Team, Version
from agents.prices import Price as PriceValue
from approvals import services as approvals
from audit import clock
from audit.admin import ReadOnlyAdmin
from audit.models import Entry
from orchestra_site.models import Tries
from orchestra_site.tokens import create_token
from runs.models import Call
from tests import approving, pipelines, proposing, rest, waiting
from tests.pipelines import SYSTEM

ROLES = ("operator", "agent-owner", "approver", "compliance", "auditor", "integration")
PEOPLE = ("administrator", "manager", "member", "onlooker", *ROLES, "outsider")
AGENT = "agent"
"""An agent of the first team, by a key with every scope that there is."""
EVERYBODY = (*PEOPLE, AGENT, "nobody")
TEAMS = {"own": "platform", "foreign": "red"}
"""Everybody but the outsider belongs to the first, and nobody to the second."""
OWNERS = {"platform": "alice", "red": "bob"}
"""Of the keys of agents that there are; whoever makes one is named by entries of their team."""
UNTIL = (clock.now() + timedelta(days=9)).date().isoformat()
OURS = ("agents", "approvals", "audit", "orchestra_site", "runs")
_RED = {
    "platform": "red",
    "sample": "secret",
    "judge": "umpire",
    "worker": "hidden",
    "payer": "spender",
    "booker": "taker",
    "canceller": "giver",
    "loser": "beaten",
    "deployer": "shipper",
    "deployment": "shipment",
    "production": "launch",
}


@dataclass(frozen=True)
class Place:
    """One address with a method; `path` as the resolver says it."""

    door: str
    method: str
    path: str
    name: str = ""

    @property
    def about(self) -> tuple[str, ...]:
        """Whose things it is asked about: both teams' where it names one, or where what is sent does."""
        sets = self.method == "POST" and self.path in ("stops/", "agents/stop/set/")
        named = re.search(r"<\w+:", self.path) is not None or (self.method == "POST" and self.path in ("runs/", "apply/"))
        of_stop = named and self.path.startswith(("stops/", "agents/stop/"))
        return ("own", "foreign", *(["everything"] if sets else ["tool"] if of_stop else [])) if named or sets else ("own",)


def places() -> list[Place]:
    """In the order of the table."""
    api = [Place("rest", method.upper(), path) for method, path in rest.addresses()]
    return sorted({*api, *_admin()}, key=lambda place: (place.door != "rest", place.path, place.method))


STANDARD = {"changelist": "GET", "change": "GET", "add": "", "delete": "", "history": ""}
"""Django's own pages of each model. What stands under these names is looked at here, or, without a method, stands in one row for all models."""
_LOOKED_AT = ("index", "app_list", "jsi18n", "search", "autocomplete", "view_on_site", "login", "logout", "account", "sums", "password_change_done")


def _admin() -> Iterator[Place]:
    """Pages are looked at; what is a deed is done: whoever may look at its page and who may not do it shows when it is done."""
    for path, name in _below(next(each for each in get_resolver().url_patterns if str(each.pattern) == "admin/").url_patterns):
        if not name or path == "(?P<url>.*)$":
            continue
        last = name if name in _LOOKED_AT else name.rsplit("_", 1)[-1]
        method = "GET" if last in _LOOKED_AT else STANDARD.get(last, "POST") if _is_standard(path, last) else "POST"
        if method:
            yield Place("admin", method, path, name)
        if last == "change" and _does(path):
            yield Place("admin", "POST", path, name)


def _is_standard(path: str, last: str) -> bool:
    """`add` is also a deed of ours, putting somebody into a team; and to change one's password is no page of a model."""
    return last in STANDARD and (last == "changelist" or (last == "add" and "<" not in path) or "<path:object_id>" in path)


def _does(path: str) -> bool:
    """Whether something is done on the page of a row of this model: a lock is lifted there, a wait is answered."""
    models = {f"{model._meta.app_label}/{model._meta.model_name}/": page for model, page in admin.site._registry.items()}
    page = next((page for at, page in models.items() if path.startswith(at)), None)
    return page is not None and type(page).change_view is not ReadOnlyAdmin.change_view


def by_all_models() -> dict[str, list[tuple[str, Place]]]:
    """What Django would change by itself, by what its row says: for each model its place."""
    found: dict[str, list[tuple[str, Place]]] = {}
    for path, name in _below(next(each for each in get_resolver().url_patterns if str(each.pattern) == "admin/").url_patterns):
        last = name.rsplit("_", 1)[-1]
        if not name or not _is_standard(path, last) or last == "changelist" or (last == "change" and _does(path)):
            continue
        tail = {"add": "add/"}.get(last, f"<path:object_id>/{last}/")
        for method in ("POST",) if last == "change" else ("GET", "POST") if last == "delete" else ("GET",):
            found.setdefault(f"admin {method} */{tail}", []).append((path, Place("admin", method, path, name)))
    return found


def _below(patterns: list[URLPattern | URLResolver], at: str = "") -> Iterator[tuple[str, str]]:
    for each in patterns:
        path = at + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _below(each.url_patterns, path)
        else:
            yield path, each.name or ""


def build(path: Path) -> "World":
    """Both teams with a run that waits for a signal and for a word on a call, one for an approval, people, and what else addresses name."""
    for team in TEAMS.values():
        _publish(path, team)
        _publish_policy(path, team)
    for name in (*PEOPLE, "colleague", "stranger", *OWNERS.values()):
        registry.create_person(name, actor=SYSTEM, administrator=name == "administrator")
    for name in ("manager", "member", *ROLES, "colleague"):
        registry.add_member("platform", name, actor=SYSTEM)
    registry.add_member("red", "stranger", actor=SYSTEM)
    for team, name in OWNERS.items():
        registry.add_member(team, name, actor=SYSTEM)
    registry.show_team("platform", "onlooker", actor=SYSTEM)
    registry.permit_person("manager", "manage-people", allowed=True, actor=SYSTEM)
    for role in ROLES:
        registry.add_to_group(role, role, actor=SYSTEM)
    tool = registry.stop("tool", "fetch", actor=SYSTEM, reason="odd")
    own, foreign = _named("platform", "sample", "worker", "colleague"), _named("red", "secret", "hidden", "stranger")
    key = key_of("worker", OWNERS["platform"]).text
    return World(own | {"folder": _folder(path, "platform")}, foreign | {"folder": _folder(path, "red")}, tool, key)


def key_of(agent: str, owner: str) -> registry.MadeKey:
    """One with all the scopes that there are."""
    person = registry.actor_of_person(User.objects.get(username=owner), auth="test")
    return registry.make_key(agent, actor=person, scopes=["read", "can", "start:*"])


def _folder(path: Path, team: str) -> Path:
    """A change of the team itself, to be applied."""
    folder = path / f"{team}-changed"
    folder.mkdir()
    (folder / "team.yaml").write_text(f"kind: team\nname: {team}\naccountable: me\n", encoding="utf-8")
    return folder


def _publish(path: Path, team: str) -> None:
    """Two versions that were published and a draft. What red has has other names: a name belongs to one thing of the installation."""
    for number, timeout in enumerate(("timeout: 18s", "timeout: 19s", "timeout: 20s")):
        folder = pipelines.folder(path / f"{team}{number}", steps=waiting.EITHER, agents=waiting.agents(), functions=waiting.WORK)
        file = folder / "pipeline.yaml"
        file.write_text(file.read_text(encoding="utf-8").replace("timeout: 20s", timeout), encoding="utf-8")
        registry.apply_folder(_of(team, folder), actor=SYSTEM, publish=number < 2)


def _publish_policy(path: Path, team: str) -> None:
    """A pipeline whose agent acts only with a yes of the team."""
    may = 'uses: ["write deploy:{input.feed}"]\npermissions: ["require_approval write deploy:* policy production"]\nrisk_tier: low'
    policy = "kind: policy\nname: production\nteam: platform\napprovers: {teams: [platform]}"
    deployer = pipelines.agent("deployer", "work:act", role="act", more=may)
    steps = approving.STEPS.replace("worker", "deployer")
    folder = pipelines.folder(path / f"{team}-policy", name="deployment", steps=steps, agents=[deployer, policy], functions=approving.WORK)
    registry.apply_folder(_of(team, folder), actor=SYSTEM, publish=True)


def _of(team: str, folder: Path) -> Path:
    """The same as things of this team."""
    file = folder / "pipeline.yaml"
    text = file.read_text(encoding="utf-8")
    for word, other in _RED.items() if team == "red" else ():
        text = re.sub(rf"(name: |team: |agent: |policy |teams: \[){word}\b", rf"\1{other}", text)
    file.write_text(text, encoding="utf-8")
    return folder


def _named(team: str, pipeline: str, agent: str, person: str) -> dict[str, Any]:
    """The rows of one team, by the word that stands for each in an address."""
    run, now = waiting.parked(name=pipeline), clock.now()
    Call.objects.filter(run=run).update(not_after=now - timedelta(hours=1))
    owner, group = Team.objects.get(name=team), registry.create_group(f"seers-of-{team}", actor=SYSTEM)
    registry.show_team_to_group(team, group.name, actor=SYSTEM)
    someone = User.objects.get(username=person)
    alias = ModelAlias.objects.create(name=f"model-of-{team}", team=owner, provider="scripted", model=f"m-{team}", created_at=now)
    about = {"scope": "name", "count": 10, "locked": True, "ends": now + timedelta(days=1)}
    lock = Tries.objects.create(key=uuid4().hex * 2, person=someone, **about)
    deploys = "deployment" if team == "platform" else _RED["deployment"]
    waiting_for_yes = pipelines.start(name=deploys, input={"feed": "production"})
    assert pipelines.drive(waiting_for_yes)["state"] == "waiting"
    request = approving.request_of(waiting_for_yes)
    price = registry.set_price(PriceValue(alias.provider, alias.model, 0, 1, 1, 1, 1), actor=SYSTEM).price
    return {
        "team": owner, "agent": Agent.objects.get(name=agent), "pipeline": Pipeline.objects.get(name=pipeline), "run": run, "person": someone,
        "group": group, "alias": alias, "lock": lock, "release": run.release, "wait": waiting.wait_of(run), "call": waiting.call_of(run),
        "key": key_of(agent, OWNERS[team]).key, "proposal": proposing.put_to_people(owner, User.objects.get(username=OWNERS[team])),
        "cover": registry.arrange_cover(person, OWNERS[team], until=UNTIL, actor=SYSTEM),
        "entry": Entry.objects.filter(run=run.id).order_by("at")[0], "token": create_token(person, actor=SYSTEM).token,
        "older": Release.objects.filter(pipeline__name=pipeline).order_by("created_at")[0].digest,
        "version": Version.objects.filter(agent__name=agent)[0], "price": price,
        "approval": request, "request": request, "policy": Policy.objects.get(team=owner),
        "stop": registry.stop("version", f"{agent}@1", actor=SYSTEM, reason="odd"), "to stop": {"scope": "pipeline", "name": pipeline},
        "decision": {"decision": "approved", "reason": "x", "seen": approvals.document(request, actor=SYSTEM)["shown"]},
    }  # fmt: skip


_TYPED = {
    "reason": "x",
    "person": "outsider",
    "other": "outsider",
    "permission": "see-everything",
    "permissions": "deny read feed:x",
    "name": "newcomers",
    "username": "newcomer",
    "days": "1",
    "provider": "p",
    "model": "m2",
    "output": "1",
    "key": "once",
    "decision": "unknown",
    "payload": '{"amount": 1}',
    "email": "someone@example.com",
    "in-amount": "1",
    "old_password": "not this one",
    "new_password": "a longer one, 4711",
    "again": "a longer one, 4711",
    "scopes": "read",
    "expires": "1d",
}
"""What any form of the admin may ask for."""


@dataclass
class World:
    """What the parameters of an address stand for."""

    own: dict[str, Any]
    foreign: dict[str, Any]
    tool: Stop
    key: str

    def rows(self, about: str) -> dict[str, Any]:
        """What is no team's own stands beside what is the asker's team's."""
        if about in TEAMS:
            return self.own if about == "own" else self.foreign
        return {**self.own, "stop": self.tool, "to stop": {"scope": "everything", "name": ""}}

    def address(self, place: Place, about: str) -> str:
        rows = self.rows(about)
        if place.door == "rest":
            query = "?verb=read&resource=feed:metrics" if place.path.endswith("/may/") else ""
            return "/api/v1/" + re.sub(r"<\w+:(\w+)>", lambda found: word(found[1], rows), place.path) + query
        plain = re.sub(r"\^\(\?P<app_label>[^)]*\)/\$", "agents/", place.path)
        return "/admin/" + re.sub(r"<\w+:(\w+)>", lambda found: quote(str(_key(found[1], place.name, rows))), plain)

    def body(self, place: Place, about: str) -> dict[str, Any]:
        """What passes the form, or the schema, of whatever stands there."""
        rows = self.rows(about)
        if place.door == "admin":
            to = "1" if place.path.startswith("agents/agent/") else rows["older"]
            typed = "1" if place.path.startswith("agents/price/") else "{}"
            stops = rows["to stop"] if place.path.startswith("agents/stop/") else {}
            withdrawn = {"permission": rows["agent"].permissions[0]} if "withdraw/" in place.path and rows["agent"].permissions else {}
            decides = rows["decision"] if place.path.startswith("approvals/") else {}
            decides |= {"decision": "approved", "seen": rows["proposal"].digest} if place.path.startswith("agents/proposal/") else {}
            covers = {"person": OWNERS["platform"], "deputy": "colleague", "until": UNTIL} if place.path.startswith("agents/cover/") else {}
            return {**_TYPED, "to": to, "input": typed, "group": self.own["group"].name, "text": "x", **stops, **decides, **covers, **withdrawn}
        bodies = {
            "runs/": {"pipeline": rows["pipeline"].name, "input": {}},
            "apply/": {"files": {"team.yaml": f"kind: team\nname: {rows['team'].name}\naccountable: me\n"}},
            "suspend/": {"reason": "x"}, "retire/": {"reason": "x"},
            "keys/": {"scopes": ["read"]}, "covers/": {"deputy": "colleague", "until": UNTIL},
            "members/": {"person": "outsider"}, "onlookers/": {"person": "outsider"},
            "<name:team>/groups/": {"group": "operator"}, "<person:group>/people/": {"person": "outsider"},
            "people/": {"name": "newcomer"}, "groups/": {"name": "newcomers"},
            "email/": {"email": "someone@example.com"},
            "same/": {"as": "outsider"},
            "people/<person:person>/permissions/": {"permission": "see-everything", "allowed": True},
            "permissions/": {"grant": ["deny read feed:x"]},
            "me/password/": {"old": "x", "new": "y"}, "publish/": {}, "rollback/": {}, "tokens/": {},
            "prices/": {"provider": "p", "model": "m2", "input_nano": "1", "output_nano": "1"},
            "stops/": {**rows["to stop"], "reason": "x"}, "<uuid:proposal>/decide/": {"decision": "approved", "reason": "x"},
            "decide-alike/": {"decision": "approved", "reason": "x", "also": []}, "decide/": rows["decision"], "comment/": {"text": "x"},
            "settle/": {"decision": "unknown", "reason": "x"}, "<name:signal>/": {"payload": {"amount": 1}},
        }  # fmt: skip
        return next((body for end, body in bodies.items() if place.path.endswith(end)), {})


def word(parameter: str, rows: dict[str, Any]) -> str:
    typed = {"number": "1", "signal": "payment", "folder": str(rows["folder"]), "model": rows["alias"].model, "until": UNTIL}
    if parameter in typed or parameter == "owner":
        return typed.get(parameter, rows["cover"].deputy.username)
    row = rows[parameter]
    return str(getattr(row, {"person": "username", "release": "digest"}.get(parameter, "name"), row.pk) if parameter not in _BY_ID else row.id)


_BY_ID = ("run", "stop", "wait", "call", "entry", "token", "lock", "key", "cover", "proposal")
_ROWS = {"user": "person", "tries": "lock", "modelalias": "alias"}


def _key(parameter: str, name: str, rows: dict[str, Any]) -> Any:
    """The key of the row that an address of the admin is about: its name is app_model_deed."""
    model = {f"{word}_id": word for word in ("pipeline", "run", "team", "person", "group", "token", "key")}
    word = model.get(parameter) or next((each for each in (name.rsplit("_", 2)[-2:-1] or [name])), name)
    word = _ROWS.get(word, word)
    if word not in rows:
        return uuid4()
    return rows[word].id if word == "token" else rows[word].pk


@contextmanager
def taken_back() -> Iterator[None]:
    """Whatever is done inside is undone, use-cases' own transactions too: these see a test's, as in a test case of Django's."""
    block: Any = transaction.atomic()
    block._from_testcase = True
    with block:
        yield
        transaction.set_rollback(True)
