"""The ledger verbs that the registry can reach, and what their entries may commit to.

Values only. Registered by the app; used by the use-cases beside it.
"""

from __future__ import annotations

from audit.ledger import Verb

# Owners' names and free text change hands as openings, so that they can be erased; the facts say which fields moved.
_CHANGES = frozenset({"changes"})

TEAM_CREATED = Verb("agents.team.created", _CHANGES)
TEAM_CHANGED = Verb("agents.team.changed", _CHANGES)
TEAM_PERMITTED = Verb("agents.team.permitted", frozenset({"permissions"}))
TEAM_OBSERVED = Verb("agents.team.observed")
AGENT_CREATED = Verb("agents.agent.created", _CHANGES)
AGENT_CHANGED = Verb("agents.agent.changed", _CHANGES)
# However long a list is, its entry is short: the facts count it and say a digest, the list itself is an opening.
AGENT_PERMITTED = Verb("agents.agent.permitted", frozenset({"permissions"}))
AGENT_PACED = Verb("agents.agent.paced")
AGENT_SUSPENDED = Verb("agents.agent.suspended", frozenset({"reason"}))
AGENT_NOTICED = Verb("agents.agent.noticed", frozenset({"why"}))
AGENT_RESUMED = Verb("agents.agent.resumed")
AGENT_REFUSED = Verb("agents.agent.refused", frozenset({"problems"}))
KEY_MADE = Verb("agents.key.made", frozenset({"name"}))
KEY_REVOKED = Verb("agents.key.revoked", frozenset({"owner"}))
KEY_REFUSED = Verb("agents.key.refused", frozenset({"problems"}))
# Those of agents have words of their own: suspended, resumed.
STOP_SET = Verb("agents.stop.set", frozenset({"reason"}))
STOP_LIFTED = Verb("agents.stop.lifted")
STOP_REFUSED = Verb("agents.stop.refused", frozenset({"problems"}))
PIPELINE_CREATED = Verb("agents.pipeline.created", _CHANGES)
PIPELINE_CHANGED = Verb("agents.pipeline.changed", _CHANGES)
PIPELINE_PERMITTED = Verb("agents.pipeline.permitted", frozenset({"permissions"}))
PIPELINE_RETIRED = Verb("agents.pipeline.retired", frozenset({"reason"}))
PIPELINE_REINSTATED = Verb("agents.pipeline.reinstated")
AGENT_RETIRED = Verb("agents.agent.retired", frozenset({"reason"}))
AGENT_REINSTATED = Verb("agents.agent.reinstated")
# People's names are openings; whoever acted stands in the entry itself, as in every other.
MEMBER_ADDED = Verb("agents.team.member_added", frozenset({"person"}))
MEMBER_REMOVED = Verb("agents.team.member_removed", frozenset({"person"}))
TEAM_SHOWN = Verb("agents.team.shown", frozenset({"person"}))
TEAM_HIDDEN = Verb("agents.team.hidden", frozenset({"person"}))
TEAM_SHOWN_TO_GROUP = Verb("agents.team.shown_to_group")
TEAM_HIDDEN_FROM_GROUP = Verb("agents.team.hidden_from_group")
GROUP_CREATED = Verb("agents.group.created")
GROUP_DELETED = Verb("agents.group.deleted")
GROUP_MEMBER_ADDED = Verb("agents.group.member_added", frozenset({"person"}))
GROUP_MEMBER_REMOVED = Verb("agents.group.member_removed", frozenset({"person"}))
PERSON_CREATED = Verb("agents.person.created", frozenset({"person"}))
PERSON_CHANGED = Verb("agents.person.changed", frozenset({"person"}))
PERSON_COVERED = Verb("agents.person.covered", frozenset({"person", "deputy"}))
PERSON_COVER_ENDED = Verb("agents.person.cover_ended", frozenset({"person", "deputy"}))
PROPOSAL_MADE = Verb("agents.proposal.made", frozenset({"deeds"}))
PROPOSAL_ASKED_AGAIN = Verb("agents.proposal.asked_again")
PROPOSAL_ESCALATED = Verb("agents.proposal.escalated")
PROPOSAL_ENDED = Verb("agents.proposal.ended", frozenset({"why"}))
PROPOSAL_REFUSED = Verb("agents.proposal.refused", frozenset({"problems"}))
PEOPLE_REFUSED = Verb("agents.person.refused", frozenset({"problems"}))
PIPELINE_ROLLED_BACK = Verb("agents.pipeline.rolled_back")
AGENT_ROLLED_BACK = Verb("agents.agent.rolled_back")
VERSION_DRAFTED = Verb("agents.version.drafted")
VERSION_PUBLISHED = Verb("agents.version.published")
VERSION_RETIRED = Verb("agents.version.retired")
RELEASE_MADE = Verb("agents.release.made", frozenset({"agents"}))
POLICY_DRAFTED = Verb("agents.policy.drafted", frozenset({"policy"}))
POLICY_PUBLISHED = Verb("agents.policy.published", frozenset({"policy"}))
ALIAS_CREATED = Verb("agents.alias.created", _CHANGES)
ALIAS_CHANGED = Verb("agents.alias.changed", _CHANGES)
PRICE_SET = Verb("agents.price.set")
PRICE_REFUSED = Verb("agents.price.refused", frozenset({"problems"}))
RELEASE_PUBLISHED = Verb("agents.release.published")
VERSION_REFUSED = Verb("agents.version.refused", frozenset({"problems"}))

VERBS = (
    TEAM_CREATED,
    TEAM_CHANGED,
    TEAM_PERMITTED,
    TEAM_OBSERVED,
    AGENT_CREATED,
    AGENT_CHANGED,
    AGENT_PERMITTED,
    AGENT_PACED,
    AGENT_SUSPENDED,
    AGENT_NOTICED,
    AGENT_RESUMED,
    AGENT_REFUSED,
    AGENT_ROLLED_BACK,
    KEY_MADE,
    KEY_REVOKED,
    KEY_REFUSED,
    STOP_SET,
    STOP_LIFTED,
    STOP_REFUSED,
    PIPELINE_CREATED,
    PIPELINE_CHANGED,
    PIPELINE_PERMITTED,
    PIPELINE_ROLLED_BACK,
    PIPELINE_RETIRED,
    PIPELINE_REINSTATED,
    AGENT_RETIRED,
    AGENT_REINSTATED,
    MEMBER_ADDED,
    MEMBER_REMOVED,
    TEAM_SHOWN,
    TEAM_HIDDEN,
    TEAM_SHOWN_TO_GROUP,
    TEAM_HIDDEN_FROM_GROUP,
    GROUP_CREATED,
    GROUP_DELETED,
    GROUP_MEMBER_ADDED,
    GROUP_MEMBER_REMOVED,
    PERSON_CREATED,
    PERSON_CHANGED,
    PERSON_COVERED,
    PERSON_COVER_ENDED,
    PROPOSAL_MADE,
    PROPOSAL_ASKED_AGAIN,
    PROPOSAL_ESCALATED,
    PROPOSAL_ENDED,
    PROPOSAL_REFUSED,
    PEOPLE_REFUSED,
    VERSION_DRAFTED,
    VERSION_PUBLISHED,
    VERSION_RETIRED,
    RELEASE_MADE,
    POLICY_DRAFTED,
    POLICY_PUBLISHED,
    ALIAS_CREATED,
    ALIAS_CHANGED,
    PRICE_SET,
    PRICE_REFUSED,
    RELEASE_PUBLISHED,
    VERSION_REFUSED,
)
