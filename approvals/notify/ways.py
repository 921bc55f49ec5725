"""The two ways out: one mail to one person, and one signed POST to one webhook. A value in; NotSent says why it can't be said that it has arrived.

Knows no request and no agent. Secrets are looked up here, at the moment of sending, and are never said. Called by delivering.
"""

from __future__ import annotations

import asyncio
import base64
import re
import smtplib
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.core.mail import EmailMessage

from audit.visible import visible

TIMEOUT_S: Final = 15.0
GONE: Final = 410
LEAST_SECRET_BYTES: Final = 24
_PREFIX: Final = "whsec_"


class NotSent(Exception):
    """It has not arrived, as far as is known. `final`: it never will. `waited_s`: how long whoever was to take it kept us waiting."""

    def __init__(self, why: str, *, final: bool = False, waited_s: float = 0.0) -> None:
        super().__init__(why)
        self.why, self.final, self.waited_s = why, final, waited_s


def mail(*, to: str, subject: str, text: str, key: str) -> None:
    """Plain text. The same `key` is the same message to whoever reads it twice."""
    if not settings.ORCHESTRA_EMAIL:  # Django would take the machine's own, if it has one
        raise NotSent("this process has no mail server")
    headers = {"Message-ID": f"<{key}@{settings.ORCHESTRA_EMAIL_FROM.rpartition('@')[2]}>", "Auto-Submitted": "auto-generated"}
    begun = time.monotonic()
    try:
        EmailMessage(subject, text, settings.ORCHESTRA_EMAIL_FROM, [to], headers=headers).send()
    except smtplib.SMTPRecipientsRefused as error:  # by a server that takes others
        raise NotSent(_without(to, error)) from error
    except OSError as error:  # smtplib's errors are such, too
        raise NotSent(_without(to, error), waited_s=time.monotonic() - begun) from error
    except ValueError as error:  # an address that would begin another header
        raise NotSent(f"the address can't be written to: {type(error).__name__}", final=True) from error


def _without(address: str, error: OSError) -> str:
    """What went wrong, without the address: it stands in no entry. A server repeats it, as what it refuses or in its own words."""
    words = error.recipients.values() if isinstance(error, smtplib.SMTPRecipientsRefused) else [error]
    said = "; ".join(visible(each, 300) for each in words)
    return f"{type(error).__name__}: {re.sub(re.escape(address), '…', said, flags=re.IGNORECASE)}"


def post(webhook: Mapping[str, Any], body: bytes, *, key: str, now: datetime) -> None:
    """Signed as Standard Webhooks says, where the webhook has a secret; any status but 2xx is a failure, and none is followed elsewhere."""
    from runs.adapters import posting  # noqa: PLC0415 - a library for HTTP, which no command and no page needs

    headers = {"content-type": "application/json", "webhook-id": key, "webhook-timestamp": str(int(now.timestamp()))}
    if webhook["secret"] is not None:
        headers["webhook-signature"] = _signer(webhook["secret"]).sign(key, now, body.decode("ascii"))
    asking = posting.post(_address(webhook["webhook"]), headers, body, timeout_s=TIMEOUT_S, private=settings.ORCHESTRA_PRIVATE_WEBHOOKS)
    begun = time.monotonic()
    try:
        status = asyncio.run(asking)
    except posting.NotPosted as error:
        raise NotSent(str(error), waited_s=time.monotonic() - begun) from error
    if not 200 <= status < 300:
        raise NotSent(f"the answer was {status}", final=status == GONE, waited_s=time.monotonic() - begun)


def _address(said: str) -> str:
    return said if said.startswith(("https://", "http://")) else _secret(said)


def _signer(reference: str) -> Any:
    """Only what was made for this signs: else whoever names a secret could have another one of the installation used."""
    from standardwebhooks import Webhook  # noqa: PLC0415 - as above

    secret = _secret(reference)
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX) + "==")  # as whoever verifies it reads it
    except ValueError:
        key = b""
    if not secret.startswith(_PREFIX) or len(key) < LEAST_SECRET_BYTES:
        wanted = f"{_PREFIX} and at least {LEAST_SECRET_BYTES} bytes in base64"
        raise NotSent(f"what {reference} holds is no secret of a webhook: that is {wanted}")
    return Webhook(key)


def _secret(reference: str) -> str:
    from runs.adapters import secrets  # noqa: PLC0415 - as above

    try:
        return secrets.resolve(reference)
    except secrets.NoSecret as error:
        raise NotSent(str(error)) from error
