"""What publishing a pipeline refuses: wiring, contracts, bounds, and a verifier that had a part in the work (R4).

Pure: specs in, refusals out; must not know rows or files. Called by the registry before a version is published.
"""

from agents.validation.checking import check, result_schema
from agents.validation.findings import Refusal
from agents.validation.independence import bodies, lineage, performers
from agents.validation.nodes import DEEPEST
from agents.validation.permissions import refused_uses, unfillable
from agents.validation.spreading import height

__all__ = ["DEEPEST", "Refusal", "bodies", "check", "height", "lineage", "performers", "refused_uses", "result_schema", "unfillable"]
