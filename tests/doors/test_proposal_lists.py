"""What the doors show of proposals where it is much."""

from pathlib import Path

import pytest

from agents import registry
from audit.actors import Actor
from orchestra_site.tokens import create_token
from tests.pipelines import SYSTEM
from tests.proposing import asked, folder, ruled
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Actor:
    monkeypatch.setenv("COLUMNS", "200")
    by = ruled(tmp_path / "first")
    monkeypatch.setenv("ORCHESTRA_TOKEN", create_token("bob", actor=SYSTEM).text)
    return by


def test_the_command_shows_what_governs_first_and_whole_and_cuts_only_contracts(alice: Actor, tmp_path: Path) -> None:
    made = folder(tmp_path / "wide", tier="high")
    file = made / "pipeline.yaml"
    many = ", ".join(f"p{number}: {{description: x}}" for number in range(400))
    rules = ", ".join(f'"allow write deploy:{"x" * 100}{number}"' for number in range(200))
    text = file.read_text(encoding="utf-8").replace("name: worker\n", f"name: worker\npermissions: [{rules}]\n", 1)
    file.write_text(text.replace("input: {type: object}", f"input: {{type: object, properties: {{{many}}}}}", 1), encoding="utf-8")
    registry.apply_folder(made, actor=alice)
    shown = typed("proposals", asked(lambda: registry.publish("worker", actor=alice)).pk).out
    assert all(f"deploy:{'x' * 100}{number}" in shown.replace("\n", "") for number in (0, 199))
    assert shown.index("  permissions") < shown.index("  risk_tier") < shown.index("  input.")
    assert "100 more fields of input and output: --json has all of them" in shown
