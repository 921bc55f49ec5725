from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0016_roles")]

    operations = [
        migrations.AddField("historicalteam", "notices", models.JSONField(blank=True, default=list)),
        migrations.AddField("team", "notices", models.JSONField(blank=True, default=list)),
    ]
