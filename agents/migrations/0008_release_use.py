import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Which pipelines use an agent is asked of an index, not of every manifest."""

    dependencies = [("agents", "0007_price_newest")]

    operations = [
        migrations.CreateModel(
            name="ReleaseUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("agent", models.CharField(max_length=63)),
                ("release", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="uses", to="agents.release")),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("agent", "release"), name="release_use_once")]},
        ),
    ]
