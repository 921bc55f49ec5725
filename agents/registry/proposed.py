"""What is proposed, as values: deeds, each with what has to be so for it, and what people are shown of them.

Says nothing of who decides. Used by whoever proposes (`proposing`), shows and enacts.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from agents.models import Agent, Pipeline, PolicyVersion, Stop, Team, Version
from audit import canonical

from . import versions
from .changes import FieldChange, MadeRelease, compare
from .deeds import publishers_of, subject_of
from .diffs import code_changes, folders_of
from .enforcing import as_it_holds, before_it
from .manifests import Brought, agents_between, brought, fields_between, manifest_of

Key = TypeVar("Key", bound=Hashable)
_Named = tuple[str, str, int]
"""A version: of an agent, a pipeline or a policy, of which by its name, and its number."""
Deed = Mapping[str, Any]
"""One thing to be done: {"do", …}, with what has to be so for it. `enacting` knows them."""
Item = Mapping[str, Any]
"""What changes of one thing: {"subject", "teams", "from_version", "to_version", "fields": [{"path", "old", "new"}], "denied"}. `teams`: whose
it is, and whose it would be, which is who may see the rest."""


def publish_deed(owner: Agent | Pipeline, number: int, seen: str, brings: Iterable[Brought] = (), drafts: Iterable[Version] = ()) -> Deed:
    """`seen`: the digest of the version, or of the release that comes of it; `instead_of`: as `running`; `with`: what else comes to run.

    `drafts`: those of its agents that are published with it, each with what runs of it until then; of a folder these are deeds of their own.
    """
    with_it = [[draft.owner.name, draft.number, running(draft.owner)] for draft in drafts]
    said = {"number": number, "seen": seen, "with": _listed(brings), "drafts": with_it, "instead_of": running(owner)}
    return {"do": "publish", **_which(owner), **said}


def restore_deed(agent: Agent, live: Version) -> Deed:
    """What its published version says of an agent holds again, in the place of what was said of it since."""
    return {"do": "restore", **_which(agent), "number": live.number, "instead_of": live.digest, "was": as_it_holds(agent, live.spec)}


def rollback_deed(owner: Agent | Pipeline, number: int | None, release: str | None, moves: Sequence[Move]) -> Deed:
    """To a version of an agent, or a release of a pipeline by its digest. `touches`: what each pipeline runs before and after it."""
    said = {"number": number, "release": release, "with": _listed(one for move in moves for one in move.brings)}
    return {
        "do": "rollback",
        **_which(owner),
        **said,
        "instead_of": running(owner),
        "touches": [[move.pipeline, move.instead_of, move.digest] for move in moves],
    }


def _listed(brings: Iterable[Brought]) -> list[list[str | int]]:
    return [list(each) for each in sorted(set(brings))]


def reinstate_deed(owner: Agent | Pipeline) -> Deed:
    return {"do": "reinstate", **_which(owner)}


def _which(owner: Agent | Pipeline) -> dict[str, str]:
    return {"kind": "agent" if isinstance(owner, Agent) else "pipeline", "name": owner.name}


def running(owner: Agent | Pipeline) -> str | None:
    """By digest: the version of an agent, or the release of a pipeline, that runs now."""
    if isinstance(owner, Pipeline):
        return None if owner.current_release is None else owner.current_release.digest
    live = versions.published(owner)
    return None if live is None else live.digest


def policy_deed(draft: PolicyVersion, live: PolicyVersion | None) -> Deed:
    instead_of = None if live is None else live.digest
    return {"do": "policy", "name": draft.policy.name, "number": draft.number, "seen": draft.digest, "instead_of": instead_of}


def permit_deed(team: Team, permissions: Sequence[str] | None, observe: bool | None) -> Deed:
    """What each of its agents may, and whether they are only observed; None: that stays as it is."""
    granted = None if permissions is None else list(permissions)
    return {"do": "permit", "team": team.name, "permissions": granted, "observe": observe, "before": grants_digest(team)}


def rule_deed(team: Team, rules: Mapping[str, str]) -> Deed:
    """By which policies people decide what it does from then on: `publishing`, `resuming`."""
    return {"do": "rule", "team": team.name, "rules": dict(rules), "before": {key: getattr(team, key) for key in rules}}


def resume_deed(stop: Stop | None, scope: str, name: str, what: str) -> Deed:
    """`what` is stopped, for people. No stop: an agent's, of before there were stops."""
    return {"do": "resume", "stop": None if stop is None else str(stop.pk), "scope": scope, "name": name, "what": what}


def grants_digest(team: Team) -> str:
    return canonical.digest({"permissions": list(team.permissions), "observe": team.observe})


def _puts_in_force(deed: Deed) -> Iterator[_Named]:
    """The versions that would come to run by it, also in pipelines that one of them runs."""
    if deed["do"] in ("policy", "publish", "restore", "rollback"):
        yield deed.get("kind", "policy"), deed["name"], deed["number"]
        yield from ((kind, name, number) for kind, name, number in deed.get("with", ()))
        yield from (("agent", name, number) for name, number, _ in deed.get("drafts", ()))


def authors_of(deeds: Iterable[Deed]) -> frozenset[str]:
    """Who wrote what they would put in force, or what that was made from, or had it in force; `person:NAME` each."""
    return authors_of_each({"": deeds})[""]


def authors_of_each(every: Mapping[Key, Iterable[Deed]]) -> dict[Key, frozenset[str]]:
    """The same of several, by their keys; four statements for all."""
    named = {key: {each for deed in deeds for each in _puts_in_force(deed)} for key, deeds in every.items()}
    rows = _rows({each for names in named.values() for each in names})
    who = publishers_of(list(rows.values()), made=True)
    return {key: frozenset(one for each in names & rows.keys() for one in who[subject_of(rows[each])]) for key, names in named.items()}


def _rows(named: Collection[_Named]) -> dict[_Named, Version | PolicyVersion]:
    found: dict[_Named, Version | PolicyVersion] = {}
    for kind in ("agent", "pipeline", "policy"):
        names, numbers = {name for of, name, _ in named if of == kind}, {number for of, _, number in named if of == kind}
        rows = (PolicyVersion if kind == "policy" else Version).objects.filter(**{f"{kind}__name__in": names}, number__in=numbers)
        found |= {(kind, getattr(row, kind).name, row.number): row for row in rows.select_related(kind).defer("spec")}
    return {each: row for each, row in found.items() if each in named}


# --- what people are shown ---------------------------------------------------------------------------------------------


def item_of_agent(agent: Agent, live: Version | None, target: Version, denied: Iterable[str] = ()) -> Item:
    """Held against what holds of it, which may be another thing than what its published version says."""
    fields = compare({} if live is None else before_it(agent, live.spec, target.spec), target.spec)
    teams = {agent.team.name, target.spec["team"]}
    return _item(agent.subject, teams, None if live is None else live.number, target.number, fields, denied=denied)


def items_of_move(move: Move, denied: Iterable[str]) -> tuple[Item, ...]:
    """What the pipeline would run instead, with what would be denied elsewhere by it."""
    first, *others = move.items
    return ({**first, "denied": list(denied)}, *others)


def items_of_rollback(owner: Agent | Pipeline, target: Version, moves: Iterable[Move]) -> Iterator[Item]:
    """The version of an agent that is gone back to; and what each pipeline would run by it."""
    if isinstance(owner, Agent):
        yield item_of_agent(owner, versions.published(owner), target)
    for move in moves:
        yield from move.items


@dataclass(frozen=True, slots=True)
class Move:
    """What one pipeline would run instead: the release of which version, by its digest, and until then another one, or none."""

    pipeline: str
    instead_of: str | None
    digest: str
    version: int
    items: tuple[Item, ...]
    brings: tuple[Brought, ...]


def moves_of(made: Iterable[MadeRelease]) -> list[Move]:
    """In the transaction that made these releases, which may be taken back."""
    moves = []
    for name, old, new in ends_of(made):
        before, after = manifest_of(old), manifest_of(new)
        items, brings = tuple(_items_between(name, old, new)), tuple(brought(before, after))
        moves.append(Move(name, old, new, after["pipeline"]["version"], items, brings))
    return moves


def ends_of(made: Iterable[MadeRelease]) -> list[tuple[str, str | None, str]]:
    """Of each pipeline what ran before the first of them, and what runs after the last; in the order of the last."""
    ends: dict[str, tuple[str, str | None, str]] = {}
    for one in made:
        _, first, _ = ends.pop(one.pipeline, (one.pipeline, one.instead_of, one.digest))
        ends[one.pipeline] = (one.pipeline, first, one.digest)
    return list(ends.values())


def _items_between(pipeline: str, old: str | None, new: str) -> Iterator[Item]:
    before, after = manifest_of(old), manifest_of(new)
    was, now = before["pipeline"]["version"], after["pipeline"]["version"]
    fields = (*fields_between(before, after), *((FieldChange("release", old, new),) if was == now else ()))
    yield _item(f"pipeline:{pipeline}", _teams_of(Pipeline, pipeline, before["pipeline"], after["pipeline"]), was, now, fields)
    for name in agents_between(before, after):
        ran, runs = before["agents"].get(name), after["agents"][name]
        moved = compare({} if ran is None else ran["spec"], runs["spec"])
        teams = _teams_of(Agent, name, ran or {"spec": {}}, runs)
        yield _item(f"agent:{name}", teams, None if ran is None else ran["version"], runs["version"], moved)


def item_of_standing(owner: Agent | Pipeline) -> Item:
    return _item(owner.subject, owner.team.name, None, None, (FieldChange("state", str(owner.state), "in use"),))


def _teams_of(model: type[Agent] | type[Pipeline], name: str, *pinned: Mapping[str, Any]) -> set[str]:
    """Whose it is, and whose it is in these of a manifest."""
    now = model._default_manager.values_list("team__name", flat=True).get(name=name)  # noqa: SLF001 - Django's way to a model's manager
    return {now, *(one["spec"]["team"] for one in pinned if one["spec"])}


def item_of_policy(draft: PolicyVersion, live: PolicyVersion | None) -> Item:
    fields = compare({} if live is None else live.spec, draft.spec)
    return _item(f"policy:{draft.policy.name}", draft.policy.team.name, None if live is None else live.number, draft.number, fields)


def item_of_grants(team: Team, permissions: Sequence[str] | None, observe: bool | None, denied: Iterable[str] = ()) -> Item:
    after = {"permissions": permissions, "observe": observe}
    return item_of_team(team, {key: value for key, value in after.items() if value is not None}, denied)


def item_of_team(team: Team, after: Mapping[str, Any], denied: Iterable[str] = ()) -> Item:
    return _item(team.subject, team.name, None, None, compare({key: getattr(team, key) for key in after}, after), denied=denied)


def item_of_stop(subject: str, team: Team | None) -> Item:
    """Why it was stopped is said where it is shown: reasons can be erased."""
    return _item(subject, "" if team is None else team.name, None, None, ())


def code_of(shown: Iterable[Item]) -> list[dict[str, Any]]:
    """In which files the code differs, for what would run another: it is kept by its digest, so this is what it was as it was proposed."""
    agents = [(item["subject"].removeprefix("agent:"), item["fields"]) for item in shown if item["subject"].startswith("agent:")]
    moved = [(name, [FieldChange(each["path"], each["old"], each["new"]) for each in fields]) for name, fields in agents]
    return [asdict(change) for change in code_changes(folders_of(moved))]


def once(items: Iterable[Item]) -> tuple[Item, ...]:
    """Of what several deeds would do to one thing, each once: until then two pipelines may run two versions of an agent."""
    found: dict[tuple[Any, ...], Item] = {}
    for item in items:
        found.setdefault((item["subject"], item["from_version"], item["to_version"]), item)
    return tuple(found.values())


def _item(
    subject: str, teams: str | set[str], old: int | None, new: int | None, fields: Iterable[FieldChange], *, denied: Iterable[str] = ()
) -> Item:
    moved = [{"path": field.path, "old": field.old, "new": field.new} for field in fields]
    whose = {"subject": subject, "teams": sorted({teams} if isinstance(teams, str) else teams), "denied": list(denied)}
    return {**whose, "from_version": old, "to_version": new, "fields": moved}
