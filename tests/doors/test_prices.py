"""The command prices: what a person reads, and what is refused."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from agents import registry
from agents.models import Price
from audit.management.typed import manage
from tests import models, pipelines

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("prices", *arguments, stdout=out)
    return out.getvalue().splitlines()


def refused(*arguments: str) -> str:
    with pytest.raises(CommandError) as error:
        call_command("prices", *arguments, stdout=StringIO(), stderr=StringIO())
    assert error.value.returncode == 2
    assert not Price.objects.exists()
    return str(error.value)


def test_without_prices_it_says_where_they_come_from() -> None:
    assert run() == [f"no prices yet: an alias gets its model's when it is applied, `{manage()} prices set` says one by hand"]


def test_a_price_that_is_set_is_listed() -> None:
    figures = "input 3.00 USD, cache read 0.30 USD, cache write 3.00 USD, output 15.00 USD per million tokens, up to 200,000 tokens in"
    lines = run("set", "anthropic", "mine", "--input", "3", "--output", "15", "--cache-read", "0.3", "--input-limit", "200000")
    assert lines[0] == f"anthropic/mine: priced (version 1: {figures})"
    assert "--publish again" in lines[1]
    assert run("set", "anthropic", "mine", "--input", "3.00", "--output", "15", "--cache-read", "0.3", "--input-limit", "200000") == [
        f"anthropic/mine: unchanged (version 1: {figures})"
    ]
    assert run() == [f"anthropic/mine: version 1, {figures} (set by hand)"]


def test_updating_says_what_became_of_each(tmp_path: Path) -> None:
    tmp_path.joinpath("models.yaml").write_text(
        "\n---\n".join(["kind: team\nname: platform", models.alias(model="claude-haiku-4-5"), models.alias(name="other", model="unheard-of")])
    )
    registry.apply_folder(tmp_path, actor=pipelines.SYSTEM)
    first, second = run("update")
    assert first.startswith("anthropic/claude-haiku-4-5: unchanged (version 1: input 1.00 USD, ")
    assert second == f"anthropic/unheard-of: no price is known; `{manage()} prices set` says one"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--input", "three", "--output", "15"), "--input is 'three'; write dollars per million tokens, such as 3 or 0.25"),
        (("--input", "-3", "--output", "15"), "--input is '-3'"),
        (("--input", "3", "--output", "0.0000000001"), "--output is"),
        (("--input", "3", "--output", "15", "--cache-write", "1e3"), "--cache-write is '1e3'"),
        (("--input", "3", "--output", "9999999"), "between 0 and 1,000,000 USD"),
        (("--input", "3", "--output", "15", "--input-limit", "0"), "--input-limit is 0"),
    ],
)
def test_an_odd_figure_is_refused(arguments: tuple[str, ...], words: str) -> None:
    joined = [f"{name}={value}" for name, value in zip(arguments[::2], arguments[1::2], strict=True)]
    assert words in refused("set", "anthropic", "mine", *joined)
