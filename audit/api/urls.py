"""The addresses of the ledger, below /api/v1/."""

from django.urls import path

from audit.api import views

urlpatterns = [
    path("entries/", views.EntriesView.as_view()),
    path("entries/<uuid:entry>/", views.EntryView.as_view()),
    path("charges/", views.ChargesView.as_view()),
    path("charges/summary/", views.ChargesSummaryView.as_view()),
]
