"""The address space of the site: the admin, and the way to it; REST; what monitoring reads."""

from typing import Never

from django.contrib import admin
from django.http import Http404, HttpRequest
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from orchestra_site.health.metrics import metrics
from orchestra_site.health.outcomes import outcomes


def nothing(request: HttpRequest) -> Never:  # noqa: ARG001 - Django's signature
    """What Django and the theme bring and no page here offers; the theme still names these addresses, so they are shadowed."""
    raise Http404


admin.autodiscover()
handler500 = "orchestra_site.failing.failed"
urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    re_path(r"^admin/(?:r/.*|search/|autocomplete/)$", nothing),
    path("admin/account/", RedirectView.as_view(pattern_name="admin:orchestra_site_token_account")),
    # Django's own would change a password past its use-case.
    path("admin/password_change/", RedirectView.as_view(pattern_name="admin:orchestra_site_token_password")),
    re_path(r"^admin/password_change/done/$", nothing),
    path("admin/", admin.site.urls),
    path("api/", include("orchestra_site.rest.urls")),
    path("health/outcomes", outcomes),
    path("metrics", metrics),
]
