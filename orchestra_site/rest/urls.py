"""The addresses of REST: what each app offers, under /api/v1/. Whatever is not here is no such path, said as a problem."""

from django.http import HttpRequest
from django.urls import URLPattern, URLResolver, include, path, re_path
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from audit.api import errors, places
from audit.api.doors import Door
from orchestra_site.rest import index, inventory, passwords, schema, tokens

places.register()


class NoSuchPathView(Door):
    """Everything else below /api/, by any method."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    schema = None

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:  # noqa: ARG002 - DRF's signature
        raise errors.NoSuchPath(_there_is_nothing(request._request))  # noqa: SLF001 - Django's request knows the whole path


def _there_is_nothing(request: HttpRequest) -> str:
    hint = "" if request.path.endswith("/") else "; addresses end with a slash"
    return f"there is nothing at {request.path}{hint}. GET /api/v1/ lists what there is, GET /api/v1/schema/ describes it"


V1: list[URLPattern | URLResolver] = [
    path("schema/", schema.SchemaView.as_view(), name="api-schema"),
    path("docs/", schema.DocsView.as_view(), name="api-docs"),
    path("inventory/", inventory.InventoryView.as_view()),
    path("me/", tokens.MeView.as_view()),
    path("me/password/", passwords.OwnPasswordView.as_view()),
    path("sign-in-locks/", passwords.LocksView.as_view()),
    path("sign-in-locks/<uuid:lock>/", passwords.LockView.as_view()),
    path("people/<person:person>/tokens/", tokens.PersonTokensView.as_view()),
    path("tokens/", tokens.TokensView.as_view()),
    path("tokens/<uuid:token>/", tokens.TokenView.as_view()),
    path("", include("agents.api.urls")),
    path("", include("runs.api.urls")),
    path("", include("approvals.api.urls")),
    path("", include("audit.api.urls")),
]
INDEX = path("", index.IndexView.as_view(addresses=index.addresses_of(V1)))
urlpatterns = [path("v1/", include([INDEX, *V1])), re_path("", NoSuchPathView.as_view())]
