"""A request for an approval beside the wait of a run that it is for, whom it is put to, and what each of them says.

Whether it is still open is the wait's to say; `watched` only keeps those that may be from the many that were. Written by `approvals.services` only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, Final, Self
from uuid import UUID

from django.db import models
from django.db.models import Exists, OuterRef, Q

from agents.models import Version
from agents.spec.policies import Policy
from approvals.rules import DECISIONS, Person
from audit.actors import Actor
from audit.identity import new_id
from audit.visible import visible
from runs.models import Run, Wait, WaitState, of_person

_WATCHED: Final = Q(models.Func(models.F("watched"), template="%(expressions)s", output_field=models.BooleanField()))
"""The column as it stands: where it is compared with a parameter SQLite doesn't see that an index of those alone will do."""


MOST_POLICIES: Final = 400
"""So many parts may a statement have that SQLite reads."""


class RequestQuerySet(models.QuerySet["Request"]):
    def visible_to(self, actor: Actor, person: Person | None) -> Self:
        """Those of runs that the actor sees, those that are put to the person who the actor is, those that are open and put to somebody whom that
        person stands in for, and those that they have decided."""
        if actor.sees_everything:
            return self
        put = Approver.objects.naming(person).filter(request=OuterRef("pk"))
        seen = Q(team__in=actor.sees) | Exists(put) | Q(pk__in=Decision.objects.filter(person=actor.id).values("request"))
        stead = () if person is None else person.stands_in_for
        return self.filter(seen | Exists(Approver.objects.naming(*stead).filter(_WATCHED, request=OuterRef("pk"))) if stead else seen)

    def open(self, now: datetime) -> Self:
        """Those that can still be decided. Asked of each by itself, so that whoever takes the first of a list reads no more than these."""
        return self.watched().filter(Exists(Wait.objects.answerable(now).filter(pk=OuterRef("pk"))))

    def over(self, now: datetime) -> Self:
        return self.filter(Q(watched=False) | ~Exists(Wait.objects.answerable(now).filter(pk=OuterRef("pk"))))

    def for_now(self, person: Person, now: datetime, *, published: Mapping[str, Collection[UUID]]) -> Self:
        """Open ones that are put to this person in the stage that holds, or to somebody whom they stand in for; not decided in it by them, and
        neither started nor written nor `published` (by name) by them, or by whom they would stand in for."""
        everybody = (person, *person.stands_in_for)
        named = Approver.objects.naming(*everybody).filter(_WATCHED)
        said = Decision.objects.filter(request=OuterRef("pk"), person__in=person.names, stage=OuterRef("escalated_to"))
        seats = reduce(or_, (_put_to(seat) & _without_part_of(seat, published) for seat in everybody))
        found = self.filter(pk__in=named.values("request")).open(now).filter(seats, ~Exists(said))
        return found if len(everybody) == 1 else found.filter(_without_part_of(person, published))

    def asking_for(self, binding: str) -> Self:
        """Watched ones that ask for exactly this call."""
        return self.filter(_WATCHED, binding=binding, kind=Kind.CALL)

    def watched(self) -> Self:
        return self.filter(_WATCHED)

    def under_older(self, numbers: Mapping[str, int]) -> Iterator[Self]:
        """Watched ones that were asked under an older version of a policy than the one whose number this is; each looked for along the index.

        As many statements as there are times MOST_POLICIES of such policies.
        """
        changed = sorted((name, number) for name, number in numbers.items() if number > 1)
        for first in range(0, len(changed), MOST_POLICIES):
            some = changed[first : first + MOST_POLICIES]
            older = [self.watched().filter(policy_name=name, policy_number__lt=number).order_by() for name, number in some]
            yield older[0].union(*older[1:], all=True)

    def let_go(self) -> None:
        """They are seen to be over: nobody needs to look at them any more."""
        ids = list(self.values_list("pk", flat=True))
        Request.objects.filter(pk__in=ids).update(watched=False)
        Approver.objects.filter(request__in=ids).update(watched=False)

    def put_to(self, person: Person | None) -> Self:
        """Those that a policy puts to this person, or to whom they stand in for, in whichever of its stages."""
        everybody = () if person is None else (person, *person.stands_in_for)
        return self.filter(Exists(Approver.objects.naming(*everybody).filter(request=OuterRef("pk"))))


def _put_to(seat: Person) -> Q:
    return Q(Exists(Approver.objects.naming(seat).filter(_WATCHED, request=OuterRef("pk"), stage=OuterRef("escalated_to"))))


def _without_part_of(person: Person, published: Mapping[str, Collection[UUID]]) -> Q:
    """As far as rows tell, with whichever of their accounts."""
    names = sorted(person.names)
    mine = Run.objects.filter(reduce(or_, map(of_person, names)), waits=OuterRef("pk"))
    theirs = [version for name in names for version in published.get(name, ())]
    wrote = Version.objects.filter(agent__name=OuterRef("agent"), number=OuterRef("version")).filter(Q(author__in=names) | Q(pk__in=theirs))
    return Q(~Exists(mine), ~Exists(wrote))


class Kind(models.TextChoices):
    """What people are asked about: a call that may go out only with their yes, what an agent gave, or what a pipeline puts to them itself."""

    CALL = "call"
    RESULT = "result"
    SUBJECT = "subject"


class Request(models.Model):
    """`binding` is the digest of what is asked for; `policy` the record of the policy that it was asked under, as the run's entry holds it."""

    wait = models.OneToOneField(Wait, on_delete=models.PROTECT, primary_key=True, related_name="approval_request")
    team = models.CharField(max_length=63, blank=True, default="")
    """Whose the run is, which it stays."""
    agent = models.CharField(max_length=100)
    version = models.PositiveIntegerField()
    binding = models.CharField(max_length=64)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.CALL)
    risk = models.CharField(max_length=64, blank=True, default="")
    policy = models.JSONField()
    policy_name = models.CharField(max_length=63, blank=True, default="")
    policy_number = models.PositiveIntegerField(default=0)
    escalated_to = models.PositiveIntegerField(default=0)
    watched = models.BooleanField(default=True)
    """False once it was seen to be over."""
    look_at = models.DateTimeField()
    """When time does something to it next: its policy's next stage begins, or nobody can decide it any more."""
    remind_at = models.DateTimeField(null=True, default=None)
    """When those who can decide it in this stage are told once more; null once they were."""

    objects = RequestQuerySet.as_manager()

    class Meta:
        ordering = ("wait__expires_at", "pk")
        indexes = [
            models.Index(fields=["wait"], name="request_watched", condition=Q(watched=True)),
            models.Index(fields=["look_at", "wait"], name="request_due", condition=Q(watched=True)),
            models.Index(fields=["remind_at"], name="request_reminded", condition=Q(watched=True)),
            models.Index(fields=["policy_name", "policy_number"], name="request_under", condition=Q(watched=True)),
            models.Index(fields=["binding"], name="request_bound", condition=Q(watched=True)),
        ]

    def __str__(self) -> str:
        return f"approval of {self.about}"

    @property
    def about(self) -> str:
        """A phrase for people."""
        agent = visible(self.agent, 80)
        match self.kind:
            case Kind.RESULT:
                return f"what '{agent}' gave"
            case Kind.SUBJECT:
                return f"step '{visible(self.wait.step, 120)}'"
        return f"a call of '{agent}'"

    @property
    def subject(self) -> str:
        """How ledger entries name it: by the wait that it answers."""
        return self.wait.reference

    @property
    def governing(self) -> Policy:
        return Policy.from_record(self.policy)

    def next_look(self, stage: int) -> datetime:
        """While this stage holds."""
        wait, policy = self.wait, self.governing
        return wait.expires_at if stage + 1 >= len(policy.stages) else min(policy.begins_at(wait.opened_at, stage + 1), wait.expires_at)

    def next_reminder(self, stage: int) -> datetime:
        """When half of this stage's time has passed."""
        begins = self.governing.begins_at(self.wait.opened_at, stage)
        return begins + (self.next_look(stage) - begins) / 2

    def stage_at(self, now: datetime) -> int:
        """Which stage of its policy holds now, or held when it ended."""
        ended = self.wait.ended_at
        return self.governing.at(self.wait.opened_at, now if ended is None or self.wait.state == WaitState.OPEN else min(ended, now))


class ApproverQuerySet(models.QuerySet["Approver"]):
    def naming(self, *people: Person | None) -> Self:
        """One of these people, or a team of theirs; of nobody none. Whom they stand in for is not looked at."""
        found = [person for person in people if person is not None]
        if not found:
            return self.none()
        names, teams = {person.name for person in found}, {team for person in found for team in person.teams}
        return self.filter(Q(kind=Approver.PERSON, name__in=names) | Q(kind=Approver.TEAM, name__in=teams))


class Approver(models.Model):
    """Whom a request is put to, in one stage of its policy."""

    PERSON, TEAM = "person", "team"

    request = models.ForeignKey(Request, on_delete=models.PROTECT, related_name="approvers")
    stage = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=[(PERSON, PERSON), (TEAM, TEAM)])
    name = models.CharField(max_length=150)
    watched = models.BooleanField(default=True)
    """As its request's."""

    objects = ApproverQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["request", "stage", "kind", "name"], name="approver_once")]
        indexes = [
            models.Index(fields=["kind", "name"], name="approver_named"),
            models.Index(fields=["kind", "name", "request"], name="approver_watched", condition=Q(watched=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Kept(models.Model):
    """Somebody's word. It is never changed: whoever thinks otherwise later says it in the next stage, or not at all."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    person = models.CharField(max_length=150)
    at = models.DateTimeField()
    entry = models.UUIDField()
    """The ledger entry that says it, in whose openings its words lie."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only."""
        super().save(*args, **{**kwargs, "force_insert": True})


class Decision(Kept):
    """`shown` is the digest of what the person was shown, `binding` that of what they said it of: with edits, another one than was asked for."""

    request = models.ForeignKey(Request, on_delete=models.PROTECT, related_name="decisions")
    stage = models.PositiveIntegerField()
    decision = models.CharField(max_length=16, choices=[(each, each) for each in DECISIONS])
    shown = models.CharField(max_length=64)
    binding = models.CharField(max_length=64)
    instead_of = models.CharField(max_length=150, blank=True, default="")
    """Whom the person stood in for; empty where they were asked themselves."""

    class Meta:
        ordering = ("at", "id")
        indexes = [models.Index(fields=["person"], name="decision_by")]
        constraints = [
            models.UniqueConstraint(fields=["request", "person", "stage"], name="decision_once_each"),
            models.UniqueConstraint(fields=["request", "stage", "instead_of"], condition=~Q(instead_of=""), name="decision_once_in_a_stead"),
            models.CheckConstraint(condition=Q(decision__in=DECISIONS), name="decision_known"),
        ]

    def __str__(self) -> str:
        return f"{self.person} {self.decision}"


class Comment(Kept):
    request = models.ForeignKey(Request, on_delete=models.PROTECT, related_name="comments")

    class Meta:
        ordering = ("at", "id")

    def __str__(self) -> str:
        return f"{self.person} at {self.at}"
