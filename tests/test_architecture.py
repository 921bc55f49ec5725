"""What no linter says: the tail of sizes, the import rules as a whole, and references by name that go against the order of the apps."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps

ROOT = Path(__file__).resolve().parent.parent
ORDER = ("audit", "agents", "runs", "approvals", "orchestra_site")  # from the floor up: an app may name itself and those before it
PURE = ("runs/engine", "agents/spec", "agents/contracts", "agents/expressions", "agents/validation", "audit/canonical.py")
LONGEST_FUNCTION, LONGEST_FILE = 40, 400


def sources(*roots: str) -> Iterator[Path]:
    """Our Python files below these folders (or these files); migrations are written by Django."""
    for root in roots:
        path = ROOT / root
        files = [path] if path.suffix == ".py" else sorted(path.rglob("*.py"))
        yield from (file for file in files if file.exists() and "migrations" not in file.parts)


def product() -> Iterator[Path]:
    return sources("manage.py", *ORDER, "sdk", "examples", "benchmarks")


def said(file: Path) -> str:
    return str(file.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring: explaining is not what makes it long."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_no_function_is_longer_than_forty_lines():
    long = [
        f"{said(file)}:{function.lineno} {function.name} has {length(function)}"
        for file in (*product(), *sources("tests"))
        for function in functions(ast.parse(file.read_text(encoding="utf-8")))
        if length(function) > LONGEST_FUNCTION
    ]
    assert not long, "\n".join(long)


def test_no_file_is_longer_than_four_hundred_lines():
    counted = {said(file): len(file.read_text(encoding="utf-8").splitlines()) for file in (*product(), *sources("tests"))}
    assert {name: lines for name, lines in counted.items() if lines > LONGEST_FILE} == {}


def test_the_import_rules_hold():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def clocks_in(tree: ast.AST) -> Iterator[str]:
    """Calls by which the clock, chance or a file would come in past the import rules, which see modules only."""
    methods, functions = {"now", "utcnow", "today", "uuid1", "uuid4", "urandom", "getenv"}, {"open", "input", "print", "__import__"}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in methods:
                yield f"line {node.lineno}: .{name}()"
            case ast.Call(func=ast.Name(id=name)) if name in functions:
                yield f"line {node.lineno}: {name}()"


def test_deciding_code_reads_no_clock_and_opens_nothing():
    found = [f"{said(file)} {what}" for file in sources(*PURE) for what in clocks_in(ast.parse(file.read_text(encoding="utf-8")))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("code", ["datetime.now(UTC)", "date.today()", "uuid.uuid4()", "os.getenv('HOME')", "open('file')"])
def test_the_guard_on_deciding_code_sees(code):
    assert list(clocks_in(ast.parse(code)))


def rank(name: str) -> int:
    return ORDER.index(name)


def test_no_foreign_key_goes_against_the_order_of_the_apps():
    wrong = [
        f"{model._meta.label}.{field.name} -> {field.related_model._meta.label}"
        for model in apps.get_models()
        if model._meta.app_label in ORDER
        for field in model._meta.get_fields()
        if field.is_relation and not field.auto_created and not isinstance(field.related_model, str | None)
        if field.related_model._meta.app_label in ORDER and rank(field.related_model._meta.app_label) > rank(model._meta.app_label)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_ledger_has_no_foreign_key_out_of_its_app():
    """A record outlives its subject: ids and names only, people included."""
    models = apps.get_app_config("audit").get_models()
    out = [
        f"{model._meta.label}.{field.name}"
        for model in models
        for field in model._meta.get_fields()
        if field.is_relation and not field.auto_created and field.related_model._meta.app_label != "audit"
    ]
    assert not out, "\n".join(out)


def dotted_names(file: Path) -> Iterator[tuple[int, str]]:
    """String literals that look like a dotted Python name, with the line: task names, settings, lazy references."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts = node.value.split(".")
            if len(parts) > 1 and parts[0] in ORDER and all(part.isidentifier() for part in parts):
                yield node.lineno, node.value


def test_no_name_in_a_string_reaches_a_higher_app():
    """Upper apps' verbs are data on the floor; a dotted name of a module above is an import in disguise."""
    wrong = [
        f"{said(file)}:{line} {name!r}"
        for app in ORDER[:-1]
        for file in sources(app)
        for line, name in dotted_names(file)
        if rank(name.split(".")[0]) > rank(app)
    ]
    assert not wrong, "\n".join(wrong)
