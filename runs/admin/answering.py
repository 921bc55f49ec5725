"""Answers from the admin: the page of a wait, with a form for its signal or for what became of its call; the page of such a call.

Decides nothing: who may answer, and what an answer must satisfy, runs.services says. Whoever may not gets a sentence in the place of the form.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminRadioSelectWidget

from audit import clock
from audit.actors import Actor
from audit.admin import Deed, act, text_field
from audit.admin.base import ReadOnlyAdmin
from audit.errors import Conflict
from audit.requests import actor_of
from runs import services
from runs.admin.starting import value_fields, value_of
from runs.models import Call, Resolution, Wait, WaitKind, WaitState
from runs.services import Settlement

TEMPLATE: Final = "admin/runs/answer.html"
CHOICES: Final = (
    (Resolution.DONE, "It was done. Its step returns the result that you give below, and the run goes on."),
    (Resolution.NOT_DONE, "It was not done. It is made anew, once, and the run goes on from there."),
    (Resolution.UNKNOWN, "Nobody can say. Its step fails as unresolved; whoever finds out later may still say it here."),
)
LATE_CHOICES: Final = (
    (Resolution.DONE, "It was done. The record is put right; what the run came to stays as it is."),
    (Resolution.NOT_DONE, "It was not done. The record is put right; nothing is made anew."),
    (Resolution.UNKNOWN, "Nobody can say. It stays as it is."),
)
"""Of a call whose run has ended."""


class SettleForm(forms.Form):
    """How it is known what became of a call; what became of it, and with what result, is asked before that."""

    reason = text_field(
        "How you know", lines=3, longest=2_000, help_text="What you looked at, and what it says. It is kept with the entry in the audit log."
    )


def wait_page(page: ReadOnlyAdmin, request: HttpRequest, wait: Wait) -> HttpResponse:
    """What is waited for; where this person can answer it, the form that does."""
    actor = actor_of(request)
    said = services.wait_document(wait, clock.now())
    if said["call"] is not None and said["state"] == WaitState.OPEN:
        return call_page(page, request, services.find_call(said["call"], actor=actor), wait=said)
    context = {"said": said, "wait": said, "call": None, "asked": None, "run_page": _run_page(said["run"])}
    if wait.kind == WaitKind.SIGNAL:
        deed = _signalling(wait, said, actor, context)
    else:
        deed = Deed(_title(said), "", _list(), _nothing(said), template=TEMPLATE, forbidden=_stands(said), context=context)
    return act(page, request, deed)


def call_page(page: ReadOnlyAdmin, request: HttpRequest, call: Call, *, wait: Mapping[str, Any] | None = None) -> HttpResponse:
    """What was sent and got no answer, and the three things that may be said of it."""
    actor, said = actor_of(request), services.call_document(call)

    def perform(typed: Mapping[str, Any]) -> str:
        decision = Resolution(typed["decision"])
        result = value_of(said["takes"], typed) if decision is Resolution.DONE else None
        services.settle_call(call=str(call.id), settlement=Settlement(decision, result, typed["reason"]), actor=actor)
        return f"Call {call.id}: {_TAKEN[decision]}"

    says = (
        f"Agent '{call.agent}' was to do this, and no answer came. It may have been done. It is never sent again by itself.",
        "Look at the system that it acts on first. The first word counts, and it is recorded with your name.",
    )
    deed = Deed(
        title=f"What became of the call of '{call.agent}'?", button="Say so", back=_run_page(said["run"]), perform=perform, says=says,
        template=TEMPLATE, form=_settle_form(said["takes"], CHOICES if said["wait"] else LATE_CHOICES), forbidden=_hindrance(call, actor),
        context={"said": said, "wait": wait, "call": said, "asked": said["input"], "run_page": _run_page(said["run"])},
    )  # fmt: skip
    return act(page, request, deed)


_TAKEN: Final = {
    Resolution.DONE: "it was done, and its step returns the result.",
    Resolution.NOT_DONE: "it was not done, and is made anew.",
    Resolution.UNKNOWN: "nobody can say, so its step fails as unresolved.",
}


def _signalling(wait: Wait, said: Mapping[str, Any], actor: Actor, context: Mapping[str, Any]) -> Deed:
    def perform(typed: Mapping[str, Any]) -> str:
        services.send_signal(run=said["run"], signal=wait.subject, payload=value_of(said["takes"], typed), actor=actor)
        return f"The signal '{wait.subject}' is sent; a worker takes the run up again."

    says: Sequence[str] = (
        f"What you give becomes the result of step '{wait.step}', and the run goes on with the work time that was left to it.",
        "The first signal counts, and it is recorded with your name.",
    )
    return Deed(
        title=_title(said), button="Send the signal", back=_run_page(said["run"]), perform=perform, says=says, template=TEMPLATE,
        form=_signal_form(said["takes"]), forbidden=_hindrance(wait, actor), context=context,
    )  # fmt: skip


def _hindrance(what: Wait | Call, actor: Actor) -> str | None:
    """As a sentence of a page."""
    said = services.why_not(what, actor=actor)
    return None if said is None else f"{said[:1].upper()}{said[1:]}."


def _title(said: Mapping[str, Any]) -> str:
    return f"Signal '{said['subject']}'" if said["kind"] == WaitKind.SIGNAL else f"A wait of {said['pipeline']}"


def _nothing(said: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], str]:
    def refuse(_: Mapping[str, Any]) -> str:
        raise Conflict(_stands(said))

    return refuse


def _stands(said: Mapping[str, Any]) -> str:
    if said["state"] != WaitState.OPEN:
        return f"This wait is {said['state']}."
    if said["kind"] == WaitKind.APPROVAL:
        return "It is decided under Approvals, by whom its policy names and who had no part in it."
    return f"Nothing has to be done here. Who ends it: {said['who']}."


def _signal_form(schema: Any) -> Callable[..., forms.Form]:
    def made(*data: Any) -> forms.Form:
        form = forms.Form(*data)
        form.fields = value_fields(schema, label="Payload", required=True)
        return form

    return made


def _settle_form(schema: Any, choices: Sequence[tuple[str, str]]) -> Callable[..., forms.Form]:
    """The result is asked for between the choice and the reason; only `done` needs it, and the contract says what is wrong with it."""

    def made(*data: Any) -> forms.Form:
        form = SettleForm(*data)
        decision = forms.ChoiceField(label="What became of it", choices=choices, widget=UnfoldAdminRadioSelectWidget())
        result = value_fields(schema, label="Result", required=False, said="Only where it was done.")
        form.fields = {"decision": decision, **result, **form.fields}
        return form

    return made


def _run_page(run: str) -> str:
    return reverse("admin:runs_run_change", args=[run])


def _list() -> str:
    return reverse("admin:runs_wait_changelist")
