from django.db import migrations


def schedule_sweep(apps, _):
    """The net under every engine, also where nobody ever starts `manage.py worker`: a bare cluster sweeps each minute."""
    defaults = {"func": "runs.tasks.sweep", "schedule_type": "I", "minutes": 1, "repeats": -1}
    apps.get_model("django_q", "Schedule").objects.get_or_create(name="orchestra-sweep", defaults=defaults)


class Migration(migrations.Migration):

    dependencies = [
        ("runs", "0008_engine_supervision"),
        ("django_q", "0018_task_success_index"),
    ]

    operations = [migrations.RunPython(schedule_sweep, migrations.RunPython.noop)]
