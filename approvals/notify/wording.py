"""A notice as text for a mail, and as a body for a webhook: plain, bounded, and with nothing in it that a name could make into something else.

Pure, but for where the admin is reached. Decides nothing. Called by delivering.
"""

from __future__ import annotations

import json
from typing import Any, Final

from django.conf import settings

from approvals.notify.notice import Notice
from audit.visible import visible

MOST_TITLE: Final = 200
MOST_LINE: Final = 300
MOST_SLACK: Final = 1_900
"""Beside a title whose every character has to be escaped, as much as Slack takes."""
SLACK: Final = "slack"


def subject(notice: Notice) -> str:
    """On one line, whatever names hold: what would begin another header is shown as a glyph."""
    return visible(f"[Orchestra] {notice.title}", MOST_TITLE)


def text(notice: Notice) -> str:
    """Of a mail."""
    width = max((len(label) for label, _ in notice.lines), default=0) + 2
    lines = [f"  {label:<{width}}{visible(value, MOST_LINE)}" for label, value in notice.lines]
    return "\n".join([visible(notice.title, MOST_TITLE), "", visible(notice.sentence, 2 * MOST_LINE), "", *lines, "", *_where(notice), ""])


def _where(notice: Notice) -> list[str]:
    link = link_to(notice.path)
    at = f"All of it, after you have signed in:\n{link}" if link else f"All of it stands in the admin, at {notice.path}"
    return [at, notice.advice, "", "This message decides nothing, and an answer to it is read by nobody."]


def link_to(path: str) -> str | None:
    """None where nobody has said where the admin is reached. It leads to the sign-in page, and holds nothing that could decide."""
    return None if settings.ORCHESTRA_PUBLIC_URL is None else f"{settings.ORCHESTRA_PUBLIC_URL}{path}"


def body(notice: Notice, form: str, *, at: str) -> bytes:
    """Of a webhook; `at`: when it happened, the same however often it is sent."""
    said = _slack(notice) if form == SLACK else _standard(notice, at)
    return json.dumps(said, separators=(",", ":")).encode("ascii")


def _standard(notice: Notice, at: str) -> dict[str, Any]:
    return {"type": notice.event, "timestamp": at, "data": {**notice.data, "title": notice.title, "path": notice.path, "link": link_to(notice.path)}}


def _slack(notice: Notice) -> dict[str, Any]:
    title = _escaped(visible(notice.title, MOST_TITLE))
    lines = [f"{label}: {value}" if label else value for label, value in notice.lines]
    told = "\n".join([visible(notice.sentence, 2 * MOST_LINE), *(visible(line, MOST_LINE) for line in lines)])
    link = link_to(notice.path)
    more = f"<{_escaped(link)}|Open it in Orchestra>" if link else f"In the admin: {notice.path}"
    return {"text": title, "blocks": [_section(f"*{title}*\n{_escaped(told)[:MOST_SLACK]}"), _section(more)]}


def _section(said: str) -> dict[str, Any]:
    """`verbatim`: what looks like an address or a name in it is made into no link."""
    return {"type": "section", "text": {"type": "mrkdwn", "verbatim": True, "text": said}}


def _escaped(said: str) -> str:
    """The three characters by which Slack knows links and calls upon people."""
    return said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
