from django.db import migrations


def stops_of_suspended(apps, _):
    """An agent that is suspended is under a stop from now on: who set it, when and why stands with its entry, where there is one."""
    agents, stops, changes = (apps.get_model('agents', name) for name in ('Agent', 'Stop', 'StopChange'))
    entries = apps.get_model('audit', 'Entry')
    for agent in agents.objects.filter(state='suspended').order_by('name'):
        entry = entries.objects.filter(verb='agents.agent.suspended', subject=f'agent:{agent.name}').order_by('-at', '-id').first()
        stop = stops.objects.create(
            scope='agent',
            name=agent.name,
            team_id=agent.team_id,
            stopped_at=agent.created_at if entry is None else entry.at,
            stopped_by='system:system' if entry is None else f'{entry.actor_kind}:{entry.actor}',
            reason_entry=None if entry is None else entry.id,
        )
        changes.objects.create(stop=stop)


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0012_stops'),
        ('audit', '0008_entries_of_people'),
    ]

    operations = [
        migrations.RunPython(stops_of_suspended, migrations.RunPython.noop),
    ]
