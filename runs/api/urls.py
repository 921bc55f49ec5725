"""The addresses of runs, below /api/v1/."""

from django.urls import path

from runs.api import views

urlpatterns = [
    path("runs/", views.RunsView.as_view()),
    path("runs/<id:run>/", views.RunView.as_view()),
    path("runs/<id:run>/events/", views.EventsView.as_view()),
    path("runs/<id:run>/cancel/", views.CancelView.as_view()),
    path("runs/<id:run>/reverify/", views.ReverifyView.as_view()),
]
