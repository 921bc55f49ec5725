"""The inventory's rows: teams, agents, pipelines, their versions, releases and code, and model aliases.

Rows know what is true of one row or of a set of rows; what changes them is `agents.registry`.
"""

from __future__ import annotations

from .agent import Agent, AgentQuerySet, Role, Standing
from .alias import ModelAlias
from .artifact import Artifact
from .cover import Cover, CoverQuerySet
from .credential import AgentKey, AgentKeyQuerySet
from .deed import Granting, Publication
from .grant import GrantUse
from .notice import AgentNotice, Ground
from .pipeline import Pipeline
from .policy import Policy, PolicyVersion
from .price import Price, PriceImmutable
from .proposal import Proposal, ProposalChange, ProposalKind, ProposalQuerySet, ProposalState
from .release import Release, ReleaseImmutable, ReleaseUse
from .same import SamePerson
from .sharing import TeamGroupObjectPermission, TeamUserObjectPermission
from .stop import Scope, Stop, StopChange, StopQuerySet
from .team import Team
from .version import Version, VersionImmutable, VersionState

__all__ = [
    "Agent",
    "AgentKey",
    "AgentKeyQuerySet",
    "AgentNotice",
    "AgentQuerySet",
    "Artifact",
    "Cover",
    "CoverQuerySet",
    "GrantUse",
    "Granting",
    "Ground",
    "ModelAlias",
    "Pipeline",
    "Policy",
    "PolicyVersion",
    "Price",
    "PriceImmutable",
    "Proposal",
    "ProposalChange",
    "ProposalKind",
    "ProposalQuerySet",
    "ProposalState",
    "Publication",
    "Release",
    "ReleaseImmutable",
    "ReleaseUse",
    "Role",
    "SamePerson",
    "Scope",
    "Standing",
    "Stop",
    "StopChange",
    "StopQuerySet",
    "Team",
    "TeamGroupObjectPermission",
    "TeamUserObjectPermission",
    "Version",
    "VersionImmutable",
    "VersionState",
]
