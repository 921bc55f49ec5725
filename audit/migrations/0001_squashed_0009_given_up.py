import django.db.models.deletion
from django.db import migrations, models

from audit.models import triggers


def guard(apps, schema_editor):  # noqa: ARG001
    triggers.create(schema_editor.connection)


def unguard(apps, schema_editor):  # noqa: ARG001
    triggers.drop(schema_editor.connection)


class Migration(migrations.Migration):
    """What the migrations before it make of an empty database, in one step: for new installations. One that has some of them goes on with those."""

    replaces = [
        ("audit", "0001_entries"),
        ("audit", "0002_append_only_entries"),
        ("audit", "0003_charges"),
        ("audit", "0004_outbox"),
        ("audit", "0005_see_everything"),
        ("audit", "0006_charges_of_a_team"),
        ("audit", "0007_blobs"),
        ("audit", "0008_entries_of_people"),
        ("audit", "0009_given_up"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Blob",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("value", models.BinaryField()),
            ],
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
        migrations.CreateModel(
            name="Charge",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("run", models.UUIDField(null=True)),
                ("step", models.CharField(blank=True, max_length=200)),
                ("call", models.UUIDField(null=True)),
                ("agent", models.CharField(blank=True, max_length=200)),
                ("version", models.IntegerField(null=True)),
                ("pipeline", models.CharField(blank=True, max_length=200)),
                ("team", models.CharField(blank=True, max_length=200)),
                ("cost_centre", models.CharField(blank=True, max_length=200)),
                ("tags", models.JSONField(default=dict)),
                ("provider", models.CharField(blank=True, max_length=200)),
                ("model", models.CharField(blank=True, max_length=200)),
                ("input_tokens", models.BigIntegerField(default=0)),
                ("cache_read_tokens", models.BigIntegerField(default=0)),
                ("cache_write_tokens", models.BigIntegerField(default=0)),
                ("output_tokens", models.BigIntegerField(default=0)),
                ("price_version", models.CharField(blank=True, max_length=200)),
                ("amount_nano", models.BigIntegerField()),
                ("estimated", models.BooleanField(default=False)),
                ("corrects", models.UUIDField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["run"], name="audit_charge_run"),
                    models.Index(fields=["at", "id"], name="audit_charge_at"),
                    models.Index(fields=["team", "at"], name="audit_charge_team"),
                ],
                "constraints": [
                    models.UniqueConstraint(condition=models.Q(("corrects__isnull", True)), fields=("call",), name="audit_charge_once_per_call"),
                    models.CheckConstraint(
                        condition=models.Q(("corrects__isnull", False), ("amount_nano__gte", 0), _connector="OR"),
                        name="audit_charge_negative_corrects",
                    ),
                ],
            },
        ),
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
                "permissions": [("see_everything", "Can look at everything of every team")],
                "indexes": [
                    models.Index(fields=["at", "id"], name="audit_entry_at"),
                    models.Index(condition=models.Q(("agent__isnull", False)), fields=["agent", "at"], name="audit_entry_agent"),
                    models.Index(condition=models.Q(("team__isnull", False)), fields=["team", "at"], name="audit_entry_team"),
                    models.Index(condition=models.Q(("actor_kind", "person")), fields=["actor", "at", "id"], name="audit_entry_person"),
                    models.Index(condition=models.Q(("on_behalf_of__isnull", False)), fields=["on_behalf_of", "at", "id"], name="audit_entry_behalf"),
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
            name="Message",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("topic", models.CharField(max_length=100)),
                ("dedupe_key", models.CharField(max_length=200)),
                ("payload", models.JSONField()),
                ("created_at", models.DateTimeField()),
                ("due_at", models.DateTimeField()),
                ("attempts", models.IntegerField(default=0)),
                ("done_at", models.DateTimeField(null=True)),
                ("given_up_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("done_at__isnull", True)), fields=["topic", "due_at"], name="audit_message_due"),
                    models.Index(condition=models.Q(("given_up_at__isnull", False)), fields=["topic", "given_up_at"], name="audit_message_given_up"),
                ],
                "constraints": [models.UniqueConstraint(fields=("topic", "dedupe_key"), name="audit_message_once")],
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
                (
                    "blob",
                    models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="openings", to="audit.blob"),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("entry", "path"), name="audit_opening_entry_path")],
            },
        ),
        migrations.RunPython(guard, unguard),
    ]
