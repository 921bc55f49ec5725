from django.db import migrations, models


class Migration(migrations.Migration):
    """An index by which the runs are found that were claimed several times in vain: they are taken apart from the others."""

    dependencies = [
        ("runs", "0018_cancelled_waits"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="run",
            index=models.Index(condition=models.Q(attempt__gte=3, state__in=["queued", "running", "waiting"]), fields=["attempt"], name="run_doubted"),
        ),
    ]
