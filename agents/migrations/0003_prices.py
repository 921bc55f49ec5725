"""Prices of models, in versions."""

from django.db import migrations, models

import audit.identity


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0002_people'),
    ]

    operations = [
        migrations.CreateModel(
            name='Price',
            fields=[
                ('id', models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ('provider', models.CharField(max_length=63)),
                ('model', models.CharField(max_length=120)),
                ('version', models.PositiveIntegerField()),
                ('input_nano', models.BigIntegerField()),
                ('cache_read_nano', models.BigIntegerField()),
                ('cache_write_nano', models.BigIntegerField()),
                ('output_nano', models.BigIntegerField()),
                ('input_limit', models.PositiveIntegerField(blank=True, null=True)),
                ('source', models.CharField(max_length=200)),
                ('valid_from', models.DateTimeField()),
            ],
            options={
                'ordering': ('provider', 'model', '-version'),
                'constraints': [models.UniqueConstraint(fields=('provider', 'model', 'version'), name='price_version_once'), models.CheckConstraint(condition=models.Q(('cache_read_nano__gte', 0), ('cache_write_nano__gte', 0), ('input_nano__gte', 0), ('output_nano__gte', 0)), name='price_not_negative')],
            },
        ),
    ]
