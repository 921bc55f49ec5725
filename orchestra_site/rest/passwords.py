"""`/api/v1/me/password/` and `/api/v1/sign-in-locks/`: one's own password, and what too many wrong ones have locked."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.response import Response

from agents.errors import NotGranted, WrongPassword
from audit import clock
from audit.api.doors import Asked, Door, operation
from audit.api.pages import PAGING, Order, page
from audit.api.shapes import ref
from audit.errors import Conflict, Invalid
from orchestra_site.models import Tries
from orchestra_site.rest.shapes import PASSWORD_ASKED
from orchestra_site.rest.tokens import TAG
from orchestra_site.signing_in import change_own_password, keep_session
from orchestra_site.tries import TooManyTries, UnknownLock, lift_lock

LATEST = Order("ends", "id", newest_first=True)


def rendered(row: Tries) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "scope": row.scope,
        "person": row.person.username if row.person else None,
        "address": row.address,
        "ends_at": clock.to_text(row.ends),
    }


class OwnPasswordView(Door):
    @operation(
        id="change_password",
        tag=TAG,
        summary="Change your password",
        does=(
            "It ends your other sessions and all your tokens, also the one that asks; a session that asks goes on. After too many wrong present "
            "passwords it is refused for some time."
        ),
        takes=PASSWORD_ASKED,
        gives=ref("PasswordChanged"),
        refuses=(WrongPassword, TooManyTries, Invalid, Conflict),
    )
    def post(self, asked: Asked) -> Response:
        ended = change_own_password(old=asked.body["old"], new=asked.body["new"], actor=asked.actor)
        if asked.actor.auth == "session":
            keep_session(self.request._request, asked.body["new"])  # noqa: SLF001 - Django's, which holds the session
        return Response({"tokens_ended": ended})


class LocksView(Door):
    @operation(
        id="list_sign_in_locks",
        tag=TAG,
        summary="List what wrong passwords have locked",
        does=(
            "Locks that hold at this moment, the longest first. Whoever manages people sees those about an account that is not an administrator's; "
            "administrators see all."
        ),
        query=PAGING,
        gives=ref("SignInLockPage"),
    )
    def get(self, asked: Asked) -> Response:
        rows = Tries.objects.locks(clock.now()).visible_to(asked.actor).select_related("person")
        return Response(page(rows, LATEST, asked, rendered))


class LockView(Door):
    @operation(
        id="lift_sign_in_lock",
        tag=TAG,
        summary="Let passwords be tried again",
        does="What was locked by too many wrong passwords is open again, and counting begins anew.",
        gives={},
        status=204,
        refuses=(UnknownLock, NotGranted),
    )
    def delete(self, asked: Asked, lock: UUID) -> Response:
        lift_lock(lock, actor=asked.actor)
        return Response(status=204)
