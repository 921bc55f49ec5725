"""Messages for whoever serves a topic."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_charges")]

    operations = [
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
            ],
            options={
                "indexes": [models.Index(condition=models.Q(("done_at__isnull", True)), fields=["topic", "due_at"], name="audit_message_due")],
                "constraints": [models.UniqueConstraint(fields=("topic", "dedupe_key"), name="audit_message_once")],
            },
        ),
    ]
