from django.db import migrations

AT_ONCE = 1_000


def fill(apps, schema_editor):  # noqa: ARG001 - Django's signature
    """From the manifests of the releases that are there, a page at a time."""
    Release, ReleaseUse = apps.get_model("agents", "Release"), apps.get_model("agents", "ReleaseUse")
    for release in Release.objects.order_by("pk").only("manifest").iterator(chunk_size=100):
        uses = [ReleaseUse(release_id=release.pk, agent=name) for name in sorted(release.manifest["agents"])]
        ReleaseUse.objects.bulk_create(uses, batch_size=AT_ONCE)


class Migration(migrations.Migration):
    """The agents of the releases that were made before there was an index of them."""

    dependencies = [("agents", "0008_release_use")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
