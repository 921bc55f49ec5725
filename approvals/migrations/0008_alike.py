from django.db import migrations, models


class Migration(migrations.Migration):
    """To find what asks for exactly the same."""

    dependencies = [("approvals", "0007_proposals")]

    operations = [
        migrations.AddIndex("request", models.Index(condition=models.Q(("watched", True)), fields=["binding"], name="request_bound")),
    ]
