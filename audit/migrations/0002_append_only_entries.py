"""Triggers that keep entries as written. Call triggers.create again after any migration that alters the entry table."""

from django.db import migrations

from audit.models import triggers


def create(apps, schema_editor):  # noqa: ARG001
    triggers.create(schema_editor.connection)


def drop(apps, schema_editor):  # noqa: ARG001
    triggers.drop(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_entries")]

    operations = [migrations.RunPython(create, drop)]
