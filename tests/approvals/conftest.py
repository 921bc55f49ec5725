"""Where notices go in the tests of approvals: a mail server and a webhook of their own."""

from collections.abc import Iterator
from typing import Any

import pytest

from approvals.notify import resting
from tests import mail_server, webhook_server
from tests.mail_server import MailServer
from tests.webhook_server import WebhookServer


@pytest.fixture(autouse=True)
def nobody_rests() -> Iterator[None]:
    """Whoever kept a test waiting is asked again by the next."""
    yield
    resting.clear()


@pytest.fixture
def mailbox(settings: Any) -> Iterator[MailServer]:
    """The installation sends e-mail, and this takes it."""
    with mail_server.serving() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 5
        settings.ORCHESTRA_EMAIL, settings.ORCHESTRA_EMAIL_FROM = True, "orchestra@example.com"
        settings.ORCHESTRA_PUBLIC_URL = "https://orchestra.example.com"
        yield server


@pytest.fixture
def hook(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookServer]:
    with webhook_server.serving() as server:
        settings.ORCHESTRA_PRIVATE_WEBHOOKS = frozenset({server.endpoint})
        settings.ORCHESTRA_PUBLIC_URL = "https://orchestra.example.com"
        monkeypatch.setenv("HOOK_SECRET", webhook_server.SECRET)
        yield server
