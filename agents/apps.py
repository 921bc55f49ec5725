"""Registers the agents app (what exists and what it may do) and its ledger verbs with Django."""

from __future__ import annotations

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "agents"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from agents import registry  # noqa: PLC0415 - models exist only from here on
        from audit import ledger  # noqa: PLC0415 - as above

        ledger.register(*registry.VERBS)
