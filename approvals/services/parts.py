"""Who had a part in what is to be approved: read from the runs, their families, their releases and the deeds behind permissions and policies.

Reads only, for many requests as many statements as for one; what a part means is for `approvals.rules`. Called by the inbox and by deciding.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q

from agents import registry
from agents.models import Release, Version
from agents.validation import DEEPEST
from approvals.models import Decision, Request
from approvals.rules import APPROVED, CHANGES, Parts
from audit import clock, reports
from runs.models import Run, Wait, WaitKind, WaitState

Asked = Mapping[str, Any]
_TOLD: Final = (WaitKind.SIGNAL, WaitKind.UNRESOLVED)
"""What people answer in words that the run goes on with."""
_ROUND: Final = re.compile(r"(\.[0-9]+)?\.approval$")
"""What a gate's name has beyond that of its step, of whichever round."""


def asked_for(request: Request) -> Asked:
    """What the run's own entry says of it; empty where that was erased or doesn't match, and then nobody can decide."""
    return asked_for_each([request])[request.pk]


def asked_for_each(requests: Collection[Request]) -> dict[UUID, Asked]:
    """The same for many, by their keys."""
    entries = [request.wait.failure_entry for request in requests if request.wait.failure_entry is not None]
    opened = reports.openings_of(entries) if entries else {}
    return {request.pk: _matching(request, opened) for request in requests}


def _matching(request: Request, opened: Mapping[UUID, Mapping[str, Any]]) -> Asked:
    entry = request.wait.failure_entry
    said = None if entry is None else opened.get(entry, {}).get("approval")
    return said if isinstance(said, dict) and said.get("binding") == request.wait.subject else {}


def parts_of(request: Request, asked: Asked) -> Parts:
    return parts_of_each([request], {request.pk: asked})[request.pk]


def parts_of_each(requests: Collection[Request], asked: Mapping[UUID, Asked]) -> dict[UUID, Parts]:
    """The same for many, by their keys. `asked` as `asked_for_each` says it; of what it leaves out nobody has granted anything."""
    families = _families({request.wait.run_id for request in requests})
    firsts = {_root(run) for family in families.values() for run in family}
    told, edited = _told(firsts), _edited(firsts)
    published = _published(requests, families)
    granted = registry.grantors_of(_permissions(requests, asked), since=_granted_since())
    ruled = registry.policy_publishers_of({(request.policy_name, request.policy_number) for request in requests if request.policy_name})
    found = {}
    for request in requests:
        family = families[request.wait.run_id]
        roots = {_root(run) for run in family}
        found[request.pk] = Parts(
            started=frozenset(run.started_by for run in family),
            owned=frozenset(run.person for run in family if run.person not in (None, run.started_by)),
            signalled=_joined(told[root, WaitKind.SIGNAL] for root in roots),
            settled=_joined(told[root, WaitKind.UNRESOLVED] for root in roots),
            edited=frozenset(who for root in roots for turn, who in edited[root] if turn != _turn(request)),
            published=published[request.pk],
            granted=_joined(granted.get(each, frozenset()) for each in _rules(request, asked.get(request.pk, {}))),
            ruled=ruled.get((request.policy_name, request.policy_number), frozenset()),
        )
    return found


def _granted_since() -> datetime | None:
    """Whoever granted the permission before that had no hand in it any more; None: however long ago."""
    days = int(settings.ORCHESTRA_GRANTED_DAYS)
    return clock.now() - timedelta(days=days) if days else None


def _joined(sets: Iterable[Collection[str]]) -> frozenset[str]:
    return frozenset(who for each in sets for who in each)


def _root(run: Run) -> UUID:
    return run.root_run_id or run.id


def _families(ids: Collection[UUID]) -> dict[UUID, list[Run]]:
    """Of each run itself and those above it; of one that judges another again, with that one. A statement for each level that there is."""
    known: dict[UUID, Run] = {}
    wanted = set(ids)
    for _ in range(2 * DEEPEST):
        if not wanted:
            break
        columns = ("id", "parent_run_id", "reverifies_id", "root_run_id", "started_by", "on_behalf_of", "release_id")
        known |= {run.id: run for run in Run.objects.filter(id__in=wanted).only(*columns)}
        wanted = {each for run in known.values() for each in _above(run)} - known.keys()
    return {run: _line(run, known) for run in ids}


def _above(run: Run) -> set[UUID]:
    return {each for each in (run.parent_run_id, run.reverifies_id) if each is not None}


def _line(run: UUID, known: Mapping[UUID, Run]) -> list[Run]:
    found, pending = {run: known[run]}, [known[run]]
    while pending:
        above = {each: known[each] for each in _above(pending.pop()) if each in known and each not in found}
        found |= above
        pending += above.values()
    return list(found.values())


def _told(roots: Collection[UUID]) -> Mapping[tuple[UUID, str], set[str]]:
    """Who told a family something, by its first run and by the kind of wait: what one of its runs was told may have gone to any other."""
    answered = Wait.objects.filter(kind__in=_TOLD, state=WaitState.ANSWERED).order_by()
    found: dict[tuple[UUID, str], set[str]] = defaultdict(set)
    for of in ("run", "run__root_run"):  # no index has an `or`
        for root, kind, who in answered.filter(**{f"{of}__in": roots}).values_list(of, "kind", "answered_by").distinct():
            found[root, kind].add(who)
    return found


def _turn(request: Request) -> tuple[UUID, str]:
    """Whose rounds and repetitions are one and the same matter: who has had a result made anew looks at it again, and may say yes."""
    return request.wait.run_id, _ROUND.sub("", request.wait.step)


def _edited(roots: Collection[UUID]) -> Mapping[UUID, set[tuple[tuple[UUID, str], str]]]:
    """By the first run of a family in which turn of people's somebody changed something, or said what to change, and who."""
    changed = Decision.objects.filter(Q(decision=CHANGES) | Q(decision=APPROVED) & ~Q(binding=F("request__binding"))).order_by()
    found: dict[UUID, set[tuple[tuple[UUID, str], str]]] = defaultdict(set)
    for of in ("request__wait__run", "request__wait__run__root_run"):  # as above
        for each in changed.filter(**{f"{of}__in": roots}).select_related("request__wait__run"):
            found[_root(each.request.wait.run)].add((_turn(each.request), f"person:{each.person}"))
    return found


def _published(requests: Collection[Request], families: Mapping[UUID, list[Run]]) -> dict[UUID, frozenset[str]]:
    """Of the agents' versions, and of the pipelines' and the releases of the runs and those above them."""
    ids = {run.release_id for family in families.values() for run in family}
    releases = {release.pk: release for release in Release.objects.filter(pk__in=ids).select_related("version").defer("manifest", "version__spec")}
    agents = _versions({(request.agent, request.version) for request in requests})
    who = registry.publishers_of([*releases.values(), *(release.version for release in releases.values()), *agents.values()])
    return {request.pk: _joined(who[subject] for subject in _subjects(request, families, releases, agents)) for request in requests}


def _versions(named: Collection[tuple[str, int]]) -> dict[tuple[str, int], Version]:
    if not named:
        return {}
    wanted = reduce(or_, (Q(agent__name=name, number=number) for name, number in sorted(named)))
    rows = Version.objects.filter(wanted).select_related("agent").defer("spec")
    return {(version.agent.name, version.number): version for version in rows if version.agent is not None}


def _subjects(
    request: Request, families: Mapping[UUID, list[Run]], releases: Mapping[UUID, Release], agents: Mapping[tuple[str, int], Version]
) -> Iterable[str]:
    version = agents.get((request.agent, request.version))
    if version is not None:
        yield registry.subject_of(version)
    for release in {run.release_id: releases[run.release_id] for run in families[request.wait.run_id]}.values():
        yield from (registry.subject_of(release), registry.subject_of(release.version))


def _permissions(requests: Collection[Request], asked: Mapping[UUID, Asked]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for request in requests:
        for holder, rule in _rules(request, asked.get(request.pk, {})):
            found[holder].add(rule)
    return found


def _rules(request: Request, asked: Asked) -> set[tuple[str, str]]:
    """The permissions that ask for the yes, each with its holder: the agent, unless the entry names a pipeline."""
    return {(use.get("holder") or request.agent, use["permission"]) for use in asked.get("uses", ())}
