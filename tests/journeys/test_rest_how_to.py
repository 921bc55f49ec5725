"""docs/how-to/start-a-run-over-rest.md is typed as it stands, with curl, against a server and a worker that really run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from tests import workers
from tests.documents import ROOT, blocks

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="the page needs curl and jq"),
]

PAGE = ROOT / "docs" / "how-to" / "start-a-run-over-rest.md"
FIRST = "python manage.py new pipeline mine && python manage.py apply -f mine --publish"


def test_the_page_is_true(live_server: LiveServer, shell_environment: Mapping[str, str], project_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "manage.py").symlink_to(ROOT / "manage.py")
    script = "\n".join([FIRST, *(block.text for block in blocks(PAGE))]).replace("http://127.0.0.1:8000", live_server.url)
    environment = {**shell_environment, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "no_proxy": "*"}
    with workers.worker(shell_environment, project_folder):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"outcome": "verified"' in done.stdout and "runs.run.finished" in done.stdout
    assert "finished is final" in done.stdout
