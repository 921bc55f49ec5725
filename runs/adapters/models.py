"""The model providers of one engine process, and how a request becomes a question. A value in, a value out; knows no run.

Called by the boundary only.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from agents.prices import Price, Used
from audit import canonical
from runs.adapters.asking import Answered, Provider, Question, Unanswered, said
from runs.adapters.providers.anthropic import Anthropic
from runs.adapters.providers.scripted import Scripted

__all__ = ["Answered", "Models", "Unanswered", "bound", "located", "named", "question", "stored_replies", "used"]

log = logging.getLogger(__name__)

STORED: Final = "artifact:"
NAMED_PROBLEMS: Final = 20
REPEATED: Final = 64 * 1024
"""So much of a reply is shown to the model again."""


class Models:
    """Each provider once: it keeps its connections."""

    def __init__(self) -> None:
        self._providers: dict[str, Provider] = {"anthropic": Anthropic(), "scripted": Scripted()}

    async def get_ready(self, providers: Iterable[str]) -> dict[str, str]:
        """Load what takes long before a call's time runs. Says which of them can't be used here, and why."""
        unready = {}
        for provider in providers:
            try:
                await self._providers[provider].get_ready()
            except KeyError:
                unready[provider] = "this version does not know it"
            except Exception as error:  # whatever is wrong with an SDK concerns only the runs that need it
                log.warning("the model provider %s can't be used", provider, exc_info=error)
                unready[provider] = f"it could not be loaded ({type(error).__name__}: {said(error)})"
        return unready

    async def ask(self, provider: str, asked: Question) -> Answered | Unanswered:
        return await self._providers[provider].ask(asked)

    async def close(self) -> None:
        for provider in self._providers.values():
            await provider.close()


def question(spec: Mapping[str, Any], alias: Mapping[str, Any], arguments: Mapping[str, Any], repair: Mapping[str, Any] | None) -> Question:
    """What an agent of this spec asks: its input as one JSON text and, for a repair, the reply before and what is wrong with it."""
    run = spec["run"]["model"]
    turns = [("user", canonical.canonical_bytes(dict(arguments)).decode())]
    if repair is not None:
        turns += [("assistant", repair["reply"].strip()[:REPEATED] or "(nothing)"), ("user", _again(repair["violations"]))]
    return Question(
        model=alias["model"],
        endpoint=alias["endpoint"],
        secret_ref=alias["secret_ref"],
        instructions=spec["instructions"],
        turns=tuple(turns),
        schema=spec["output"],
        max_tokens=run["max_tokens"],
        stream=run["stream"],
    )


def bound(spec: Mapping[str, Any], alias: Mapping[str, Any], arguments: Mapping[str, Any], repair: Mapping[str, Any] | None) -> tuple[int, int]:
    """The most tokens that can go in, and what the call can cost at most; 0 where no price is known (and then it is refused)."""
    most = question(spec, alias, arguments, repair).most_tokens()
    if alias["price"] is None:
        return most, 0
    return most, Price.from_record(alias["price"]).bound_nano(most, spec["run"]["model"]["max_tokens"])


def used(answer: Answered | Unanswered, alias: Mapping[str, Any], bound_nano: int) -> Used:
    """What the call has cost. Unknown is not zero: where nobody says what was used, it is the bound."""
    if isinstance(answer, Unanswered) and answer.free:
        return Used(0)
    if answer.tokens is None:
        return Used(bound_nano, estimated=True)
    price = Price.from_record(alias["price"])
    return Used(price.cost_nano(answer.tokens), answer.tokens, estimated=isinstance(answer, Unanswered))


def named(alias: Mapping[str, Any]) -> str:
    """What an alias stands for, in messages."""
    return f"{alias['provider']}/{alias['model']}"


def _again(violations: list[str]) -> str:
    wrong = "\n".join(f"- {violation}" for violation in violations[:NAMED_PROBLEMS])
    return f"This answer does not satisfy the schema:\n{wrong}\nGive the whole answer again, corrected."


def stored_replies(alias: Mapping[str, Any]) -> set[str]:
    """The artifact that recorded replies lie in; none for an address."""
    endpoint = alias["endpoint"]
    return {endpoint.removeprefix(STORED).partition("/")[0]} if endpoint.startswith(STORED) else set()


def located(alias: Mapping[str, Any], folders: Mapping[str, Path]) -> str:
    """The endpoint as its provider takes it: what is stored as a path."""
    for digest in stored_replies(alias):
        return str(folders[digest] / alias["endpoint"].partition("/")[2])
    return str(alias["endpoint"])
