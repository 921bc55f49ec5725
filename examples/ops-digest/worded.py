"""The binder: puts a model's words next to the numbers, and changes neither. Owns no wording; the auditor judges both."""

from shapes import Digest, Finding
from typing_extensions import TypedDict


class Words(TypedDict):
    """What the model gives."""

    headline: str
    lines: list[str]


def bind(feed: str, as_of: str, findings: list[Finding], words: Words) -> Digest:
    """The digest of one feed with these words."""
    return {"as_of": as_of, "feed": feed, "headline": words["headline"], "lines": words["lines"], "series": findings}
