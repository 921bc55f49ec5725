from django.db import migrations, models


class Migration(migrations.Migration):
    """Prices are listed newest first, page by page."""

    dependencies = [("agents", "0006_release_newest")]

    operations = [migrations.AddIndex("price", models.Index(fields=["-valid_from", "-id"], name="price_newest"))]
