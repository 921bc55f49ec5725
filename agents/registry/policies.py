"""Approval policies as rows: a text becomes a version, publishing puts it in force, and whoever asks gets what is in force now.

Runs inside a Turn where it writes. Called by applying, by the boundary (through `policies_in_force`) and by doors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from django.db.models import Max

from agents import grants
from agents.errors import UnknownPolicy
from agents.models import Policy, PolicyVersion, Team, VersionState
from agents.spec import Document, Parsed, Problem
from agents.spec.permissions import parse_rule
from agents.spec.policies import Policy as PolicyValue
from audit.actors import Actor
from audit.canonical import digest
from audit.errors import Conflict
from audit.ledger import Verb
from audit.visible import visible

from . import deeds, rows, verbs
from .accounts import people_known_to
from .changes import Change, FieldChange, compare, overlap
from .preparing import Prepared
from .roles import people_asked
from .writing import Turn, require_member


def write_policy(turn: Turn, document: Document, team: Team, *, publish: bool) -> Change:
    """Make the document the policy's newest version, and with `publish` the one in force."""
    row = Policy.objects.select_related("team").filter(name=document.name).first()
    if row is not None and row.team_id != team.pk:
        rows.refuse_taken(turn.actor, document, row.team.name)
        require_member(turn.actor, row.team.name, f"policy '{document.name}'")
        raise Conflict(f"policy '{document.name}' belongs to team '{row.team.name}'; a policy stays with its team, so give yours another name")
    created = row is None
    row = row or Policy.objects.create(name=document.name, team=team, created_at=turn.now)
    version, fields = _newest(turn, row, document.spec)
    action = "created" if created else "changed" if fields else "unchanged"
    if publish and version.state != VersionState.PUBLISHED:
        _put_in_force(turn, row, version)
        action = "published" if action == "unchanged" else action
    draft = not publish and version.state == VersionState.DRAFT
    notes = _too_few(version)
    return Change("policy", row.name, action, version=version.number, draft=draft, fields=() if created else fields, notes=notes)


def _too_few(version: PolicyVersion) -> tuple[str, ...]:
    """Stages that can't approve anything, as people and teams are now: they may be filled before anybody is asked, so nothing is refused."""
    notes = []
    for number, stage in enumerate(PolicyValue.from_spec(version.spec, version.number).stages, 1):
        if len(people_asked(stage.people, stage.teams)) < stage.required:
            of = f"stage {number} asks" if len(version.spec["stages"]) > 1 else "it asks"
            notes.append(f"{of} {stage.said}, and fewer may decide now: until there are as many, nothing can be approved")
    return tuple(notes)


def _newest(turn: Turn, row: Policy, spec: dict[str, Any]) -> tuple[PolicyVersion, tuple[FieldChange, ...]]:
    """The version that says this: the one in force, the draft, or a new draft in its place."""
    said, live, draft = digest(spec), _of(row, VersionState.PUBLISHED), _of(row, VersionState.DRAFT)
    before = draft or live
    if before is not None and before.digest == said:
        return before, ()
    fields = compare({} if before is None else before.spec, spec)
    if draft is not None:
        PolicyVersion.objects.filter(pk=draft.pk).update(state=VersionState.RETIRED)
    if live is not None and live.digest == said:
        return live, fields
    number = 1 + (PolicyVersion.objects.filter(policy=row).aggregate(last=Max("number"))["last"] or 0)
    version = PolicyVersion(policy=row, number=number, spec=spec, digest=said, author=turn.actor.id, created_at=turn.now)
    version.save()
    _note(turn, verbs.POLICY_DRAFTED, row, version)
    if draft is not None and overlap({} if live is None else live.spec, draft.spec, spec):
        deeds.note_left(turn, version, draft)
    return version, fields


def put_version_in_force(turn: Turn, name: str, number: int, *, seen: str, instead_of: str | None) -> None:
    """A draft as it was proposed. Conflict where it is another one by now, or none, or stands in the place of another one."""
    row = Policy.objects.select_related("team").get(name=name)
    require_member(turn.actor, row.team.name, f"policy '{name}'")
    version, live = _of(row, VersionState.DRAFT), _of(row, VersionState.PUBLISHED)
    if version is None or (version.number, version.digest) != (number, seen):
        raise Conflict(f"version {number} of policy '{name}' is not the draft any more")
    if (None if live is None else live.digest) != instead_of:
        raise Conflict(f"policy '{name}' has changed since it was proposed")
    _put_in_force(turn, row, version)


def _put_in_force(turn: Turn, row: Policy, version: PolicyVersion) -> None:
    PolicyVersion.objects.filter(policy=row, state=VersionState.PUBLISHED).update(state=VersionState.RETIRED)
    turn.put_in_force.add(row.name)
    moved = PolicyVersion.objects.filter(pk=version.pk, state=VersionState.DRAFT).update(state=VersionState.PUBLISHED, published_at=turn.now)
    if not moved:
        raise Conflict(f"version {version.number} of policy '{row.name}' was changed by somebody else; apply again")
    _note(turn, verbs.POLICY_PUBLISHED, row, version)
    deeds.note_published(turn, version)


def _of(row: Policy, state: VersionState) -> PolicyVersion | None:
    return PolicyVersion.objects.filter(policy=row, state=state).first()


def _note(turn: Turn, verb: Verb, row: Policy, version: PolicyVersion) -> None:
    turn.note(verb, row.subject, team=row.team.name, facts={"number": version.number, "digest": version.digest}, openings={"policy": version.spec})


# --- reading ---------------------------------------------------------------------------------------------------------


def policies_in_force(names: Iterable[str]) -> dict[str, PolicyValue]:
    """By name, as they are now; one that is nowhere, or was never published, is absent."""
    wanted = sorted(set(names))
    found = PolicyVersion.objects.filter(policy__name__in=wanted, state=VersionState.PUBLISHED).select_related("policy") if wanted else ()
    return {version.policy.name: PolicyValue.from_spec(version.spec, version.number) for version in found}


def policy_numbers() -> dict[str, int]:
    """Of every policy the version that is in force."""
    return dict(PolicyVersion.objects.filter(state=VersionState.PUBLISHED).values_list("policy__name", "number"))


def policy_publishers_of(wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], frozenset[str]]:
    """By name and number of a version who wrote it or put it in force, `person:NAME` each; two statements for all."""
    named = PolicyVersion.objects.select_related("policy").filter(policy__name__in={name for name, _ in wanted}) if wanted else ()
    rows = [version for version in named if (version.policy.name, version.number) in wanted]
    who = deeds.publishers_of(rows)
    return {(version.policy.name, version.number): who[deeds.subject_of(version)] for version in rows}


def policies_named(permissions: Iterable[str]) -> set[str]:
    """The policies that permissions name; what can't be read names none."""
    rules = [grants.readable(text) for text in permissions if " policy " in text]
    return {rule.policy for rule in rules if rule is not None and rule.policy is not None}


def policy_shown(name: str, actor: Actor) -> Policy:
    """The policy of this name, if the actor may see it. UnknownPolicy."""
    shown = Policy.objects.visible_to(actor).select_related("team")
    found = shown.filter(name=name).first() if name.isprintable() else None
    if found is None:
        raise UnknownPolicy(f"there is no policy '{visible(name, 80)}' that you may see", policy=name[:80])
    return found


# --- judging files ---------------------------------------------------------------------------------------------------


def policy_problems(prepared: Prepared, actor: Actor) -> list[Problem]:
    """Policies that name a team or a person whom the actor doesn't see, and permissions that name such a policy."""
    return [*_unknown_deciders(prepared.parsed, actor), *_unknown_policies(prepared, actor)]


def _unknown_deciders(parsed: Parsed, actor: Actor) -> list[Problem]:
    """Whom a policy asks already it may go on asking, whoever applies it again: that the actor doesn't see them is no reason to refuse it."""
    if not parsed.every("policy"):
        return []
    shown = {one.name: [version.spec for version in one.versions.all()] for one in _shown(parsed, actor)}
    teams = {*Team.objects.visible_to(actor).values_list("name", flat=True), *(document.name for document in parsed.every("team"))}
    people = {person for document in parsed.every("policy") for person in _asked([document.spec], "people")}
    people = set(people_known_to(actor).filter(username__in=people).values_list("username", flat=True))
    where = "" if actor.sees_everything else "; an administrator can publish a policy that asks others"
    found = []
    for document in parsed.every("policy"):
        before = shown.get(document.name, ())
        for kind, known in (("teams", teams), ("people", people)):
            unknown = _asked([document.spec], kind) - known - _asked(before, kind)
            unknown = {one for one in unknown if kind == "people" or not parsed.may_hold(one)}
            said = [f"there is no {'team' if kind == 'teams' else 'person'} '{visible(one, 80)}' that you may see{where}" for one in sorted(unknown)]
            found += [Problem(document.file, document.line_of(("approvers",)), f"policy '{document.name}': {each}") for each in said]
    return found


def _shown(parsed: Parsed, actor: Actor) -> Iterable[Policy]:
    named = [document.name for document in parsed.every("policy")]
    return Policy.objects.visible_to(actor).filter(name__in=named).prefetch_related("versions")


def _asked(specs: Iterable[Mapping[str, Any]], kind: str) -> set[str]:
    return {one for spec in specs for stage in spec["stages"] for one in stage[kind]}


def _unknown_policies(prepared: Prepared, actor: Actor) -> list[Problem]:
    parsed = prepared.parsed
    known: set[str] | None = None
    found = []
    for document in parsed.every("team", "agent", "pipeline"):
        for index, text in enumerate(document.spec.get("permissions") or ()):
            policy = parse_rule(text).policy
            if policy is None or parsed.may_hold(policy):
                continue
            known = _known(prepared, actor) if known is None else known
            if policy not in known:
                near = get_close_matches(policy, sorted(known), n=1)
                hint = f"did you mean '{near[0]}'?" if near else "add a document `kind: policy` with this name, or leave it out for the default"
                said = f"{document.kind} '{document.name}': there is no policy '{policy}'; {hint}"
                found.append(Problem(document.file, document.line_of(("permissions", index)), said))
    return [*found, *_unknown_rules(prepared, actor)]


def _unknown_rules(prepared: Prepared, actor: Actor) -> Iterator[Problem]:
    """Of teams' documents: who decides what they publish would be nobody."""
    for document in prepared.parsed.every("team"):
        for key in ("publishing", "resuming"):
            policy = document.spec.get(key)
            if policy and not prepared.parsed.may_hold(policy) and policy not in _known(prepared, actor):
                said = f"team '{document.name}': there is no policy '{policy}' that you may see; add a document `kind: policy` with this name"
                yield Problem(document.file, document.line_of((key,)), said)


def _known(prepared: Prepared, actor: Actor) -> set[str]:
    return {*Policy.objects.visible_to(actor).values_list("name", flat=True), *(document.name for document in prepared.parsed.policies)}
