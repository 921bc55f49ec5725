"""What every answer of the site says to the browser: nothing from elsewhere, no script of a page's own, no frame, no referrer."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.test_architecture import ROOT

TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def policy_of(client: Client, url: str) -> dict[str, list[str]]:
    said = client.get(url).headers["Content-Security-Policy"]
    return {words[0]: words[1:] for words in (directive.split() for directive in said.split(";")) if words}


@pytest.mark.parametrize("url", ["/admin/", "/admin/login/", "/admin/runs/run/", "/admin/nothing-here/"])
def test_no_page_may_load_or_run_anything_from_elsewhere(root: Client, url: str) -> None:
    policy = policy_of(root, url)
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == ["'none'"]
    assert set(policy["script-src"]) == {"'self'", "'unsafe-eval'"}
    sources = {source for sources in policy.values() for source in sources}
    assert sources <= {"'none'", "'self'", "'unsafe-eval'", "'unsafe-inline'", "data:"}
    assert "'unsafe-inline'" not in policy["script-src"]


def test_no_page_is_framed_or_tells_where_somebody_came_from(root: Client) -> None:
    said = root.get("/admin/").headers
    assert (said["X-Frame-Options"], said["Referrer-Policy"], said["Cross-Origin-Opener-Policy"]) == ("DENY", "same-origin", "same-origin")
    assert said["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_template_of_ours_trusts_a_text_or_brings_a_script(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert not re.findall(r"\|\s*safe\b|autoescape\s+off|<script(?! src=.\{% static )|\son[a-z]+\s*=|javascript:|https?://", text)


def test_no_code_of_ours_marks_a_text_as_safe() -> None:
    code = [path for app in ("audit", "agents", "runs", "orchestra_site") for path in (ROOT / app).rglob("*.py")]
    assert [str(path) for path in code if re.search(r"\b(mark_safe|format_html|SafeString)\b", path.read_text(encoding="utf-8"))] == []


def test_everybody_changes_their_own_password_and_signs_out(root: Client) -> None:
    assert 'name="old_password"' in root.get("/admin/password_change/", follow=True).content.decode()
    assert root.post("/admin/logout/").status_code == 200
    assert root.get("/admin/").status_code == 302
