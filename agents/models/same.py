"""That two accounts are one person's: for approvals, who is told apart are people.

Written by `agents.registry` only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from django.conf import settings
from django.db import models
from django.db.models import Q


class SamePersonQuerySet(models.QuerySet["SamePerson"]):
    def others_of(self, people: Collection[str]) -> dict[str, frozenset[str]]:
        """By account the other accounts of the same person; nothing of those that have none. One statement."""
        named = self.filter(Q(account__username__in=people) | Q(person__username__in=people)).values("person")
        found: dict[str, set[str]] = defaultdict(set)
        for first, account in self.filter(person__in=named).values_list("person__username", "account__username"):
            found[first] |= {first, account}
        return {name: frozenset(every - {name}) for every in found.values() for name in every}


class SamePerson(models.Model):
    """`account` is another account of whoever `person` is the first known account of; all with the same one, and that one, are one person's."""

    account = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="same_person")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="other_accounts")

    objects = SamePersonQuerySet.as_manager()

    class Meta:
        constraints = [models.CheckConstraint(condition=~models.Q(account=models.F("person")), name="same_person_as_another_account")]

    def __str__(self) -> str:
        return f"{self.account.username} is {self.person.username}"
