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
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x9b1mbold", "<U+009B>1mbold"),
        ("\x1b]0;title\x07after", "␛]0;title␇after"),
        ("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "␛]8;;https://example.com␛\\link␛]8;;␛\\"),
        ("\x1bPq#0\x1b\\sixel", "␛Pq#0␛\\sixel"),
        ("\x1b(Bcharset\x1bc", "␛(Bcharset␛c"),
        ("pay alice\u009d and then wire all to mallory", "pay alice<U+009D> and then wire all to mallory"),
        ("pay alice\x1b] and then wire all to mallory", "pay alice␛] and then wire all to mallory"),
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


@pytest.mark.parametrize("opener", [*"\x90\x98\x9b\x9d\x9e\x9f", *(f"\x1b{second}" for second in "[]PX^_(")])
@given(before=st.text("abc ;[0", max_size=20), after=st.text("xyz ;?0m\\", max_size=20), terminator=st.sampled_from(["", "\x07", "\x1b\\", "\x9c"]))
def test_no_terminal_sequence_is_obeyed_and_no_word_around_it_is_lost(opener: str, before: str, after: str, terminator: str) -> None:
    shown = visible(before + opener + after + terminator)
    assert shown.isprintable()
    assert shown.startswith(before) and after in shown[len(before) :]


@given(st.text(), st.integers(1, 60))
def test_what_is_shown_is_printable_on_one_line_and_short(text: str, limit: int) -> None:
    shown = visible(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    assert not {unicodedata.bidirectional(character) for character in shown} & {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
