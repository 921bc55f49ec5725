"""Reads schemas from type hints and compiles expressions, in a child that imports the team's code for us.

Must not import a team's code itself.
Called by the registry when a folder is applied.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.children import frames
from agents.children.process import Ended, Process, start
from agents.children.values import Described, DescribedFunction

_MEMORY_BYTES = 2048 * frames.MIB
_FIELDS = ("input", "output", "input_problem", "output_problem", "file", "file_digest", "line", "defined_as")

_Item = dict[str, str]
_Finding = dict[str, Any]


async def describe(
    folder: Path, functions: Sequence[str], expressions: Sequence[str] = (), *, timeout_s: float = 60.0, hidden: Sequence[Path] = ()
) -> Described:
    """Never raises for what a team's code does: a module that hangs, exits or crashes is a problem of its function.

    An item that takes the child down is named, and a fresh child goes on with the next. `timeout_s` is for all.
    `hidden` as for a pool.
    """
    items: list[_Item] = [{"function": name} for name in dict.fromkeys(functions)]
    items += [{"expression": source} for source in dict.fromkeys(expressions)]
    findings: list[_Finding] = []
    path = _true_path(folder)
    until = asyncio.get_running_loop().time() + timeout_s
    while len(findings) < len(items):
        why = await _go_on(path, items, findings, until, hidden)
        if len(findings) < len(items):
            findings.append({"problems": [f"{_name(items[len(findings)])}: {why}"], "problem": why})
    pairs = list(zip(items, findings, strict=True))
    return Described(
        functions={item["function"]: _function(item["function"], found) for item, found in pairs if "function" in item},
        expressions={item["expression"]: found.get("problem") for item, found in pairs if "expression" in item},
    )


async def _go_on(folder: str, items: list[_Item], findings: list[_Finding], until: float, hidden: Sequence[Path]) -> str:
    """Describes what is not yet described, in one child. Returns why it stopped short, if it did."""
    if asyncio.get_running_loop().time() >= until:
        return "there was no time left to look at it"
    process: Process | None = None
    try:
        async with asyncio.timeout_at(until):
            process = await start(memory_bytes=_MEMORY_BYTES, network=False, hidden=hidden)
            await process.send({"describe": {"folder": folder, "items": items[len(findings) :]}})
            while len(findings) < len(items):
                frame = await process.receive()
                if "described" in frame:
                    findings.append(_checked(frame.get("result")))
    except TimeoutError:
        return "importing it did not end in time"
    except Ended as ended:
        return f"looking at it ended the process ({ended})"
    except frames.BadFrame as error:
        return f"its module writes into the channel to its worker: {error}"
    finally:
        if process is not None:
            await process.end()
    return ""


def _true_path(folder: Path) -> str:
    return str(folder.resolve())  # the child tells the team's files from others by it


def _checked(result: Any) -> _Finding:
    if not isinstance(result, dict):
        raise frames.BadFrame("a description without its parts")
    return result


def _function(name: str, found: _Finding) -> DescribedFunction:
    return DescribedFunction(name=name, problems=tuple(found.get("problems", ())), **{field: found.get(field) for field in _FIELDS})


def _name(item: _Item) -> str:
    return item.get("function") or "the expression"
