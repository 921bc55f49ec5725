"""Reads where a team's notices go: webhooks, each with its secret by reference, its format and its events. Pure.

Must not send anything, nor know what an event is about. Read by the reader of teams; who sends takes the normal form from the team's row.
"""

import re
from typing import Any, Final

from agents.spec.fields import Fields, described

FORMATS: Final = ("standard", "slack")
STEPS: Final = ("requested", "reminder", "escalated", "ended")
EVENTS: Final = (*(f"{what}.{step}" for what in ("approval", "proposal") for step in STEPS), "agent.lapsing")
MOST_WEBHOOKS: Final = 10

SECRET: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,199}|file:/[A-Za-z0-9_./-]{1,200}")
OWN: Final = "env:ORCHESTRA_"
_URL = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/%:@!$&'()*+,;=-]*)?(?:\?[A-Za-z0-9._~/%:@!$&'()*+,;=?-]*)?")
_MOST_URL = 2_000


def read_notices(fields: Fields) -> list[dict[str, Any]] | None:
    """[{"webhook", "secret", "format", "events"}]; None where nothing is said: what the team has stays as it is."""
    value = fields.get("notices")
    if value is None:
        return None
    if not isinstance(value, list):
        fields.wrong("notices", f"must be a list of webhooks ([{{webhook: …}}]), not {described(value)}")
        return None
    if len(value) > MOST_WEBHOOKS:
        fields.wrong("notices", f"has {len(value)} webhooks; write at most {MOST_WEBHOOKS}")
    found = [_webhook(fields, item, index) for index, item in enumerate(value)]
    named = [(each["webhook"], each["format"]) for each in found]
    if len(set(named)) < len(named):
        fields.wrong("notices", "says the same webhook twice; keep one, with all events that it is told")
    return found


def _webhook(fields: Fields, item: Any, index: int) -> dict[str, Any]:
    inner = Fields(fields.page, item, raw=(*fields.raw, "notices", index), spec=(*fields.spec, "notices", index), what="this webhook")
    form = inner.choice("format", FORMATS, default=FORMATS[0])
    said = {"webhook": _address(inner, form), "secret": _secret(inner, form), "format": form, "events": _events(inner)}
    inner.finish()
    return said


def _address(fields: Fields, form: str | None) -> str | None:
    webhook = fields.text("webhook", required="webhook: https://HOST/PATH, or a reference such as env:NAME where the address itself is a secret")
    if webhook is None or _is_reference(fields, "webhook", webhook):
        return webhook
    if form == "slack":  # and not repeated: whoever has such an address may post with it
        fields.wrong("webhook", "is an address that whoever knows it may post to: write a reference to it, such as env:SLACK_WEBHOOK")
    elif len(webhook) > _MOST_URL or not _URL.fullmatch(webhook):
        fields.wrong("webhook", "is no address that is posted to; write https://HOST/PATH without a user name, or a reference such as env:NAME")
    return webhook


def _secret(fields: Fields, form: str | None) -> str | None:
    required = "secret: env:NAME, the reference of the secret that signs what is sent" if form == "standard" else ""
    secret = fields.text("secret", required=required)
    if secret is not None and not _is_reference(fields, "secret", secret):
        fields.wrong("secret", "must be a reference such as env:NAME or file:/ABSOLUTE/PATH, never the secret itself")
    return secret


def _is_reference(fields: Fields, key: str, text: str) -> bool:
    if text.startswith(OWN):
        fields.wrong(key, "names a variable of Orchestra itself, which goes to nobody; choose another name")
        return True
    return SECRET.fullmatch(text) is not None


def _events(fields: Fields) -> list[str]:
    events = fields.texts("events")
    for index, event in enumerate(events):
        if event not in EVENTS:
            fields.page.problem((*fields.raw, "events", index), f"there is no event {event[:80]!r}; there are {', '.join(EVENTS)}")
    return sorted(set(events)) if events else sorted(EVENTS)
