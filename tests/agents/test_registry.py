"""Rows and entries that applying makes."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction

from agents import registry
from agents.errors import NotGranted, NotPublishable
from agents.models import Agent, Artifact, ModelAlias, Pipeline, Release, ReleaseImmutable, Role, Team, Version, VersionImmutable, VersionState
from audit.actors import Actor
from audit.errors import Conflict
from audit.models import Entry, Opening
from tests.agents.folders import PIPELINE, READER, TEAM, numbers

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")


def apply(folder: Path, actor: Actor = SYSTEM, **options: Any) -> registry.Applied:
    return registry.apply_folder(folder, actor=actor, **options)


def verbs() -> list[str]:
    return list(Entry.objects.order_by("id").values_list("verb", flat=True))


def actions(applied: registry.Applied) -> dict[str, str]:
    return {change.name: change.action for change in applied.changes}


def member(team: str) -> Actor:
    return Actor(kind="person", id="7", auth="test", teams=frozenset({team}))


def facts_of(verb: str) -> list[dict[str, Any]]:
    return [json.loads(bytes(entry.body))["facts"] for entry in Entry.objects.filter(verb=verb).order_by("id")]


# Rows and entries ------------------------------------------------------------------------------------------------------------------


def test_applying_makes_drafts_with_schemas_from_type_hints(tmp_path: Path) -> None:
    applied = apply(numbers(tmp_path / "one"))
    assert set(actions(applied).values()) == {"created"}
    version = Agent.objects.get(name="reader").versions.get()
    assert (version.number, version.state, version.author) == (1, VersionState.DRAFT, "system")
    assert version.spec["input"]["required"] == ["file"]
    assert (
        version.spec["output"]["properties"]["number"] == {"title": "Number", "type": "integer"} or "number" in version.spec["output"]["properties"]
    )
    assert version.spec["executable"]["kind"] == "function"
    assert version.spec["artifact"] == version.artifact_id == Artifact.objects.get().digest


def test_every_row_has_its_entry(tmp_path: Path) -> None:
    apply(numbers(tmp_path / "one"))
    assert sorted(verbs()) == sorted(
        ["agents.team.created"]
        + ["agents.agent.created"] * 2
        + ["agents.agent.permitted"]
        + ["agents.pipeline.created"]
        + ["agents.version.drafted"] * 3
    )


def test_a_second_apply_says_unchanged_and_writes_nothing(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    apply(folder, publish=True)
    before = verbs(), Version.objects.count(), Release.objects.count()
    for options in ({}, {"publish": True}):
        applied = apply(folder, **options)
        assert set(actions(applied).values()) == {"unchanged"}
        assert applied.unchanged
    assert before == (verbs(), Version.objects.count(), Release.objects.count())


def test_a_dry_run_tells_and_writes_nothing(tmp_path: Path) -> None:
    applied = apply(numbers(tmp_path / "one"), dry_run=True, publish=True)
    assert actions(applied)["numbers"] == "created"
    assert len(applied.releases) == 1
    assert (verbs(), Team.objects.count(), Artifact.objects.count()) == ([], 0, 0)


def test_a_change_retires_the_older_draft_and_names_the_fields(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    apply(folder)
    applied = apply(numbers(folder, reader=READER.replace("5s", "9s")))
    reader = next(change for change in applied.changes if change.name == "reader")
    assert [(field.path, field.old, field.new) for field in reader.fields] == [("timeout_ms", 5000, 9000)]
    assert list(Agent.objects.get(name="reader").versions.order_by("number").values_list("state", flat=True)) == ["retired", "draft"]
    assert actions(applied)["auditor"] == "unchanged"
    assert facts_of("agents.version.retired")[0]["number"] == 1


def test_going_back_to_the_published_text_discards_the_draft(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    apply(folder, publish=True)
    apply(numbers(folder, reader=READER.replace("5s", "9s")))
    applied = apply(numbers(folder))
    reader = next(change for change in applied.changes if change.name == "reader")
    assert (reader.action, reader.version, reader.draft) == ("changed", 1, False)
    assert "draft 2 discarded" in reader.notes[0]


def test_names_of_people_stand_in_openings_only(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one", reader=READER + "accountable: Greta Example\n")
    apply(folder)
    apply(
        numbers(
            folder,
            reader=READER + "accountable: Piet Example\n",
            team=TEAM + "accountable: Greta Example\n",
            pipeline=PIPELINE + "accountable: Piet Example\n",
        )
    )
    assert {"agents.agent.changed", "agents.team.changed", "agents.pipeline.changed"} <= set(verbs())
    assert not [entry for entry in Entry.objects.all() if b"Example" in bytes(entry.body)]
    assert [opening for opening in Opening.objects.all() if b"Piet Example" in bytes(opening.value)]


def test_a_model_alias_is_stored_with_a_reference_to_its_secret(tmp_path: Path) -> None:
    alias = "kind: model\nname: reasoning\nteam: platform\nprovider: anthropic\nmodel: one\nsecret: env:SOME_KEY\n"
    folder = numbers(tmp_path / "one", reader=alias, auditor="", pipeline="")
    apply(folder)
    applied = apply(numbers(folder, reader=alias.replace("model: one", "model: two"), auditor="", pipeline=""))
    assert actions(applied)["reasoning"] == "changed"
    assert (ModelAlias.objects.get().model, ModelAlias.objects.get().secret_ref) == ("two", "env:SOME_KEY")
    assert {"agents.alias.created", "agents.alias.changed"} <= set(verbs())


def test_a_folder_without_documents_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with pytest.raises(NotPublishable):
        apply(tmp_path / "one")


@pytest.mark.django_db(transaction=True)
def test_four_who_apply_at_once_make_one_version_of_each(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    refused: list[Conflict] = []
    failed: list[BaseException] = []

    def one() -> None:
        try:
            apply(folder, publish=True)
        except Conflict as conflict:
            refused.append(conflict)
        except Exception as error:  # noqa: BLE001 - whatever else it is, the test says it
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(refused) < 4
    assert (Version.objects.count(), Release.objects.count()) == (3, 1)
    assert verbs().count("agents.version.published") == 3


# Who may ----------------------------------------------------------------------------------------------------------------------------


def test_a_person_applies_what_their_team_owns(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    apply(folder)
    applied = apply(numbers(folder, team="", reader=READER.replace("5s", "9s")), member("platform"), publish=True)
    assert actions(applied)["reader"] == "changed"
    assert Agent.objects.get(name="reader").versions.get(number=2).author == "7"


def test_an_outsider_is_refused_and_the_refusal_recorded(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    apply(folder)
    count = Version.objects.count()
    with pytest.raises(NotGranted):
        apply(numbers(folder, team="", reader=READER.replace("5s", "9s")), member("other"), publish=True)
    assert Version.objects.count() == count
    assert facts_of("agents.version.refused") == [{"code": "denied", "publish": True, "problems": 1}]


def test_nobody_takes_over_what_another_team_owns(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "one")
    apply(folder)
    Team.objects.create(name="other", created_at=datetime.now(UTC))
    with pytest.raises(NotGranted):
        apply(numbers(folder, team="", reader=READER.replace("platform", "other"), auditor="", pipeline=""), member("other"))
    assert Agent.objects.get(name="reader").team.name == "platform"


@pytest.mark.parametrize("model", [Team, Agent, Pipeline, Version, Release, Artifact])
def test_an_outsider_sees_nothing(tmp_path: Path, model: Any) -> None:
    apply(numbers(tmp_path / "one"), publish=True)
    assert not model.objects.visible_to(member("other")).exists()
    assert model.objects.visible_to(member("platform")).exists()
    assert model.objects.visible_to(SYSTEM).count() == model.objects.count()


def test_an_alias_is_its_teams_to_see() -> None:
    now = datetime.now(UTC)
    ModelAlias.objects.create(name="ours", team=Team.objects.create(name="platform", created_at=now), provider="p", model="m", created_at=now)
    assert not ModelAlias.objects.visible_to(member("other")).exists()
    assert ModelAlias.objects.visible_to(member("platform")).exists()


# Constraints -----------------------------------------------------------------------------------------------------------------------


def version_of(**values: Any) -> Version:
    return Version(number=1, spec={}, digest="0" * 64, author="x", created_at=datetime.now(UTC), **values)


def test_a_version_belongs_to_exactly_one_object() -> None:
    now = datetime.now(UTC)
    team = Team.objects.create(name="platform", created_at=now)
    agent = Agent.objects.create(name="a", team=team, role=Role.ACT, created_at=now)
    pipeline = Pipeline.objects.create(name="p", team=team, created_at=now)
    for owners in ({}, {"agent": agent, "pipeline": pipeline}):
        with pytest.raises(IntegrityError), transaction.atomic():
            version_of(**owners).save()


def test_an_agent_has_one_draft_and_one_published_version_at_most() -> None:
    now = datetime.now(UTC)
    team = Team.objects.create(name="platform", created_at=now)
    agent = Agent.objects.create(name="a", team=team, role=Role.ACT, created_at=now)
    for number, state in enumerate((VersionState.DRAFT, VersionState.PUBLISHED)):
        one, two = (version_of(agent=agent, state=state, published_at=now) for _ in range(2))
        one.number, two.number = 10 * number + 1, 10 * number + 2
        one.save()
        with pytest.raises(IntegrityError), transaction.atomic():
            two.save()


def test_versions_and_releases_never_change(tmp_path: Path) -> None:
    apply(numbers(tmp_path / "one"), publish=True)
    version, release = Version.objects.first(), Release.objects.get()
    assert version is not None
    for forbidden in (
        version.save,
        version.delete,
        lambda: Version.objects.update(spec={}),
        lambda: Version.objects.all().delete(),
    ):
        with pytest.raises(VersionImmutable):
            forbidden()
    for refused in (release.save, release.delete, lambda: Release.objects.update(manifest={}), lambda: Release.objects.all().delete()):
        with pytest.raises(ReleaseImmutable):
            refused()


def test_an_agent_that_is_applied_alone_without_a_timeout_is_warned_of(tmp_path: Path) -> None:
    folder = numbers(tmp_path / "alone", pipeline="", auditor="", reader=READER.replace("timeout: 5s\n", ""))
    (hint,) = registry.apply_folder(folder, actor=SYSTEM, publish=True).hints
    assert hint.startswith("numbers.yaml:4: agent 'reader' has no timeout") and "write `timeout: 30s` in it" in hint
    assert registry.apply_folder(numbers(folder, pipeline="", auditor=""), actor=SYSTEM, publish=True).hints == []
