"""A call may be one of a command or of a model."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_runs")]

    operations = [
        migrations.AlterField(
            model_name="call",
            name="kind",
            field=models.CharField(
                choices=[("function", "function"), ("command", "command"), ("inline", "inline"), ("tool", "tool"), ("model", "model")], max_length=16
            ),
        ),
    ]
