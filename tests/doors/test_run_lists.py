"""Lists of runs in the admin: by what they failed for, with as much of an id as names one, which every search takes."""

from pathlib import Path
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from agents import registry
from audit import clock
from audit.identity import new_id
from audit.models import Charge
from runs.models import Run
from tests import pipelines
from tests.doors import world
from tests.pipelines import SYSTEM, agent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(tmp_path: Path, alice: User) -> Client:
    """A member, and runs that failed for two causes and for none."""
    functions = (
        "import time\n\ndef work(how: str) -> dict:\n    if how == 'raise':\n        raise ValueError('no')\n    return {'lie': how == 'lie'}\n"
    )
    pipelines.publish(
        tmp_path / "p", functions=functions, agents=[agent("worker", "work:work")], steps="- {id: work, agent: worker, with: {how: =input.how}}"
    )
    for how in ("raise", "lie", "well"):
        pipelines.run(input={"how": how})
    pipelines.run(input={})
    registry.add_member("platform", "alice", actor=SYSTEM)
    User.objects.filter(username="alice").update(is_staff=True)
    return world.signed_in("alice")


def causes(client: Client, **asked: str) -> list[str]:
    return [run.failure_cause for run in client.get(reverse("admin:runs_run_changelist"), asked).context["cl"].result_list]


def test_runs_are_listed_by_what_they_failed_for(client: Client) -> None:
    assert sorted(causes(client)) == ["", "", "exception", "input"]
    assert causes(client, cause="exception") == ["exception"] and causes(client, cause="input", reads_as="failed") == ["input"]
    assert causes(client, cause="stale") == [] and len(causes(client, cause="nonsense")) == 4
    Run.objects.filter(failure_cause="input").update(outcome="verified")  # past the ledger: it reads broken, and its cause counts for nothing
    assert causes(client, cause="input") == []


def test_what_is_overdue_is_listed_by_the_cause_that_it_reads_as_and_by_no_other(client: Client) -> None:
    run = pipelines.start(input={"how": "well"})
    Run.objects.filter(id=run.id).update(deadline_at=clock.now())
    assert [causes(client, cause="deadline"), causes(client, cause="stale")] == [[""], []]


def test_a_list_shows_as_much_of_an_id_as_names_a_run_and_every_search_takes_that(client: Client) -> None:
    run = Run.objects.filter(outcome="verified").get()
    short, page = str(run.id)[:18], client.get(reverse("admin:runs_run_changelist")).content.decode()
    assert f'title="{run.id}">{short}</span>' in page and f">{run.id}<" not in page
    found = client.get(reverse("admin:runs_run_changelist"), {"q": short}).context["cl"].result_list
    assert [each.id for each in found] == [run.id]
    entries = client.get(reverse("admin:audit_entry_changelist"), {"q": short}).context["cl"].result_list
    assert entries and {each.run for each in entries} == {run.id}
    charge = Charge.objects.create(
        id=new_id(), at=clock.now(),
        run=run.id, team="platform", agent="worker", amount_nano=1_000_000, input_tokens=1, output_tokens=1, estimated=False,
        cache_read_tokens=0, cache_write_tokens=0,
    )  # fmt: skip
    assert client.get(reverse("admin:audit_charge_changelist"), {"q": short}).context["cl"].result_list == [charge]
    assert client.get(reverse("admin:audit_charge_changelist"), {"q": "f" * 18}).context["cl"].result_list == []


def test_sums_of_charges_say_until_when_where_they_belong_and_their_numbers_stand_below_each_other(client: Client) -> None:
    page = client.get(reverse("admin:audit_charge_sums")).content.decode()
    assert "<dt>Until (UTC)</dt>" in page and f'<a href="{reverse("admin:audit_charge_changelist")}">Charges</a>' in page
    assert 'aria-current="page">Charges of the last' in page


def test_whoever_sees_everything_is_not_told_to_ask_for_more(client: Client) -> None:
    nothing = reverse("admin:runs_run_change", args=[UUID(int=1)])
    assert "or it is not shown to you" in client.get(nothing).content.decode()
    assert "Nothing here yet, or nothing that is shown to you." in client.get(reverse("admin:audit_charge_changelist")).content.decode()
    registry.create_person("root", actor=SYSTEM, administrator=True)
    assert "Nothing here yet.<" in world.signed_in("root").get(reverse("admin:audit_charge_changelist")).content.decode()
    said = world.signed_in("root").get(nothing)
    assert said.status_code == 404 and "Everything is shown to you" in said.content.decode() and "Ask whoever" not in said.content.decode()
