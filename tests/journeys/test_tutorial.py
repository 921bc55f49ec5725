"""docs/tutorial.md is executed as it stands: its files are written, its commands typed, and what it shows must appear.

So is the README's path to one's own first pipeline; the how-tos' functions must at least give contracts.
"""

import asyncio
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import orchestra
from agents import children
from tests import pipelines
from tests.documents import ROOT, Block, blocks

PAGE = ROOT / "docs" / "tutorial.md"
HOW_TO = ROOT / "docs" / "how-to"
_PASSING = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{4,22}"), "ID"),
    (re.compile(r"\b[0-9a-f]{11,64}\b"), "DIGEST"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s|min)\b"), "TIME"),
    (re.compile(r"\s+"), " "),
)


def lasting(line: str) -> str:
    """A line without what differs from one run to the next: ids, digests, durations, blanks."""
    for pattern, word in _PASSING:
        line = pattern.sub(word, line)
    return line.strip()


def environment(folder: Path) -> dict[str, str]:
    """A newcomer's: nothing set, the interpreter of .venv first, a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRA_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {"DJANGO_SETTINGS_MODULE": "orchestra_site.settings", "ORCHESTRA_HOME": str(folder / "var"), "PATH": path, "COLUMNS": "200"}
    return {**kept, **ours}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder that looks like the clone from inside: manage.py lies in it."""
    (tmp_path / "manage.py").symlink_to(ROOT / "manage.py")
    return tmp_path


def typed(block: Block, clone: Path) -> str:
    """Type the commands of a block; returns what a person would see."""
    done = subprocess.run(
        ["bash", "-e", "-c", block.text], cwd=clone, env=environment(clone), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    wanted = int(block.value) if block.key == "exit" else 0
    assert done.returncode == wanted, f"line {block.line} of the tutorial ends with {done.returncode}, not {wanted}:\n{done.stdout}"
    return done.stdout


def written(block: Block, clone: Path) -> None:
    path = clone / block.value
    path.parent.mkdir(exist_ok=True)
    path.write_text(block.text, encoding="utf-8")


def edited(block: Block, clone: Path) -> None:
    path = clone / block.value
    old, new = ("".join(f"{line[1:]}\n" for line in block.text.splitlines() if line.startswith(sign)) for sign in "-+")
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"line {block.line} of the tutorial changes a line that isn't there once: {old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def missing(shown: str, seen: str) -> Iterator[str]:
    """Lines that the tutorial shows and that did not appear, in the order shown; a shown line may be a part of a seen one."""
    output = iter([lasting(line) for line in seen.splitlines()])
    for line in filter(None, map(lasting, shown.splitlines())):
        if not any(line in each for each in output):
            yield line
            return


@pytest.mark.slow
def test_the_tutorial_works_as_it_is_written(clone: Path) -> None:
    seen, run = "", 0
    for block in blocks(PAGE):
        match block.key, block.language:
            case "by hand", _:
                continue
            case "file", _:
                written(block, clone)
            case "edit", _:
                edited(block, clone)
            case _, "sh":
                seen, run = typed(block, clone), run + 1
            case _:
                assert not list(missing(block.text, seen)), f"line {block.line} of the tutorial shows what did not appear in:\n{seen}"
    assert run >= 10


@pytest.mark.parametrize(
    ("shown", "seen", "absent"),
    [("a\nb", "a\nb", 0), ("b\na", "a\nb", 1), ("took 0.20 s", "it took 0.31 s · free", 0), ("c", "a\nb", 1)],
)
def test_an_output_that_is_not_as_shown_is_noticed(shown: str, seen: str, absent: int) -> None:
    assert len(list(missing(shown, seen))) == absent


@pytest.mark.slow
def test_the_last_step_of_the_tutorial_minds_no_other_run(clone: Path) -> None:
    """Two runs lie in var/ that are none of its own; what it counts stays."""
    page = list(blocks(PAGE))
    for block in page:
        if block.key == "file":
            written(block, clone)
    migrate, apply, run = (
        "python manage.py migrate --verbosity 0",
        "python manage.py apply -f rain --publish",
        "python manage.py runpipeline rain --input file=",
    )
    typed(Block(0, "sh", "\n".join([migrate, apply, *[f"{run}june.csv"] * 2])), clone)
    start = next(at for at, block in enumerate(page) if "--run" in block.text)
    seen = ""
    for block in page[start:]:
        if block.language == "sh":
            seen = typed(block, clone)
    assert not list(missing(page[-1].text, seen))


@pytest.mark.slow
def test_the_readme_leads_to_a_first_pipeline(clone: Path) -> None:
    path, back = [block for block in blocks(ROOT / "README.md") if "manage.py" in block.text]
    by_hand = ("make demo", ". .venv")
    lines = [line for line in path.text.splitlines() if not line.startswith(by_hand)]
    assert "verified mine version 1" in lasting(typed(Block(path.line, "sh", "\n".join(lines)), clone))
    adding = clone / "mine" / "adding.py"
    adding.write_text(adding.read_text().replace('* order["price_cents"]', "* 7"))
    apply, run = lines[-2:]
    typed(Block(path.line, "sh", apply), clone)
    assert "claimed" in typed(Block(path.line, "sh", run, "exit", "11"), clone)
    typed(back, clone)
    assert "verified mine version 1" in lasting(typed(Block(path.line, "sh", run), clone))


@pytest.mark.parametrize(("page", "function"), [("write-a-function", "work:read"), ("write-a-verifier", "verifier:audit")])
def test_the_functions_of_the_how_tos_give_contracts(page: str, function: str, tmp_path: Path) -> None:
    for block in blocks(ROOT / "docs" / "how-to" / f"{page}.md"):
        if block.key == "file":
            written(block, tmp_path)
    described = asyncio.run(children.describe(tmp_path, [function])).functions[function]
    assert not described.problems
    assert described.input is not None and described.output is not None


def stamped_by_the_tutorial(folder: Path) -> datetime:
    (folder / "june.csv").write_text("2026-06-01,4\n")
    verdict = loaded(folder / "checker.py", wanted(PAGE, "rain/checker.py")).check(str(folder / "june.csv"), {})
    return read_at(verdict)


def stamped_by_the_how_to(folder: Path) -> datetime:
    (folder / "lines.txt").write_text("a\n")
    verdict = loaded(folder / "verifier.py", wanted(HOW_TO / "write-a-verifier.md", "verifier.py")).audit(str(folder / "lines.txt"), {"lines": 1})
    return read_at(verdict)


def stamped_by_our_own(folder: Path) -> datetime:
    return read_at(loaded(folder / "judge.py", pipelines.JUDGE).check({}))


def wanted(page: Path, file: str) -> str:
    return next(block.text for block in blocks(page) if (block.key, block.value) == ("file", file))


def loaded(path: Path, source: str) -> Any:
    path.write_text(source, encoding="utf-8")
    return SimpleNamespace(**runpy.run_path(str(path)))


def read_at(verdict: orchestra.Verdict) -> datetime:
    return verdict.checks[0].read[0].at


@pytest.mark.parametrize("stamped", [stamped_by_the_tutorial, stamped_by_the_how_to, stamped_by_our_own])
def test_a_verifier_says_when_it_really_read_also_where_history_is_judged(
    stamped: Callable[[Path], datetime], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestra, "as_of", lambda: datetime(2014, 2, 28, tzinfo=UTC))
    assert abs(stamped(tmp_path) - datetime.now(UTC)) < timedelta(minutes=1)
