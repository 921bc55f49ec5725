"""The ledger: entries, what may be erased of them, and what is not sealed yet."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Entry",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("verb", models.CharField(max_length=100)),
                ("actor_kind", models.CharField(max_length=20)),
                ("actor", models.CharField(max_length=200)),
                ("on_behalf_of", models.CharField(max_length=200, null=True)),
                ("team", models.CharField(max_length=200, null=True)),
                ("agent", models.CharField(max_length=200, null=True)),
                ("subject", models.CharField(max_length=200)),
                ("run", models.UUIDField(null=True)),
                ("seq", models.BigIntegerField(null=True)),
                ("body", models.BinaryField()),
            ],
            options={
                "verbose_name_plural": "entries",
                "indexes": [
                    models.Index(fields=["at", "id"], name="audit_entry_at"),
                    models.Index(condition=models.Q(("agent__isnull", False)), fields=["agent", "at"], name="audit_entry_agent"),
                    models.Index(condition=models.Q(("team__isnull", False)), fields=["team", "at"], name="audit_entry_team"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("run", "seq"), name="audit_entry_run_seq"),
                    models.CheckConstraint(
                        condition=models.Q(("seq__isnull", True), models.Q(("run__isnull", False), ("seq__gte", 1)), _connector="OR"),
                        name="audit_entry_seq_in_run",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Opening",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("entry", models.UUIDField()),
                ("path", models.CharField(max_length=100)),
                ("salt", models.BinaryField()),
                ("value", models.BinaryField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("entry", "path"), name="audit_opening_entry_path")],
            },
        ),
        migrations.CreateModel(
            name="Pending",
            fields=[
                ("entry", models.UUIDField(primary_key=True, serialize=False)),
            ],
            options={
                "verbose_name_plural": "pending entries",
            },
        ),
    ]
