"""Hostile text, made safe to look at."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Ünïcode, 日本, 😀", "plain, Ünïcode, 日本, 😀"),
        ("a\nb\tc\r\x00\x7f", "a␊b␉c␍␀␡"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b1mbold", "bold"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("\x1b(Bcharset\x1bc", "charset"),
        ("lonely \x1b", "lonely ␛"),
        ("refund \u202e0001\u202c", "refund <U+202E>0001<U+202C>"),
        ("zero\u200bwidth\ufeff\u2060", "zero<U+200B>width<U+FEFF><U+2060>"),
        ("blank\u3164\u2800", "blank<U+3164><U+2800>"),
        ("tag\U000e0041", "tag<U+E0041>"),
        ("half \ud800", "half <U+D800>"),
        ("line\u2028two", "line<U+2028>two"),
        ("no\u00a0break", "no break"),
        (None, "None"),
        (17, "17"),
    ],
    ids=repr,
)
def test_what_would_hide_is_shown(text: object, shown: str) -> None:
    assert visible(text) == shown


def test_a_long_text_is_cut_and_says_so() -> None:
    assert visible("x" * 10, 10) == "x" * 10
    assert visible("x" * 11, 10) == "x" * 9 + "…"
    assert len(visible("\u202e" * 10_000_000, 50)) == 50


def test_a_long_text_that_shrinks_still_says_that_it_was_cut() -> None:
    assert visible("\x1b[31m" * 1_000 + "end", 20).endswith("…")


@given(st.text(), st.integers(1, 60))
def test_what_is_shown_is_printable_on_one_line_and_short(text: str, limit: int) -> None:
    shown = visible(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    assert not {unicodedata.bidirectional(character) for character in shown} & {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
