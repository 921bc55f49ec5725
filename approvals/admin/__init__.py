"""Approvals in the admin: the inbox, the page of one request with the form that decides it, and what was decided. Decides nothing itself."""

from . import inbox, proposals

__all__ = ["inbox", "proposals"]
