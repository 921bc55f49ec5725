import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import audit.identity


class Migration(migrations.Migration):
    """What the migrations before it make of an empty database, in one step: for new installations. One that has some of them goes on with those."""

    replaces = [("orchestra_site", "0001_tokens"), ("orchestra_site", "0002_tries_and_last_use"), ("orchestra_site", "0003_haunts")]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Haunt",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("seen_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["seen_at"], name="haunt_seen")],
            },
        ),
        migrations.CreateModel(
            name="Token",
            fields=[
                ("digest", models.CharField(max_length=128, primary_key=True, serialize=False)),
                ("token_key", models.CharField(db_index=True, max_length=25)),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("expiry", models.DateTimeField(blank=True, null=True)),
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, unique=True)),
                ("name", models.CharField(blank=True, default="", max_length=100)),
                ("used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("user", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="auth_token_set", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "verbose_name_plural": "your account",
                "ordering": ("-created", "-id"),
                "indexes": [models.Index(fields=["-created", "-id"], name="token_newest")],
            },
        ),
        migrations.CreateModel(
            name="Tries",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("key", models.CharField(max_length=64, unique=True)),
                (
                    "scope",
                    models.CharField(
                        choices=[("name", "Name"), ("address", "Address"), ("elsewhere", "Elsewhere"), ("change", "Change")], max_length=16
                    ),
                ),
                ("count", models.PositiveIntegerField(default=0)),
                ("ends", models.DateTimeField()),
                ("locked", models.BooleanField(default=False)),
                ("address", models.CharField(blank=True, default="", max_length=45)),
                (
                    "person",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name": "sign-in lock",
                "ordering": ("-ends", "-id"),
                "indexes": [models.Index(fields=["-ends", "-id"], name="tries_newest")],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("scope__in", ["name", "address", "elsewhere", "change"])), name="tries_scope_known")
                ],
            },
        ),
    ]
