from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0008_entries_of_people")]

    operations = [
        migrations.AddField("message", "given_up_at", models.DateTimeField(null=True)),
        migrations.AddIndex(
            "message", models.Index(condition=models.Q(("given_up_at__isnull", False)), fields=["topic", "given_up_at"], name="audit_message_given_up")
        ),
    ]
