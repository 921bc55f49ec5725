"""The addresses of approvals, below /api/v1/."""

from django.urls import path

from approvals.api import proposals, views

urlpatterns = [
    path("approvals/", views.ApprovalsView.as_view()),
    path("approvals/<uuid:approval>/", views.ApprovalView.as_view()),
    path("approvals/<uuid:approval>/decide/", views.DecideView.as_view()),
    path("approvals/<uuid:approval>/decide-alike/", views.AlikeView.as_view()),
    path("approvals/<uuid:approval>/comment/", views.CommentView.as_view()),
    path("proposals/", proposals.ProposalsView.as_view()),
    path("proposals/<uuid:proposal>/", proposals.ProposalView.as_view()),
    path("proposals/<uuid:proposal>/decide/", proposals.DecideProposalView.as_view()),
    path("proposals/<uuid:proposal>/withdraw/", proposals.WithdrawView.as_view()),
]
