"""The how-tos of waits, approvals, proposals and compensation, typed as they stand: files are written, and what they show must appear."""

import shutil
from pathlib import Path

import pytest

from tests.documents import Block, blocks
from tests.journeys import test_tutorial as tutorial
from tests.journeys.test_tutorial import HOW_TO, clone  # noqa: F401 - a fixture

JQ = pytest.mark.skipif(not shutil.which("jq"), reason="the page needs jq")
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("page", [pytest.param("wait-and-resume", marks=JQ), "undo-an-act", "approve", "propose"])
def test_the_page_is_true(page: str, clone: Path) -> None:  # noqa: F811 - as above
    seen = tutorial.typed(Block(0, "sh", "python manage.py migrate --verbosity 0"), clone)
    for block in blocks(HOW_TO / f"{page}.md"):
        match block.key, block.language:
            case "by hand", _:
                continue
            case "file", _:
                tutorial.written(block, clone)
            case _, "sh":
                seen = tutorial.typed(block, clone)
            case _:
                absent = list(tutorial.missing(block.text, seen))
                assert not absent, f"line {block.line} shows {absent}, which did not appear in:\n{seen}"
