"""The addresses of the inventory, below /api/v1/."""

from django.urls import path

from agents.api import agents, applying, pipelines, teams, versions

urlpatterns = [
    path("teams/", teams.TeamsView.as_view()),
    path("teams/<name:team>/", teams.TeamView.as_view()),
    path("teams/<name:team>/members/", teams.MembersView.as_view()),
    path("teams/<name:team>/members/<person:person>/", teams.MemberView.as_view()),
    path("teams/<name:team>/onlookers/", teams.OnlookersView.as_view()),
    path("teams/<name:team>/onlookers/<person:person>/", teams.OnlookerView.as_view()),
    path("people/", teams.PeopleView.as_view()),
    path("people/<person:person>/activate/", teams.ActivateView.as_view()),
    path("people/<person:person>/deactivate/", teams.DeactivateView.as_view()),
    path("people/<person:person>/permissions/", teams.PermissionsView.as_view()),
    path("agents/", agents.AgentsView.as_view()),
    path("agents/<name:agent>/", agents.AgentView.as_view()),
    path("agents/<name:agent>/suspend/", agents.SuspendView.as_view()),
    path("agents/<name:agent>/resume/", agents.ResumeView.as_view()),
    path("agents/<name:agent>/retire/", agents.RetireView.as_view()),
    path("agents/<name:agent>/reinstate/", agents.ReinstateView.as_view()),
    path("agents/<name:agent>/preview/", agents.PreviewView.as_view()),
    path("agents/<name:agent>/publish/", agents.PublishView.as_view()),
    path("agents/<name:agent>/rollback/", agents.RollbackView.as_view()),
    path("agents/<name:agent>/versions/", versions.AgentVersionsView.as_view()),
    path("agents/<name:agent>/versions/<number:number>/", versions.AgentVersionView.as_view()),
    path("pipelines/", pipelines.PipelinesView.as_view()),
    path("pipelines/<name:pipeline>/", pipelines.PipelineView.as_view()),
    path("pipelines/<name:pipeline>/preview/", pipelines.PreviewView.as_view()),
    path("pipelines/<name:pipeline>/publish/", pipelines.PublishView.as_view()),
    path("pipelines/<name:pipeline>/rollback/", pipelines.RollbackView.as_view()),
    path("pipelines/<name:pipeline>/retire/", pipelines.RetireView.as_view()),
    path("pipelines/<name:pipeline>/reinstate/", pipelines.ReinstateView.as_view()),
    path("pipelines/<name:pipeline>/versions/", versions.PipelineVersionsView.as_view()),
    path("pipelines/<name:pipeline>/versions/<number:number>/", versions.PipelineVersionView.as_view()),
    path("releases/", versions.ReleasesView.as_view()),
    path("releases/<digest:release>/", versions.ReleaseView.as_view()),
    path("model-aliases/", versions.AliasesView.as_view()),
    path("model-aliases/<name:alias>/", versions.AliasView.as_view()),
    path("apply/", applying.ApplyView.as_view()),
]
