import django.db.models.deletion
from django.db import migrations, models

import audit.identity


class Migration(migrations.Migration):
    """What people say of proposals."""

    dependencies = [("agents", "0023_proposals"), ("approvals", "0006_in_a_stead")]

    operations = [
        migrations.CreateModel(
            name="ProposalDecision",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("person", models.CharField(max_length=150)),
                ("at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                ("stage", models.PositiveIntegerField()),
                ("decision", models.CharField(choices=[("approved", "approved"), ("declined", "declined")], max_length=16)),
                ("shown", models.CharField(max_length=64)),
                ("instead_of", models.CharField(blank=True, default="", max_length=150)),
                (
                    "proposal",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="decisions", to="agents.proposal"),
                ),
            ],
            options={
                "ordering": ("at", "id"),
                "constraints": [
                    models.UniqueConstraint(fields=("proposal", "person", "stage"), name="proposal_decision_once_each"),
                    models.UniqueConstraint(
                        condition=models.Q(("instead_of", ""), _negated=True),
                        fields=("proposal", "stage", "instead_of"),
                        name="proposal_decision_once_in_a_stead",
                    ),
                    models.CheckConstraint(condition=models.Q(("decision__in", ("approved", "declined"))), name="proposal_decision_known"),
                ],
            },
        ),
    ]
