"""What is said in the log: what somebody asked for, or did wrong, is no fault of this process and doesn't bury its faults.

Named in the settings, as filters of what Django says about requests. Each of these answers says why in its body.
"""

import logging
from typing import Final

from audit.visible import visible

ASKED: Final = frozenset({"/health/outcomes", "/readyz"})
LONGEST: Final = 500


class NoBadNews(logging.Filter):
    """A scrape every ten seconds would otherwise be an error every ten seconds, and bury the others."""

    def filter(self, record: logging.LogRecord) -> bool:
        path = getattr(getattr(record, "request", None), "path", None)
        return not (path in ASKED and getattr(record, "status_code", None) == 503)


class OneLine(logging.Filter):
    """A request that is refused takes a line and no traceback, and nothing that whoever sent it has written into it acts on a terminal."""

    def filter(self, record: logging.LogRecord) -> bool:
        if 400 <= (getattr(record, "status_code", None) or 0) < 500:
            record.msg, record.args = visible(record.getMessage(), LONGEST), ()
            record.exc_info = record.exc_text = None
        return True
