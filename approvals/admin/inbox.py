"""The list of what waits for people's yes, what waits for whoever looks before all else; and the page on which one is decided.

Parses, calls one use-case, renders. Who may decide, `approvals.services` says: whoever may not gets a sentence in the place of the form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldBooleanSwitchWidget

from approvals import services
from approvals.errors import BadDecision
from approvals.models import Kind, Request
from approvals.rules import APPROVED, CHANGES, DECLINED
from approvals.services import Inbox, given_as_edits
from audit import clock, strict_json
from audit.actors import Actor
from audit.admin import Deed, LongListAdmin, act, text_field
from audit.admin.paging import Pages
from audit.errors import BadJson, NotFound
from audit.requests import actor_of
from audit.visible import visible
from audit.wording import ago, instant

TEMPLATE: Final = "admin/approvals/request.html"
CHOICES: Final = (
    (APPROVED, "Approve. With as many approvals as the policy asks for, exactly this call goes out, once."),
    (DECLINED, "Decline. Nothing is sent, and the step fails with your reason."),
)
CHOICES_OF_VALUES: Final = (
    (APPROVED, "Approve. With as many approvals as the policy asks for, the run goes on with exactly this."),
    (DECLINED, "Decline. The run does not go on with it: the step fails with your reason."),
)
SEND_BACK: Final = (CHANGES, "Ask for changes. The agent does it again and is told your reason; what it gives then is put to people again.")
OPEN, ENDED = "open", "ended"
MOST_TYPED: Final = 100_000
"""Longer arguments are edited elsewhere."""
_ASKED: Final[Mapping[str, str]] = {
    Kind.CALL: "Agent '{agent}' may do this only with people's yes.",
    Kind.RESULT: "People look at what '{agent}' gave before the run goes on with it.",
    Kind.SUBJECT: "The pipeline puts this to people before it goes on.",
}
_EDITED: Final[Mapping[str, str]] = {Kind.CALL: "Arguments", Kind.RESULT: "What is approved", Kind.SUBJECT: "What is approved"}
_EDITS: Final[Mapping[str, str]] = {
    Kind.CALL: "The policy allows edits. What you change here must fit the agent's contract, and may not change what the call touches.",
    Kind.RESULT: "The policy allows edits. What you change here must fit the agent's contract, and the run goes on with it.",
    Kind.SUBJECT: "The policy allows edits. What you change here must be what the pipeline says it may be, and the run goes on with it.",
}


class Oldest(Pages):
    """As the lists of what happened, the other way round: what has waited longest comes first."""

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:  # noqa: ARG002 - Django's signature
        return list(self.model_admin.keyset)

    def _taken(self, request: HttpRequest, place: list[Any] | None, most: int, *, newer: bool) -> list[Any]:
        return super()._taken(request, place, most, newer=not newer)


class Shows(admin.SimpleListFilter):
    """Without a choice: what waits for whoever looks."""

    title = "state"
    parameter_name = "shows"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        return [(OPEN, "all that is open"), (ENDED, "what is over")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        first, *others = super().choices(changelist)
        yield {**first, "display": "what waits for me"}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Request]) -> QuerySet[Request]:  # noqa: ARG002 - as above
        wanted = Inbox(state=self.value()) if self.value() in (OPEN, ENDED) else Inbox(mine=True)
        return services.requests_wanted(wanted, actor=actor_of(request), now=clock.now())


class DecideForm(forms.Form):
    """What is decided, why, and the digest of what the page showed."""

    decision = forms.ChoiceField(label="Decision", choices=CHOICES, widget=UnfoldAdminRadioSelectWidget())
    reason = text_field("Reason", lines=3, longest=2_000, required=False, help_text="It is recorded with your name. Who doesn't approve says why.")
    seen = forms.CharField(widget=forms.HiddenInput(), max_length=64)

    def clean(self) -> dict[str, Any]:
        """Edits that there is no field for are not left out without a word: what was approved would be something else."""
        if self.data.get("arguments") and "arguments" not in self.fields:
            raise forms.ValidationError("Edits can't be made on this page any more, and nothing was decided: look at what it says now.")
        return super().clean() or {}


class CommentForm(forms.Form):
    text = text_field("Comment", lines=3, longest=2_000, help_text="It is kept beside the request, with your name, and decides nothing.")


@admin.register(Request)
class RequestAdmin(LongListAdmin):
    heading = "Approvals"
    begins_with = ("Nothing waits for you.", f"?shows={OPEN}", "All that is open")
    nothing = "A call that needs your yes waits here until you have said it, or its time is over."
    change_list_template = "admin/runs/pressing.html"
    list_display = ("call_of", "what_for", "risk_tier", "waited", "until", "asks", "reads")
    list_display_links = ("call_of",)
    list_filter = (Shows,)
    keyset = ("wait_id",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Pages]:  # noqa: ARG002 - as above
        return Oldest

    def get_queryset(self, request: HttpRequest) -> QuerySet[Request]:
        return services.requests_wanted(Inbox(), actor=actor_of(request), now=clock.now())

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        services.tend()
        return super().changelist_view(request, extra_context)

    def listed(self, request: HttpRequest, rows: list[Any]) -> list[Any]:  # noqa: ARG002 - as above
        for row, said in zip(rows, services.listed(rows, clock.now()), strict=True):
            row.said = said
        return rows

    def own_urls(self) -> Iterable[tuple[str, Callable[..., HttpResponse], str]]:
        return [("<uuid:object_id>/comment/", self.comment_view, "comment")]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002 - as above
        found, actor = self.found(request, object_id), actor_of(request)
        return act(self, request, self._deciding(found, services.document(found, actor=actor), actor))

    def comment_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        found, actor = self.found(request, str(object_id)), actor_of(request)

        def perform(typed: Mapping[str, Any]) -> str:
            services.comment(request=str(found.pk), text=typed["text"], actor=actor)
            return "Your comment is kept beside the request."

        page = reverse("admin:approvals_request_change", args=[found.pk])
        says = (f"About {found.about}, which waits for people's yes. Whoever decides reads it.",)
        return act(self, request, Deed("Comment", "Keep it", page, perform, says, form=CommentForm))

    def found(self, request: HttpRequest, object_id: str) -> Request:
        """Also one that is over: whoever follows an old link learns how."""
        try:
            return services.find_request(unquote(object_id), actor=actor_of(request))
        except NotFound:
            raise Http404 from None

    def _deciding(self, found: Request, said: Mapping[str, Any], actor: Actor) -> Deed:
        def perform(typed: Mapping[str, Any]) -> str:
            arguments = _arguments(typed.get("arguments", ""))
            more = {"reason": typed["reason"], "seen": typed["seen"]}
            if typed.get("alike"):
                also = [each for each in typed["others"].split(",") if each]
                return _together(services.decide_alike(request=str(found.pk), also=also, decision=typed["decision"], **more, actor=actor))
            more["arguments"] = arguments
            request = services.decide(request=str(found.pk), decision=typed["decision"], **more, actor=actor)
            [now] = services.listed([request], clock.now())
            return _taken(now)

        text = _typeable(said["arguments"])
        says = (
            f"{_ASKED[found.kind].format(agent=visible(found.agent, 80))} All of this was computed by Orchestra; this and nothing else is approved.",
            "Your decision is recorded with your name and with a digest of this page, and can't be taken back.",
            *([f"You decide it in the stead of {visible(said['instead_of'], 150)}, who is away."] if said["instead_of"] else []),
            *_too_long(said, text),
        )
        edited = any(each["edits"] for each in said["decisions"])
        to = {"run_page": reverse("admin:runs_run_change", args=[said["run"]]), "comment_page": self.url("comment", found.pk)}
        return Deed(
            title=f"{found.about[0].upper()}{found.about[1:]}", button="Decide", back=reverse("admin:approvals_request_changelist"),
            perform=perform, says=says,
            form=_form(said, text), template=TEMPLATE, forbidden=_hindrance(said), context={"said": said, "edited": edited, **to},
        )  # fmt: skip

    @admin.display(description="asked about")
    def call_of(self, row: Any) -> str:
        return str(row.about)

    @admin.display(description="run")
    def what_for(self, row: Any) -> str:
        return render_to_string("admin/runs/of_wait.html", {"pipeline": row.said["pipeline"], "run": row.said["run"]})

    @admin.display(description="risk", empty_value="-")
    def risk_tier(self, row: Any) -> str | None:
        return visible(row.risk, 40) if row.risk else None

    @admin.display(description="waits since (UTC)")
    def waited(self, row: Any) -> str:
        return f"{instant(row.wait.opened_at)} ({ago(row.wait.opened_at, clock.now())})"

    @admin.display(description="until (UTC)")
    def until(self, row: Any) -> str:
        """Of one that is over: when it ended."""
        if row.said["state"] != OPEN:
            return instant(row.wait.ended_at or row.wait.expires_at)
        return f"{instant(row.wait.expires_at)} ({ago(row.wait.expires_at, clock.now())})"

    @admin.display(description="asks")
    def asks(self, row: Any) -> str:
        return visible(row.said["asks"], 200)

    @admin.display(description="reads")
    def reads(self, row: Any) -> str:
        more = f", {row.said['lacks']} more must approve" if row.said["state"] == OPEN else ""
        return f"{row.said['state']}{more}"


def _together(done: services.Together) -> str:
    refused = "; ".join(f"{each}: {why}" for each, why in done.refused[:5])
    return f"Your decision is kept for {len(done.decided)} requests.{f' Not for {len(done.refused)}: {refused}' if done.refused else ''}"


def _taken(said: Mapping[str, Any]) -> str:
    if said["state"] == OPEN:
        return f"Your approval is kept; {said['lacks']} more must approve."
    if said["state"] == CHANGES:
        return f"It was sent back: '{said['agent']}' does it again, and what it gives then is put to people again."
    return f"Decided: {said['about']} is {said['state']}; a worker takes the run up again."


def _arguments(text: str) -> Any:
    """What was typed, as JSON; None where nothing was."""
    if not text.strip():
        return None
    if len(text := text.replace("\r\n", "\n")) > MOST_TYPED:
        raise BadDecision(f"the arguments have {len(text):,} characters, and a form takes {MOST_TYPED:,}; use `manage.py decide` or REST")
    try:
        return given_as_edits(strict_json.read(text, "the field Arguments"))
    except BadJson as error:
        raise BadDecision(error.message) from None


def _typeable(value: Any) -> str:
    """The same JSON, with what would hide or move other text written as its escape: a field for text shows no glyphs instead."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(each if each == "\n" or visible(each) == each else json.dumps(each)[1:-1] for each in text)


def _hindrance(said: Mapping[str, Any]) -> str | None:
    """As a sentence of a page."""
    if said["state"] != OPEN:
        return f"This is {said['state']}; there is nothing to be decided any more."
    why = said["why_not"]
    return None if why is None else f"You can't decide this: {why}."


def _choices(said: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What may be said of it: only what an agent gave can be sent back, and not for ever."""
    plain = CHOICES if said["kind"] == Kind.CALL else CHOICES_OF_VALUES
    return [*plain, *([SEND_BACK] if said["rounds_left"] else [])]


def _too_long(said: Mapping[str, Any], text: str) -> Iterator[str]:
    """What stands in the place of a field that a browser could not fill in."""
    if said["policy"]["edits"] and len(text) > MOST_TYPED:
        here = f"it has {len(text):,} characters, and a form takes {MOST_TYPED:,}"
        there = f"`manage.py decide {said['id']} approve --arguments-file FILE` or POST /api/v1/approvals/{said['id']}/decide/"
        yield f"The policy allows edits, but this is too long to be edited on this page: {here}. Use {there}."


def _form(said: Mapping[str, Any], text: str) -> Callable[..., forms.Form]:
    def made(data: Any = None) -> forms.Form:
        form = DecideForm(data, initial={"seen": said["shown"], "arguments": text})
        form.fields["decision"].choices = _choices(said)  # type: ignore[attr-defined]
        if said["alike"]:
            others = f"{len(said['alike'])} others of low risk that ask" if len(said["alike"]) > 1 else "1 other of low risk that asks"
            more = f"Also the {others} for exactly this"
            form.fields["alike"] = forms.BooleanField(label=more, required=False, widget=UnfoldBooleanSwitchWidget())
            form.fields["others"] = forms.CharField(widget=forms.HiddenInput(), required=False, max_length=5_000, initial=",".join(said["alike"]))
        if said["policy"]["edits"] and len(text) <= MOST_TYPED:
            label, longest = _EDITED[said["kind"]], 2 * MOST_TYPED  # a browser sends two characters for the end of a line
            form.fields["arguments"] = text_field(label, lines=10, longest=longest, required=False, help_text=_EDITS[said["kind"]])
        return form

    return made
