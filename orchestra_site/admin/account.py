"""Your account: who one is, one's teams and what one may do in each, one's password and tokens. For everybody who may sign in.

Passwords and tokens are changed by the use-cases; a new token's text is on one page, once, and kept nowhere. Whoever manages people
revokes others' tokens from here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import password_validators_help_texts
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminPasswordWidget

from agents import registry
from agents.models import Team
from audit import clock
from audit.actors import CHANGE_THINGS, MANAGE_PEOPLE, OPERATE_RUNS, SEE_EVERYTHING, START_RUNS, STOP_EVERYTHING, Actor
from audit.admin import Deed, ReadOnlyAdmin, act, text_field
from audit.requests import actor_of
from audit.wording import ago, instant
from orchestra_site.models import Token
from orchestra_site.signing_in import change_own_password, keep_session
from orchestra_site.tokens import DAYS, MOST_DAYS, MOST_NAME, create_token, revoke_token, revoke_tokens

MOST: Final = 200
_ACTS: Final = {
    START_RUNS: "start runs",
    OPERATE_RUNS: "cancel them, answer them and judge them again",
    CHANGE_THINGS: "publish, roll back, retire and suspend",
}
_LOOKS: Final = "Look at everything, change nothing"
_BEYOND: Final = {
    SEE_EVERYTHING: "You see everything of every team; that alone lets you change nothing.",
    STOP_EVERYTHING: "You may stop things and cancel runs of every team, and stop what is no team's own.",
    MANAGE_PEOPLE: "You say who may sign in, and let people into your own teams.",
}


@dataclass(frozen=True, slots=True)
class Membership:
    """A team, what the person is to it, and what they may do there."""

    team: Team
    kind: str
    may: str


def _field(label: str, autocomplete: str) -> forms.CharField:
    return forms.CharField(label=label, strip=False, max_length=1_000, widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": autocomplete}))


class PasswordForm(forms.Form):
    old_password = _field("Present password", "current-password")
    new_password = _field("New password", "new-password")
    again = _field("New password, again", "new-password")

    def clean_again(self) -> str:
        said: str = self.cleaned_data["again"]
        if said != self.cleaned_data.get("new_password", said):
            raise forms.ValidationError("The two new passwords differ.")
        return said


class EmailForm(forms.Form):
    email = text_field("E-mail address", required=False, longest=254, help_text="Empty takes it away.", such_as="alice@example.com")


class TokenForm(forms.Form):
    name = text_field("What for", required=False, longest=MOST_NAME, help_text="So that you know it in your list: nightly job.")
    days = forms.IntegerField(
        label="Days",
        initial=DAYS,
        min_value=1,
        max_value=MOST_DAYS,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text=f"How long it lasts, at most {MOST_DAYS}. Then it ends by itself.",
    )


@admin.register(Token)
class AccountAdmin(ReadOnlyAdmin):
    def get_queryset(self, request: HttpRequest) -> Any:
        return Token.objects.visible_to(actor_of(request)).live(clock.now()).select_related("user")

    def own_urls(self) -> Iterable[tuple[str, Callable[..., HttpResponse], str]]:
        return [
            ("", self.account, "account"),
            ("password/", self.password, "password"),
            ("email/", self.email, "email"),
            ("make/", self.make, "make"),
            ("revoke-all/", self.revoke_all, "revoke_all"),
            ("<uuid:token_id>/revoke/", self.revoke, "revoke"),
        ]

    def change_view(self, *_: Any, **__: Any) -> HttpResponse:
        """A token has no page: its digest is nobody's to see, and all else stands in the list."""
        raise Http404

    def account(self, request: HttpRequest) -> HttpResponse:
        actor, person = actor_of(request), User.objects.get(username=request.user.get_username())
        place = registry.place_of(person, actor=actor)
        return self.page(
            request,
            "admin/site/account.html",
            title="Your account",
            person=person,
            memberships=_memberships(place, actor),
            beyond=[_BEYOND[name] for name in place.permissions],
            tokens=tokens_of(person, actor),
            urls={name: self.url(name) for name in ("password", "email", "make", "revoke_all")},
        )

    def password(self, request: HttpRequest) -> HttpResponse:
        actor = actor_of(request)

        def perform(said: Mapping[str, Any]) -> str:
            ended = change_own_password(old=said["old_password"], new=said["new_password"], actor=actor)
            keep_session(request, said["new_password"])
            return f"Your password is changed. Your other sessions ended, and {_tokens(ended)}."

        says = ["Your other sessions end with it, and all your tokens; you stay signed in here.", *password_validators_help_texts()]
        return act(self, request, Deed("Change your password", "Change password", self.url("account"), perform, says, PasswordForm))

    def email(self, request: HttpRequest) -> HttpResponse:
        actor, person = actor_of(request), User.objects.get(username=request.user.get_username())

        def perform(said: Mapping[str, Any]) -> str:
            return set_address(actor.id, said["email"], actor)

        def form(data: Any = None) -> forms.Form:
            return EmailForm(data, initial={"email": person.email})

        says = ["There you are told what waits for you, where this installation sends e-mail. A mail leads to the sign-in page and decides nothing."]
        return act(self, request, Deed("Your e-mail address", "Set it", self.url("account"), perform, says, form))

    def make(self, request: HttpRequest) -> HttpResponse:
        actor = actor_of(request)

        def perform(said: Mapping[str, Any]) -> HttpResponse:
            made = create_token(actor.id, actor=actor, days=said["days"], name=said["name"])
            return self.page(request, "admin/site/token_once.html", title="A token, shown once", made=made, back=self.url("account"))

        says = [
            "Whatever program sends it acts over REST as you, with the teams and permissions that you have at that moment.",
            "Its text is shown once, on the next page. It ends by itself, when you revoke it, and with your password.",
        ]
        return act(self, request, Deed("Make a token", "Make it", self.url("account"), perform, says, TokenForm))

    def revoke(self, request: HttpRequest, token_id: UUID) -> HttpResponse:
        token, actor = self.found(request, str(token_id)), actor_of(request)
        own = token.user.username == actor.id
        back = self.url("account") if own else reverse("admin:auth_user_change", args=[token.user.pk])

        def perform(_: Mapping[str, Any]) -> str:
            revoke_token(token.id, actor=actor, of=token.user.username)
            return "The token is revoked."

        which = f"The token '{token.name or token.id}' of {token.user.username}, made {instant(token.created)} UTC"
        says = [f"{which}, is refused from its next use on. Whatever program uses it stops working."]
        return act(self, request, Deed("Revoke a token", "Revoke it", back, perform, says, danger=True))

    def revoke_all(self, request: HttpRequest) -> HttpResponse:
        actor = actor_of(request)

        def perform(_: Mapping[str, Any]) -> str:
            return f"Done: {_tokens(revoke_tokens(actor.id, actor=actor))}."

        says = ["All your tokens are refused from their next use on. You stay signed in here, and in your other sessions."]
        return act(self, request, Deed("Revoke all your tokens", "Revoke all", self.url("account"), perform, says, danger=True))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:  # noqa: ARG002 - Django's signature
        return self.get_queryset(request).filter(id=object_id).first()


def set_address(username: str, email: str, actor: Actor) -> str:
    """What has become of it, for whoever has set it."""
    person = registry.set_email(username, email, actor=actor)
    return f"'{person.username}' is written to at {person.email}." if person.email else f"'{person.username}' is written to no more."


def tokens_of(person: User, actor: Actor) -> Sequence[tuple[Token, str, str]]:
    """A person's tokens, as far as the actor may see them, each with when it ends and when it was used last. The clock is asked once."""
    now = clock.now()
    tokens = Token.objects.visible_to(actor).live(now).filter(user=person)[:MOST]
    return [(one, ago(one.expiry, now), "never" if one.used_at is None else ago(one.used_at, now)) for one in tokens]


def _tokens(number: int) -> str:
    return f"{number} token{'' if number == 1 else 's'} ended"


def _memberships(place: registry.Place, actor: Actor) -> Sequence[Membership]:
    acts = [words for right, words in _ACTS.items() if right in actor.does]
    acts += ["let people in, and take them out"] if actor.may_manage_people else []
    may, kind = "; ".join(acts).capitalize() or _LOOKS, ", ".join(["member", *sorted(actor.roles)])
    own = [Membership(team, kind, may) for team in place.teams]
    shown = [Membership(team, "onlooker", _LOOKS) for team in place.shown if team not in place.teams]
    return own + shown
