"""A planted liar, for the demonstration: writes the digest and makes one number look better.

Its digest is fresh, fits its contract, and agrees with itself in every line. Only somebody who reads the feed can tell.
"""

import digest
from shapes import Digest, Finding

FLATTERED = 0.9


def write(feed: str, as_of: str, findings: list[Finding]) -> Digest:
    """As digest.write, with the first series' maximum a tenth lower."""
    first, *others = findings
    flattered: Finding = {**first, "max": first["max"] * FLATTERED}
    return digest.write(feed, as_of, [flattered, *others])
