"""Agents that ask a model, through the real engine and the real SDK, against a server on this machine."""

from pathlib import Path

import pytest

from agents.prices import Tokens
from tests import messages_server as server
from tests import models

pytestmark = pytest.mark.django_db(transaction=True)

GOOD = {"words": "it will rain"}


@pytest.fixture(autouse=True)
def price(transactional_db: None) -> None:
    models.priced()


@pytest.mark.parametrize("stream", [False, True])
def test_a_models_answer_is_the_steps_result_and_is_charged_as_reported(tmp_path: Path, stream: bool) -> None:
    with server.serving(server.replies(GOOD)) as there:
        models.publish(tmp_path, models.alias(endpoint=there.url), models.agent(stream=stream))
        said = models.run()
    assert (said["label"], said["result"]) == ("verified", GOOD)
    (charge,) = models.charges(said)
    assert (charge.provider, charge.model, charge.price_version, charge.estimated) == ("anthropic", "some-model", "anthropic/some-model 1", False)
    used = Tokens(charge.input_tokens, charge.cache_read_tokens, charge.cache_write_tokens, charge.output_tokens)
    assert used == Tokens(1_000, 40, 8, 200)
    assert charge.amount_nano == models.PRICE.cost_nano(used) == 6_042_000
    assert said["cost_nano"] == str(charge.amount_nano)
