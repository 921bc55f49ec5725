from django.db import migrations, models


class Migration(migrations.Migration):
    """On whose behalf a run is that an agent started, and with which key.

    Empty for every run that was there before, and for what a worker of the version before writes meanwhile.
    """

    dependencies = [
        ("runs", "0016_observed_calls"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="on_behalf_of",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
        migrations.AddField(
            model_name="run",
            name="started_with",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
    ]
