"""The list of what is proposed, what waits for whoever looks before all else; and the page on which one is decided, or taken back.

Parses, calls one use-case, renders. Who may decide, `approvals.services.proposals` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminRadioSelectWidget

from agents import registry
from agents.models import Proposal
from agents.registry import FieldChange
from agents.registry.differences import differences
from approvals.admin.inbox import ENDED, OPEN, Oldest
from approvals.rules import APPROVED, DECLINED
from approvals.services import proposal_documents, proposals
from audit import clock
from audit.actors import Actor
from audit.admin import Deed, LongListAdmin, act, text_field
from audit.errors import NotFound
from audit.requests import actor_of
from audit.visible import visible
from audit.wording import ago, instant

CHOICES: Final = (
    (APPROVED, "Approve. With as many approvals as the policy asks for, exactly this is done, at once and as a whole."),
    (DECLINED, "Decline. Nothing is changed."),
)


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

    def queryset(self, request: HttpRequest, queryset: QuerySet[Proposal]) -> QuerySet[Proposal]:  # noqa: ARG002 - as above
        state = self.value() if self.value() in (OPEN, ENDED) else None
        return proposals.wanted(actor=actor_of(request), state=state, mine=state is None).prefetch_related("decisions")


class DecideForm(forms.Form):
    """What is decided, why, and the digest of what the page showed."""

    decision = forms.ChoiceField(label="Decision", choices=CHOICES, widget=UnfoldAdminRadioSelectWidget())
    reason = text_field("Reason", lines=3, longest=2_000, required=False, help_text="It is recorded with your name. Who doesn't approve says why.")
    seen = forms.CharField(widget=forms.HiddenInput(), max_length=64)


@admin.register(Proposal)
class ProposalAdmin(LongListAdmin):
    heading = "Proposals"
    begins_with = ("Nothing waits for you.", f"?shows={OPEN}", "All that is open")
    nothing = "Where a team has people say yes before something is published or goes on, it waits here until they have."
    list_display = ("what", "whose", "proposed_by", "waited", "until", "asks", "reads")
    list_display_links = ("what",)
    list_filter = (Shows,)
    keyset = ("created_at", "id")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Oldest]:  # noqa: ARG002 - Django's signature
        return Oldest

    def get_queryset(self, request: HttpRequest) -> QuerySet[Proposal]:
        return proposals.wanted(actor=actor_of(request))

    def listed(self, request: HttpRequest, rows: list[Any]) -> list[Any]:  # noqa: ARG002 - as above
        for row, said in zip(rows, proposal_documents.listed(rows, clock.now()), strict=True):
            row.said = said
        return rows

    def own_urls(self) -> Iterable[tuple[str, Callable[..., HttpResponse], str]]:
        return [("<uuid:object_id>/withdraw/", self.withdraw_view, "withdraw")]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002 - as above
        found, actor = self.found(request, object_id), actor_of(request)
        return act(self, request, self._deciding(found, proposal_documents.document(found, actor=actor), actor))

    def withdraw_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        found, actor = self.found(request, str(object_id)), actor_of(request)
        said = proposal_documents.document(found, actor=actor)

        def perform(_: Mapping[str, Any]) -> str:
            registry.withdraw(str(found.pk), actor=actor)
            return "It is withdrawn; nobody decides it any more."

        forbidden = None if said["may_withdraw"] else f"This is {said['state']}, or not yours to withdraw."
        says = (f"{said['about'][:1].upper()}{said['about'][1:]}: nobody decides it any more, and nothing of it is done.",)
        return act(self, request, Deed("Withdraw it", "Withdraw it", self._page(found), perform, says, danger=True, forbidden=forbidden))

    def found(self, request: HttpRequest, object_id: str) -> Proposal:
        """Also one that is over: whoever follows an old link learns how."""
        try:
            return proposals.find(unquote(object_id), actor=actor_of(request))
        except NotFound:
            raise Http404 from None

    def _page(self, found: Proposal) -> str:
        return self.url("change", found.pk)

    def _deciding(self, found: Proposal, said: Mapping[str, Any], actor: Actor) -> Deed:
        def perform(typed: Mapping[str, Any]) -> str:
            done = proposals.decide(proposal=str(found.pk), decision=typed["decision"], reason=typed["reason"], seen=typed["seen"], actor=actor)
            [now] = proposal_documents.listed([done], clock.now())
            kept = f"Your approval is kept; {now['lacks']} more must approve."
            return kept if now["state"] == OPEN else f"{_sentence(now['about'])}: {now['state']}."

        says = (
            "This and nothing else is approved. Nothing of it is done until as many have said yes as the policy asks for; then all of it is.",
            "Your decision is recorded with your name and with a digest of this page, and can't be taken back.",
            *([f"You decide it in the stead of {visible(said['instead_of'], 150)}, who is away."] if said["instead_of"] else []),
        )
        changes = [(item, differences(FieldChange(**field) for field in item["fields"])) for item in said["changes"]]
        context = {"said": said, "changes": changes, "withdraw_page": self.url("withdraw", found.pk)}
        form = lambda data=None: DecideForm(data, initial={"seen": said["shown"]})  # noqa: E731 - as the form class that stands there elsewhere
        return Deed(
            title=_sentence(said["about"]), button="Decide", back=self.url("changelist"), perform=perform, says=says, form=form,
            template="admin/approvals/proposal.html", forbidden=_hindrance(said), context=context,
        )  # fmt: skip

    @admin.display(description="what")
    def what(self, row: Any) -> str:
        return visible(_sentence(row.said["about"]), 200)

    @admin.display(description="team")
    def whose(self, row: Any) -> str:
        return visible(row.said["team"], 80)

    @admin.display(description="proposed by")
    def proposed_by(self, row: Any) -> str:
        return visible(row.by.removeprefix("person:"), 150)

    @admin.display(description="waits since (UTC)")
    def waited(self, row: Any) -> str:
        return f"{instant(row.created_at)} ({ago(row.created_at, clock.now())})"

    @admin.display(description="until (UTC)")
    def until(self, row: Any) -> str:
        """Of one that is over: when it ended."""
        if row.said["state"] != OPEN:
            return instant(row.ended_at or row.expires_at)
        return f"{instant(row.expires_at)} ({ago(row.expires_at, clock.now())})"

    @admin.display(description="asks")
    def asks(self, row: Any) -> str:
        return visible(row.said["asks"], 200)

    @admin.display(description="reads")
    def reads(self, row: Any) -> str:
        more = f", {row.said['lacks']} more must approve" if row.said["state"] == OPEN else ""
        return f"{row.said['state']}{more}"


def _sentence(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}"


def _hindrance(said: Mapping[str, Any]) -> str | None:
    if said["state"] != OPEN:
        why = f": {said['why']}" if said["why"] else ""
        return f"This is {said['state']}{why}. There is nothing to be decided any more."
    return None if said["why_not"] is None else f"You can't decide this: {said['why_not']}."
