from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_runs")]

    operations = [
        migrations.AlterField(
            model_name="call",
            name="kind",
            field=models.CharField(
                choices=[("function", "function"), ("command", "command"), ("inline", "inline"), ("tool", "tool")], max_length=16
            ),
        ),
    ]
