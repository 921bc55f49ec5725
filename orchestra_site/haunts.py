"""Where people signed in from lately: from there strangers elsewhere can't keep them out. Digests of name and address, forgotten after a season.

Decides nothing and knows no password. Asked and told by orchestra_site.tries.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.utils.crypto import salted_hmac

from orchestra_site.models import Haunt

KEPT: Final = timedelta(days=90)
KNOWN_TO: Final = timedelta(days=1)
"""A sign-in writes here at most once in that time."""
MOST_FORGOTTEN: Final = 200


def is_haunt(name: str, address: str, *, now: datetime) -> bool:
    """Whether somebody signed in by this name from this address lately."""
    return Haunt.objects.filter(pk=_key(name, address), seen_at__gt=now - KEPT).exists()


def note(name: str, address: str, *, now: datetime) -> None:
    """Somebody did. In the caller's transaction; a new one makes room for itself by those whose time is over."""
    key = _key(name, address)
    known = Haunt.objects.filter(pk=key).first()
    if known is not None and known.seen_at > now - KNOWN_TO:
        return
    Haunt.objects.update_or_create(pk=key, defaults={"seen_at": now})
    over = Haunt.objects.filter(seen_at__lte=now - KEPT).order_by("seen_at").values_list("pk", flat=True)
    Haunt.objects.filter(pk__in=list(over[:MOST_FORGOTTEN]), seen_at__lte=now - KEPT).delete()


def _key(name: str, address: str) -> str:
    said = f"{address}\n{name}".encode("utf-8", "backslashreplace")
    return salted_hmac("orchestra.haunts", said, algorithm="sha256").hexdigest()
