"""The files of DESIGN §4 as values: strict YAML in, normalised documents and every problem with its line out.

Must not know what contracts mean, rows or the disk. Called by the registry and by `new pipeline`.
"""

from agents.spec.documents import Document, Parsed, Path, Problem, Unread
from agents.spec.model_agents import alias_of, executable, folded
from agents.spec.reading import read
from agents.spec.verdict import VERDICT_SCHEMA

__all__ = ["VERDICT_SCHEMA", "Document", "Parsed", "Path", "Problem", "Unread", "alias_of", "executable", "folded", "read"]
