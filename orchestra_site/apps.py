"""The site as an app, so that its checks, its commands, its tokens and their ledger verbs are found."""

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_dependencies
from django.core.checks import Tags, register


class PagesConfig(SimpleAdminConfig):
    """Django's admin, whose pages are found by whoever serves them or looks at all of them with `check`."""

    default = False

    def ready(self) -> None:
        from orchestra_site import checks  # noqa: PLC0415 - models exist only from here on

        register(check_dependencies, Tags.admin)
        register(checks.check_admin, Tags.admin)


class SiteConfig(AppConfig):
    name = "orchestra_site"
    verbose_name = "Orchestra"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from agents.registry import accounts  # noqa: PLC0415 - as below
        from audit import ledger  # noqa: PLC0415 - models exist only from here on
        from orchestra_site import checks, tokens, tries  # noqa: F401, PLC0415  (importing registers; possible only once the apps are loaded)

        ledger.register(*tokens.VERBS, *tries.VERBS)
        accounts.end_with_password(tokens.end_tokens)
