"""The addresses of runs, below /api/v1/."""

from django.urls import path

from runs.api import stops, views, waiting

urlpatterns = [
    path("runs/", views.RunsView.as_view()),
    path("runs/<id:run>/", views.RunView.as_view()),
    path("runs/<id:run>/events/", views.EventsView.as_view()),
    path("runs/<id:run>/cancel/", views.CancelView.as_view()),
    path("runs/<id:run>/reverify/", views.ReverifyView.as_view()),
    path("runs/<id:run>/signals/<name:signal>/", waiting.SignalView.as_view()),
    path("waits/", waiting.WaitsView.as_view()),
    path("waits/<uuid:wait>/", waiting.WaitView.as_view()),
    path("stops/", stops.StopsView.as_view()),
    path("stops/<uuid:stop>/", stops.StopView.as_view()),
    path("stops/<uuid:stop>/lift/", stops.LiftView.as_view()),
    path("calls/unresolved/", waiting.UnresolvedView.as_view()),
    path("calls/<uuid:call>/", waiting.CallView.as_view()),
    path("calls/<uuid:call>/settle/", waiting.SettleView.as_view()),
]
