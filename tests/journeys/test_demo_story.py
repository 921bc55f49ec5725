"""`make demo`: the saves come out as promised, in this installation, and a broken promise is an exit status."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from runs.models import Call, Run


@pytest.fixture
def demo(project_folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", project_folder / "examples" / "demo.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_demo_shows_six_runs_and_leaves_them_to_be_looked_at(shell_environment: dict[str, str], project_folder: Path, tmp_path: Path) -> None:
    argv, environment = [sys.executable, "examples/demo.py"], {**shell_environment, "TMPDIR": str(tmp_path)}
    done = subprocess.run(argv, cwd=project_folder, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line != line.rstrip()] == []
    said = " ".join(done.stdout.split())
    assert "'feed-reader' allows 15 min. Owner: agent feed-reader, team platform" in said
    assert "verified as of 2014-02-28T14:25:00Z exit status 0 auditor recomputed 47 of 47 numbers" in said
    assert "the writer claimed 61.2828, the source says 68.092" in said
    assert re.search(
        r"verified exit status 0 \d+ high, \d+ medium, [\d,]+ low; verifier read \d+ findings back and opened \d+ cited files again", said
    )
    assert "All six as promised" in said
    assert "make serve these runs in the admin, at http://127.0.0.1:8000/admin/; it says who signs in" in said
    assert "manage.py new pipeline mine" in said
    assert "starter, who started it, says yes: refused: you can't decide this: you started the run that asks for it" in said
    ended = Run.objects.exclude(outcome=None)
    assert sorted(ended.values_list("outcome", flat=True)) == ["failed", "rejected", "verified", "verified", "verified"]
    waiting = Run.objects.get(outcome=None)
    assert (waiting.state, waiting.started_by, Call.objects.filter(run=waiting).count()) == ("waiting", "person:starter", 0)
    assert [path.suffix for path in sorted(tmp_path.glob("security-audit-*/*"))] == [".md", ".json"]


@pytest.mark.parametrize(
    ("check", "document"),
    [
        ("stale", {"failure": {"cause": "missing", "owner": "agent:feed-reader", "message": "it is 12 y old", "team": "platform"}}),
        ("recomputed", {"verdict": {"summary": "recomputed 46 of 47 numbers"}}),
        ("as_of_then", {"label": "verified"}),
        ("lie", {"verdict": {"checks": [{"verdict": "fail", "criterion": "numbers", "claimed": 1, "found": None}]}}),
        ("audited", {"result": {"counts": {}, "missing": ["code"]}, "verdict": {"checks": [{"by": "audit-verifier", "verdict": "pass"}]}}),
    ],
)
def test_a_promise_that_is_not_kept_is_said(demo: ModuleType, check: str, document: dict[str, Any]) -> None:
    with pytest.raises(demo.Broken):
        getattr(demo, check)(document)


def test_a_run_that_ends_otherwise_ends_the_demo_with_an_error(demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(demo, "manage", lambda *_, **__: SimpleNamespace(returncode=0, stdout='{"label": "verified"}', stderr=""))
    assert demo.main() == 1
    assert "was to end with exit status 12 and ended with 0: verified" in capsys.readouterr().out
