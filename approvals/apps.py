"""Tells Django about the app, and the ledger about its verbs."""

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "approvals"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from approvals.models import VERBS  # noqa: PLC0415 - models can be imported only once apps are ready
        from approvals.notify import finish, look  # noqa: PLC0415 - as above
        from approvals.services import proposals, tend  # noqa: PLC0415 - as above
        from audit import ledger  # noqa: PLC0415 - as above
        from runs import sweeps  # noqa: PLC0415 - as above

        ledger.register(*VERBS)
        sweeps.beside(tend)
        sweeps.beside(proposals.tend)
        sweeps.beside(look, finish=finish)
