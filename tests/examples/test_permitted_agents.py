"""The examples that show permissions: what they may, asked beforehand and met by a run, and verifiers that read the world."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from agents import registry
from agents.models import Team
from approvals.errors import NotYours
from approvals.models import Request
from approvals.services import decide
from runs.models import Call, Run
from runs.services import start_run
from tests import approving, pipelines, waiting
from tests.approving import member
from tests.pipelines import SYSTEM
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BUILD = EXAMPLES / "deployer" / "build"
PATCH = EXAMPLES / "code-reviewer" / "patches" / "rounding.patch"


def spoilt(tmp_path: Path, name: str, file: str, old: str, new: str) -> None:
    """The example with one line of its code changed, published."""
    folder = Path(shutil.copytree(EXAMPLES / name, tmp_path / name))
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    registry.apply_folder(folder, actor=SYSTEM, publish=True)


def apply(*names: str) -> None:
    for name in names:
        registry.apply_folder(EXAMPLES / name, actor=SYSTEM, publish=True)


@pytest.mark.parametrize(
    ("question", "answer", "status"),
    [
        (("code-reviewer", "write", "repo:main"), "deny", 12),
        (("code-reviewer", "merge", "repo:main"), "deny", 12),
        (("code-reviewer", "read", "repo:main"), "allow", 0),
        (("code-reviewer", "comment", "repo:main"), "allow", 0),
        (("deployer", "write", "deploy:staging"), "allow", 0),
        (("deployer", "write", "deploy:production"), "require_approval", 13),
        (("deployer", "write", "deploy:elsewhere"), "deny", 12),
        (("deployer", "delete", "deploy:staging"), "deny", 12),
        (("deployer", "deplyo", "deploy:staging"), "deny", 12),
        (("deployer", "write", "deplyo:staging"), "deny", 12),
    ],
)
def test_what_they_may_is_said_beforehand(question: tuple[str, str, str], answer: str, status: int) -> None:
    apply("deployer", "code-reviewer")
    done = typed("can", *question)
    assert (done.out.split()[0], done.status) == (answer, status)


def test_a_team_that_may_write_everywhere_does_not_make_the_reviewer_a_writer() -> None:
    apply("code-reviewer")
    Team.objects.filter(name="platform").update(permissions=["allow write repo:*", "allow merge repo:*"])
    assert typed("can", "code-reviewer", "write", "repo:main").out.split()[0] == "deny"


def deployed(tmp_path: Path, environment: str) -> dict[str, Any]:
    return pipelines.run("deployment", input={"build": str(BUILD), "environment": environment, "root": str(tmp_path / "environments")})


def test_a_build_goes_to_staging_and_is_verified(tmp_path: Path) -> None:
    apply("deployer")
    said = deployed(tmp_path, "staging")
    assert said["outcome"] == "verified", said["failure"] or said["verdict"]
    live = tmp_path / "environments" / "staging" / "current"
    assert sorted(path.name for path in live.iterdir()) == ["index.html", "version.txt"]
    assert deployed(tmp_path, "staging")["outcome"] == "verified"  # doing it again leaves the same


def to_production(tmp_path: Path, by: str) -> tuple[Run, Request]:
    given = {"build": str(BUILD), "environment": "production", "root": str(tmp_path / "environments")}
    run = start_run(pipeline="deployment", input=given, actor=member(by, "platform"), ring=False)
    assert pipelines.drive(run)["label"] == "waiting for an approval"
    return run, approving.request_of(run)


def approve(request: Request, by: str) -> None:
    decide(request=str(request.pk), decision="approved", reason="the change window is open", actor=member(by, "platform"))


def test_production_waits_for_somebody_else_than_who_started_it_and_then_holds_the_build(tmp_path: Path) -> None:
    apply("deployer")
    run, request = to_production(tmp_path, "alice")
    assert not Call.objects.filter(agent="deployer").exists() and not (tmp_path / "environments").exists()
    with pytest.raises(NotYours, match="you started the run that asks for it"):
        approve(request, "alice")
    approve(request, "bob")
    assert pipelines.drive(run)["outcome"] == "verified"
    assert (tmp_path / "environments" / "production" / "current" / "index.html").exists()


def test_production_that_nobody_approves_in_time_is_denied_and_nothing_was_sent(tmp_path: Path) -> None:
    apply("deployer")
    run, _ = to_production(tmp_path, "alice")
    waiting.expire(run)
    failure = pipelines.drive(run)["failure"]
    assert (failure["cause"], failure["owner"]) == ("expired", "policy:to-production")
    assert not Call.objects.filter(agent="deployer").exists() and not (tmp_path / "environments").exists()


def test_a_deployer_that_leaves_out_a_file_is_found_out(tmp_path: Path) -> None:
    spoilt(tmp_path, "deployer", "deploy.py", "    for name in files:", "    for name in list(files)[1:]:")
    said = deployed(tmp_path, "staging")
    assert (said["outcome"], "index.html" in str(said["verdict"])) == ("rejected", True)


def reviewed(tmp_path: Path) -> dict[str, Any]:
    return pipelines.run("code-review", input={"repo": "main", "patch": str(PATCH), "comments": str(tmp_path / "comments.json")})


def test_a_change_is_commented_on_and_the_comments_are_verified(tmp_path: Path) -> None:
    apply("code-reviewer")
    said = reviewed(tmp_path)
    assert said["outcome"] == "verified", said["failure"] or said["verdict"]
    comments = json.loads((tmp_path / "comments.json").read_text())["comments"]
    assert [(one["line"], one["rule"]) for one in comments] == [(5, "left-over"), (6, "debugging"), (9, "swallowed")]
    assert {one["file"] for one in comments} == {"shop/prices.py"}


def test_a_reviewer_that_misses_a_line_is_found_out(tmp_path: Path) -> None:
    spoilt(tmp_path, "code-reviewer", "review.py", r"(TODO|FIXME|XXX)", "(FIXME)")
    said = reviewed(tmp_path)
    assert (said["outcome"], "shop/prices.py:5" in str(said["verdict"])) == ("rejected", True)
