from importlib import import_module

from django.db import migrations, models

refuse_to_forget = import_module("agents.migrations.0023_proposals").refuse_to_forget


class Migration(migrations.Migration):
    """To find what asks for exactly the same."""

    dependencies = [("agents", "0023_proposals"), ("approvals", "0007_proposals")]

    operations = [
        migrations.AddIndex("request", models.Index(condition=models.Q(("watched", True)), fields=["binding"], name="request_bound")),
        # The last, so that it is the first on the way back: before 0007 forgets what people have said.
        migrations.RunPython(migrations.RunPython.noop, refuse_to_forget),
    ]
