from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models

import audit.identity

schedule_sweep = import_module("runs.migrations.0009_sweep_schedule").schedule_sweep


class Migration(migrations.Migration):
    """What the migrations before it make of an empty database, in one step: for new installations. One that has some of them goes on with those."""

    replaces = [
        ("runs", "0001_runs"),
        ("runs", "0002_call_kinds"),
        ("runs", "0003_call_of_agent"),
        ("runs", "0004_lists"),
        ("runs", "0005_waits"),
        ("runs", "0006_priorities"),
        ("runs", "0007_rare_outcomes"),
        ("runs", "0008_engine_supervision"),
        ("runs", "0009_sweep_schedule"),
        ("runs", "0010_unresolved_calls"),
        ("runs", "0011_child_runs"),
        ("runs", "0012_runs_that_count"),
        ("runs", "0013_stopped"),
        ("runs", "0014_approvals"),
        ("runs", "0015_found_fast"),
        ("runs", "0016_observed_calls"),
        ("runs", "0017_on_whose_behalf"),
    ]

    initial = True

    dependencies = [
        ("agents", "0009_release_uses"),
        ("django_q", "0018_task_success_index"),
    ]

    operations = [
        migrations.CreateModel(
            name="Engine",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=[("engine", "engine"), ("queue", "queue")], default="engine", max_length=16)),
                ("host", models.CharField(max_length=200)),
                ("pid", models.PositiveIntegerField()),
                ("serves_all", models.BooleanField(default=True)),
                ("abis", models.JSONField(blank=True, default=list)),
                ("started_at", models.DateTimeField()),
                ("beat_at", models.DateTimeField(db_index=True)),
                ("stopped_at", models.DateTimeField(blank=True, null=True)),
                ("driving", models.PositiveIntegerField(default=0)),
                ("swept_at", models.DateTimeField(blank=True, null=True)),
                ("counts", models.JSONField(default=dict)),
            ],
            options={
                "ordering": ("-started_at",),
            },
        ),
        migrations.CreateModel(
            name="Run",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                (
                    "state",
                    models.CharField(
                        choices=[("queued", "queued"), ("running", "running"), ("waiting", "waiting"), ("finished", "finished")],
                        default="queued",
                        max_length=16,
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("verified", "verified"),
                            ("degraded", "degraded"),
                            ("rejected", "rejected"),
                            ("unverified", "unverified"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                        ],
                        max_length=16,
                        null=True,
                    ),
                ),
                ("integrity", models.CharField(default="intact", max_length=16)),
                ("checked_at", models.DateTimeField(blank=True, null=True)),
                ("as_of", models.DateTimeField(blank=True, null=True)),
                ("draft", models.BooleanField(default=False)),
                ("trigger", models.CharField(max_length=32)),
                ("started_by", models.CharField(max_length=200)),
                ("started_with", models.CharField(blank=True, db_default="", default="", max_length=64)),
                ("on_behalf_of", models.CharField(blank=True, db_default="", default="", max_length=200)),
                ("idempotency_key", models.CharField(blank=True, max_length=200, null=True)),
                ("parent_step", models.CharField(blank=True, default="", max_length=400)),
                ("depth", models.PositiveSmallIntegerField(default=1)),
                ("held_nano", models.BigIntegerField(default=0)),
                ("held_calls", models.BigIntegerField(default=0)),
                ("created_at", models.DateTimeField()),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("deadline_at", models.DateTimeField()),
                ("lifetime_until", models.DateTimeField(blank=True, null=True)),
                ("wake_at", models.DateTimeField(blank=True, null=True)),
                ("remaining_ms", models.BigIntegerField(blank=True, null=True)),
                ("priority", models.SmallIntegerField(default=0)),
                ("engine_abi", models.PositiveIntegerField(default=1)),
                ("cancel_requested_at", models.DateTimeField(blank=True, null=True)),
                ("cancel_requested_by", models.CharField(blank=True, default="", max_length=200)),
                ("revision", models.BigIntegerField(default=0)),
                ("seq", models.BigIntegerField(default=0)),
                ("fence", models.BigIntegerField(default=0)),
                ("attempt", models.PositiveIntegerField(default=0)),
                ("lease_owner", models.UUIDField(blank=True, null=True)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("calls_used", models.BigIntegerField(default=0)),
                ("calls_limit", models.BigIntegerField(blank=True, null=True)),
                ("spent_nano", models.BigIntegerField(default=0)),
                ("reserved_nano", models.BigIntegerField(default=0)),
                ("cost_limit_nano", models.BigIntegerField(blank=True, null=True)),
                ("input_entry", models.UUIDField()),
                ("input_digest", models.CharField(max_length=64)),
                ("result_digest", models.CharField(blank=True, default="", max_length=64)),
                ("failure_cause", models.CharField(blank=True, default="", max_length=32)),
                ("failure_owner", models.CharField(blank=True, default="", max_length=200)),
                ("failure_team", models.CharField(blank=True, default="", max_length=200)),
                (
                    "parent_run",
                    models.ForeignKey(
                        blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="children", to="runs.run"
                    ),
                ),
                ("pipeline", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="runs", to="agents.pipeline")),
                ("release", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="runs", to="agents.release")),
                (
                    "reverifies",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reverified_by",
                        to="runs.run",
                    ),
                ),
                (
                    "root_run",
                    models.ForeignKey(
                        blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="family", to="runs.run"
                    ),
                ),
                ("team", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="runs", to="agents.team")),
            ],
            options={
                "ordering": ("-created_at",),
                "indexes": [
                    models.Index(condition=models.Q(("state__in", ["queued", "running"])), fields=["lease_until", "created_at"], name="run_ready"),
                    models.Index(condition=models.Q(("state", "queued")), fields=["pipeline", "created_at"], name="run_queue"),
                    models.Index(condition=models.Q(("state", "waiting")), fields=["wake_at"], name="run_wakes"),
                    models.Index(condition=models.Q(("state__in", ["queued", "running", "waiting"])), fields=["engine_abi"], name="run_of_engine"),
                    models.Index(condition=models.Q(("state__in", ["queued", "running", "waiting"])), fields=["deadline_at"], name="run_deadline"),
                    models.Index(condition=models.Q(("lease_owner__isnull", False)), fields=["lease_owner"], name="run_owner"),
                    models.Index(fields=["pipeline", "-created_at"], name="run_of_pipeline"),
                    models.Index(fields=["-created_at", "-id"], name="run_newest"),
                    models.Index(fields=["team", "-created_at", "-id"], name="run_of_team"),
                    models.Index(condition=models.Q(("outcome__isnull", False)), fields=["outcome", "-created_at", "-id"], name="run_of_outcome"),
                    models.Index(
                        condition=models.Q(("outcome__isnull", False)), fields=["team", "outcome", "-created_at", "-id"], name="run_of_team_outcome"
                    ),
                    models.Index(
                        condition=models.Q(("outcome__isnull", False)),
                        fields=["pipeline", "outcome", "-created_at", "-id"],
                        name="run_of_pipeline_outcome",
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ["queued", "running", "waiting"])),
                        fields=["team", "-created_at", "-id"],
                        name="run_live_of_team",
                    ),
                    models.Index(condition=models.Q(("integrity", "broken")), fields=["-created_at", "-id"], name="run_broken"),
                    models.Index(
                        condition=models.Q(
                            ("draft", False),
                            ("reverifies__isnull", True),
                            models.Q(("trigger", "spread"), _negated=True),
                            models.Q(
                                ("outcome__in", ["degraded", "failed", "rejected", "unverified", "verified"]),
                                models.Q(("integrity", "broken"), ("outcome", "cancelled")),
                                _connector="OR",
                            ),
                        ),
                        fields=["pipeline", "-finished_at", "-id"],
                        name="run_counts",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("draft", False),
                            ("reverifies__isnull", True),
                            models.Q(("trigger", "spread"), _negated=True),
                            ("integrity", "intact"),
                            ("outcome__in", ["degraded", "verified"]),
                        ),
                        fields=["pipeline", "-finished_at", "-id"],
                        name="run_good",
                    ),
                    models.Index(condition=models.Q(("reverifies__isnull", False)), fields=["reverifies"], name="run_judged_again"),
                    models.Index(condition=models.Q(("root_run__isnull", False)), fields=["root_run"], name="run_of_family"),
                    models.Index(
                        condition=models.Q(("parent_run__isnull", False), ("state__in", ["queued", "running", "waiting"])),
                        fields=["parent_run"],
                        name="run_live_child",
                    ),
                    models.Index(condition=models.Q(("state", "finished")), fields=["checked_at"], name="run_unchecked"),
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("state__in", ["queued", "running", "waiting", "finished"])), name="run_state_known"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("outcome__isnull", False), ("state", "finished")),
                            models.Q(models.Q(("state", "finished"), _negated=True), ("outcome__isnull", True)),
                            _connector="OR",
                        ),
                        name="run_outcome_when_finished",
                    ),
                    models.CheckConstraint(condition=models.Q(("priority__in", [-1, 0, 1])), name="run_priority_known"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "waiting"), ("wake_at__isnull", False)),
                            models.Q(models.Q(("state", "waiting"), _negated=True), ("remaining_ms__isnull", True), ("wake_at__isnull", True)),
                            _connector="OR",
                        ),
                        name="run_clock_stands_while_waiting",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("outcome__isnull", True),
                            ("outcome__in", ["verified", "degraded", "rejected", "unverified", "failed", "cancelled"]),
                            _connector="OR",
                        ),
                        name="run_outcome_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("calls_used__gte", 0), ("reserved_nano__gte", 0), ("spent_nano__gte", 0)), name="run_account_not_negative"
                    ),
                    models.UniqueConstraint(fields=("team", "idempotency_key"), name="run_idempotency_key_of_team"),
                    models.UniqueConstraint(
                        condition=models.Q(("parent_run__isnull", False)), fields=("parent_run", "parent_step"), name="run_one_child_of_step"
                    ),
                    models.CheckConstraint(condition=models.Q(("depth__gte", 1), ("depth__lte", 8)), name="run_not_too_deep"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("depth", 1), ("parent_run__isnull", True), ("parent_step", ""), ("root_run__isnull", True)),
                            models.Q(
                                ("depth__gt", 1),
                                ("parent_run__isnull", False),
                                ("root_run__isnull", False),
                                models.Q(("parent_step", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="run_child_has_its_place",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Step",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=400)),
                ("node", models.CharField(max_length=100)),
                ("agent", models.CharField(max_length=100)),
                ("version", models.PositiveIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "running"),
                            ("retrying", "retrying"),
                            ("waiting", "waiting"),
                            ("returned", "returned"),
                            ("skipped", "skipped"),
                            ("failed", "failed"),
                            ("cancelled", "cancelled"),
                        ],
                        max_length=16,
                    ),
                ),
                ("attempt", models.PositiveIntegerField(default=1)),
                ("fell_back", models.BooleanField(default=False)),
                ("judges", models.BooleanField(default=False)),
                ("started_at", models.DateTimeField()),
                ("deadline_at", models.DateTimeField()),
                ("not_before", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("as_of", models.DateTimeField(blank=True, null=True)),
                ("best_before", models.DateTimeField(blank=True, null=True)),
                ("best_before_step", models.CharField(blank=True, default="", max_length=400)),
                ("approval", models.UUIDField(blank=True, null=True)),
                ("result_digest", models.CharField(blank=True, default="", max_length=64)),
                ("result_fence", models.BigIntegerField(blank=True, null=True)),
                ("input_entry", models.UUIDField(blank=True, null=True)),
                ("result_entry", models.UUIDField(blank=True, null=True)),
                ("failure_entry", models.UUIDField(blank=True, null=True)),
                ("failure_cause", models.CharField(blank=True, default="", max_length=32)),
                ("failure_owner", models.CharField(blank=True, default="", max_length=200)),
                ("failure_team", models.CharField(blank=True, default="", max_length=200)),
                ("run", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="steps", to="runs.run")),
            ],
            options={
                "ordering": ("id",),
                "indexes": [models.Index(fields=["agent", "-id"], name="step_of_agent")],
                "constraints": [
                    models.UniqueConstraint(fields=("run", "key"), name="step_key_of_run"),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["running", "retrying", "waiting", "returned", "skipped", "failed", "cancelled"])),
                        name="step_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "returned"), _negated=True),
                            models.Q(("result_entry__isnull", False), ("result_fence__isnull", False)),
                            _connector="OR",
                        ),
                        name="step_result_under_a_fence",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Wait",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("step", models.CharField(blank=True, default="", max_length=400)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("timer", "timer"),
                            ("signal", "signal"),
                            ("remote", "remote"),
                            ("unresolved", "unresolved"),
                            ("approval", "approval"),
                            ("incompatible", "incompatible"),
                            ("stopped", "stopped"),
                        ],
                        max_length=16,
                    ),
                ),
                ("subject", models.CharField(blank=True, default="", max_length=200)),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "open"), ("answered", "answered"), ("expired", "expired"), ("cancelled", "cancelled")],
                        default="open",
                        max_length=16,
                    ),
                ),
                ("opened_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("look_at", models.DateTimeField(blank=True, null=True)),
                ("goes_on", models.BooleanField(default=False)),
                ("failure_entry", models.UUIDField(blank=True, null=True)),
                ("answer_entry", models.UUIDField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("answered_by", models.CharField(blank=True, default="", max_length=200)),
                ("run", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="waits", to="runs.run")),
            ],
            options={
                "ordering": ("expires_at", "id"),
                "indexes": [
                    models.Index(condition=models.Q(("state", "open")), fields=["expires_at", "id"], name="wait_open"),
                    models.Index(fields=["run", "step"], name="wait_of_step"),
                    models.Index(condition=models.Q(("state", "open")), fields=["kind", "opened_at"], name="wait_open_kind"),
                ],
                "constraints": [
                    models.UniqueConstraint(condition=models.Q(("state", "open")), fields=("run", "step"), name="wait_open_once"),
                    models.CheckConstraint(condition=models.Q(("state__in", ["open", "answered", "expired", "cancelled"])), name="wait_state_known"),
                    models.CheckConstraint(
                        condition=models.Q(("state", "open"), ("ended_at__isnull", False), _connector="OR"), name="wait_ended_when_not_open"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "answered"), _negated=True),
                            models.Q(("answer_entry__isnull", False), models.Q(("answered_by", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="wait_answer_with_its_author",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Call",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, unique=True)),
                ("step", models.CharField(max_length=400)),
                ("attempt", models.PositiveIntegerField()),
                ("ordinal", models.PositiveIntegerField()),
                ("agent", models.CharField(max_length=100)),
                (
                    "kind",
                    models.CharField(
                        choices=[("function", "function"), ("command", "command"), ("inline", "inline"), ("tool", "tool"), ("model", "model")],
                        max_length=16,
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("mode", models.CharField(choices=[("read", "read"), ("idempotent", "idempotent"), ("at_most_once", "at_most_once")], max_length=16)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("dispatched", "dispatched"),
                            ("confirmed", "confirmed"),
                            ("refused", "refused"),
                            ("unresolved", "unresolved"),
                            ("resolved_done", "resolved_done"),
                            ("resolved_not_done", "resolved_not_done"),
                        ],
                        max_length=24,
                    ),
                ),
                ("request_digest", models.CharField(max_length=64)),
                ("not_after", models.DateTimeField()),
                ("dispatched_at", models.DateTimeField()),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
                ("response_entry", models.UUIDField(blank=True, null=True)),
                ("observed_entry", models.UUIDField(blank=True, null=True)),
                ("cause", models.CharField(blank=True, default="", max_length=32)),
                ("contained", models.BooleanField(blank=True, null=True)),
                ("reserved_nano", models.BigIntegerField(default=0)),
                ("cost_nano", models.BigIntegerField(default=0)),
                ("run", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="calls", to="runs.run")),
                (
                    "approval",
                    models.ForeignKey(
                        blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="consumed_by", to="runs.wait"
                    ),
                ),
            ],
            options={
                "ordering": ("dispatched_at", "ordinal"),
                "indexes": [
                    models.Index(fields=["run", "step"], name="call_of_step"),
                    models.Index(fields=["agent", "-dispatched_at"], name="call_of_agent"),
                    models.Index(fields=["dispatched_at"], name="call_dispatched"),
                    models.Index(condition=models.Q(("state", "unresolved")), fields=["settled_at", "id"], name="call_unresolved"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["dispatched", "confirmed", "refused", "unresolved", "resolved_done", "resolved_not_done"])),
                        name="call_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state", "dispatched"), ("settled_at__isnull", False), _connector="OR"), name="call_settled_when_ended"
                    ),
                    models.UniqueConstraint(condition=models.Q(("approval__isnull", False)), fields=("approval",), name="call_approval_used_once"),
                    models.CheckConstraint(condition=models.Q(("cost_nano__gte", 0), ("reserved_nano__gte", 0)), name="call_money_not_negative"),
                ],
            },
        ),
        migrations.RunPython(schedule_sweep, migrations.RunPython.noop),
    ]
