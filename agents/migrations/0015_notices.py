import django.db.models.deletion
from django.db import migrations, models

import audit.identity


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0014_policies'),
    ]

    operations = [
        migrations.CreateModel(
            name='AgentNotice',
            fields=[
                ('id', models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ('ground', models.CharField(choices=[('review', 'Review'), ('accountable', 'Accountable')], max_length=16)),
                ('about', models.CharField(max_length=254)),
                ('noticed_at', models.DateTimeField()),
                ('suspends_on', models.DateField()),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notices', to='agents.agent')),
            ],
            options={
                'ordering': ('suspends_on', 'ground'),
                'constraints': [models.UniqueConstraint(fields=('agent', 'ground'), name='one_notice_of_agent_per_ground')],
            },
        ),
    ]
