"""The inventory's use-cases: apply a folder of files, publish it, roll back, and say which release a run gets.

The only writer of this app's rows, each change with its ledger entry in one transaction. Called by doors and by runs.
"""

from __future__ import annotations

from .accounts import Place, change_password, create_person, people_visible_to, permit_person, person_shown, place_of, reset_password, set_active
from .acting import actor_of_person
from .applying import apply_folder
from .behalf import Behalf, why_lost
from .behalf import said as lost_said
from .bounding import bounds_in_force
from .changes import Applied, Change, CodeChange, FieldChange, FileChange, MadeRelease, Pin, Preview, Published, RolledBack
from .composing import starts_runs
from .covering import arrange_cover, cover_shown, covered_by, covers_visible_to, deputies_of, end_cover
from .deeds import actor_name, grantors_of, publishers_of, subject_of, versions_published_by
from .enacting import HeldProposal, enact, end_proposal, proposal_held, told_of
from .entitlement import May, arguments_of, may
from .folders import private_files, unpacked
from .groups import (
    GroupPlace,
    add_to_group,
    create_group,
    delete_group,
    group_shown,
    groups_visible_to,
    hide_team_from_group,
    show_team_to_group,
    take_from_group,
)
from .holding import OpenKey, Stands, holder_of_key
from .keys import MadeKey, key_shown, keys_found, keys_of, keys_stand, keys_visible_to, make_key, revoke_key
from .lapses import refuse_lapsed
from .lapsing import Lapsed, suspend_lapsed
from .mailboxes import set_email
from .observing import observed_teams
from .people import add_member, hide_team, people_of, remove_member, show_team
from .permitting import Permitted, permit, why_not_permitted
from .policies import policies_in_force, policies_named, policy_numbers, policy_publishers_of, policy_shown
from .pricing import Priced, set_price, update_prices
from .proposed import authors_of, authors_of_each, code_of
from .proposing import OLDER_POLICY, Proposed, look_after, may_withdraw, proposal_named, proposal_shown, proposals_visible_to, states_of, withdraw
from .publishing import preview, publish
from .registered import unregistered_in_force
from .releases import nearest, pipeline_named, pipeline_to_run, release_for, release_of
from .retiring import reinstate, retire
from .rights import Right, Rights, last_used, rights
from .roles import may_be_asked, people_asked
from .rollbacks import rollback
from .running import Runs, versions_run
from .sameness import same_person, somebody_else
from .scaffolding import new_pipeline
from .sent import apply_files
from .stopping import lift, lift_named, reasons_of, refused_stops, stop, stop_shown, stops_on, teams_of_stop
from .suspending import resume, suspend
from .verbs import VERBS

__all__ = [
    "OLDER_POLICY",
    "VERBS",
    "Applied",
    "Behalf",
    "Change",
    "CodeChange",
    "FieldChange",
    "FileChange",
    "GroupPlace",
    "HeldProposal",
    "Lapsed",
    "MadeKey",
    "MadeRelease",
    "May",
    "OpenKey",
    "Permitted",
    "Pin",
    "Place",
    "Preview",
    "Priced",
    "Proposed",
    "Published",
    "Right",
    "Rights",
    "RolledBack",
    "Runs",
    "Stands",
    "actor_name",
    "actor_of_person",
    "add_member",
    "add_to_group",
    "apply_files",
    "apply_folder",
    "arguments_of",
    "arrange_cover",
    "authors_of",
    "authors_of_each",
    "bounds_in_force",
    "change_password",
    "code_of",
    "cover_shown",
    "covered_by",
    "covers_visible_to",
    "create_group",
    "create_person",
    "delete_group",
    "deputies_of",
    "enact",
    "end_cover",
    "end_proposal",
    "grantors_of",
    "group_shown",
    "groups_visible_to",
    "hide_team",
    "hide_team_from_group",
    "holder_of_key",
    "key_shown",
    "keys_found",
    "keys_of",
    "keys_stand",
    "keys_visible_to",
    "last_used",
    "lift",
    "lift_named",
    "look_after",
    "lost_said",
    "make_key",
    "may",
    "may_be_asked",
    "may_withdraw",
    "nearest",
    "new_pipeline",
    "observed_teams",
    "people_asked",
    "people_of",
    "people_visible_to",
    "permit",
    "permit_person",
    "person_shown",
    "pipeline_named",
    "pipeline_to_run",
    "place_of",
    "policies_in_force",
    "policies_named",
    "policy_numbers",
    "policy_publishers_of",
    "policy_shown",
    "preview",
    "private_files",
    "proposal_held",
    "proposal_named",
    "proposal_shown",
    "proposals_visible_to",
    "publish",
    "publishers_of",
    "reasons_of",
    "refuse_lapsed",
    "refused_stops",
    "reinstate",
    "release_for",
    "release_of",
    "remove_member",
    "reset_password",
    "resume",
    "retire",
    "revoke_key",
    "rights",
    "rollback",
    "same_person",
    "set_active",
    "set_email",
    "set_price",
    "show_team",
    "show_team_to_group",
    "somebody_else",
    "starts_runs",
    "states_of",
    "stop",
    "stop_shown",
    "stops_on",
    "subject_of",
    "suspend",
    "suspend_lapsed",
    "take_from_group",
    "teams_of_stop",
    "told_of",
    "unpacked",
    "unregistered_in_force",
    "update_prices",
    "versions_published_by",
    "versions_run",
    "why_lost",
    "why_not_permitted",
    "withdraw",
]
