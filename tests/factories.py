"""Plain functions that make rows for tests, each with sensible defaults and only what a test cares about as arguments."""

from django.contrib.auth.models import User


def person(username: str, *, staff: bool = False) -> User:
    return User.objects.create_user(username, password=f"{username}-password", is_staff=staff)
