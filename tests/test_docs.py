"""The documentation says what the product does: commands parse, links lead somewhere, and its lists are the code's own."""

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import CommandError, CommandParser

from agents.children import processes
from agents.contracts import schemas
from agents.expressions import evaluation, scanning, values
from agents.registry import folders
from agents.spec import nodes, yaml_reader
from agents.validation import checking
from audit import ledger
from orchestra_site import env
from runs.adapters import http
from runs.engine.states import EXIT_STATUS, Cause
from tests import documents, pipelines
from tests.documents import ROOT

PAGES = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in documents.pages()]
REFERENCE = ROOT / "docs" / "reference"
SETTINGS = (ROOT / "orchestra_site" / "settings.py").read_text(encoding="utf-8")

# Folders of a machine, and addresses that only a company's inside knows; example.com and loopback are nobody's.
_MACHINE = re.compile(r"(?<![\w.~$])/(?:home|root|Users|tmp|work|mnt|opt|private)/\w+")
_ADDRESS = re.compile(r"(?:https?|redis|postgresql)://(?:[^\s/@]+@)?([^\s/:`)\"'…]+)")
_NOBODYS = re.compile(r"(?:.*\.)?example\.com|127\.0\.0\.1|localhost|HOST|cel\.dev")


def parser_of(name: str) -> CommandParser:
    """The parser that the command would use, without the checks of its values."""
    command = load_command_class(get_commands()[name], name)
    return command.create_parser("manage.py", name)


def understood(rest: str) -> None:
    """Parse a command line as the command itself would; its shell's tail (| head, > file) is left out, a name alone is a mention."""
    words = shlex.split(re.split(r"\s[|>&]|\s{2,}|[(]", rest)[0])
    name, arguments = words[0], words[1:]
    assert name in get_commands(), f"there is no command {name}"
    if arguments:
        parser = parser_of(name)
        parser.called_from_command_line = False  # raise, don't exit
        parser.parse_args(arguments)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_understood(page: Path) -> None:
    for rest in documents.commands(page):
        understood(rest)


@pytest.mark.parametrize("rest", ["apply --folders x", "runpipelines x", "runs --limit many"])
def test_a_command_that_is_not_understood_is_noticed(rest: str) -> None:
    with pytest.raises((CommandError, AssertionError)):
        understood(rest)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in documents.links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = unquote(target).partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{target} leads to nothing"
        assert not fragment or fragment in documents.anchors(there), f"{target}: there is no such heading"


@pytest.mark.parametrize("page", PAGES)
def test_no_page_names_a_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not _MACHINE.findall(text)
    assert [host for host in _ADDRESS.findall(text) if not _NOBODYS.fullmatch(host)] == []


def test_every_page_is_linked_from_the_index() -> None:
    linked = {(ROOT / "docs" / target.partition("#")[0]).resolve() for target in documents.links(ROOT / "docs" / "README.md")}
    wanted = {page for page in documents.pages() if page.is_relative_to(ROOT / "docs")} - {ROOT / "docs" / "README.md"}
    assert wanted <= linked


def test_the_readme_leads_to_every_page_on_how_to_explain_and_look_up() -> None:
    linked = {(ROOT / target.partition("#")[0]).resolve() for target in documents.links(ROOT / "README.md")}
    wanted = {page for kind in ("how-to", "reference", "explanation") for page in (ROOT / "docs" / kind).glob("*.md")}
    assert wanted
    assert wanted <= linked


def test_the_version_is_the_one_that_the_changes_begin_with() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest and newest[1] == version
    assert f"Version {version.rpartition('.')[0]}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_settings_page_has_every_variable() -> None:
    said = {row[0] for row in documents.table_rows(REFERENCE / "settings.md", "variable")}
    # KNOWN is what was asked for in this process; tests ask for names of their own.
    asked = set(re.findall(r'"(ORCHESTRA_[A-Z_]+)"', SETTINGS))
    assert asked <= env.KNOWN
    assert said == asked


@pytest.mark.parametrize("reader", re.findall(r'env\.whole\("(\w+)", ([^,]+), least=([\d_]+), most=([\d_]+)\)', SETTINGS))
def test_the_settings_page_has_the_bounds_of_every_number(reader: tuple[str, str, str, str]) -> None:
    name, default, least, most = reader
    rows = {row[0]: row for row in documents.table_rows(REFERENCE / "settings.md", "variable")}
    assert rows[name][2] == f"{int(least):,} to {int(most):,}"
    assert not default.isdecimal() or rows[name][1] == default


def test_the_ledger_page_has_every_verb_with_its_openings() -> None:
    rows = documents.table_rows(REFERENCE / "ledger-record.md", "verb")
    said = {row[0]: {name.strip() for name in row[1].split(",") if name.strip()} for row in rows}
    assert said == {verb.name: set(verb.openings) for verb in ledger.registered()}


def test_the_ledger_page_says_of_every_refusal_what_was_asked() -> None:
    said = [row[1] for row in documents.table_rows(REFERENCE / "ledger-record.md", "asked")]
    assert sorted(said) == sorted(verb.name for verb in ledger.registered() if verb.name.endswith(".refused"))


def test_the_causes_page_has_every_cause() -> None:
    assert {row[0] for row in documents.table_rows(REFERENCE / "causes.md", "cause") if row[0]} == {str(cause) for cause in Cause}


@pytest.mark.parametrize(("page", "header", "column"), [("causes.md", "outcome", 2), ("commands.md", "status", 0)])
def test_every_exit_status_is_said(page: str, header: str, column: int) -> None:
    said = {int(row[column]) for row in documents.table_rows(REFERENCE / page, header)}
    assert set(EXIT_STATUS.values()) <= said


def test_the_commands_page_has_every_command_of_ours() -> None:
    ours = {name for name, app in get_commands().items() if app in {"audit", "agents", "runs", "approvals", "orchestra_site"}}
    said = {row[0].split()[1] for row in documents.table_rows(REFERENCE / "commands.md", "command")}
    assert ours <= said


OURS = sorted(name for name, app in get_commands().items() if app in {"audit", "agents", "runs", "approvals", "orchestra_site"})
NO_DATABASE = {"new", "createsuperuser", "changepassword"}
"""Commands that a busy database keeps from nothing."""


def statuses_said(text: str) -> set[int]:
    """Those that a list of exit statuses names, each before its meaning: `0 done, 2 refused (…), 75 …`, or one a line."""
    return {int(number) for number in re.findall(r"(?:^|[,;(]|or)\s*(\d{1,2})(?=[\s,;.)]|$)", text, re.MULTILINE)}


@pytest.mark.parametrize("name", OURS)
def test_the_help_of_a_command_has_an_example_that_it_takes(name: str) -> None:
    said = parser_of(name).format_help()
    examples = re.findall(r"manage\.py \S.*", re.split(r"\nexamples?\b.*:\n", said, maxsplit=1)[1].partition("\nexit status:")[0])
    assert name in ("createsuperuser", "changepassword") or any(example.split()[1] == name for example in examples)
    for example in examples:
        understood(example.removeprefix("manage.py "))


@pytest.mark.parametrize("name", OURS)
def test_the_help_of_a_command_lists_every_status_that_it_can_end_with(name: str) -> None:
    said = statuses_said(parser_of(name).format_help().partition("\nexit status:")[2])
    row = next(row for row in documents.table_rows(REFERENCE / "commands.md", "command") if row[0].split()[1] == name)
    on_page = set(EXIT_STATUS.values()) if "run's" in row[2] or row[2] == "that run's" else set()
    assert statuses_said(row[2]) | on_page | {2} | (set() if name in NO_DATABASE else {75}) <= said


def options_of(name: str) -> set[str]:
    """The long options that a command has of its own."""
    plain = {option for action in CommandParser()._actions for option in action.option_strings}
    django = {"--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color", "--skip-checks", "--help"}
    found = {option for action in parser_of(name)._actions for option in action.option_strings if option.startswith("--")}
    return found - plain - django


@pytest.mark.parametrize("name", sorted(name for name, app in get_commands().items() if app in {"audit", "agents", "runs", "approvals"}))
def test_the_commands_page_has_every_option(name: str) -> None:
    page = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| `manage.py {name}"))
    section = page.partition(f"## {name}\n")[2].partition("\n## ")[0]
    absent = {option for option in options_of(name) if option not in row + section} - {"--folder"}
    assert not absent


def keys_of(schema: Any) -> set[str]:
    """Every key that the editor's schema of the format knows, wherever it stands."""
    if isinstance(schema, list):
        return set().union(*map(keys_of, schema))
    if not isinstance(schema, dict):
        return set()
    own = set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
    return own.union(*(keys_of(inner) for inner in schema.values()))


def test_the_page_of_pipeline_files_has_every_key() -> None:
    page = (REFERENCE / "pipeline-files.md").read_text(encoding="utf-8")
    known = keys_of(json.loads((REFERENCE / "pipeline.schema.json").read_text(encoding="utf-8")))
    assert {"role", "for_each", "criteria"} <= known
    assert {key for key in known if not re.search(rf"\b{re.escape(key)}\b", page)} == set()


MIB = 1024 * 1024
CAPS = [
    ("pipeline-files.md", "all files together", f"{folders.MAX_BYTES // MIB} MiB"),
    ("pipeline-files.md", "number of files", f"{folders.MAX_FILES:,}"),
    ("pipeline-files.md", "depth of folders", f"{folders.MAX_DEPTH}"),
    ("pipeline-files.md", "one YAML file", f"{yaml_reader.MAX_FILE_BYTES // MIB} MiB"),
    ("pipeline-files.md", "values in one document", f"{yaml_reader.MAX_NODES:,}"),
    ("pipeline-files.md", "nesting in one document", f"{yaml_reader.MAX_DEPTH}"),
    ("pipeline-files.md", "keys in one mapping", f"{yaml_reader.MAX_KEYS:,}"),
    ("pipeline-files.md", "one text", f"{yaml_reader.MAX_TEXT_BYTES // 1024} KiB"),
    ("pipeline-files.md", "size of a schema", f"{schemas.MAX_BYTES // 1024} KiB"),
    ("pipeline-files.md", "nesting", f"{schemas.MAX_DEPTH}"),
    ("pipeline-files.md", "`$ref`", f"{schemas.MAX_REFS}"),
    ("pipeline-files.md", "branches of `anyOf`", f"{schemas.MAX_BRANCHES}"),
    ("pipeline-files.md", "a pattern", f"{schemas.MAX_PATTERN}"),
    ("pipeline-files.md", "`uniqueItems`", f"{schemas.MAX_UNIQUE}"),
    ("pipeline-files.md", "`retry`", f"at most {nodes.MAX_RETRIES}"),
    ("expressions.md", "length of an expression", f"{scanning.MAX_SOURCE_BYTES:,}"),
    ("expressions.md", "brackets inside brackets", f"{scanning.MAX_BRACKETS}"),
    ("expressions.md", "`all exists map filter` inside each other", f"{scanning.MAX_COMPREHENSIONS}"),
    ("expressions.md", "items of a list", f"{evaluation.MAX_ITEMS:,}; nested {evaluation.MAX_ITEMS_NESTED:,}"),
    ("expressions.md", "items of a list", f"`filter` {evaluation.MAX_ITEMS_NESTED_BUILDING}"),
    ("expressions.md", "values that it reads", f"{evaluation.MAX_VALUES:,}"),
    ("expressions.md", "values that `map`", f"{evaluation.MAX_COPIES:,}"),
    ("sdk.md", "size", f"{http.MAX_BYTES // MIB} MiB"),
    ("sdk.md", "time", f"{http.CONNECT_S:g} s to connect"),
    ("sdk.md", "redirects", f"{http.MAX_REDIRECTS}"),
]


@pytest.mark.parametrize(("page", "row", "value"), CAPS)
def test_a_cap_is_said_as_it_is(page: str, row: str, value: str) -> None:
    lines = (REFERENCE / page).read_text(encoding="utf-8").splitlines()
    assert any(value in line for line in lines if line.startswith(f"| {row}"))


def test_limits_in_sentences_are_the_codes_own() -> None:
    pages = {page: (REFERENCE / page).read_text(encoding="utf-8") for page in ("pipeline-files.md", "expressions.md")}
    assert f"`max_concurrency` is 1 to {nodes.MAX_CONCURRENCY}" in pages["pipeline-files.md"]
    assert f"at most {checking.MAX_NODES} nodes, {checking.MAX_NESTING} levels deep" in pages["pipeline-files.md"]
    assert f"{values.MAX_FILLED:,} characters" in pages["expressions.md"]
    assert f"more than {processes.PROCESS_LIMIT} of them at once" in (REFERENCE / "causes.md").read_text(encoding="utf-8")
    assert f"| {processes.PROCESS_LIMIT} processes at once" in (ROOT / "docs" / "explanation" / "containment.md").read_text(encoding="utf-8")


def test_the_functions_of_expressions_are_the_codes_own() -> None:
    section = (REFERENCE / "expressions.md").read_text(encoding="utf-8").partition("## Functions")[2].partition("## Caps")[0]
    said = {word for quoted in re.findall(r"`([^`]+)`", section) for word in quoted.split()}
    assert said == scanning.FUNCTIONS


def members(header: str) -> set[str]:
    rows = documents.table_rows(REFERENCE / "run-document.md", header)
    return {name.strip() for row in rows for name in row[0].split(",")}


@pytest.mark.django_db(transaction=True)
def test_the_run_documents_members_are_all_said(tmp_path: Path) -> None:
    pipelines.publish(
        tmp_path,
        functions="def work() -> dict:\n    return {}\n",
        agents=[pipelines.agent("worker", "work:work")],
        steps="- {id: only, agent: worker}",
    )
    said = pipelines.run()
    step = pipelines.step(said, "only")
    assert (members("member"), members("step member"), members("call member")) == (set(said), set(step), set(step["calls"][0]))
