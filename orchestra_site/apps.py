"""The site as an app, so that its checks and commands are found. It has no models."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "orchestra_site"
    verbose_name = "Orchestra"

    def ready(self) -> None:
        from orchestra_site import checks  # noqa: F401, PLC0415  (importing registers; possible only once the apps are loaded)
