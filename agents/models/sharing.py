"""Which teams are shown to people who don't belong to them: object permissions, one row per team and person or group.

Direct foreign keys, so that they go with their team and an index serves them. Written by `agents.registry`; whoever builds an Actor reads them.
"""

from __future__ import annotations

from django.db import models
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from .team import Team

VIEW = "view_team"
"""The one object permission: to look at all that a team owns."""


class TeamUserObjectPermission(UserObjectPermissionBase):
    """A team that is shown to a person."""

    content_object = models.ForeignKey(Team, on_delete=models.CASCADE)

    class Meta(UserObjectPermissionBase.Meta):
        verbose_name = "team shown to a person"
        verbose_name_plural = "teams shown to people"


class TeamGroupObjectPermission(GroupObjectPermissionBase):
    """A team that is shown to everybody in a group."""

    content_object = models.ForeignKey(Team, on_delete=models.CASCADE)

    class Meta(GroupObjectPermissionBase.Meta):
        verbose_name = "team shown to a group"
        verbose_name_plural = "teams shown to groups"
