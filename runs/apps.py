"""Tells Django about the app, and the ledger about its verbs."""

from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from audit import ledger  # noqa: PLC0415 - models can be imported only once apps are ready
        from runs.models import OPENINGS, Verb  # noqa: PLC0415 - models can be imported only once apps are ready

        ledger.register(*(ledger.Verb(str(verb), openings=OPENINGS.get(verb, frozenset())) for verb in Verb))
