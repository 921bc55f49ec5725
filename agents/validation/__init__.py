"""What publishing a pipeline refuses: wiring, contracts, bounds, and a verifier that had a part in the work (R4).

Pure: specs in, refusals out; must not know rows or files. Called by the registry before a version is published.
"""

from agents.validation.checking import check
from agents.validation.findings import Refusal

__all__ = ["Refusal", "check"]
