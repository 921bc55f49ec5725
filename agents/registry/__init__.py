"""The inventory's use-cases: apply a folder of files, publish it, roll back, and say which release a run gets.

The only writer of this app's rows, each change with its ledger entry in one transaction. Called by doors and by runs.
"""

from __future__ import annotations

from .applying import apply_folder
from .changes import Applied, Change, FieldChange, MadeRelease, RolledBack
from .folders import private_files, unpacked
from .pricing import Priced, set_price, update_prices
from .releases import release_for
from .rollbacks import rollback
from .scaffolding import new_pipeline
from .suspending import resume, suspend
from .verbs import VERBS

__all__ = [
    "VERBS",
    "Applied",
    "Change",
    "FieldChange",
    "MadeRelease",
    "Priced",
    "RolledBack",
    "apply_folder",
    "new_pipeline",
    "private_files",
    "release_for",
    "resume",
    "rollback",
    "set_price",
    "suspend",
    "unpacked",
    "update_prices",
]
