from importlib import import_module

import django.db.models.deletion
import simple_history.models
from django.conf import settings
from django.db import migrations, models

import audit.identity

make_roles = import_module("agents.migrations.0016_roles").make_roles
make_dev_team = import_module("agents.migrations.0019_dev_team").make_dev_team


class Migration(migrations.Migration):
    """What the migrations before it make of an empty database, in one step: for new installations. One that has some of them goes on with those."""

    replaces = [
        ("agents", "0001_inventory"),
        ("agents", "0002_people"),
        ("agents", "0003_prices"),
        ("agents", "0004_agent_pace"),
        ("agents", "0005_history"),
        ("agents", "0006_release_newest"),
        ("agents", "0007_price_newest"),
        ("agents", "0008_release_use"),
        ("agents", "0009_release_uses"),
        ("agents", "0010_team_grants"),
        ("agents", "0011_grant_uses"),
        ("agents", "0012_stops"),
        ("agents", "0013_suspended_agents"),
        ("agents", "0014_policies"),
        ("agents", "0015_notices"),
        ("agents", "0016_roles"),
        ("agents", "0017_webhooks"),
        ("agents", "0018_bounds"),
        ("agents", "0019_dev_team"),
        ("agents", "0020_agent_keys"),
    ]

    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("audit", "0008_entries_of_people"),
        ("contenttypes", "0002_remove_content_type_name"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Artifact",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("data", models.BinaryField()),
                ("size", models.PositiveIntegerField()),
                ("files", models.PositiveIntegerField()),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "ordering": ("-created_at",),
            },
        ),
        migrations.CreateModel(
            name="Pipeline",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=63, unique=True)),
                ("accountable", models.CharField(blank=True, default="", max_length=254)),
                ("purpose", models.TextField(blank=True, default="")),
                (
                    "state",
                    models.CharField(
                        choices=[("draft", "Draft"), ("active", "Active"), ("suspended", "Suspended"), ("retired", "Retired")],
                        default="draft",
                        max_length=16,
                    ),
                ),
                ("permissions", models.JSONField(blank=True, default=None, null=True)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "ordering": ("name",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["draft", "active", "suspended", "retired"])), name="pipeline_state_known"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Stop",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("everything", "Everything"),
                            ("team", "Team"),
                            ("pipeline", "Pipeline"),
                            ("agent", "Agent"),
                            ("version", "Version"),
                            ("alias", "Alias"),
                            ("tool", "Tool"),
                            ("run", "Run"),
                        ],
                        max_length=16,
                    ),
                ),
                ("name", models.CharField(blank=True, default="", max_length=100)),
                ("stopped_at", models.DateTimeField()),
                ("stopped_by", models.CharField(max_length=200)),
                ("reason_entry", models.UUIDField(blank=True, null=True)),
                ("lifted_at", models.DateTimeField(blank=True, null=True)),
                ("lifted_by", models.CharField(blank=True, default="", max_length=200)),
            ],
            options={
                "ordering": ("-stopped_at", "-id"),
                "indexes": [models.Index(fields=["-stopped_at", "-id"], name="stop_newest")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("scope__in", ["everything", "team", "pipeline", "agent", "version", "alias", "tool", "run"])),
                        name="stop_scope_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("name", ""), ("scope", "everything")),
                            models.Q(models.Q(("scope", "everything"), _negated=True), models.Q(("name", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="stop_of_something",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("lifted_at__isnull", True), ("lifted_by", "")),
                            models.Q(("lifted_at__isnull", False), models.Q(("lifted_by", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="stop_lifted_by_somebody",
                    ),
                    models.UniqueConstraint(condition=models.Q(("lifted_at__isnull", True)), fields=("scope", "name"), name="stop_in_force_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Granting",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("holder", models.CharField(max_length=100)),
                ("rule", models.CharField(max_length=1000)),
                ("by", models.CharField(max_length=200)),
                ("at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["holder"], name="granting_of_holder")],
            },
        ),
        migrations.CreateModel(
            name="GrantUse",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("agent", models.CharField(max_length=80)),
                ("rule", models.CharField(max_length=1000)),
                ("used_at", models.DateTimeField()),
                ("recent", models.JSONField(default=list)),
            ],
            options={
                "ordering": ("agent", "rule"),
                "indexes": [models.Index(fields=["agent"], name="grant_use_of_agent")],
            },
        ),
        migrations.CreateModel(
            name="HistoricalTeam",
            fields=[
                ("id", models.UUIDField(db_index=True, default=audit.identity.new_id, editable=False)),
                ("name", models.CharField(db_index=True, max_length=63)),
                ("accountable", models.CharField(blank=True, default="", max_length=254)),
                ("verbs", models.JSONField(blank=True, default=list)),
                ("resources", models.JSONField(blank=True, default=list)),
                ("permissions", models.JSONField(blank=True, default=list)),
                ("notices", models.JSONField(blank=True, default=list)),
                ("observe", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField()),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                ("history_type", models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1)),
                (
                    "history_user",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL),
                ),
            ],
            options={
                "verbose_name": "historical team",
                "verbose_name_plural": "historical teams",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Price",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("provider", models.CharField(max_length=63)),
                ("model", models.CharField(max_length=120)),
                ("version", models.PositiveIntegerField()),
                ("input_nano", models.BigIntegerField()),
                ("cache_read_nano", models.BigIntegerField()),
                ("cache_write_nano", models.BigIntegerField()),
                ("output_nano", models.BigIntegerField()),
                ("input_limit", models.PositiveIntegerField(blank=True, null=True)),
                ("source", models.CharField(max_length=200)),
                ("valid_from", models.DateTimeField()),
            ],
            options={
                "ordering": ("provider", "model", "-version"),
                "indexes": [models.Index(fields=["-valid_from", "-id"], name="price_newest")],
                "constraints": [
                    models.UniqueConstraint(fields=("provider", "model", "version"), name="price_version_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("cache_read_nano__gte", 0), ("cache_write_nano__gte", 0), ("input_nano__gte", 0), ("output_nano__gte", 0)
                        ),
                        name="price_not_negative",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Publication",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("subject", models.CharField(max_length=100)),
                ("by", models.CharField(max_length=200)),
                ("at", models.DateTimeField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("subject", "by"), name="publication_once")],
            },
        ),
        migrations.CreateModel(
            name="Release",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("manifest", models.JSONField()),
                ("created_at", models.DateTimeField()),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                ("pipeline", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="releases", to="agents.pipeline")),
            ],
            options={
                "ordering": ("-created_at",),
                "indexes": [models.Index(fields=["-created_at", "-id"], name="release_newest")],
            },
        ),
        migrations.AddField(
            model_name="pipeline",
            name="current_release",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="current_for", to="agents.release"
            ),
        ),
        migrations.CreateModel(
            name="StopChange",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("stop", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="changes", to="agents.stop")),
            ],
            options={
                "ordering": ("id",),
            },
        ),
        migrations.CreateModel(
            name="Team",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=63, unique=True)),
                ("accountable", models.CharField(blank=True, default="", max_length=254)),
                ("verbs", models.JSONField(blank=True, default=list)),
                ("resources", models.JSONField(blank=True, default=list)),
                ("permissions", models.JSONField(blank=True, default=list)),
                ("notices", models.JSONField(blank=True, default=list)),
                ("observe", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField()),
                ("members", models.ManyToManyField(blank=True, related_name="orchestra_teams", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "ordering": ("name",),
                "permissions": [
                    ("manage_people", "Can say who belongs to which team and who may sign in"),
                    ("start_runs", "Can start runs of the teams that they belong to"),
                    ("operate_runs", "Can cancel, answer and judge again the runs of the teams that they belong to"),
                    ("change_things", "Can apply, publish, roll back, suspend and retire what the teams that they belong to own"),
                    ("stop_everything", "Can stop things and cancel runs of every team"),
                ],
            },
        ),
        migrations.AddField(
            model_name="stop",
            name="team",
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="stops", to="agents.team"),
        ),
        migrations.CreateModel(
            name="Policy",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=63, unique=True)),
                ("created_at", models.DateTimeField()),
                ("team", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="policies", to="agents.team")),
            ],
            options={
                "verbose_name_plural": "policies",
                "ordering": ("name",),
            },
        ),
        migrations.AddField(
            model_name="pipeline",
            name="team",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="pipelines", to="agents.team"),
        ),
        migrations.CreateModel(
            name="ModelAlias",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=63, unique=True)),
                ("provider", models.CharField(max_length=63)),
                ("model", models.CharField(max_length=254)),
                ("endpoint", models.CharField(blank=True, default="", max_length=2000)),
                ("secret_ref", models.CharField(blank=True, default="", max_length=254)),
                ("created_at", models.DateTimeField()),
                ("team", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="model_aliases", to="agents.team")),
            ],
            options={
                "verbose_name_plural": "model aliases",
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="HistoricalPipeline",
            fields=[
                ("id", models.UUIDField(db_index=True, default=audit.identity.new_id, editable=False)),
                ("name", models.CharField(db_index=True, max_length=63)),
                ("accountable", models.CharField(blank=True, default="", max_length=254)),
                ("purpose", models.TextField(blank=True, default="")),
                (
                    "state",
                    models.CharField(
                        choices=[("draft", "Draft"), ("active", "Active"), ("suspended", "Suspended"), ("retired", "Retired")],
                        default="draft",
                        max_length=16,
                    ),
                ),
                ("permissions", models.JSONField(blank=True, default=None, null=True)),
                ("created_at", models.DateTimeField()),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                ("history_type", models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1)),
                (
                    "history_user",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL),
                ),
                (
                    "current_release",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="agents.release",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name="+", to="agents.team"
                    ),
                ),
            ],
            options={
                "verbose_name": "historical pipeline",
                "verbose_name_plural": "historical pipelines",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalModelAlias",
            fields=[
                ("id", models.UUIDField(db_index=True, default=audit.identity.new_id, editable=False)),
                ("name", models.CharField(db_index=True, max_length=63)),
                ("provider", models.CharField(max_length=63)),
                ("model", models.CharField(max_length=254)),
                ("endpoint", models.CharField(blank=True, default="", max_length=2000)),
                ("secret_ref", models.CharField(blank=True, default="", max_length=254)),
                ("created_at", models.DateTimeField()),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                ("history_type", models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1)),
                (
                    "history_user",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL),
                ),
                (
                    "team",
                    models.ForeignKey(
                        blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name="+", to="agents.team"
                    ),
                ),
            ],
            options={
                "verbose_name": "historical model alias",
                "verbose_name_plural": "historical model aliases",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalAgent",
            fields=[
                ("id", models.UUIDField(db_index=True, default=audit.identity.new_id, editable=False)),
                ("name", models.CharField(db_index=True, max_length=63)),
                ("accountable", models.CharField(blank=True, default="", max_length=254)),
                ("purpose", models.TextField(blank=True, default="")),
                ("role", models.CharField(choices=[("gather", "Gather"), ("decide", "Decide"), ("act", "Act"), ("check", "Check")], max_length=16)),
                (
                    "state",
                    models.CharField(
                        choices=[("draft", "Draft"), ("active", "Active"), ("suspended", "Suspended"), ("retired", "Retired")],
                        default="draft",
                        max_length=16,
                    ),
                ),
                ("permissions", models.JSONField(blank=True, default=list)),
                ("pace", models.JSONField(blank=True, default=dict)),
                ("risk_tier", models.CharField(blank=True, default="", max_length=64)),
                ("data_classes", models.JSONField(blank=True, default=list)),
                ("review_by", models.DateField(blank=True, null=True)),
                ("created_at", models.DateTimeField()),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                ("history_type", models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1)),
                (
                    "history_user",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL),
                ),
                (
                    "team",
                    models.ForeignKey(
                        blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name="+", to="agents.team"
                    ),
                ),
            ],
            options={
                "verbose_name": "historical agent",
                "verbose_name_plural": "historical agents",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Agent",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=63, unique=True)),
                ("accountable", models.CharField(blank=True, default="", max_length=254)),
                ("purpose", models.TextField(blank=True, default="")),
                ("role", models.CharField(choices=[("gather", "Gather"), ("decide", "Decide"), ("act", "Act"), ("check", "Check")], max_length=16)),
                (
                    "state",
                    models.CharField(
                        choices=[("draft", "Draft"), ("active", "Active"), ("suspended", "Suspended"), ("retired", "Retired")],
                        default="draft",
                        max_length=16,
                    ),
                ),
                ("permissions", models.JSONField(blank=True, default=list)),
                ("pace", models.JSONField(blank=True, default=dict)),
                ("risk_tier", models.CharField(blank=True, default="", max_length=64)),
                ("data_classes", models.JSONField(blank=True, default=list)),
                ("review_by", models.DateField(blank=True, null=True)),
                ("created_at", models.DateTimeField()),
                ("team", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="agents", to="agents.team")),
            ],
            options={
                "ordering": ("name",),
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("role__in", ["gather", "decide", "act", "check"])), name="agent_role_known"),
                    models.CheckConstraint(condition=models.Q(("state__in", ["draft", "active", "suspended", "retired"])), name="agent_state_known"),
                ],
            },
        ),
        migrations.CreateModel(
            name="TeamGroupObjectPermission",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("content_object", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="agents.team")),
                ("group", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="auth.group")),
                ("permission", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="auth.permission")),
            ],
            options={
                "verbose_name": "team shown to a group",
                "verbose_name_plural": "teams shown to groups",
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="TeamUserObjectPermission",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("content_object", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="agents.team")),
                ("permission", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="auth.permission")),
                ("user", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "verbose_name": "team shown to a person",
                "verbose_name_plural": "teams shown to people",
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Version",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("number", models.PositiveIntegerField()),
                ("spec", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                (
                    "state",
                    models.CharField(
                        choices=[("draft", "Draft"), ("proposed", "Proposed"), ("published", "Published"), ("retired", "Retired")],
                        default="draft",
                        max_length=16,
                    ),
                ),
                ("author", models.CharField(max_length=254)),
                ("created_at", models.DateTimeField()),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                (
                    "agent",
                    models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="versions", to="agents.agent"),
                ),
                (
                    "artifact",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="versions", to="agents.artifact"
                    ),
                ),
                (
                    "pipeline",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="versions", to="agents.pipeline"
                    ),
                ),
            ],
            options={
                "ordering": ("-created_at", "-number"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("agent__isnull", True), ("pipeline__isnull", False)),
                            models.Q(("agent__isnull", False), ("pipeline__isnull", True)),
                            _connector="OR",
                        ),
                        name="version_of_agent_or_pipeline",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["draft", "proposed", "published", "retired"])), name="version_state_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(models.Q(("state", "published"), _negated=True), ("published_at__isnull", False), _connector="OR"),
                        name="version_published_has_instant",
                    ),
                    models.UniqueConstraint(fields=("agent", "number"), name="version_number_of_agent"),
                    models.UniqueConstraint(fields=("pipeline", "number"), name="version_number_of_pipeline"),
                    models.UniqueConstraint(condition=models.Q(("state", "draft")), fields=("agent",), name="version_one_draft_of_agent"),
                    models.UniqueConstraint(condition=models.Q(("state", "draft")), fields=("pipeline",), name="version_one_draft_of_pipeline"),
                    models.UniqueConstraint(condition=models.Q(("state", "published")), fields=("agent",), name="version_one_published_of_agent"),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "published")), fields=("pipeline",), name="version_one_published_of_pipeline"
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="release",
            name="version",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="releases", to="agents.version"),
        ),
        migrations.CreateModel(
            name="AgentKey",
            fields=[
                ("id", models.CharField(editable=False, max_length=12, primary_key=True, serialize=False)),
                ("name", models.CharField(blank=True, default="", max_length=100)),
                ("scopes", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                ("pepper", models.CharField(max_length=16)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                ("refused_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("agent", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="keys", to="agents.agent")),
                ("owner", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="keys_of_agents", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "ordering": ("-created_at", "-id"),
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("expires_at__gt", models.F("created_at"))), name="agent_key_ends_after_it_began")
                ],
            },
        ),
        migrations.CreateModel(
            name="AgentNotice",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("ground", models.CharField(choices=[("review", "Review"), ("accountable", "Accountable")], max_length=16)),
                ("about", models.CharField(max_length=254)),
                ("noticed_at", models.DateTimeField()),
                ("suspends_on", models.DateField()),
                ("agent", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="notices", to="agents.agent")),
            ],
            options={
                "ordering": ("suspends_on", "ground"),
                "constraints": [models.UniqueConstraint(fields=("agent", "ground"), name="one_notice_of_agent_per_ground")],
            },
        ),
        migrations.CreateModel(
            name="PolicyVersion",
            fields=[
                ("id", models.UUIDField(default=audit.identity.new_id, editable=False, primary_key=True, serialize=False)),
                ("number", models.PositiveIntegerField()),
                ("spec", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                (
                    "state",
                    models.CharField(
                        choices=[("draft", "Draft"), ("proposed", "Proposed"), ("published", "Published"), ("retired", "Retired")],
                        default="draft",
                        max_length=16,
                    ),
                ),
                ("author", models.CharField(max_length=254)),
                ("created_at", models.DateTimeField()),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                ("policy", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="versions", to="agents.policy")),
            ],
            options={
                "ordering": ("policy", "-number"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["draft", "proposed", "published", "retired"])), name="policy_state_known"
                    ),
                    models.UniqueConstraint(fields=("policy", "number"), name="policy_version_number"),
                    models.UniqueConstraint(condition=models.Q(("state", "draft")), fields=("policy",), name="policy_one_draft"),
                    models.UniqueConstraint(condition=models.Q(("state", "published")), fields=("policy",), name="policy_one_published"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReleaseUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("agent", models.CharField(max_length=63)),
                ("release", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="uses", to="agents.release")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("agent", "release"), name="release_use_once")],
            },
        ),
        migrations.AlterUniqueTogether(
            name="teamgroupobjectpermission",
            unique_together={("group", "permission", "content_object")},
        ),
        migrations.AlterUniqueTogether(
            name="teamuserobjectpermission",
            unique_together={("user", "permission", "content_object")},
        ),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
        migrations.RunPython(make_dev_team, migrations.RunPython.noop),
    ]
