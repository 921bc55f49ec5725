"""What whoever asks for entries may call a run, an agent or a person: the beginning of an id, a name that some entry holds.

Reads only, and knows no other app's rows: what is gone is still named here. Called by the commands.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from audit.actors import Actor
from audit.errors import Invalid, NotFound
from audit.models import Entry
from audit.models.entry import DID, EntryQuerySet
from audit.visible import visible

SHORTEST: Final = 8
MOST: Final = 1_000
"""Names that are looked through for a near one."""


def run_named(text: str, *, actor: Actor) -> UUID:
    """The run of which there are entries, by its id or an unambiguous beginning of it (eight characters or more)."""
    said, digits = visible(text, 80), text.strip().lower().replace("-", "")
    if not digits or len(digits) > 32 or set(digits) - set("0123456789abcdef"):
        raise Invalid(f"'{said}' is not the id of a run; it looks like 0199d3c1-5a52-7c1e-9a55-0c8f2b7a6f10")
    if len(digits) < SHORTEST:
        raise Invalid(f"'{said}' is too short: give at least {SHORTEST} characters of the run's id")
    within = Entry.objects.visible_to(actor).filter(run__gte=UUID(digits.ljust(32, "0")), run__lte=UUID(digits.ljust(32, "f")))
    found = list(_names(within, "run", 2))
    if not found:
        raise NotFound(f"there is no entry of a run '{said}'")
    if len(found) > 1:
        raise NotFound(f"'{said}' is the beginning of more than one run's id, such as {found[0]} and {found[1]}; give more of it")
    return UUID(found[0])


def agent_named(name: str, *, actor: Actor) -> str:
    """The name, if any entry is about such an agent; an agent that is there has one of when it was made."""
    entries = Entry.objects.visible_to(actor).filter(agent__isnull=False)
    if entries.filter(agent=name).exists():
        return name
    raise NotFound(f"there is no entry about an agent '{visible(name, 80)}'{_near(name, set(_names(entries, 'agent', MOST)))}")


def person_named(name: str, *, actor: Actor) -> str:
    """The name, if such a person is there, or did something, or something was done on their behalf."""
    entries, people = Entry.objects.visible_to(actor), _accounts(actor)
    if any(entries.filter(way).exists() for way in EntryQuerySet.ways_of_person(name)) or people.filter(username=name).exists():
        return name
    known = {*_names(entries.filter(DID), "actor", MOST), *_names(entries.filter(on_behalf_of__isnull=False), "on_behalf_of", MOST)}
    known |= set(people.order_by("username").values_list("username", flat=True)[:MOST])
    raise NotFound(f"there is no person '{visible(name, 80)}' that you may see, and no entry names one{_near(name, known)}")


def _accounts(actor: Actor) -> QuerySet[Any]:
    """Those that the actor may know of: all for whoever manages people, one's own for everybody else."""
    rows = get_user_model()._default_manager.all()  # noqa: SLF001 - Django's way to a model's manager
    if actor.may_manage_people:
        return rows
    return rows.filter(username=actor.id) if actor.kind == "person" else rows.none()


def _names(entries: EntryQuerySet, column: str, most: int) -> Iterator[str]:
    """Different values of an indexed column, in order: one step along its index for each, however many entries have it."""
    beyond = Q()
    for _ in range(most):
        value = entries.filter(beyond).order_by(column).values_list(column, flat=True).first()
        if value is None:
            return
        yield str(value)
        beyond = Q(**{f"{column}__gt": value})


def _near(name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), n=3)
    return "; did you mean " + " or ".join(f"'{visible(one, 80)}'" for one in near) + "?" if near else ""
