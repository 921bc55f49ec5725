"""Registers the audit app and its own verbs with Django."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = "Audit log"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from audit import exports, guard, ledger  # noqa: PLC0415 - models exist only from here on

        ledger.register(*exports.VERBS)
        post_migrate.connect(guard.put_back, sender=self)
