"""`new pipeline`: what it writes works as it is."""

import ast
import re
import runpy
from pathlib import Path

import pytest

import orchestra
from agents import registry
from agents.registry.scaffolding import NameInvalid
from audit.actors import Actor
from audit.errors import Conflict
from tests.documents import ROOT


def test_the_scaffold_publishes_as_it_is(tmp_path: Path, db: None) -> None:
    registry.new_pipeline("monthly-report", folder=tmp_path / "monthly-report")
    applied = registry.apply_folder(tmp_path / "monthly-report", actor=Actor.system("test"), publish=True)
    assert [release.pipeline for release in applied.releases] == ["monthly-report"]
    assert applied.releases[0].agents == {"monthly-report-adder": 1, "monthly-report-auditor": 1, "monthly-report-reader": 1}


def test_two_scaffolds_live_side_by_side(tmp_path: Path, db: None) -> None:
    for name in ("one", "two"):
        registry.new_pipeline(name, folder=tmp_path / name)
        registry.apply_folder(tmp_path / name, actor=Actor.system("test"), publish=True)
    assert registry.apply_folder(tmp_path / "one", actor=Actor.system("test"), publish=True).unchanged


def test_the_auditor_shares_no_module_with_the_performers(tmp_path: Path) -> None:
    registry.new_pipeline("one", folder=tmp_path / "one")
    modules = {path.stem for path in (tmp_path / "one").glob("*.py")}
    for path in (tmp_path / "one").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not imported & modules


def test_the_scaffolds_functions_agree_on_its_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.new_pipeline("one", folder=tmp_path / "one")
    monkeypatch.syspath_prepend(str(tmp_path / "one"))
    import adding  # type: ignore[import-not-found]
    import auditing  # type: ignore[import-not-found]
    import reading  # type: ignore[import-not-found]

    sample = str(tmp_path / "one" / "orders.csv")
    totals = adding.add_up(reading.read(sample)["orders"])
    assert auditing.audit(sample, totals).checks[0].verdict == "pass"
    wrong = auditing.audit(sample, {**totals, "total_cents": 1}).checks[0]
    assert wrong.verdict == "fail"
    assert "claimed 1" in wrong.why


def test_the_scaffolds_reader_quotes_nothing_of_a_file_that_is_no_order_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.new_pipeline("one", folder=tmp_path / "one")
    (tmp_path / "secrets").write_text("root:hunter2:1\n")
    reader = runpy.run_path(str(tmp_path / "one" / "reading.py"))
    with pytest.raises(orchestra.Malformed, match="expected the columns item,quantity,price_cents, found 1 with other names") as refused:
        reader["read"](str(tmp_path / "secrets"))
    assert "hunter2" not in refused.value.message


@pytest.mark.parametrize("path", ["agents/registry/scaffold/pipeline.yaml.txt", "examples/ops-digest/pipeline.yaml"])
def test_files_that_allow_every_path_say_so_and_how_to_narrow_it(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(r"# (file|feed):\* allows any path", text)
    assert re.search(r"allow read (file|feed):data/\*", text)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("My_Report", "try my-report"), ("../evil", "try evil"), ("9lives", "at most"), ("", "lower-case"), ("x" * 56, "try xxx"), ("a\nb", "try a-b")],
)
def test_a_name_that_will_not_do_is_explained(name: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(NameInvalid) as refused:
        registry.new_pipeline(name, folder=tmp_path / "one")
    assert hint in refused.value.message
    assert not (tmp_path / "one").exists()


def test_a_team_name_follows_the_same_rules(tmp_path: Path) -> None:
    with pytest.raises(NameInvalid):
        registry.new_pipeline("one", folder=tmp_path / "one", team="My Team")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for taken in ("one", "file", "link"):
        with pytest.raises(Conflict):
            registry.new_pipeline("one", folder=tmp_path / taken)
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["mine.txt"]
