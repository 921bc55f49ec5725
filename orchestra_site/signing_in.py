"""Signing in by user name and password: the one way in beside tokens, with wrong passwords bounded whoever asks.

Knows Django's backend and form; the counting is orchestra_site.tries'. Named in the settings and by the admin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest
from unfold.forms import AuthenticationForm

from agents import registry
from agents.errors import WrongPassword
from agents.registry.roles import is_for_programs
from audit.actors import Actor
from audit.errors import OrchestraError
from orchestra_site import tries
from orchestra_site.addresses import address_of

if TYPE_CHECKING:  # the theme ships no types
    _Form = AdminAuthenticationForm
else:
    _Form = AuthenticationForm

WRONG = "The user name or the password is wrong, or the account may not sign in. Both are case-sensitive."


class PasswordBackend(ModelBackend):
    """Django's, which sees no more passwords than `tries` lets through. Whoever is too late finds `too_many_tries` on the request."""

    def authenticate(self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any) -> User | None:  # noqa: ARG002 - Django's signature
        if username is None or password is None:
            return None
        bounds = tries.to_sign_in(username, address_of(request))
        try:
            tries.take(bounds)
        except tries.TooManyTries as late:
            _tell(request, late)
            raise PermissionDenied from late  # no other backend is asked either
        person = super().authenticate(request, username=username, password=password)
        if not isinstance(person, User):
            _tell(request, tries.note_wrong(bounds))
            return None
        tries.give_back(bounds)
        return person

    def user_can_authenticate(self, user: Any) -> bool:
        """Asked at each request of a session, too: a program's account has none, from the moment on in which it is made one."""
        return super().user_can_authenticate(user) and not is_for_programs(user)

    async def aauthenticate(self, *args: Any, **kwargs: Any) -> User | None:
        """Django's asks the database by itself, past the counting."""
        return await sync_to_async(self.authenticate)(*args, **kwargs)


def _tell(request: HttpRequest | None, late: tries.TooManyTries | None) -> None:
    if request is not None:
        request.too_many_tries = late  # type: ignore[attr-defined] # for the form, which Django gives a refusal without its reason


class SignInForm(_Form):
    """The sign-in page's."""

    error_messages = {"invalid_login": WRONG, "inactive": WRONG}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name"
        self.fields["password"].label = "Password"
        for field in self.fields.values():
            field.error_messages["required"] = f"Give your {str(field.label).lower()}."

    def get_invalid_login_error(self) -> ValidationError:
        late = getattr(self.request, "too_many_tries", None)
        return ValidationError(late.message, code="locked") if late else super().get_invalid_login_error()

    def told(self) -> list[str]:
        """Everything that is wrong, for one box."""
        return [str(said) for errors in self.errors.values() for said in errors]


def keep_session(request: HttpRequest, new: str) -> None:
    """The session of this request knows the new password; the person's other ones still know the old, and so end.

    It ends too where somebody has given the person yet another password meanwhile: a reset ends every session.
    """
    user = User.objects.get(username=request.user.get_username())
    if user.check_password(new):
        update_session_auth_hash(request, user)


def change_own_password(*, old: str, new: str, actor: Actor) -> int:
    """As registry.change_password, with wrong present passwords bounded like those of a sign-in. TooManyTries beyond its errors."""
    bounds = tries.to_change(actor.id)
    tries.take(bounds)
    try:
        ended = registry.change_password(actor.id, old=old, new=new, actor=actor)
    except WrongPassword as wrong:
        raise tries.note_wrong(bounds) or wrong from None
    except OrchestraError:
        tries.give_back(bounds)  # the present password was right; something else was not
        raise
    tries.give_back(bounds)
    return ended
