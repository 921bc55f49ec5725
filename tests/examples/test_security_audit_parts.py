"""The parts of the security audit by themselves: the walk, the scanners, the ranking, and a verifier that shares nothing with them."""

import ast
import asyncio
import copy
import hashlib
import json
import os
from importlib import metadata
from pathlib import Path
from typing import Any

import leaks
import licences
import pytest
import ranking
import recheck
import recheck_licences
import recheck_tree
import reporting
import scan_code
import survey
import tree
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings
from hypothesis import given
from hypothesis import strategies as st

from agents import contracts, spec
from agents.children.describe import describe
from tests import trees

PERFORMERS = ("survey", "scan_code", "leaks", "licences", "ranking", "reporting")


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


@pytest.fixture
def done(weak_tree: Path, tmp_path: Path) -> dict[str, Any]:
    """What the steps would hand to the verifier."""
    seen = through_json(survey.survey(str(weak_tree), [], str(tmp_path / "report.md")))
    scan = {
        "code": [scan_code.scan(seen["root"], paths) for paths in seen["code"]],
        "secrets": [leaks.find(seen["root"], paths) for paths in seen["text"]],
        "licences": licences.licences(seen["root"], seen["declarations"]),
    }
    scan = through_json(scan)
    claim = reporting.write(seen["report"], ranking.rank(seen, copy.deepcopy(scan), "medium"))
    return through_json({"path": str(weak_tree), "exclude": [], "severity": "medium", "scan": scan, "claim": claim})


def failed(done: dict[str, Any]) -> set[str]:
    return {check.criterion for check in recheck.verify(**done).checks if check.verdict != "pass"}


# --- independence ---------------------------------------------------------------------------------------------------------------------


def reaches(folder: Path, module: str) -> set[str]:
    """Modules of the folder that `module` imports, at whatever distance and place."""
    found: set[str] = set()
    open_ends = [module]
    while open_ends:
        name = open_ends.pop()
        if name in found or not (folder / f"{name}.py").exists():
            continue
        found.add(name)
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
            if isinstance(node, ast.Import):
                open_ends += [alias.name.split(".")[0] for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                open_ends.append(node.module.split(".")[0])
    return found


def test_the_verifier_shares_no_module_with_the_performers(security_audit: Path) -> None:
    performers = set().union(*(reaches(security_audit, name) for name in PERFORMERS))
    verifier = reaches(security_audit, "recheck")
    assert {"tree", "declared", "records"} <= performers
    assert {"recheck", "recheck_tree", "recheck_licences"} == verifier
    assert performers & verifier == set()


def test_the_files_have_no_problem_and_the_verifier_knows_every_judged_criterion(security_audit: Path) -> None:
    parsed = spec.read({file.name: file.read_bytes() for file in sorted(security_audit.glob("*.yaml"))})
    assert parsed.problems == []
    (pipeline,) = parsed.pipelines
    assert {name for name, rule in pipeline.spec["criteria"].items() if "judged" in rule} == set(recheck.JUDGES)
    teams = {document.name: document.spec["team"] for document in parsed.agents}
    assert {name for name, team in teams.items() if team == "assurance"} == {"audit-verifier"}


def test_what_the_functions_return_fits_their_contracts(security_audit: Path, done: dict[str, Any]) -> None:
    names = ["leaks:find", "licences:licences", "reporting:write", "recheck:verify"]
    described = asyncio.run(describe(security_audit, names)).functions
    returned = {"leaks:find": done["scan"]["secrets"][0], "licences:licences": done["scan"]["licences"], "reporting:write": done["claim"]}
    for name, value in returned.items():
        assert described[name].problems == ()
        assert contracts.violations(described[name].output, value) == []
    parsed = spec.read({file.name: file.read_bytes() for file in sorted(security_audit.glob("*.yaml"))})
    scanner = next(document.spec for document in parsed.agents if document.name == "code-scanner")
    assert contracts.violations(scanner["output"], done["scan"]["code"][0]) == []


# --- the tree -------------------------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=40).filter(lambda name: b"\0" not in name))
def test_every_name_can_be_shown_handed_on_and_found_again(name: bytes) -> None:
    text = tree.as_text(name)
    assert text.isprintable()
    assert json.loads(json.dumps(text).encode()) == text
    assert tree.as_bytes(text) == name
    assert recheck_tree.shown(name) == text


@pytest.mark.parametrize("name", [".git", ".venv", "node_modules", "__pycache__", "mine/out", "env"])
def test_some_folders_are_left_out_by_both_sides(weak_tree: Path, name: str) -> None:
    (weak_tree / name).mkdir(parents=True)
    (weak_tree / name / "left.py").write_text("pass")
    if name == "env":
        (weak_tree / name / "pyvenv.cfg").write_text("")
    seen = survey.survey(str(weak_tree), ["mine/out"], "")
    assert {path for portion in seen["text"] for path in portion} == set(trees.WEAK)
    assert recheck_tree.look(str(weak_tree), ["mine/out"]).texts == set(trees.WEAK)


def test_too_many_files_are_refused_not_looked_at_in_part(weak_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "MAX_FILES", 5)
    with pytest.raises(survey.orchestra.Failure, match="more than 5 files"):
        survey.survey(str(weak_tree), [], "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_can_not_be_read_is_a_gap(weak_tree: Path) -> None:
    (weak_tree / "app").chmod(0)
    (weak_tree / "README.md").chmod(0)
    gaps = {gap["path"] for gap in survey.survey(str(weak_tree), [], "")["gaps"]}
    (weak_tree / "app").chmod(0o700)
    assert gaps == {"app", "README.md"}


def test_the_report_says_in_words_which_dependencies_are_the_trees_own(done: dict[str, Any]) -> None:
    page = Path(done["claim"]["report"]).read_text(encoding="utf-8")
    table = page.partition("## Licences that are not permissive")[2]
    assert "| needed by the tree |" in table and "depends on it. The others are only installed" in table
    assert table.count("| yes |") + table.count("| no |") > 0 and not {"True", "False"} & set(table.split())


def test_the_default_place_of_the_report_is_our_own_folder_or_none(weak_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(shared))
    place = Path(survey.survey(str(weak_tree), [], "")["report"])
    assert place == shared / f"security-audit-{os.getuid()}" / "report.md"
    place.parent.symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(survey.orchestra.Failure, match="is somebody else's"):
        survey.survey(str(weak_tree), [], "")


def test_a_scanner_opens_nothing_through_a_link_that_was_put_there_since(weak_tree: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "main.py").write_text(trees.WEAK["app/main.py"])
    (weak_tree / "app").rename(tmp_path / "app")
    (weak_tree / "app").symlink_to(tmp_path / "outside", target_is_directory=True)
    root = tree.as_text(os.fsencode(weak_tree))
    for scanned in (scan_code.scan(root, ["app/main.py"]), leaks.find(root, ["app/main.py"])):
        assert (scanned["paths"], scanned["findings"]) == ([], [])
        assert scanned["gaps"] == [{"path": "app/main.py", "why": "leads out through a link"}]


def test_portions_hold_every_file_once_and_about_as_much_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    files = [survey.Seen(f"f{number}", 10_000 * (number + 1), binary=False) for number in range(30)]
    portions = survey._portions(files)
    sizes = {one.path: one.size for one in files}
    weights = [sum(sizes[path] for path in portion) for portion in portions]
    assert sorted(path for portion in portions for path in portion) == sorted(sizes)
    assert len(portions) == 3
    assert max(weights) - min(weights) <= max(sizes.values())


# --- the scanners ---------------------------------------------------------------------------------------------------------------------

SAMPLES = {
    "a.py": f'password = "{trees.PASSWORD}"\nkey = get_secret(name)\ntoken = "${{VAR}}"\n',
    "b.yaml": f"aws: {trees.KEY}\npassword: {trees.PASSWORD}\nother: |\n  nothing\n",
    "c.ini": f"[a]\npassword = {trees.PASSWORD}\n",
    "d.txt": "postgresql://user:p4ssw0rd-x@db.example.com/x\n'c3VwZXIgbG9uZyBzdHJpbmcgc2hvdWxkIGNhdXNlIGVub3VnaCBlbnRyb3B5'\n",
    "e.env": f"API_KEY={trees.KEY}\n-----BEGIN RSA " + "PRIVATE KEY-----\n",
}


@pytest.mark.parametrize("name", SAMPLES)
def test_our_loop_over_the_detectors_finds_what_the_librarys_own_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).write_text(SAMPLES[name])
    monkeypatch.chdir(tmp_path)
    with default_settings():
        theirs = {(one.line_number, one.type, hashlib.sha256((one.secret_value or "").encode()).hexdigest()) for one in scan_file(name)}
    ours = {(one["line"], one["kind"], one["hash"]) for one in leaks.find(str(tmp_path.resolve()), [name])["findings"]}
    assert theirs
    assert ours == theirs


def test_lines_that_would_take_too_long_are_not_searched_and_named(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("password = '" + "x" * 20_000 + "'\n" + SAMPLES["a.py"])
    scanned = leaks.find(str(tmp_path.resolve()), ["long.txt"])
    assert [one["line"] for one in scanned["findings"]] == [2]
    assert "which are not searched" in scanned["gaps"][0]["why"]


def test_of_a_file_full_of_findings_the_first_are_kept_and_the_rest_is_counted(tmp_path: Path) -> None:
    (tmp_path / "many.py").write_text("".join(f'password = "{trees.PASSWORD}{number}"\n' for number in range(600)))
    root = str(tmp_path.resolve())
    for scanned in (scan_code.scan(root, ["many.py"]), leaks.find(root, ["many.py"])):
        assert len(scanned["findings"]) == 500
        assert "600" in scanned["gaps"][0]["why"]


def test_the_words_of_bandit_about_a_password_do_not_repeat_it(weak_tree: Path) -> None:
    found = scan_code.scan(str(weak_tree.resolve()), ["app/main.py"])["findings"]
    assert {one["rule"] for one in found} >= {"B105", "B602"}  # although the line says nosec
    assert trees.PASSWORD not in json.dumps(found)


# --- licences -------------------------------------------------------------------------------------------------------------------------

LICENCES = {
    "MIT": "permissive",
    "BSD-3-Clause AND MIT": "permissive",
    "Apache Software License": "permissive",
    "MIT OR GPL-3.0-only": "permissive",
    "MIT AND GPL-3.0-only": "copyleft",
    "LGPL-3.0-only": "weak copyleft",
    "Mozilla Public License 2.0 (MPL 2.0)": "weak copyleft",
    "GNU Lesser General Public License v3 (LGPLv3)": "weak copyleft",
    "GNU Affero General Public License v3": "copyleft",
    "GPL-2.0-or-later WITH Classpath-exception-2.0": "copyleft",
    "Artistic License; GNU General Public License (GPL)": "copyleft",
    "unknown": "unknown",
    "Proprietary": "unknown",
    "Commitment": "unknown",
}


@pytest.mark.parametrize(("licence", "grade"), LICENCES.items())
def test_a_licence_has_its_grade_on_both_sides(licence: str, grade: str) -> None:
    assert (licences.grade(licence), recheck_licences.grade_of(licence)) == (grade, grade)


def test_both_sides_read_the_same_of_everything_that_is_installed() -> None:
    theirs = {name: (one.version, licences.licence_of(one)) for name, one in licences._installed().items()}
    assert len(theirs) > 50
    assert recheck_licences.installed() == theirs
    assert {name: licences.grade(licence) for name, (_, licence) in theirs.items()} == {
        name: recheck_licences.grade_of(licence) for name, (_, licence) in theirs.items()
    }


def test_declarations_are_read_with_their_lines_and_only_those_for_this_system_count(done: dict[str, Any]) -> None:
    found = {one["name"]: one for one in done["scan"]["licences"]["dependencies"]}
    assert [(place["path"], place["line"]) for place in found["django"]["declared"]] == [("requirements.txt", 1)]
    assert [(place["path"], place["line"]) for place in found["psycopg"]["declared"]] == [("pyproject.toml", 3)]
    assert (found["colorama"]["needed"], found["no-such-distribution"]["licence"]) == (False, "unknown")
    assert found["psycopg-binary"]["needed"]  # by psycopg's extra
    assert found["asgiref"]["needed"]  # by Django
    assert not found["pytest"]["needed"]


def test_a_distribution_that_says_nothing_is_unknown(tmp_path: Path) -> None:
    folder = tmp_path / "silent-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: silent\nVersion: 1.0\n")
    assert licences.licence_of(metadata.Distribution.at(folder)) == "unknown"


def test_odd_lines_of_a_requirements_file_are_gaps(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(
        "-r other.txt\n--hash=x\n???\ndjango==5.2.19 \\\n    --hash=sha256:abc\n# c\n\nhttpx @ https://example.com/x\n"
    )
    (tmp_path / "pyproject.toml").write_text("[project\n")
    scanned = licences.licences(str(tmp_path.resolve()), ["requirements.txt", "pyproject.toml"])
    assert {gap["path"] for gap in scanned["gaps"]} == {"requirements.txt", "pyproject.toml"}
    declared = {one["name"]: [place["line"] for place in one["declared"]] for one in scanned["dependencies"] if one["declared"]}
    assert declared == {"django": [4], "httpx": [8]}


# --- ranking --------------------------------------------------------------------------------------------------------------------------


def test_the_order_does_not_depend_on_the_order_of_what_was_found(done: dict[str, Any], weak_tree: Path) -> None:
    seen = survey.survey(str(weak_tree), [], "")
    turned = copy.deepcopy(done["scan"])
    for name in ("code", "secrets"):
        turned[name] = [{**portion, "findings": portion["findings"][::-1]} for portion in turned[name][::-1]]
    assert ranking.rank(seen, turned, "low")["findings"] == ranking.rank(seen, done["scan"], "low")["findings"]


@pytest.mark.parametrize(("path", "grade"), [("app/x.py", "high"), ("tests/x.py", "medium"), ("app/test_x.py", "medium"), ("docs/a/x.md", "medium")])
def test_tests_and_documents_count_one_grade_less(path: str, grade: str) -> None:
    assert ranking.lowered("high", path) == grade
    assert recheck._eased("high", path) == grade


@pytest.mark.parametrize("severity", ["high", "medium", "low"])
def test_what_is_not_listed_is_counted(done: dict[str, Any], weak_tree: Path, severity: str) -> None:
    ranked = ranking.rank(survey.survey(str(weak_tree), [], ""), done["scan"], severity)
    listed = sum(len(one["rules"]) for one in ranked["findings"]) + sum(one["count"] for one in ranked["below"])
    everything = sum(len(one["rules"]) for one in ranking.rank(survey.survey(str(weak_tree), [], ""), done["scan"], "low")["findings"])
    assert listed == everything
    assert {one["severity"] for one in ranked["findings"]} <= set(ranking.SEVERITIES[: ranking.SEVERITIES.index(severity) + 1])


# --- the verifier ---------------------------------------------------------------------------------------------------------------------


def rewritten(done: dict[str, Any], change: Any) -> dict[str, Any]:
    """The report changed on the disk, and the claim with it: a consistent liar."""
    place = Path(done["claim"]["json"])
    document = json.loads(place.read_bytes())
    change(document)
    data = json.dumps(document).encode()
    place.write_bytes(data)
    claim = {**done["claim"], "json_digest": hashlib.sha256(data).hexdigest(), "counts": document["counts"], "listed": len(document["findings"])}
    return {**done, "claim": claim}


def test_an_honest_report_passes_every_criterion_with_what_was_read(done: dict[str, Any]) -> None:
    verdict = recheck.verify(**done)
    assert {check.verdict for check in verdict.checks} == {"pass"}
    assert verdict.summary == "read 5 findings back and opened 4 cited files again"
    assert {"app/main.py", done["claim"]["report"]} <= {source.source for check in verdict.checks for source in check.read}


LIES = {
    "dropped": (lambda report: report["findings"].pop(), "nothing-was-dropped"),
    "invented": (lambda report: report["findings"].append({**report["findings"][-1], "line": 1}), "nothing-was-dropped"),
    "played down": (lambda report: report["findings"][1].update(severity="medium"), "nothing-was-dropped"),
    "another order": (lambda report: report["findings"].reverse(), "nothing-was-dropped"),
    "counted less": (lambda report: report["below"][0].update(count=0), "nothing-was-dropped"),
    "hides a scanner": (lambda report: report.update(missing=["code"]), "nothing-was-dropped"),
    "counts": (lambda report: report["counts"].update(low=0), "counts-match"),
    "another line": (lambda report: report["findings"][1].update(digest="0" * 64), "citations-hold"),
    "another licence": (lambda report: report["dependencies"][0].update(licence="none"), "licences-match-the-metadata"),
    "a dependency less": (lambda report: report["dependencies"].pop(), "licences-match-the-metadata"),
    "says the secret": (lambda report: report["findings"][2].update(what=trees.PASSWORD), "no-secret-is-repeated"),
    "another tree": (lambda report: report.update(root="elsewhere"), "report-is-the-one-claimed"),
}


@pytest.mark.parametrize("name", LIES)
def test_every_single_lie_is_caught(done: dict[str, Any], name: str) -> None:
    change, criterion = LIES[name]
    assert criterion in failed(rewritten(done, change))


def test_a_report_that_is_gone_or_changed_is_not_the_one_claimed(done: dict[str, Any]) -> None:
    page = Path(done["claim"]["report"])
    page.write_text(page.read_text() + "\nand more\n")
    assert failed(done) == {"report-is-the-one-claimed"}
    page.unlink()
    assert "report-is-the-one-claimed" in failed(done)


def test_a_tree_that_changed_since_is_noticed(done: dict[str, Any], weak_tree: Path) -> None:
    (weak_tree / "app" / "main.py").write_text("\n" + trees.WEAK["app/main.py"])
    (weak_tree / "new.py").write_text("pass\n")
    assert {"citations-hold", "the-whole-tree-was-scanned"} <= failed(done)


def test_a_scanner_that_left_a_file_out_is_noticed(done: dict[str, Any]) -> None:
    done["scan"]["secrets"][0]["paths"].remove("README.md")
    assert failed(done) == {"the-whole-tree-was-scanned"}


def test_a_licence_reader_that_forgot_a_declaration_is_noticed(done: dict[str, Any]) -> None:
    kept = [one for one in done["scan"]["licences"]["dependencies"] if one["name"] != "no-such-distribution"]
    done["scan"]["licences"]["dependencies"] = kept

    def forget(report: dict[str, Any]) -> None:
        report["dependencies"] = kept
        report["findings"].pop()
        report["counts"]["medium"] -= 1

    assert "licences-match-the-metadata" in failed(rewritten(done, forget))


def test_a_criterion_that_the_verifier_does_not_know_is_inconclusive(done: dict[str, Any]) -> None:
    (check,) = recheck.verify(**done, criteria=[{"name": "it-is-beautiful"}]).checks
    assert check.verdict == "inconclusive"
