from django.db import migrations

from audit import clock

DEV = "dev"


def make_dev_team(apps, _):
    """Only where there is no team at all, which is a fresh installation: nobody's agents are let off anything by an upgrade."""
    team = apps.get_model("agents", "Team")
    if not team.objects.exists():
        team.objects.create(name=DEV, accountable="", observe=True, created_at=clock.now())


class Migration(migrations.Migration):
    """A fresh installation has a team whose agents are only observed, so that nobody is locked out before they know what to permit."""

    dependencies = [
        ("agents", "0018_bounds"),
    ]

    operations = [
        migrations.RunPython(make_dev_team, migrations.RunPython.noop),
    ]
