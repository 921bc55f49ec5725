import django.db.models.deletion
from django.db import migrations, models
from django.db.migrations.exceptions import IrreversibleError

import audit.identity

TEAMS = ("team", "historicalteam")


def refuse_to_forget(apps, _):
    """Brought back later, nobody would be asked any more, and nobody would know."""
    ruled = apps.get_model("agents", "Team").objects.exclude(publishing="", resuming="").order_by("name")
    if names := ", ".join(f"'{name}'" for name in ruled.values_list("name", flat=True)[:10]):
        said = f"people decide what is published, or goes on, of {names}, and this would forget it"
        raise IrreversibleError(f'{said}: an administrator takes it out of the documents of these teams first (`publishing: ""`, `resuming: ""`)')


class Migration(migrations.Migration):
    """What people say yes to before it is published or goes on, and by which policy of which team."""

    dependencies = [("agents", "0022_same_people")]

    operations = [
        *(
            migrations.AddField(model, name, models.CharField(blank=True, default="", max_length=63))
            for model in TEAMS
            for name in ("publishing", "resuming")
        ),
        migrations.CreateModel(
            name="Proposal",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=[("publish", "Publish"), ("resume", "Resume")], max_length=16)),
                ("deeds", models.JSONField()),
                ("shown", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                ("policy", models.JSONField()),
                ("policy_name", models.CharField(max_length=63)),
                ("policy_number", models.PositiveIntegerField()),
                ("by", models.CharField(max_length=200)),
                ("asked_by", models.JSONField(blank=True, default=list)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("enacted", "Enacted"),
                            ("declined", "Declined"),
                            ("expired", "Expired"),
                            ("void", "Void"),
                            ("withdrawn", "Withdrawn"),
                        ],
                        default="open",
                        max_length=16,
                    ),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("why", models.TextField(blank=True, default="")),
                ("told_stage", models.PositiveIntegerField(default=0)),
                ("look_at", models.DateTimeField()),
                ("team", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="proposals", to="agents.team")),
            ],
            options={
                "ordering": ("created_at", "id"),
                "indexes": [
                    models.Index(fields=["created_at", "id"], name="proposal_oldest"),
                    models.Index(condition=models.Q(("state", "open")), fields=["expires_at"], name="proposal_open"),
                    models.Index(condition=models.Q(("state", "open")), fields=["look_at"], name="proposal_look_at"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["open", "enacted", "declined", "expired", "void", "withdrawn"])),
                        name="proposal_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ended_at__isnull", True), ("state", "open")),
                            models.Q(models.Q(("state", "open"), _negated=True), ("ended_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="proposal_ended",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ProposalChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("subject", models.CharField(max_length=150)),
                ("proposal", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="changes", to="agents.proposal")),
            ],
            options={
                "indexes": [models.Index(fields=["subject"], name="proposal_change_of")],
                "constraints": [models.UniqueConstraint(fields=("proposal", "subject"), name="proposal_change_once")],
            },
        ),
        migrations.RunPython(migrations.RunPython.noop, refuse_to_forget),  # the last, so that it is the first on the way back
    ]
