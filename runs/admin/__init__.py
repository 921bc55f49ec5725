"""Runs, their steps and calls, and the engines, in the admin: lists, the page of a run, and what can be done to one.

Must not decide anything: it reads run documents and calls runs.services. Django loads it to find what it registers.
"""

from . import lists, stops, waits
from .badges import LISTED, Listed, listed, with_reasons, with_waits

__all__ = ["LISTED", "Listed", "listed", "lists", "stops", "waits", "with_reasons", "with_waits"]
