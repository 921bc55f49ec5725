"""Versions as rows: drafts, publications, retirements; each a conditional move with its entry.

Runs inside a Turn. What may be published is decided before; here only the order matters: at most one draft and one
published version of each agent and pipeline exist at any moment (constraints).
"""

from __future__ import annotations

from typing import Any

from django.db.models import Max

from agents.models import Agent, Artifact, Pipeline, Version, VersionState
from audit.canonical import digest
from audit.errors import Conflict
from audit.ledger import Verb

from . import deeds, verbs
from .changes import FieldChange, compare, overlap
from .enforcing import bound_runs, put_in_force
from .folders import Taken
from .writing import Turn


def published(owner: Agent | Pipeline) -> Version | None:
    """The version that is published now."""
    return Version.objects.of(owner).filter(state=VersionState.PUBLISHED).first()


def newest(owner: Agent | Pipeline) -> Version | None:
    """The draft, else the published version: what the files are compared with."""
    return Version.objects.of(owner).filter(state=VersionState.DRAFT).first() or published(owner)


def draft(
    turn: Turn, owner: Agent | Pipeline, spec: dict[str, Any], *, code: Taken | Artifact | None
) -> tuple[Version, tuple[FieldChange, ...], str]:
    """Make the spec the newest version: what stands there already stays, what was published is returned to.

    `code`: the folder that it was read from, or the artifact of the version that it is made from. Returns the version, the fields in which it
    differs from the one before, and a note for people.
    """
    said = digest(spec)
    before, live = newest(owner), published(owner)
    if before is not None and before.digest == said:
        return before, (), ""
    fields = compare(before.spec, spec) if before is not None else ()
    replaced = before if before is not None and before.state == VersionState.DRAFT else None
    if replaced is not None:
        retire(turn, replaced)
    if live is not None and live.digest == said:
        return live, fields, f"draft {before.number} discarded: the files say the published version {live.number} again" if before else ""
    version = _new(turn, owner, spec, code)
    _note(turn, verbs.VERSION_DRAFTED, version)
    _note_whose(turn, version, replaced, {} if live is None else live.spec)
    return version, fields, ""


def _note_whose(turn: Turn, version: Version, replaced: Version | None, live: dict[str, Any]) -> None:
    """What others wrote stays theirs: code or instructions that one of them brought first, and what is left of the draft that this one replaces."""
    first = _first_with_the_text(version)
    if first is not None:
        deeds.note_written(turn, version, first)
    if replaced is not None and overlap(live, replaced.spec, version.spec):
        deeds.note_left(turn, version, replaced)


def _first_with_the_text(version: Version) -> Version | None:
    """Of whatever agent, the first with the same code or the same instructions; None if it has neither."""
    instructions = (version.spec.get("executable") or {}).get("instructions")
    if version.artifact_id is not None:
        same = Version.objects.filter(artifact=version.artifact_id)
    elif instructions:
        same = Version.objects.filter(artifact=None, pipeline=None, spec__executable__instructions=instructions)
    else:
        return None
    return same.defer("spec").order_by("created_at", "number").first()


def beside(turn: Turn, owner: Agent | Pipeline, spec: dict[str, Any], *, code: Artifact | None) -> Version:
    """A version that is to be published at once, beside a draft that waits; the same that they have asked for before and that never was."""
    mine = Version.objects.of(owner).filter(digest=digest(spec), author=turn.actor.id, state=VersionState.RETIRED, published_at__isnull=True)
    again = mine.order_by("-number").first()
    if again is not None:
        return again
    version = _new(turn, owner, spec, code, state=VersionState.RETIRED)
    _note(turn, verbs.VERSION_DRAFTED, version)
    return version


def _new(turn: Turn, owner: Agent | Pipeline, spec: dict[str, Any], code: Taken | Artifact | None, **said: Any) -> Version:
    version = Version(
        number=1 + (Version.objects.of(owner).aggregate(last=Max("number"))["last"] or 0),
        spec=spec,
        digest=digest(spec),
        author=turn.actor.id,
        artifact=_stored(turn, code) if spec.get("artifact") else None,
        created_at=turn.now,
        **_of(owner),
        **said,
    )
    version.save()
    return version


def publish(turn: Turn, version: Version) -> bool:
    """Make this the published version: the present one retires, a draft owner becomes active. False if it was already.

    An agent's team, role, permissions and pace are the published version's from now on, and so are a pipeline's team and what it lets its runs do.
    """
    owner = version.owner
    if isinstance(owner, Agent):  # as it is now, and locked: whoever resumes it, or had it read earlier, meets what is put in force here
        owner.refresh_from_db(fields=["team", "role", "permissions", "pace", "state"], from_queryset=Agent.objects.select_for_update())
        before, moved = owner.team.name, put_in_force(turn, owner, version.spec)
    else:
        owner.refresh_from_db(fields=["team", "permissions"], from_queryset=Pipeline.objects.select_for_update())
        before, moved = owner.team.name, bound_runs(turn, owner, version.spec)
    live = published(owner)
    same = live is not None and live.pk == version.pk
    if moved or not same:
        turn.touched |= {before, owner.team.name}
    if same:
        return False
    if live is not None:
        retire(turn, live)
    rows = Version.objects.filter(pk=version.pk)
    if not rows.move(old=[VersionState.DRAFT, VersionState.RETIRED], new=VersionState.PUBLISHED, published_at=turn.now):
        raise Conflict(f"version {version.number} of '{owner.name}' was changed by somebody else; apply again")
    activated = type(owner).objects.filter(pk=owner.pk).activate()
    _note(turn, verbs.VERSION_PUBLISHED, version, activated=bool(activated))
    deeds.note_published(turn, version)
    version.refresh_from_db(fields=["state", "published_at"])
    return True


def retire(turn: Turn, version: Version) -> None:
    """Take a draft or published version out of use."""
    if not Version.objects.filter(pk=version.pk).move(old=[version.state], new=VersionState.RETIRED):
        raise Conflict(f"version {version.number} of '{version.owner.name}' was changed by somebody else; apply again")
    _note(turn, verbs.VERSION_RETIRED, version, was=str(version.state))
    version.refresh_from_db(fields=["state"])


def _note(turn: Turn, verb: Verb, version: Version, **facts: Any) -> None:
    owner = version.owner
    turn.note(
        verb,
        owner.subject,
        team=owner.team.name,
        agent=owner.name if isinstance(owner, Agent) else None,
        facts={"number": version.number, "digest": version.digest, **facts},
    )


def _of(owner: Agent | Pipeline) -> dict[str, Any]:
    return {"agent": owner} if isinstance(owner, Agent) else {"pipeline": owner}


def _stored(turn: Turn, taken: Taken | Artifact | None) -> Artifact | None:
    if not isinstance(taken, Taken):
        return taken
    artifact, _ = Artifact.objects.get_or_create(
        digest=taken.digest,
        defaults={"data": taken.zipped, "size": len(taken.zipped), "files": len(taken.code), "created_at": turn.now},
    )
    return artifact
