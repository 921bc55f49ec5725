"""The tables of the audit app; reached only from inside it (others call ledger, reports and outbox)."""

from audit.models.charge import Charge
from audit.models.entry import Entry
from audit.models.opening import Blob, Opening
from audit.models.outbox import Message
from audit.models.pending import Pending

__all__ = ["Blob", "Charge", "Entry", "Message", "Opening", "Pending"]
