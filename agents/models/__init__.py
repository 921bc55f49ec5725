"""The inventory's rows: teams, agents, pipelines, their versions, releases and code, and model aliases.

Rows know what is true of one row or of a set of rows; what changes them is `agents.registry`.
"""

from __future__ import annotations

from .agent import Agent, Role, Standing
from .alias import ModelAlias
from .artifact import Artifact
from .grant import GrantUse
from .notice import AgentNotice, Ground
from .pipeline import Pipeline
from .price import Price, PriceImmutable
from .release import Release, ReleaseImmutable, ReleaseUse
from .sharing import TeamGroupObjectPermission, TeamUserObjectPermission
from .team import Team
from .version import Version, VersionImmutable, VersionState

__all__ = [
    "Agent",
    "AgentNotice",
    "Artifact",
    "GrantUse",
    "Ground",
    "ModelAlias",
    "Pipeline",
    "Price",
    "PriceImmutable",
    "Release",
    "ReleaseImmutable",
    "ReleaseUse",
    "Role",
    "Standing",
    "Team",
    "TeamGroupObjectPermission",
    "TeamUserObjectPermission",
    "Version",
    "VersionImmutable",
    "VersionState",
]
