"""The inventory in the admin: teams, versions, releases, aliases; and the pages of agents and pipelines, which the site completes with their runs.

Must not know runs. Changes go through agents.registry, one use-case each. Django loads it to find what it registers.
"""

from . import covers, policies, prices, records, teams
from .owners import AgentPage, OwnerAdmin, PipelinePage
from .words import Permission, in_words

__all__ = ["AgentPage", "OwnerAdmin", "Permission", "PipelinePage", "covers", "in_words", "policies", "prices", "records", "teams"]
