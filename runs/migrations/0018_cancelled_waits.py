from django.db import migrations, models


class Migration(migrations.Migration):
    """An index by which the waits that were cancelled just now are found, for whoever has asked people meanwhile."""

    dependencies = [
        ("runs", "0017_on_whose_behalf"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="wait",
            index=models.Index(condition=models.Q(state="cancelled"), fields=["kind", "ended_at"], name="wait_cancelled"),
        ),
    ]
