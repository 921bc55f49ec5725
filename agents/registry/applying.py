"""`apply`: a folder of files becomes rows, all of it or nothing; with `publish` the drafts become what runs.

Called by the apply command (and by later doors). The order is: read and describe outside any transaction, then one
transaction with rows and ledger, then, if it was refused, one more for the refusal.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path

from agents.errors import ArtifactRefused, NotGranted, NotPublishable
from agents.models import Agent, ModelAlias, Pipeline, Standing, Team, Version, VersionState
from agents.spec import Document, Problem, alias_of
from audit import clock
from audit.actors import Actor
from audit.errors import OrchestraError
from audit.visible import named

from . import asking, composing, modelling, observing, pinning, policies, releases, rows, versions, withdrawing
from .changes import Applied, Change, FieldChange, MadeRelease
from .diffs import Folders, code_changes, folders_of
from .judging import unpublishable
from .keeping import keep_accountable
from .locking import inventory_held
from .owners import retired
from .preparing import Prepared, prepare
from .proposed import Move, moves_of
from .proposing import put
from .registered import unregistered
from .ruling import Asks, Ruling, done_or_asked, refuse_rules_not_in_force
from .writing import Turn, record_refusal, require_credential


class _Undo(Exception):
    """A dry run ends here: everything was tried, nothing stays."""


def apply_folder(folder: Path, *, actor: Actor, now: datetime | None = None, publish: bool = False, dry_run: bool = False) -> Applied:
    """Store what the folder says; what it says already is "unchanged" and writes neither row nor entry.

    NotPublishable (or ArtifactRefused) lists every problem in `details["problems"]`, and then nothing was written. Conflict. What is refused
    with `publish` is an entry.
    """
    applied, folders = Applied(dry_run=dry_run, publish=publish), list[Folders]()
    try:
        prepared = prepare(folder, actor=actor)
        with inventory_held():
            require_credential(actor, now)
            _lock(prepared)
            turn = Turn(actor, now or clock.now())
            _judge(turn, applied, prepared)
            folders = _published_or_asked(turn, applied, prepared) if publish else _write_all(turn, applied, prepared)
            turn.close()
            if dry_run:
                raise _Undo
    except _Undo:
        pass
    except OrchestraError as error:
        if (publish or isinstance(error, NotGranted)) and not dry_run:
            _record(error, folder, actor, now, publish=publish)
        raise
    applied.code = code_changes(folders)  # nobody waits for it any more
    return applied


def _record(error: OrchestraError, folder: Path, actor: Actor, now: datetime | None, *, publish: bool) -> None:
    problems = error.details.get("problems") or [error.message]
    record_refusal(actor, named("folder", folder.resolve().name), now=now, problems=problems, facts={"code": error.code, "publish": publish})


def _judge(turn: Turn, applied: Applied, prepared: Prepared) -> None:
    """Refuses with all problems together; what only stops a publication is a warning where none is asked for."""
    _refuse_taken(prepared, turn.actor)  # first: what else is said must not depend on what has the name
    later = unpublishable(prepared, turn.actor)
    named = [*_unknown_teams(prepared, turn.actor), *_unknown_aliases(prepared, turn.actor), *policies.policy_problems(prepared, turn.actor)]
    unknown = [*named, *unregistered(prepared)]
    found = [*prepared.problems, *unknown, *_taken_names(prepared), *_retired(prepared), *(later if applied.publish else ())]
    if found:
        ordered = sorted(dict.fromkeys(found), key=lambda problem: (problem.file, problem.line))
        if prepared.taken.refused:
            raise ArtifactRefused(None, problems=ordered)
        many = f"{len(ordered)} problems" if len(ordered) > 1 else "1 problem"
        raise NotPublishable(f"{prepared.taken.name}: {many}; nothing was written", problems=ordered)
    applied.warnings = later
    applied.hints += [*keep_accountable(prepared), *observing.hints(prepared)]
    held, together = withdrawing.held_once_published(prepared), {document.name for document in prepared.parsed.pipelines}
    applied.denied = withdrawing.left_without(held, apart_from=together, actor=turn.actor, now=turn.now)
    applied.hints += [*withdrawing.ended(prepared, turn.now), *_unbounded(prepared), *([] if applied.publish else _held_back(prepared))]


def _write_all(turn: Turn, applied: Applied, prepared: Prepared) -> list[Folders]:
    """Returns the code that is another one now."""
    parsed = prepared.parsed
    applied.changes += [rows.write_team(turn, document, publish=applied.publish) for document in parsed.teams]
    named = {document.spec["team"] for document in [*parsed.policies, *parsed.models, *parsed.agents, *parsed.pipelines]}
    teams = {team.name: team for team in Team.objects.filter(name__in=named)}
    applied.changes += [policies.write_policy(turn, one, teams[one.spec["team"]], publish=applied.publish) for one in parsed.policies]
    modelling.store(turn, prepared.attached)
    applied.changes += [rows.write_alias(turn, document, teams[document.spec["team"]]) for document in parsed.models]
    written = [_write_one(turn, document, teams[document.spec["team"]], prepared) for document in [*parsed.agents, *parsed.pipelines]]
    if applied.publish:
        written = [(version, _published(turn, version, change)) for version, change in written]
        _release(turn, applied, [version for version, _ in written])
    else:
        applied.pending = _pending(turn, [version for version, _ in written])
    applied.changes += [replace(change, version=version.number, draft=version.state == VersionState.DRAFT) for version, change in written]
    if applied.publish:
        refuse_rules_not_in_force(document.name for document in parsed.teams)
    return folders_of((change.name, change.fields) for _, change in written if change.kind == "agent")


def _published_or_asked(turn: Turn, applied: Applied, prepared: Prepared) -> list[Folders]:
    """Published; where people decide that, stored as drafts, and what publishing was tried to come to is put to them as one proposal."""
    tried = replace(applied, changes=[], releases=[], hints=[])
    moves = list[Move]()
    look = lambda trial: moves.extend(moves_of(trial.released))  # noqa: E731 - what a line does
    done = done_or_asked(turn, Ruling.now(), lambda trial: _write_all(trial, tried, prepared), look=look)
    applied.hints += tried.hints
    if not isinstance(done, Asks):
        applied.changes, applied.releases = tried.changes, tried.releases
        return done
    applied.publish = False
    folders = _write_all(turn, applied, prepared)
    asked = asking.asked_of(prepared, tried, moves, done)
    if asked.deeds:
        applied.asks = done.said
        applied.hints.append(f"{len(asked.deeds)} change{'s are' if len(asked.deeds) > 1 else ' is'} proposed: {done.said}")
        applied.proposal = None if applied.dry_run else put(turn, asked)
    return folders


def _lock(prepared: Prepared) -> None:
    """The aliases, in the order in which whoever looks through their prices locks them; the inventory is held already."""
    names = [document.name for document in prepared.parsed.models]
    list(ModelAlias.objects.select_for_update().filter(name__in=names).order_by("name").values_list("pk"))


def _unknown_teams(prepared: Prepared, actor: Actor) -> list[Problem]:
    parsed = prepared.parsed
    known = {*Team.objects.visible_to(actor).values_list("name", flat=True), *(document.name for document in parsed.every("team"))}
    return [
        Problem(document.file, document.line_of(("team",)), _unknown_team(document.spec["team"], known))
        for document in parsed.every("policy", "model", "agent", "pipeline")
        if document.spec["team"] not in known and not parsed.may_hold(document.spec["team"])
    ]


def _unknown_team(name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    return f"there is no team '{name}'" + (f"; did you mean '{near[0]}'?" if near else "; add a document `kind: team` with this name")


def _unknown_aliases(prepared: Prepared, actor: Actor) -> list[Problem]:
    """Not judged where a document can't be read that may be the alias."""
    parsed = prepared.parsed
    asking = [one for one in parsed.every("agent") if (alias := alias_of(one.spec)) is not None and not parsed.may_hold(alias)]
    return modelling.unknown_aliases(asking, parsed.models, actor)


def _refuse_taken(prepared: Prepared, actor: Actor) -> None:
    parsed = prepared.parsed
    named = {one.name: one for one in [*parsed.agents, *parsed.pipelines]}
    aliases = {one.name: one for one in parsed.models}
    for model, documents in ((Agent, named), (Pipeline, named), (ModelAlias, aliases)):
        for name, team in model.objects.filter(name__in=documents).values_list("name", "team__name"):
            rows.refuse_taken(actor, documents[name], team)


def _taken_names(prepared: Prepared) -> list[Problem]:
    """Names that belong to an object of the other kind already."""
    found = []
    for documents, other, kind in ((prepared.parsed.agents, Pipeline, "a pipeline"), (prepared.parsed.pipelines, Agent, "an agent")):
        taken = set(other.objects.filter(name__in=[document.name for document in documents]).values_list("name", flat=True))
        message = f"is the name of {kind} already; a name belongs to one object"
        found += [Problem(one.file, one.line_of(("name",)), f"'{one.name}' {message}") for one in documents if one.name in taken]
    return found


def _retired(prepared: Prepared) -> list[Problem]:
    """Pipelines out of use take nothing new: whoever reads the files would think that they run."""
    documents = {document.name: document for document in prepared.parsed.pipelines}
    gone = Pipeline.objects.filter(name__in=documents, state=Standing.RETIRED).order_by("name")
    said = [(documents[row.name], f"pipeline {retired(row)}, then apply again; or take it out of the folder") for row in gone]
    return [Problem(document.file, document.line_of(("name",)), message) for document, message in said]


def _unbounded(prepared: Prepared) -> list[str]:
    """Agents that no pipeline of the folder names and that say no timeout: validation speaks of those that one names."""
    named = {name for document in prepared.parsed.pipelines for name in composing.agents_named(document.spec)}
    alone = [document for document in prepared.parsed.agents if document.name not in named and not document.spec["timeout_ms"]]
    return [
        f"{document.file}:{document.line}: agent '{document.name}' has no timeout, so each step that uses it must say one; write `timeout: 30s` in it"
        for document in alone
    ]


def _held_back(prepared: Prepared) -> list[str]:
    """A team has no versions: what it grants waits for --publish all the same, as its agents' own permissions do."""
    said = {document.name: document for document in prepared.parsed.teams}
    stored = {team.name: team for team in Team.objects.filter(name__in=said)}
    hints = []
    for name, one in said.items():
        team = stored.get(name, Team(name=name))
        if one.spec.get("permissions", team.permissions) != team.permissions:
            hints.append(f"{one.file}:{one.line}: the permissions of team '{name}' change for all its agents with --publish")
        if one.spec.get("observe", team.observe) != team.observe:
            does = "are only observed" if one.spec["observe"] else "are refused what no permission allows"
            hints.append(f"{one.file}:{one.line}: the agents of team '{name}' {does} with --publish")
    return hints


def _write_one(turn: Turn, document: Document, team: Team, prepared: Prepared) -> tuple[Version, Change]:
    owner: Agent | Pipeline
    if document.kind == "agent":
        owner, created, fields = rows.write_agent(turn, document, team)
    else:
        owner, created, fields = rows.write_pipeline(turn, document, team)
    version, differences, note = versions.draft(turn, owner, document.spec, code=prepared.taken)
    if created:
        return version, Change(document.kind, document.name, "created")
    fields = _together(differences, fields)
    action = "changed" if fields or note else "unchanged"
    return version, Change(document.kind, document.name, action, fields=fields, notes=(note,) if note else ())


def _together(differences: tuple[FieldChange, ...], live: tuple[FieldChange, ...]) -> tuple[FieldChange, ...]:
    """A live value stands in the spec too: said once."""
    paths = {change.path for change in differences}
    return (*differences, *(change for change in live if change.path not in paths))


def _published(turn: Turn, version: Version, change: Change) -> Change:
    if not versions.publish(turn, version) or change.action != "unchanged":
        return change
    return replace(change, action="published")


def _release(turn: Turn, applied: Applied, written: list[Version]) -> None:
    manifests = []
    for version in _children_first(written):
        if version.pipeline is not None:
            release = releases.make(turn, composing.compose(version, actor=turn.actor, drafts=False))
            manifests.append(release.manifest)
            if (made := releases.make_current(turn, version.pipeline, release)) is not None:
                applied.releases.append(made)
    applied.hints += _stay_behind(turn, written)
    applied.hints += _run_older(turn, applied)
    applied.hints += modelling.unpriced(manifests)


def _children_first(written: list[Version]) -> list[Version]:
    """Pipelines in the order in which each finds the new releases of those that it runs."""
    pipelines = {version.owner.name: version for version in written if version.pipeline is not None}
    ordered, _ = pinning.children_first({name: version.spec for name, version in pipelines.items()})
    return [pipelines[name] for name in ordered]


def _pending(turn: Turn, written: list[Version]) -> list[MadeRelease]:
    """What would run instead if this were published: after a rollback that differs although no file has changed."""
    here = {version.owner.name: version for version in written if version.agent is not None}
    found = []
    for version in written:
        current = version.pipeline.current_release if version.pipeline is not None else None
        if current is None:
            continue
        wanted = composing.compose(version, actor=turn.actor, drafts=False, instead=here)
        if wanted.unusable or composing.agents_named(version.spec) - wanted.agents.keys():
            continue  # it can't be published: a warning says so
        if (digest := wanted.digest()) != current.digest:
            found.append(
                MadeRelease(version.owner.name, version.number, digest, wanted.numbers(), current.digest, modelling.meanings(wanted.manifest()))
            )
    return found


def _stay_behind(turn: Turn, written: list[Version]) -> list[str]:
    """Pipelines outside the folder keep the agent versions they were published with; their people should know."""
    here = {version.owner.name: version for version in written if version.agent is not None}
    names = {version.owner.name for version in written}
    hints = []
    for name, pipelines in sorted(composing.users_of(here).items()):
        behind = [one for one in pipelines if one.name not in names and _pins(one, name) != here[name].number]
        seen, others = composing.shown(behind, turn.actor)
        hints += [
            f"pipeline '{one.name}' (team '{one.team.name}') keeps version {_pins(one, name)} of '{name}' until it is applied with --publish itself"
            for one in seen
        ]
        pin = (
            "pins another version of '{}' until it is published itself"
            if others == 1
            else "pin other versions of '{}' until they are published themselves"
        )
        hints += [f"{composing.of_other_teams(others)} {pin.format(name)}"] if others else []
    return hints


def _run_older(turn: Turn, applied: Applied) -> list[str]:
    """Pipelines that run one of these as a child keep the release that they pin."""
    made = {release.pipeline: release.digest for release in applied.releases}
    hints = []
    for name, parents in sorted(pinning.parents_of(made).items()):
        seen, others = composing.shown([one for one in parents if pinning.pinned_release(one, name) != made[name]], turn.actor)
        keeps = f"runs the release of '{name}' that it pins until it is published itself"
        hints += [f"pipeline '{one.name}' (team '{one.team.name}') {keeps}" for one in seen]
        hints += (
            [f"{composing.of_other_teams(others)} still run{'s' if others == 1 else ''} the release of '{name}' before this one"] if others else []
        )
    return hints


def _pins(pipeline: Pipeline, agent: str) -> int:
    assert pipeline.current_release is not None  # it uses the agent by its release
    return int(pipeline.current_release.manifest["agents"][agent]["version"])
