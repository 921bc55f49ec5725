from django.db import migrations, models


class Migration(migrations.Migration):
    """Whom a decision was made instead of: nobody's say counts twice."""

    dependencies = [("approvals", "0005_reminders")]

    operations = [
        migrations.AddField("decision", "instead_of", models.CharField(blank=True, default="", max_length=150)),
        migrations.AddIndex("decision", models.Index(fields=["person"], name="decision_by")),
        migrations.AddConstraint(
            "decision",
            models.UniqueConstraint(
                condition=models.Q(("instead_of", ""), _negated=True), fields=("request", "stage", "instead_of"), name="decision_once_in_a_stead"
            ),
        ),
    ]
