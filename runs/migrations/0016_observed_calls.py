from django.db import migrations, models


class Migration(migrations.Migration):
    """Which calls went out although a permission that is only observed, or the want of one, would have refused them."""

    dependencies = [
        ("runs", "0015_found_fast"),
    ]

    operations = [
        migrations.AddField(
            model_name="call",
            name="observed_entry",
            field=models.UUIDField(blank=True, null=True),
        ),
    ]
