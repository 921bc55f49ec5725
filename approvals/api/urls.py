"""The addresses of approvals, below /api/v1/."""

from django.urls import path

from approvals.api import views

urlpatterns = [
    path("approvals/", views.ApprovalsView.as_view()),
    path("approvals/<uuid:approval>/", views.ApprovalView.as_view()),
    path("approvals/<uuid:approval>/decide/", views.DecideView.as_view()),
    path("approvals/<uuid:approval>/comment/", views.CommentView.as_view()),
]
