from django.db import migrations, models


class Migration(migrations.Migration):
    """What pipelines let their runs do, and teams whose agents are only observed."""

    dependencies = [
        ("agents", "0017_webhooks"),
    ]

    operations = [
        migrations.AddField(
            model_name="historicalpipeline",
            name="permissions",
            field=models.JSONField(blank=True, default=None, null=True),
        ),
        migrations.AddField(
            model_name="pipeline",
            name="permissions",
            field=models.JSONField(blank=True, default=None, null=True),
        ),
        migrations.AddField(
            model_name="historicalteam",
            name="observe",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="team",
            name="observe",
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name="grantuse",
            name="agent",
            field=models.CharField(max_length=80),
        ),
    ]
