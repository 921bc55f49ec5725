"""The rows of the site: tokens, a person's credential for programs, kept as a hash; wrong passwords, counted; and where people signed in from.

Written by orchestra_site.tokens, orchestra_site.tries and orchestra_site.haunts only; `used_at` by REST authentication.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from django.conf import settings
from django.db import models
from knox.models import AbstractAuthToken

from audit.actors import CHANGE_EVERYTHING, Actor
from audit.identity import new_id

USE_IS_KNOWN_TO: Final = timedelta(hours=1)

if TYPE_CHECKING:  # knox ships no types
    from django.contrib.auth.models import User

    class _Hashed(models.Model):
        digest: models.CharField[str, str]
        token_key: models.CharField[str, str]
        user: models.ForeignKey[User, User]
        created: models.DateTimeField[datetime, datetime]
        expiry: models.DateTimeField[datetime, datetime]

        class Meta:
            abstract = True
else:
    _Hashed = AbstractAuthToken


class TokenQuerySet(models.QuerySet["Token"]):
    """Sets of tokens."""

    def visible_to(self, actor: Actor) -> Self:
        """A person's own; for whoever says who may sign in, everybody's but an administrator's, who stands above them; for one of these, all."""
        if actor.kind == "system" or CHANGE_EVERYTHING in actor.permissions:
            return self
        if actor.may_manage_people:
            return self.filter(user__is_superuser=False)
        return self.filter(user__username=actor.id, user__is_active=True) if actor.kind == "person" else self.none()

    def live(self, now: datetime) -> Self:
        """Those that have not ended by themselves."""
        return self.filter(expiry__gt=now)

    def note_use(self, now: datetime) -> int:
        """Those whose last use is not known, or is an hour old, were used now. Returns how many."""
        stale = models.Q(used_at__isnull=True) | models.Q(used_at__lte=now - USE_IS_KNOWN_TO)
        return self.filter(stale).update(used_at=now)


class Token(_Hashed):
    """The text is shown once and kept nowhere; `digest` is its SHA-512. `id` names it where it is listed and revoked.

    `used_at` is when it was used last, to the hour: a request writes at most once in that time.
    """

    id = models.UUIDField(default=new_id, unique=True, editable=False)
    name = models.CharField(max_length=100, blank=True, default="")
    used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = TokenQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "your account"  # where the admin lists them
        ordering = ("-created", "-id")
        indexes = [models.Index(fields=["-created", "-id"], name="token_newest")]

    def __str__(self) -> str:
        return f"{self.name or self.id} of {self.user.username}"


class Scope(models.TextChoices):
    """What wrong passwords are counted by: a user name from one address, one address with any name, a user name from all addresses
    that are new to it together, a person changing their own."""

    NAME = "name"
    ADDRESS = "address"
    ELSEWHERE = "elsewhere"
    CHANGE = "change"


class TriesQuerySet(models.QuerySet["Tries"]):
    """Sets of counts."""

    def locks(self, now: datetime) -> Self:
        """Those that let nobody try at this moment."""
        return self.filter(locked=True, ends__gt=now)

    def visible_to(self, actor: Actor) -> Self:
        """For administrators all; for whoever manages people those about an account, but for administrators', who stand above them."""
        if actor.administers:
            return self
        return self.filter(person__is_superuser=False) if actor.may_manage_people else self.none()


class Tries(models.Model):
    """How many passwords were wrong, until `ends`; then it means nothing. Where `locked`, none is looked at until then.

    `key` is a digest of the typed name and the address: people type passwords where a name belongs. The account and the address are
    noted with a lock only.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.CharField(max_length=64, unique=True)
    scope = models.CharField(max_length=16, choices=Scope)
    count = models.PositiveIntegerField(default=0)
    ends = models.DateTimeField()
    locked = models.BooleanField(default=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    address = models.CharField(max_length=45, blank=True, default="")

    objects = TriesQuerySet.as_manager()

    class Meta:
        verbose_name = "sign-in lock"
        ordering = ("-ends", "-id")
        constraints = [models.CheckConstraint(condition=models.Q(scope__in=Scope.values), name="tries_scope_known")]
        indexes = [models.Index(fields=["-ends", "-id"], name="tries_newest")]

    def __str__(self) -> str:
        return f"{self.subject} until {self.ends:%H:%M} UTC"

    @property
    def subject(self) -> str:
        """What is locked, in words."""
        who = f"'{self.person.username}'" if self.person else "a name that nobody has"
        if self.scope == Scope.CHANGE:
            return f"changing the password of {who}"
        if self.scope == Scope.ELSEWHERE:
            return f"signing in as {who} from wherever that is new"
        return (
            f"signing in from {self.address}" if self.scope == Scope.ADDRESS else f"signing in as {who} from {self.address or 'an unknown address'}"
        )


class Haunt(models.Model):
    """An address that somebody signed in from, and when last, to the day. `key` is a digest of name and address: nobody's ways are kept."""

    key = models.CharField(max_length=64, primary_key=True)
    seen_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["seen_at"], name="haunt_seen")]

    def __str__(self) -> str:
        return self.key
