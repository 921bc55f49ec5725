"""Small pipelines with a model in them, for tests: an alias, an agent that asks it, and what was charged."""

import textwrap
from pathlib import Path
from typing import Any

from agents import registry
from agents.prices import Price
from audit.models import Charge
from tests import pipelines

PRICE = Price("anthropic", "some-model", 0, input=3_000_000_000, cache_read=300_000_000, cache_write=3_750_000_000, output=15_000_000_000)
WORDS = "{type: object, required: [words], properties: {words: {type: string, minLength: 3}}, additionalProperties: false}"


def alias(*, endpoint: str = "", provider: str = "anthropic", model: str = "some-model", secret: str = "", name: str = "reasoning") -> str:
    lines = [f"kind: model\nname: {name}\nteam: platform\nprovider: {provider}\nmodel: {model}"]
    lines += [f"endpoint: {endpoint}"] if endpoint else []
    lines += [f"secret: {secret}"] if secret else []
    return "\n".join(lines)


def agent(name: str = "writer", *, stream: bool = False, max_tokens: int = 500, timeout: str = "60s", more: str = "", **changes: str) -> str:
    said = {
        "role": "decide",
        "alias": "reasoning",
        "instructions": "say.md",
        "output": WORDS,
        "permissions": '["allow call model:reasoning"]',
        **changes,
    }
    run = f"{{model: {{alias: {said['alias']}, instructions: {said['instructions']}, max_tokens: {max_tokens}, stream: {str(stream).lower()}}}}}"
    lines = f"kind: agent\nname: {name}\nteam: platform\nrole: {said['role']}\npurpose: Test.\nrun: {run}\ntimeout: {timeout}"
    lines += f"\ninput: {pipelines.ANY}\noutput: {said['output']}\npermissions: {said['permissions']}"
    return lines + ("\n" + textwrap.dedent(more).strip() if more else "")


def publish(
    path: Path,
    *documents: str,
    steps: str = "- {id: only, agent: writer, with: {about: =input.about}}",
    files: dict[str, str] | None = None,
    **parts: Any,
) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in {"say.md": "Say something\n  about it.\n", **(files or {})}.items():
        (path / name).write_text(text, encoding="utf-8")
    pipelines.publish(path, steps=steps, agents=list(documents), functions=parts.pop("functions", ""), **parts)


def priced(price: Price = PRICE) -> None:
    registry.set_price(price, actor=pipelines.SYSTEM)


def run(**options: Any) -> dict[str, Any]:
    return pipelines.run(input=options.pop("input", {"about": "rain"}), **options)


def charges(said: dict[str, Any]) -> list[Charge]:
    return list(Charge.objects.filter(run=pipelines.id_of(said)).order_by("at"))
