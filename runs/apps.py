"""Tells Django about the app, and the ledger about its verbs."""

from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from audit import ledger
        from runs.models import OPENINGS, Verb

        ledger.register(*(ledger.Verb(str(verb), openings=OPENINGS.get(verb, frozenset())) for verb in Verb))
