"""Model aliases and model agents on their way into versions and releases: what is pinned, what is refused, and who is a copy."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from agents import registry
from agents.errors import NotGranted, NotPublishable
from agents.models import ModelAlias, Price, PriceImmutable, Release, Version
from agents.prices import Price as PriceValue
from agents.prices import Tokens
from agents.registry import pricing
from audit.actors import Actor
from audit.canonical import digest
from audit.errors import Invalid
from audit.models import Entry, Opening
from runs.engine import planner
from tests import models, pipelines

pytestmark = pytest.mark.django_db(transaction=True)


def current() -> Release:
    release = Release.objects.filter(published_at__isnull=False).order_by("-published_at").first()
    assert release is not None
    return release


def problems(refused: pytest.ExceptionInfo[NotPublishable]) -> str:
    return "\n".join(str(problem) for problem in refused.value.details["problems"])


# --- releases ---


def test_a_release_holds_the_alias_and_the_price_it_was_made_with(tmp_path: Path) -> None:
    models.publish(tmp_path, models.alias(model="claude-sonnet-4-0", secret="env:SOME_KEY"), models.agent())
    alias = current().manifest["aliases"]["reasoning"]
    assert (alias["provider"], alias["model"], alias["secret_ref"], alias["endpoint"]) == ("anthropic", "claude-sonnet-4-0", "env:SOME_KEY", "")
    assert alias["price"] == Price.objects.get().value.as_record()
    assert (alias["price"]["input"], alias["price"]["output"], alias["price"]["version"]) == (3_000_000_000, 15_000_000_000, 1)


def test_swapping_the_model_is_a_change_of_the_alias_and_makes_a_new_release(tmp_path: Path) -> None:
    models.publish(tmp_path, models.alias(model="claude-sonnet-4-0"), models.agent())
    before = current()
    models.publish(tmp_path, models.alias(model="claude-sonnet-5"), models.agent())
    after = current()
    assert before.digest != after.digest
    assert after.manifest["aliases"]["reasoning"]["model"] == "claude-sonnet-5"
    assert before.manifest["agents"]["writer"] == after.manifest["agents"]["writer"]  # the agent is the same version
    before.refresh_from_db()
    assert before.manifest["aliases"]["reasoning"]["model"] == "claude-sonnet-4-0"


def test_a_new_price_reaches_a_pipeline_when_it_is_published_again(tmp_path: Path) -> None:
    models.publish(tmp_path, models.alias(model="claude-sonnet-5"), models.agent())
    models.priced(PriceValue("anthropic", "claude-sonnet-5", 0, 1, 1, 1, 1))
    applied = registry.apply_folder(tmp_path, actor=pipelines.SYSTEM)
    assert [release.pipeline for release in applied.pending] == ["sample"]
    assert current().manifest["aliases"]["reasoning"]["price"]["version"] == 1
    registry.apply_folder(tmp_path, actor=pipelines.SYSTEM, publish=True)
    assert current().manifest["aliases"]["reasoning"]["price"]["version"] == 2


def test_a_release_without_models_has_the_digest_that_it_always_had(tmp_path: Path) -> None:
    pipelines.publish(
        tmp_path, functions="def work() -> dict:\n    return {}\n", agents=[pipelines.agent("w", "work:work")], steps="- {id: a, agent: w}"
    )
    manifest = current().manifest
    assert set(manifest) == {"v", "engine_abi", "pipeline", "agents"}
    assert current().digest == digest(manifest)


def test_rolling_an_agent_back_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    models.publish(tmp_path, models.alias(model="claude-sonnet-5"), models.agent())
    models.publish(tmp_path, models.alias(model="claude-sonnet-5"), models.agent(timeout="9s"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "alias.yaml").write_text(models.alias(model="claude-haiku-4-5"))
    registry.apply_folder(other, actor=pipelines.SYSTEM)
    registry.rollback("writer", actor=pipelines.SYSTEM)
    assert current().manifest["agents"]["writer"]["version"] == 1
    assert current().manifest["aliases"]["reasoning"]["model"] == "claude-sonnet-5"


def test_the_text_of_the_instructions_is_part_of_the_version(tmp_path: Path) -> None:
    models.publish(tmp_path, models.alias(), models.agent())
    models.publish(tmp_path, models.alias(), models.agent(), files={"say.md": "Say something else.\n"})
    versions = list(Version.objects.filter(agent__name="writer").order_by("number"))
    assert [version.spec["instructions"] for version in versions] == ["Say something\n  about it.\n", "Say something else.\n"]


def test_a_publication_says_which_model_has_no_price(tmp_path: Path) -> None:
    models.publish(tmp_path, models.alias(model="unheard-of"), models.agent())
    (hint,) = registry.apply_folder(tmp_path, actor=pipelines.SYSTEM, publish=True).hints
    assert "`manage.py prices set anthropic unheard-of --input USD --output USD`" in hint


# --- what is refused ---


@pytest.mark.parametrize(
    ("alias", "agent", "words"),
    [
        (models.alias(), models.agent(alias="reason"), "there is no model alias 'reason'; did you mean 'reasoning'?"),
        (models.alias(), models.agent(instructions="say.txt"), "no file 'say.txt'; did you mean 'say.md'?"),
        (models.alias(), models.agent(instructions="empty.md"), "must be a text in UTF-8 of 1 to 65,536 bytes"),
        (models.alias(), models.agent(role="act"), "let a model decide and a function act"),
        (models.alias(provider="scripted"), models.agent(), "endpoint: replies.json, a file of this folder"),
        (models.alias(provider="scripted", endpoint="other.json"), models.agent(), "the folder has no file 'other.json'"),
        (models.alias(provider="openai"), models.agent(), "must be one of anthropic, scripted"),
        (models.alias(endpoint="http://models.example.com"), models.agent(), "a key does not travel in the clear"),
        (models.alias(endpoint="https://user@models.example.com"), models.agent(), "write https://HOST/PATH"),
        (models.alias(secret="sk-123"), models.agent(), "never the secret itself"),
        (models.alias(secret="file:key"), models.agent(), "file:/ABSOLUTE/PATH"),
    ],
)  # fmt: skip
def test_what_could_never_work_is_refused_with_its_line(tmp_path: Path, alias: str, agent: str, words: str) -> None:
    with pytest.raises(NotPublishable) as refused:
        models.publish(tmp_path, alias, agent, files={"empty.md": " \n"})
    assert words in problems(refused)
    assert "pipeline.yaml:" in problems(refused)


@pytest.mark.parametrize(("provider", "hint"), [("anthropic", "https://HOST/PATH"), ("scripted", "a file of this folder"), ("openai", "one of")])
def test_credentials_in_an_endpoint_are_refused_and_not_repeated(tmp_path: Path, provider: str, hint: str) -> None:
    with pytest.raises(NotPublishable) as refused:
        models.publish(tmp_path, models.alias(provider=provider, endpoint="https://user:pass-word@models.example.com"), models.agent())
    assert hint in problems(refused)
    kept = b"".join(bytes(opening.value) for opening in Opening.objects.all())
    assert "pass-word" not in problems(refused) + str(refused.value) + kept.decode()


def test_contracts_must_be_said(tmp_path: Path) -> None:
    agent = models.agent().replace(f"\ninput: {pipelines.ANY}", "")
    with pytest.raises(NotPublishable) as refused:
        models.publish(tmp_path, models.alias(), agent)
    assert "agent 'writer' has no input contract; write input: in the agent" in problems(refused)


# --- the copy that can't verify (R4) ---


def verified_by_a_model(folder: Path, *, alias: str = "reasoning", more: str = "", judge: str = "say.md", **files: str) -> None:
    checker = models.agent("checker", role="check", alias=alias, instructions=judge, permissions=f'["allow call model:{alias}"]')
    checker = checker.replace(f"\noutput: {models.WORDS}", "")
    documents = [models.alias(), *([more] if more else []), models.agent(), checker]
    models.publish(folder, *documents, files=files, verify="verify: {agent: checker, with: {claim: =result}}")


@pytest.mark.parametrize("layout", ["Say something\n  about it.\n", "Say   something about it."])
def test_the_same_model_with_the_same_words_is_a_copy_however_they_are_laid_out(tmp_path: Path, layout: str) -> None:
    with pytest.raises(NotPublishable) as refused:
        verified_by_a_model(tmp_path, judge="judge.md", **{"judge.md": layout})
    assert "runs the same code as 'writer'" in problems(refused)


def test_a_copy_under_another_alias_is_still_a_copy(tmp_path: Path) -> None:
    with pytest.raises(NotPublishable) as refused:
        verified_by_a_model(tmp_path, alias="other", more=models.alias(name="other"))
    assert "runs the same code as 'writer'" in problems(refused)


@pytest.mark.parametrize(("more", "judge"), [(models.alias(name="other", model="another"), "say.md"), (models.alias(name="other"), "judge.md")])
def test_another_model_or_other_words_are_somebody_else(tmp_path: Path, more: str, judge: str) -> None:
    verified_by_a_model(tmp_path, alias="other", more=more, judge=judge, **{"judge.md": "Judge it."})


def test_a_copy_that_an_alias_has_made_since_is_refused_at_run_time(tmp_path: Path) -> None:
    verified_by_a_model(tmp_path, alias="other", more=models.alias(name="other", model="another"))
    manifest = current().manifest
    manifest["aliases"]["other"]["model"] = "some-model"
    with pytest.raises(planner.PlanError, match="R4"):
        planner.compiled(manifest, digest="0" * 64)


# --- prices ---


def test_what_tokens_cost_is_rounded_up_and_never_a_fraction() -> None:
    price = PriceValue("p", "m", 1, input=3, cache_read=1, cache_write=5, output=7)
    assert price.cost_nano(Tokens(1, 0, 0, 0)) == 1
    assert price.cost_nano(Tokens(1_000_000, 1_000_000, 1_000_000, 1_000_000)) == 16
    assert price.cost_nano(Tokens()) == 0
    assert price.bound_nano(1_000_000, 1_000_000) == 12  # input as the dearest way in


@pytest.mark.parametrize("tokens", [Tokens(700, 0, 0, 50), Tokens(0, 700, 0, 50), Tokens(0, 0, 700, 50), Tokens(300, 200, 200, 0)])
def test_no_way_to_count_costs_more_than_the_bound(tokens: Tokens) -> None:
    assert models.PRICE.cost_nano(tokens) <= models.PRICE.bound_nano(700, 50)


def test_an_alias_of_a_listed_model_just_works_and_its_price_is_an_entry(tmp_path: Path) -> None:
    models.publish(tmp_path, models.alias(model="claude-haiku-4-5"), models.agent())
    price = Price.objects.get()
    assert (price.input_nano, price.cache_read_nano, price.cache_write_nano, price.output_nano) == (10**9, 10**8, 1_250_000_000, 5 * 10**9)
    assert price.source.startswith("genai-prices ")
    entry = Entry.objects.get(verb="agents.price.set")
    assert (entry.subject, entry.envelope()["facts"]["output"]) == ("price:anthropic/claude-haiku-4-5", 5 * 10**9)


def test_a_price_that_depends_on_the_size_holds_up_to_its_first_step(tmp_path: Path) -> None:
    price, _ = pricing.listed_price("anthropic", "claude-sonnet-4-5") or (None, "")
    assert price is not None
    assert (price.input, price.input_limit) == (3 * 10**9, 200_000)


def test_updating_is_idempotent_and_leaves_what_was_set_by_hand(tmp_path: Path) -> None:
    models.publish(tmp_path, models.alias(model="claude-sonnet-5"), models.agent())
    (tmp_path / "more.yaml").write_text(models.alias(name="other", model="unheard-of"))
    registry.apply_folder(tmp_path, actor=pipelines.SYSTEM)
    again = registry.update_prices(actor=pipelines.SYSTEM)
    assert [(each.model, each.action) for each in again] == [("claude-sonnet-5", "unchanged"), ("unheard-of", "unlisted")]
    models.priced(PriceValue("anthropic", "claude-sonnet-5", 0, 1, 2, 3, 4))
    registry.update_prices(actor=pipelines.SYSTEM)
    assert Price.objects.current([("anthropic", "claude-sonnet-5")])["anthropic", "claude-sonnet-5"].output_nano == 4
    assert Entry.objects.filter(verb="agents.price.set").count() == 2


def test_a_newer_list_makes_a_new_version(tmp_path: Path) -> None:
    models.publish(tmp_path, models.alias(model="claude-sonnet-5"), models.agent())
    was = PriceValue("anthropic", "claude-haiku-4-5", 0, 5, 5, 5, 5)
    row = Price(provider=was.provider, model=was.model, version=1, source="genai-prices 0.0.1, older", valid_from=Price.objects.get().valid_from)
    row.input_nano = row.cache_read_nano = row.cache_write_nano = row.output_nano = 5
    row.save()
    done = {each.model: each.action for each in registry.update_prices(actor=pipelines.SYSTEM)}
    assert done == {"claude-haiku-4-5": "changed", "claude-sonnet-5": "unchanged"}
    assert [price.version for price in Price.objects.filter(model="claude-haiku-4-5")] == [2, 1]


def test_the_same_price_set_again_changes_nothing() -> None:
    assert [registry.set_price(models.PRICE, actor=pipelines.SYSTEM).action for _ in range(2)] == ["new", "unchanged"]
    assert Entry.objects.filter(verb="agents.price.set").count() == 1


def test_prices_are_only_ever_added() -> None:
    models.priced()
    price = Price.objects.get()
    for change in (price.save, price.delete, Price.objects.all().delete, lambda: Price.objects.update(input_nano=0)):
        with pytest.raises(PriceImmutable):
            change()


@pytest.mark.parametrize("odd", [{"input": -1}, {"output": 10**16}, {"model": "x" * 200}, {"model": "a\nb"}])
def test_an_odd_price_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        registry.set_price(PriceValue(**(models.PRICE.as_record() | odd)), actor=pipelines.SYSTEM)
    assert not Price.objects.exists()


def test_prices_are_the_installations(db: None) -> None:
    person = Actor(kind="person", id="alice", auth="test", teams=frozenset({"platform"}))
    with pytest.raises(NotGranted):
        registry.set_price(models.PRICE, actor=person)
    with pytest.raises(NotGranted):
        registry.update_prices(actor=person)
    assert [entry.verb for entry in Entry.objects.filter(verb="agents.price.refused")] == ["agents.price.refused"] * 2


def test_only_an_administrator_says_where_a_secret_of_the_installation_is_sent(tmp_path: Path) -> None:
    member = Actor("person", "alice", "test", teams=frozenset({"platform"}))
    root = Actor("person", "root", "test", permissions=frozenset({"change-everything"}))
    models.publish(tmp_path, models.alias(model="claude-sonnet-4-0", secret="env:SOME_KEY"), models.agent())
    assert registry.apply_folder(tmp_path, actor=member).unchanged  # what stands already is nobody's change
    file = next(path for path in tmp_path.glob("*.yaml") if "env:SOME_KEY" in path.read_text())
    file.write_text(file.read_text().replace("secret: env:SOME_KEY", "secret: env:SOME_KEY\nendpoint: https://elsewhere.example"))
    with pytest.raises(NotGranted, match="only an administrator"):
        registry.apply_folder(tmp_path, actor=member)
    assert ModelAlias.objects.get().endpoint == ""
    registry.apply_folder(tmp_path, actor=root)
    assert ModelAlias.objects.get().endpoint == "https://elsewhere.example"


def test_recorded_replies_are_stored_and_cost_nothing(tmp_path: Path) -> None:
    replies = {"replies.json": '{"otherwise": [{"value": {"words": "it will rain"}, "usage": {"input": 7, "output": 5}}]}'}
    models.publish(tmp_path, models.alias(provider="scripted", endpoint="replies.json"), models.agent(), files=replies)
    assert ModelAlias.objects.get().endpoint.startswith("artifact:")
    (tmp_path / "replies.json").unlink()  # what was published is what runs
    said = models.run()
    assert (said["label"], said["result"], said["cost_nano"]) == ("verified", {"words": "it will rain"}, "0")
    (charge,) = models.charges(said)
    assert (charge.provider, charge.input_tokens, charge.output_tokens, charge.amount_nano, charge.estimated) == ("scripted", 7, 5, 0, False)


def test_a_publication_says_what_its_models_are(tmp_path: Path) -> None:
    models.publish(tmp_path, models.alias(model="claude-sonnet-5"), models.agent())
    (tmp_path / "pipeline.yaml").write_text((tmp_path / "pipeline.yaml").read_text().replace("claude-sonnet-5", "claude-haiku-4-5"))
    out = StringIO()
    call_command("apply", "-f", str(tmp_path), "--publish", stdout=out)
    assert "with judge 1, writer 1; reasoning is anthropic/claude-haiku-4-5, version 1 of its price" in out.getvalue()
