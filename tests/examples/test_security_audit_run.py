"""The security audit as whole runs: verified, degraded, rejected or failed, each for its reason; and what it leaves on the disk."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents import registry
from audit.models import Opening
from tests import pipelines, trees

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

BROKEN = {
    "code": ("scan_code.py", "import sys\nsys.exit('bandit is not at home')\n", "agent:code-scanner"),
    "secrets": ("leaks.py", "def find(root: str, paths: list[str]) -> dict:\n    raise RuntimeError('no detectors')\n", "agent:secret-scanner"),
    "licences": ("licences.py", "import os\ndef licences(root: str, paths: list[str]) -> dict:\n    os._exit(3)\n", "agent:licence-reader"),
}
Audit = Callable[..., dict[str, Any]]


@pytest.fixture
def folder(security_audit: Path, tmp_path: Path) -> Path:
    """The example, to be spoilt."""
    return Path(shutil.copytree(security_audit, tmp_path / "security-audit"))


@pytest.fixture
def audit(folder: Path, tmp_path: Path) -> Audit:
    def run(path: Path, **options: Any) -> dict[str, Any]:
        registry.apply_folder(folder, actor=pipelines.SYSTEM, publish=True)
        given = {"path": str(path), "report": str(tmp_path / "report.md"), **options}
        return pipelines.run("security-audit", input=given)

    return run


def report(said: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(said["result"]["json"]).read_bytes())
    return document


def failed_checks(said: dict[str, Any]) -> set[str]:
    return {check["criterion"] for check in said["verdict"]["checks"] if check["verdict"] == "fail"}


def test_a_weak_tree_is_audited_ranked_reported_and_verified(audit: Audit, weak_tree: Path) -> None:
    said = audit(weak_tree)
    assert (said["outcome"], said["exit_status"]) == ("verified", 0), said["failure"] or said["verdict"]
    found = [(one["severity"], one["kind"], f"{one['path']}:{one['line']}", one["rules"]) for one in report(said)["findings"]]
    assert found == [
        ("high", "secret", "app/settings.yaml:1", ["AWS Access Key"]),
        ("high", "code", "app/main.py:5", ["B602"]),
        ("medium", "secret", "app/main.py:8", ["B105", "Secret Keyword"]),
        ("medium", "secret", "tests/test_main.py:3", ["AWS Access Key", "B105"]),
        ("medium", "licence", "requirements.txt:3", ["unknown: no-such-distribution"]),
    ]
    page = Path(said["result"]["report"]).read_text()
    assert page.count("\n- **") == 5
    assert "| low | code | B101 | 1 |" in page


def test_no_secret_is_repeated_in_clear_anywhere(audit: Audit, weak_tree: Path) -> None:
    said = audit(weak_tree)
    kept = [json.dumps(said), Path(said["result"]["report"]).read_text(), Path(said["result"]["json"]).read_text()]
    kept += [bytes(value).decode() for value in Opening.objects.values_list("value", flat=True)]
    assert len(kept) > 10
    assert not [text for text in kept if trees.PASSWORD in text or trees.KEY in text]


@pytest.mark.parametrize("name", BROKEN)
def test_without_one_scanner_the_run_is_degraded_and_the_report_says_what_is_missing(audit: Audit, folder: Path, weak_tree: Path, name: str) -> None:
    file, source, owner = BROKEN[name]
    (folder / file).write_text(source)
    said = audit(weak_tree)
    assert (said["outcome"], said["exit_status"]) == ("degraded", 10)
    assert {part["owner"] for part in said["missing"]} == {owner}
    assert report(said)["missing"] == said["result"]["missing"] == [name]
    assert f"because the scanner failed: {name}" in Path(said["result"]["report"]).read_text()


def test_without_two_scanners_the_run_fails(audit: Audit, folder: Path, weak_tree: Path) -> None:
    for name in ("code", "licences"):
        file, source, _ = BROKEN[name]
        (folder / file).write_text(source)
    said = audit(weak_tree)
    assert (said["outcome"], said["exit_status"]) == ("failed", 12)
    assert "2 of 3 parts" in said["failure"]["message"]
    assert {branch["owner"] for branch in said["failure"]["branches"]} == {"agent:code-scanner", "agent:licence-reader"}


@pytest.mark.parametrize(
    ("lie", "criterion"),
    [
        ('    ranked["findings"].pop(0)\n', "nothing-was-dropped"),
        ('    ranked["counts"]["high"] = 0\n', "counts-match"),
        ('    ranked["findings"][0]["line"] += 1\n', "citations-hold"),
        ('    ranked["dependencies"][0]["licence"] = "mine"\n', "licences-match-the-metadata"),
    ],
)
def test_a_writer_that_lies_is_rejected(audit: Audit, folder: Path, weak_tree: Path, lie: str, criterion: str) -> None:
    source = (folder / "reporting.py").read_text()
    start = '    beside = f"{report}.json"\n'
    assert start in source
    (folder / "reporting.py").write_text(source.replace(start, lie + start))
    said = audit(weak_tree)
    assert (said["outcome"], said["exit_status"]) == ("rejected", 11)
    assert criterion in failed_checks(said)


def test_a_report_that_is_not_the_one_claimed_is_rejected(audit: Audit, folder: Path, weak_tree: Path) -> None:
    source = (folder / "reporting.py").read_text()
    (folder / "reporting.py").write_text(source.replace("    _put(report, page)\n", "    _put(report, page + b'- **low** and more')\n"))
    assert failed_checks(audit(weak_tree)) == {"report-is-the-one-claimed"}


def test_the_same_report_may_be_written_again_and_nobody_elses(audit: Audit, weak_tree: Path, tmp_path: Path) -> None:
    first, second = audit(weak_tree), audit(weak_tree)
    assert first["result"] == second["result"]
    assert sorted(path.name for path in tmp_path.glob("report*")) == ["report.md", "report.md.json"]
    for path in (tmp_path / "mine.md", tmp_path / "other.md.json"):
        path.write_text("my own")
        said = audit(weak_tree, report=str(path).removesuffix(".json"))
        assert (said["failure"]["cause"], said["failure"]["owner"]) == ("refused", "agent:report-writer")
        assert "is no report of this pipeline" in said["failure"]["message"]
        assert path.read_text() == "my own"


def test_a_report_is_never_written_through_a_link(audit: Audit, weak_tree: Path, tmp_path: Path) -> None:
    (tmp_path / "report.md").symlink_to(tmp_path / "elsewhere.md")
    assert audit(weak_tree)["failure"]["owner"] == "agent:report-writer"
    assert not (tmp_path / "elsewhere.md").exists()


def test_the_report_does_not_go_into_the_tree_unless_its_folder_is_excluded(audit: Audit, weak_tree: Path) -> None:
    (weak_tree / "out").mkdir()
    said = audit(weak_tree, report=str(weak_tree / "out" / "report.md"))
    assert (said["failure"]["cause"], said["failure"]["owner"]) == ("refused", "agent:tree-surveyor")
    assert audit(weak_tree, report=str(weak_tree / "out" / "report.md"), exclude=["out"])["outcome"] == "verified"


@pytest.mark.parametrize(("name", "said"), [("nothing", "there is no folder"), ("file", "is not a folder")])
def test_a_path_that_is_no_folder_is_the_surveyors_failure(audit: Audit, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "file").write_text("")
    failure = audit(tmp_path / name)["failure"]
    assert (failure["cause"], failure["owner"]) == ("missing", "agent:tree-surveyor")
    assert said in failure["message"]


def test_a_tree_without_files_is_verified_with_nothing_found(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = audit(tmp_path / "empty")
    assert (said["outcome"], said["result"]["listed"]) == ("verified", 0)


def test_a_hostile_tree_is_looked_at_as_far_as_it_can_be_and_the_rest_is_named(audit: Audit, weak_tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text(f'password = "{trees.PASSWORD}"\n')
    hostile(weak_tree, outside)
    said = audit(weak_tree)
    assert said["outcome"] == "verified", said["failure"] or said["verdict"]
    document = report(said)
    gaps = {gap["path"]: gap["why"] for gap in document["gaps"]}
    assert gaps["huge.py"] == "is larger than 1 MiB"
    assert gaps["pipe"] == "is neither a file nor a folder"
    assert "syntax error" in gaps["broken.py"]
    assert any(path.startswith("d/d/") and "folders deep" in why for path, why in gaps.items())
    cited = {one["path"] for one in document["findings"]}
    assert {"latin.txt", "odd%0A%1B[31mname%FF.py", "back`tick*.py"} <= cited
    assert not [path for path in cited if "link" in path]
    assert document["looked_at"]["links, not followed"] == 3
    assert document["looked_at"]["binary files, passed over"] == 1


def hostile(tree: Path, outside: Path) -> None:
    leak = f'password = "{trees.PASSWORD}"\n'.encode()
    deep = tree
    for _ in range(60):
        deep /= "d"
    deep.mkdir(parents=True)
    (deep / "deep.py").write_bytes(leak)
    (tree / "huge.py").write_bytes(b"#" * 1_100_000 + leak)
    (tree / "binary.py").write_bytes(b"\0" + leak)
    (tree / "broken.py").write_bytes(b"def (:\n")
    (tree / "latin.txt").write_bytes(b"password: '\xe9" + trees.PASSWORD.encode() + b"'\n")
    (tree / "back`tick*.py").write_bytes(leak)
    (tree / os.fsdecode(b"odd\n\x1b[31mname\xff.py")).write_bytes(leak)
    (tree / "link.py").symlink_to(outside)
    (tree / "linked").symlink_to(outside.parent, target_is_directory=True)
    (tree / "loop").symlink_to(tree, target_is_directory=True)
    os.mkfifo(tree / "pipe")
