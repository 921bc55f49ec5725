"""The use-cases of approvals: what waits for whom, what it is about, and the one way to decide it. Doors parse, call one, and render.

Approvals read what runs wait for and answer it; nothing below knows of them.
"""

from .alike import Together, decide_alike
from .deciding import comment, decide
from .documents import as_json, document, listed
from .edits import given_as_edits
from .inbox import Inbox, decided, find_request, requests_wanted, waiting_for
from .intake import tend

__all__ = [
    "Inbox",
    "Together",
    "as_json",
    "comment",
    "decide",
    "decide_alike",
    "decided",
    "document",
    "find_request",
    "given_as_edits",
    "listed",
    "requests_wanted",
    "tend",
    "waiting_for",
]
