from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0004_results")]

    operations = [
        migrations.AddField("request", "remind_at", models.DateTimeField(default=None, null=True)),
        migrations.AddIndex(
            "request", models.Index(condition=models.Q(("watched", True)), fields=["remind_at"], name="request_reminded")
        ),
    ]
