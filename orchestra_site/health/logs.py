"""Bad news that somebody asked for is an answer, not a fault of this process: the log keeps quiet about the statuses of health.

Named in the settings, as a filter of what Django says about requests. Each of these answers says why in its body.
"""

import logging
from typing import Final

ASKED: Final = frozenset({"/health/outcomes", "/readyz"})


class NoBadNews(logging.Filter):
    """A scrape every ten seconds would otherwise be an error every ten seconds, and bury the others."""

    def filter(self, record: logging.LogRecord) -> bool:
        path = getattr(getattr(record, "request", None), "path", None)
        return not (path in ASKED and getattr(record, "status_code", None) == 503)
