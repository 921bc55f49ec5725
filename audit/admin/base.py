"""What every admin page of ours builds on: anybody who is signed in may look at what is visible to them, and nothing can be edited.

What changes something is a view of its own that calls one use-case (`acting`). Every text goes through audit.visible and is escaped by
the template. Knows no rule; each app registers its own models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import ShowFacets
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from unfold.admin import ModelAdmin

from audit.requests import actor_of
from audit.templatetags.showing import lines, pretty
from audit.visible import visible

if TYPE_CHECKING:  # the stubs are generic, Django's class is not
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = ModelAdmin

LONGEST = 2_000


class Listing(ChangeList):
    """A list that says nothing about how many more there would be without its filters."""

    sees_everything = False
    """Whether nothing is hidden from whoever reads it; what is said of an empty list depends on it."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.sees_everything = actor_of(request).sees_everything
        self.full_result_count = self.result_count


class ReadOnlyAdmin(_ModelAdmin):
    """Shows the rows that `visible_to(actor)` gives, refuses every change, the superuser's too, and makes texts visible."""

    actions = None
    list_per_page = 50
    list_max_show_all = 0
    list_fullwidth = True
    list_filter_sheet = False
    show_full_result_count = False  # counting millions of rows takes longer than looking at fifty
    show_facets = ShowFacets.NEVER
    change_list_template = "admin/audit/list.html"
    change_form_template = "admin/audit/form.html"
    page_template: ClassVar[str | None] = None
    heading: ClassVar[str | None] = None
    """What people call the list, where that isn't the plural of the model's name."""

    nothing: ClassVar[str] = ""
    """What an empty list says beyond that it is empty: how something comes into it."""

    begins_with: ClassVar[tuple[str, str, str] | None] = None
    """Of a list that shows a part before any filter is chosen: what is said where that part is empty, the query that shows more, and its words."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Whoever may sign in may look; what there is to see for them is the queryset."""
        return bool(request.user.is_active and request.user.is_staff)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows: models.QuerySet[Any] = super().get_queryset(request)
        return rows.visible_to(actor_of(request)) if hasattr(rows, "visible_to") else rows if actor_of(request).sees_everything else rows.none()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:  # noqa: ARG002
        """The filters' own names and no other: a query over related rows would answer questions about what isn't shown."""
        return lookup in {getattr(each, "parameter_name", None) for each in self.list_filter}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        """The fields that the class names, or all of them; texts and JSON made visible, bytes left out."""
        return self.fields or [_shown_field(field) for field in self.opts.fields if not isinstance(field, models.BinaryField)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.get_fields(request, obj)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002
        return Listing

    # Pages ------------------------------------------------------------------------------------------------------------------------

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """The row, or 404 whether it does not exist or may not be seen."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return row

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        row = self.found(request, object_id)
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        if self.page_template is None:
            return super().change_view(request, object_id, form_url, {"title": visible(row, 80), **(extra_context or {})})
        return self.page(request, self.page_template, **{"title": visible(row, 80), "object": row, **self.page_context(request, row)})

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:  # noqa: ARG002
        """What the page's template gets beside the row; for those that have a page of their own."""
        return {}

    def page(self, request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
        """A page in the admin's frame."""
        request.current_app = self.admin_site.name
        frame = {"opts": self.opts, "has_view_permission": True, "is_fullwidth": "1", "actor": actor_of(request)}
        return TemplateResponse(request, template, {**self.admin_site.each_context(request), **frame, **context})

    @property
    def list_title(self) -> str:
        """The list in people's words, as navigation, headings and the window's title say it."""
        return self.heading or capfirst(str(self.opts.verbose_name_plural))

    def offered_to(self, request: HttpRequest) -> None:
        """404 for whoever has no use for this part at all: its list, and what it offers, are not there for them."""
        if not self.has_module_permission(request):
            raise Http404

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        self.offered_to(request)
        return super().changelist_view(request, {"title": self.list_title, **(extra_context or {})})

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:  # noqa: ARG002
        """Django's own log of edits has nothing to say where nothing is edited."""
        raise Http404

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:  # noqa: ARG002
        raise PermissionDenied

    # Views of its own -------------------------------------------------------------------------------------------------------------

    def own_urls(self) -> Iterable[tuple[str, Callable[..., HttpResponse], str]]:
        """(path, view, name) of what this admin offers beyond Django's views; names get the model's as a prefix."""
        return ()

    def get_urls(self) -> list[URLPattern]:
        def wrapped(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
            def offered(request: HttpRequest, *args: Any, **given: Any) -> HttpResponse:
                self.offered_to(request)
                return view(request, *args, **given)

            return self.admin_site.admin_view(offered)

        own = [path(route, wrapped(view), name=self.url_name(name)) for route, view, name in self.own_urls()]
        return own + super().get_urls()

    def url_name(self, name: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{name}"

    def url(self, name: str, *args: Any) -> str:
        return reverse(f"admin:{self.url_name(name)}", args=args)


def link_to(row: models.Model) -> str:
    """The address of a row's page."""
    opts = row._meta  # noqa: SLF001 - Django's documented way to a model's names
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[quote(row.pk)])


def shown(name: str, limit: int = 80, *, called: str | None = None) -> Any:
    """A column that shows a text field made visible, sortable like the field."""

    @admin.display(description=called or name.replace("_", " "), ordering=name, empty_value="-")
    def column(row: models.Model) -> str | None:
        value = getattr(row, name)
        return None if value in (None, "") else visible(value, limit)

    column.__name__ = name  # a list's style knows its columns by this
    return column


def as_json(name: str) -> Any:
    """A JSON field for reading: indented, each line made visible."""

    @admin.display(description=name.replace("_", " "))
    def column(row: models.Model) -> str:
        return pretty(getattr(row, name))

    return column


def _shown_field(field: models.Field[Any, Any]) -> Any:
    if isinstance(field, models.JSONField):
        return as_json(field.name)
    if isinstance(field, models.TextField):
        return _of_lines(field.name)
    return shown(field.name, LONGEST) if isinstance(field, models.CharField) else field.name


def _of_lines(name: str) -> Any:
    @admin.display(description=name.replace("_", " "))
    def column(row: models.Model) -> str:
        return lines(getattr(row, name))

    return column


class Choice(admin.SimpleListFilter):
    """A filter over values known beforehand: it asks the database nothing, so it can tell nobody anything."""

    values: ClassVar[Mapping[str, str]] = {}
    field: ClassVar[str] = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        return list(self.values.items())

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:  # noqa: ARG002
        chosen = self.value()
        return queryset.filter(**{self.field: chosen}) if chosen in self.values else queryset


def choice(name: str, values: Iterable[str], *, title: str | None = None) -> type[Choice]:
    """A filter by the values of one column."""
    given = {"title": title or name.replace("_", " "), "parameter_name": name, "field": name, "values": {str(value): str(value) for value in values}}
    return type(f"{name.title()}Filter", (Choice,), given)
