"""Tokens: a person's credential for programs, kept as a hash, ending by itself.

The only rows of the site. Written by orchestra_site.tokens, read by REST authentication.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models
from knox.models import AbstractAuthToken

from audit.actors import CHANGE_EVERYTHING, Actor
from audit.identity import new_id

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
        return self.filter(user__is_superuser=False) if actor.may_manage_people else self.filter(user__username=actor.id, user__is_active=True)

    def live(self, now: datetime) -> Self:
        """Those that have not ended by themselves."""
        return self.filter(expiry__gt=now)


class Token(_Hashed):
    """The text is shown once and kept nowhere; `digest` is its SHA-512. `id` names it where it is listed and revoked."""

    id = models.UUIDField(default=new_id, unique=True, editable=False)
    name = models.CharField(max_length=100, blank=True, default="")

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ("-created", "-id")
        indexes = [models.Index(fields=["-created", "-id"], name="token_newest")]

    def __str__(self) -> str:
        return f"{self.name or self.id} of {self.user.username}"
