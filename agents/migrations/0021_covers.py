import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import audit.identity


class Migration(migrations.Migration):
    """Who decides in whose stead while they are away."""

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("agents", "0020_agent_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="Cover",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("made_by", models.CharField(max_length=150)),
                ("created_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "person",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="covers", to=settings.AUTH_USER_MODEL),
                ),
                (
                    "deputy",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="covers_for", to=settings.AUTH_USER_MODEL),
                ),
            ],
            options={
                "ordering": ("-created_at", "-id"),
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("until__gt", models.F("since"))), name="cover_ends_after_it_began"),
                    models.CheckConstraint(condition=models.Q(("person", models.F("deputy")), _negated=True), name="cover_by_somebody_else"),
                ],
            },
        ),
    ]
