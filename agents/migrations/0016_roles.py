from django.db import migrations

RIGHTS = {
    ("agents", "team", "start_runs"): "Can start runs of the teams that they belong to",
    ("agents", "team", "operate_runs"): "Can cancel, answer and judge again the runs of the teams that they belong to",
    ("agents", "team", "change_things"): "Can apply, publish, roll back, suspend and retire what the teams that they belong to own",
    ("agents", "team", "stop_everything"): "Can stop things and cancel runs of every team",
    ("audit", "entry", "see_everything"): "Can look at everything of every team",
}
ROLES = {
    "operator": ("start_runs", "operate_runs"),
    "agent-owner": ("change_things",),
    "approver": (),
    "compliance": ("see_everything", "stop_everything"),
    "auditor": ("see_everything",),
    "integration": ("start_runs",),
}


def make_roles(apps, _):
    """A group that has such a name already keeps its people under another one: nobody gets or loses a right by the upgrade."""
    group = apps.get_model("auth", "Group")
    taken = set(group.objects.values_list("name", flat=True))
    for name in sorted(taken & ROLES.keys()):
        other = next(f"{name}-{number}" for number in range(2, 1_000) if f"{name}-{number}" not in taken)
        group.objects.filter(name=name).update(name=other)
    permissions, through = _permissions(apps), group.permissions.through
    made = {row.name: row.pk for row in group.objects.bulk_create([group(name=name) for name in ROLES])}
    through.objects.bulk_create([through(group_id=made[name], permission_id=permissions[code]) for name, codes in ROLES.items() for code in codes])


def _permissions(apps):
    """By code; made here where `migrate` makes them only once it is done."""
    types, rows = apps.get_model("contenttypes", "ContentType").objects, apps.get_model("auth", "Permission").objects
    there = rows.filter(codename__in=[code for _, _, code in RIGHTS], content_type__app_label__in=["agents", "audit"])
    found = dict(there.values_list("codename", "pk"))
    for (app, model, code), name in RIGHTS.items():
        if code not in found:
            kind, _ = types.get_or_create(app_label=app, model=model)
            found[code] = rows.create(content_type=kind, codename=code, name=name).pk
    return found


class Migration(migrations.Migration):
    """Roles are groups; what each lets somebody do are Django's permissions."""

    dependencies = [
        ("agents", "0015_notices"),
        ("audit", "0008_entries_of_people"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="team",
            options={
                "ordering": ("name",),
                "permissions": [
                    ("manage_people", "Can say who belongs to which team and who may sign in"),
                    *((code, name) for (_, model, code), name in RIGHTS.items() if model == "team"),
                ],
            },
        ),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
    ]
