"""Money facts."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only_entries")]

    operations = [
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
                "indexes": [models.Index(fields=["run"], name="audit_charge_run"), models.Index(fields=["at"], name="audit_charge_at")],
                "constraints": [
                    models.UniqueConstraint(condition=models.Q(("corrects__isnull", True)), fields=("call",), name="audit_charge_once_per_call"),
                    models.CheckConstraint(
                        condition=models.Q(("corrects__isnull", False), ("amount_nano__gte", 0), _connector="OR"),
                        name="audit_charge_negative_corrects",
                    ),
                ],
            },
        ),
    ]
