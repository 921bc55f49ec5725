"""The audit log in the admin, and what every app's admin builds on: lists without counts, pages, governed changes.

Must not know the apps above. Used by their admins; Django loads it to find what it registers.
"""

from . import ledger
from .acting import Deed, ReasonForm, act, text_field
from .base import Choice, ReadOnlyAdmin, as_json, choice, link_to, shown
from .paging import LongListAdmin

__all__ = ["Choice", "Deed", "LongListAdmin", "ReadOnlyAdmin", "ReasonForm", "act", "as_json", "choice", "ledger", "link_to", "shown", "text_field"]
