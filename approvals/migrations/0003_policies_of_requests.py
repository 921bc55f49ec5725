"""What requests of before say of their policy in one value, as columns; and whose their runs are."""

from django.db import migrations

BATCH = 1_000


def name_policies(apps, schema_editor):  # noqa: ARG001 - Django's signature
    requests = apps.get_model("approvals", "Request")
    changed = []
    for request in requests.objects.select_related("wait__run__team").only("policy", "wait__run__team__name").iterator(chunk_size=BATCH):
        request.policy_name, request.policy_number = request.policy["name"] or "", request.policy["version"]
        request.team = request.wait.run.team.name
        changed.append(request)
        if len(changed) == BATCH:
            requests.objects.bulk_update(changed, ["policy_name", "policy_number", "team"])
            changed = []
    requests.objects.bulk_update(changed, ["policy_name", "policy_number", "team"])


class Migration(migrations.Migration):
    dependencies = [("approvals", "0002_watched")]

    operations = [migrations.RunPython(name_policies, migrations.RunPython.noop)]
