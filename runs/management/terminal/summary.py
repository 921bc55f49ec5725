"""A run's document as a summary for people: how it ended, what was done, what the verifier found, whose failure it is, where to look.

Pure rendering of the one document that --json prints; every text of others is made visible and capped.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from audit.visible import visible
from runs.management.terminal import evidence, steps
from runs.management.terminal.results import result_lines
from runs.management.terminal.words import instant, lasting, money, styled, whose, word_of
from audit import clock

MAX_MESSAGE: Final = 1_000
MAX_INPUT: Final = 300
MAX_DEPTH: Final = 4


def summary(document: Mapping[str, Any]) -> Group:
    sections = (_head(document), *_sections(document))
    return Group(*(part for section in sections for part in (*section, Text(""))))
