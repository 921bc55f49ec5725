from django.db import migrations, models


class Migration(migrations.Migration):
    """Lists of releases are read newest first, page by page."""

    dependencies = [("agents", "0005_history")]

    operations = [migrations.AddIndex("release", models.Index(fields=["-created_at", "-id"], name="release_newest"))]
