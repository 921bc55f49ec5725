"""Who is accountable, where a file doesn't say it any more: whoever it was stays, and nobody loses that by leaving out a line.

Runs before anything is written, over documents that are still to be. Called by applying.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from agents.models import Agent, Pipeline, Team
from agents.spec import Document

from .preparing import Prepared

_KEY: Final = "accountable"


def keep_accountable(prepared: Prepared) -> list[str]:
    """Fills it in from what is stored, so that no new version comes of it, and says so; an empty text in the file takes it away."""
    parsed = prepared.parsed
    return [*_kept(parsed.teams, Team), *_kept(parsed.agents, Agent), *_kept(parsed.pipelines, Pipeline)]


def _kept(documents: Sequence[Document], model: type[Team] | type[Agent] | type[Pipeline]) -> Iterator[str]:
    silent = {document.name: document for document in documents if document.spec[_KEY] is None}
    stored = model._default_manager.filter(name__in=silent).exclude(accountable="")  # noqa: SLF001 - Django's way to a model's manager
    for name, accountable in stored.order_by("name").values_list("name", _KEY):
        document = silent[name]
        document.spec[_KEY] = accountable
        yield (
            f"{document.file}:{document.line}: {document.kind} '{name}' doesn't say who is accountable, so that stays {accountable!r}; "
            f'`{_KEY}: ""` takes it away'
        )
