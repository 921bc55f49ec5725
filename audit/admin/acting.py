"""Governed changes from the admin: a page that says what will happen, a form for what is asked, and one use-case behind the button.

POST only, with CSRF; refusals and successes are messages. The use-case opens its own transaction, so a refusal's entry stays. Knows no rule.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.db import OperationalError, models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from audit.admin.base import ReadOnlyAdmin
from audit.errors import Deferred, OrchestraError, Unavailable
from audit.visible import visible

MOST_PROBLEMS = 50
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deed:
    """One change: its title, what it will do, what it asks, and the use-case. `perform` returns the sentence of its success.

    Where `perform` returns a response instead, that is the answer (a password that is shown once). `about` is the row that the page's
    heading leads back to; `forbidden` says why this person gets a sentence in the place of the form.
    """

    title: str
    button: str
    back: str
    perform: Callable[[Mapping[str, Any]], str | HttpResponse]
    says: Sequence[str] = ()
    form: Callable[..., forms.Form] = forms.Form
    template: str = "admin/audit/deed.html"
    danger: bool = False
    forbidden: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    about: models.Model | None = None
    after: Callable[[], str] | None = None


def act(page: ReadOnlyAdmin, request: HttpRequest, deed: Deed) -> HttpResponse:
    """Show the page, or do it."""
    if request.method != "POST":
        return _asking(page, request, deed, deed.form())
    form = deed.form(request.POST)
    if not form.is_valid():
        return _asking(page, request, deed, form, status=422)
    try:
        done = deed.perform(form.cleaned_data)
    except Deferred as waits:
        messages.info(request, visible(f"{waits.message[:1].upper()}{waits.message[1:]}.", 1_000))
        return HttpResponseRedirect(deed.back)
    except OrchestraError as refusal:
        return _asking(page, request, deed, form, refusal=refusal, status=refusal.http_status)
    except OperationalError:  # a lock that was not to be had in time, a connection that broke: nothing was done, or all of it
        _log.exception("a deed of the admin had no database")
        return _asking(page, request, deed, form, refusal=Unavailable(), status=Unavailable.http_status)
    if isinstance(done, HttpResponse):
        return done
    messages.success(request, visible(done, 1_000))
    return HttpResponseRedirect(deed.after() if deed.after else deed.back)


def _asking(
    page: ReadOnlyAdmin, request: HttpRequest, deed: Deed, form: forms.Form, *, refusal: OrchestraError | None = None, status: int = 200
) -> TemplateResponse:
    problems = [] if refusal is None else [str(problem) for problem in refusal.details.get("problems") or ()]
    more = max(len(problems) - MOST_PROBLEMS, 0)
    said = {
        "deed": deed,
        "form": form,
        "refusal": refusal,
        "problems": problems[:MOST_PROBLEMS],
        "more_problems": more,
        "object": deed.about,
        **deed.context,
    }
    answer = page.page(request, deed.template, title=deed.title, **said)
    answer.status_code = status
    if isinstance(refusal, Unavailable):
        answer.headers["Retry-After"] = str(refusal.retry_after_s)
    return answer


def text_field(
    label: str, *, lines: int = 1, required: bool = True, help_text: str = "", longest: int = 1_000, such_as: str = "", **more: Any
) -> forms.CharField:
    """A field for text in the admin's style. `such_as` stands in it while it is empty: what belongs there."""
    shown = {"placeholder": such_as} if such_as else {}
    widget = UnfoldAdminTextInputWidget(attrs=shown) if lines == 1 else UnfoldAdminTextareaWidget(attrs={"rows": lines, **shown})
    return forms.CharField(label=label, required=required, help_text=help_text, max_length=longest, widget=widget, **more)


class ReasonForm(forms.Form):
    """Why: it goes into the ledger, where whoever meets the change will look for it."""

    reason = text_field("Reason", lines=3, help_text="It is recorded in the audit log. Whoever finds this stopped will read it.")
