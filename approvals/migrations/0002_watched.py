from datetime import UTC, datetime

from django.db import migrations, models

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Migration(migrations.Migration):
    dependencies = [("approvals", "0001_requests")]

    operations = [
        migrations.AddField("request", "team", models.CharField(blank=True, default="", max_length=63)),
        migrations.AddField("request", "policy_name", models.CharField(blank=True, default="", max_length=63)),
        migrations.AddField("request", "policy_number", models.PositiveIntegerField(default=0)),
        migrations.AddField("request", "watched", models.BooleanField(default=True)),
        # Of those that there are: to be looked at as soon as anybody looks.
        migrations.AddField("request", "look_at", models.DateTimeField(default=LONG_AGO), preserve_default=False),
        migrations.AddField("approver", "watched", models.BooleanField(default=True)),
        migrations.AddIndex(
            "approver", models.Index(fields=["kind", "name", "request"], name="approver_watched", condition=models.Q(watched=True))
        ),
        migrations.AddIndex("request", models.Index(fields=["wait"], name="request_watched", condition=models.Q(watched=True))),
        migrations.AddIndex("request", models.Index(fields=["look_at", "wait"], name="request_due", condition=models.Q(watched=True))),
        migrations.AddIndex("request", models.Index(fields=["policy_name", "policy_number"], name="request_under", condition=models.Q(watched=True))),
    ]
