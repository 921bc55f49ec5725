"""The way around the admin, as the settings name it: what exists, what is happening, what happened; and who may sign in, for whom that is."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from audit.requests import actor_of


def style(request: HttpRequest) -> str:  # noqa: ARG001 - the theme's signature
    return static("orchestra/admin.css")


def icon(request: HttpRequest) -> str:  # noqa: ARG001 - as above
    return static("orchestra/icon.svg")


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Only what this person can make use of. An entry in the navigation is no right: each page filters by the actor."""
    actor = actor_of(request)
    exists = [_to("Agents", "agents_agent", "smart_toy"), _to("Pipelines", "agents_pipeline", "account_tree"), _to("Teams", "agents_team", "groups")]
    exists += [
        _to("Model aliases", "agents_modelalias", "psychology"),
        _to("Prices", "agents_price", "sell"),
        _to("Approval policies", "agents_policy", "gavel"),
    ]
    happens = [
        _to("Runs", "runs_run", "play_circle"),
        _to("Waiting", "runs_wait", "hourglass_empty"),
        _to("Approvals", "approvals_request", "how_to_reg"),
        _to("Proposals", "agents_proposal", "rule"),
        _to("Cover", "agents_cover", "swap_horiz"),
        _to("Stops", "agents_stop", "block"),
    ]
    happened = [_to("Audit log", "audit_entry", "history_edu"), _to("Charges", "audit_charge", "payments")]
    groups = [
        {"title": "", "items": [{"title": "Overview", "icon": "dashboard", "link": reverse("admin:index"), "active": _at("admin:index", request)}]},
        {"title": "What exists", "items": exists},
        {"title": "What is happening", "items": happens + ([_to("Workers", "runs_engine", "memory")] if actor.sees_everything else [])},
        {"title": "What happened", "items": happened},
    ]
    if actor.may_manage_people:
        who = [_to("People", "auth_user", "person"), _to("Groups", "auth_group", "group"), _to("Sign-in locks", "orchestra_site_tries", "lock")]
        groups.append({"title": "Who may", "items": who})
    return groups


def account(request: HttpRequest) -> str:  # noqa: ARG001 - as above
    return reverse("admin:orchestra_site_token_account")


def _to(title: str, model: str, icon: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse(f"admin:{model}_changelist")}


def _at(name: str, request: HttpRequest) -> bool:
    return request.path == reverse(name)
