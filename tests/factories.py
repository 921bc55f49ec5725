"""Plain functions that make rows for tests, each with sensible defaults and only what a test cares about as arguments."""

from importlib import import_module

from django.apps import apps
from django.contrib.auth.models import User


def person(username: str, *, staff: bool = False) -> User:
    return User.objects.create_user(username, password=f"{username}-password", is_staff=staff)


def make_roles() -> None:
    """The roles that the migration ships, where a flush has taken them."""
    import_module("agents.migrations.0016_roles").make_roles(apps, None)


def make_dev_team() -> None:
    """What the migration gives a fresh installation."""
    import_module("agents.migrations.0019_dev_team").make_dev_team(apps, None)
