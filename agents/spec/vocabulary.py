"""The words of permissions: which verbs and which kinds of resource there are, so that a misspelt one is a problem and not a rule that never applies.

Pure. What every installation has stands here; a team adds words of its own (`verbs`, `resources`), which hold for its agents.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

VERBS: Final = {
    "read": "looks at it and changes nothing",
    "write": "changes it",
    "create": "makes a new one",
    "delete": "takes it away",
    "call": "asks it something, such as a model",
    "connect": "has the network itself, in its own process",
    "send": "lets something leave the house",
    "comment": "says something about it and changes nothing else",
    "merge": "puts a change into it",
    "deploy": "puts something into use there",
    "publish": "makes it public",
    "delegate": "hands work on to it",
}
KINDS: Final = {
    "agent": "an agent",
    "deploy": "a place that something is deployed to",
    "feed": "a source of data",
    "file": "a file or folder of the worker's machine",
    "mail": "an address that mail goes to",
    "model": "a model alias",
    "network": "a host, with its port where that isn't the scheme's own",
    "pipeline": "a pipeline",
    "repo": "a repository or a branch of it",
    "table": "a table of a database",
    "ticket": "a ticket or issue",
    "tool": "a tool",
}
VERB: Final = re.compile(r"[a-z][a-z-]{0,62}")
KIND: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The verbs and kinds that somebody may use."""

    verbs: frozenset[str]
    kinds: frozenset[str]

    def and_also(self, verbs: Collection[str], kinds: Collection[str]) -> Vocabulary:
        """With a team's own."""
        return Vocabulary(self.verbs.union(verbs), self.kinds.union(kinds)) if verbs or kinds else self

    def problem_of(self, verb: str, resource: str, *, prefix: bool = False) -> str | None:
        """What is unknown about a verb on a resource, with the nearest known word. `prefix`: the resource is what stands before a `*`."""
        if verb not in self.verbs:
            return f"there is no verb {verb!r:.80}; {_nearest(verb, self.verbs, 'verbs')}"
        kind, colon, name = resource.partition(":")
        if colon and kind not in self.kinds:
            return f"there is no kind of resource {kind!r:.80}; {_nearest(kind, self.kinds, 'resources')}"
        if colon and not name and not prefix:
            return f"{resource!r} names nothing behind its kind; write {kind}:NAME, or {kind}:* in a permission for all of them"
        if colon:
            return None
        if prefix and any(known.startswith(kind) for known in self.kinds):
            return None
        return f"{resource!r:.80} doesn't begin with a kind of resource; write kind:name, such as feed:metrics; {_known(self.kinds, 'resources')}"


def _nearest(word: str, known: Collection[str], key: str) -> str:
    near = get_close_matches(word, sorted(known), n=1)
    return f"did you mean {near[0]!r}?" if near else _known(known, key)


def _known(known: Collection[str], key: str) -> str:
    return f"known are: {', '.join(sorted(known))}; the team's document may add others (`{key}: [...]`)"


BUILT_IN: Final = Vocabulary(frozenset(VERBS), frozenset(KINDS))
