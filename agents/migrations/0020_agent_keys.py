import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Keys of agents."""

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("agents", "0019_dev_team"),
    ]

    operations = [
        migrations.CreateModel(
            name="AgentKey",
            fields=[
                ("id", models.CharField(editable=False, max_length=12, primary_key=True, serialize=False)),
                ("name", models.CharField(blank=True, default="", max_length=100)),
                ("scopes", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                ("pepper", models.CharField(max_length=16)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                ("refused_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("agent", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="keys", to="agents.agent")),
                (
                    "owner",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="keys_of_agents", to=settings.AUTH_USER_MODEL),
                ),
            ],
            options={
                "ordering": ("-created_at", "-id"),
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("expires_at__gt", models.F("created_at"))), name="agent_key_ends_after_it_began")
                ],
            },
        ),
    ]
