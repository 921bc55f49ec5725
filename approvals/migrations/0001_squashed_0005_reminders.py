import django.db.models.deletion
from django.db import migrations, models

import audit.identity


class Migration(migrations.Migration):
    """What the migrations before it make of an empty database, in one step: for new installations. One that has some of them goes on with those."""

    replaces = [
        ("approvals", "0001_requests"),
        ("approvals", "0002_watched"),
        ("approvals", "0003_policies_of_requests"),
        ("approvals", "0004_results"),
        ("approvals", "0005_reminders"),
    ]

    initial = True

    dependencies = [
        ("runs", "0014_approvals"),
    ]

    operations = [
        migrations.CreateModel(
            name="Request",
            fields=[
                (
                    "wait",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="approval_request",
                        serialize=False,
                        to="runs.wait",
                    ),
                ),
                ("team", models.CharField(blank=True, default="", max_length=63)),
                ("agent", models.CharField(max_length=100)),
                ("version", models.PositiveIntegerField()),
                ("binding", models.CharField(max_length=64)),
                ("kind", models.CharField(choices=[("call", "Call"), ("result", "Result"), ("subject", "Subject")], default="call", max_length=8)),
                ("risk", models.CharField(blank=True, default="", max_length=64)),
                ("policy", models.JSONField()),
                ("policy_name", models.CharField(blank=True, default="", max_length=63)),
                ("policy_number", models.PositiveIntegerField(default=0)),
                ("escalated_to", models.PositiveIntegerField(default=0)),
                ("watched", models.BooleanField(default=True)),
                ("look_at", models.DateTimeField()),
                ("remind_at", models.DateTimeField(default=None, null=True)),
            ],
            options={
                "ordering": ("wait__expires_at", "pk"),
                "indexes": [
                    models.Index(condition=models.Q(("watched", True)), fields=["wait"], name="request_watched"),
                    models.Index(condition=models.Q(("watched", True)), fields=["look_at", "wait"], name="request_due"),
                    models.Index(condition=models.Q(("watched", True)), fields=["remind_at"], name="request_reminded"),
                    models.Index(condition=models.Q(("watched", True)), fields=["policy_name", "policy_number"], name="request_under"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Comment",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("person", models.CharField(max_length=150)),
                ("at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                ("request", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="comments", to="approvals.request")),
            ],
            options={
                "ordering": ("at", "id"),
            },
        ),
        migrations.CreateModel(
            name="Decision",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("person", models.CharField(max_length=150)),
                ("at", models.DateTimeField()),
                ("entry", models.UUIDField()),
                ("stage", models.PositiveIntegerField()),
                ("decision", models.CharField(choices=[("approved", "approved"), ("declined", "declined"), ("changes", "changes")], max_length=16)),
                ("shown", models.CharField(max_length=64)),
                ("binding", models.CharField(max_length=64)),
                ("request", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="decisions", to="approvals.request")),
            ],
            options={
                "ordering": ("at", "id"),
                "constraints": [
                    models.UniqueConstraint(fields=("request", "person", "stage"), name="decision_once_each"),
                    models.CheckConstraint(condition=models.Q(("decision__in", ("approved", "declined", "changes"))), name="decision_known"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Approver",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("stage", models.PositiveIntegerField()),
                ("kind", models.CharField(choices=[("person", "person"), ("team", "team")], max_length=8)),
                ("name", models.CharField(max_length=150)),
                ("watched", models.BooleanField(default=True)),
                ("request", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="approvers", to="approvals.request")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["kind", "name"], name="approver_named"),
                    models.Index(condition=models.Q(("watched", True)), fields=["kind", "name", "request"], name="approver_watched"),
                ],
                "constraints": [models.UniqueConstraint(fields=("request", "stage", "kind", "name"), name="approver_once")],
            },
        ),
    ]
