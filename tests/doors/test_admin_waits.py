"""Waits and calls to settle in the admin: who sees them, who gets a form, what it does, and what hostile text does not."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents import registry
from agents.models import Agent
from audit import clock, reports
from audit.admin.base import link_to
from runs.admin.badges import listed
from runs.models import Call, Run, Wait
from tests import pipelines, waiting
from tests.doors import world
from tests.pipelines import SYSTEM

pytestmark = pytest.mark.django_db(transaction=True)

WAITS, CALLS = reverse("admin:runs_wait_changelist"), reverse("admin:runs_call_changelist")


@pytest.fixture
def seen(tmp_path: Path) -> dict[str, Client]:
    """alice and erin belong to platform, bob may look at it, charlie is an outsider, dora sees everything."""
    world.platform(tmp_path / "platform")
    people = world.people()
    registry.create_person("erin", actor=SYSTEM)
    registry.add_member("platform", "erin", actor=SYSTEM)
    return {**people, "erin": world.signed_in("erin")}


def text(answer: HttpResponse) -> str:
    return answer.content.decode()


def page_of(row: Wait | Call | Run) -> str:
    return reverse(f"admin:runs_{row._meta.model_name}_change", args=[row.id])


def test_what_is_waited_for_is_listed_for_whoever_sees_its_team(seen: dict[str, Client], tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path / "w")
    for name in ("alice", "bob", "dora"):
        said = text(seen[name].get(WAITS))
        assert "signal payment" in said and "the step fails as expired" in said and "any member of team" in said, name
    assert len(seen["charlie"].get(WAITS).context["cl"].result_list) == 0
    assert seen["charlie"].get(page_of(waiting.wait_of(run))).status_code == 404
    assert Client().get(page_of(waiting.wait_of(run))).status_code == 302


def test_the_list_is_filtered_and_those_that_end_soonest_come_first(seen: dict[str, Client], tmp_path: Path) -> None:
    first, second = waiting.for_a_person(tmp_path / "p"), waiting.for_a_signal(tmp_path / "w")

    def runs(query: str) -> list[str]:
        return [str(row.run_id) for row in seen["alice"].get(f"{WAITS}?{query}").context["cl"].result_list]

    assert runs("") == [str(second.id), str(first.id)]
    assert (runs("kind=signal"), runs("kind=timer"), runs("of=sample")) == ([str(second.id)], [], [str(second.id), str(first.id)])
    page = seen["alice"].get(WAITS)
    assert "Calls whose fate nobody knows" in text(page) and page_of(waiting.call_of(first)) in text(page)
    assert [str(row.run_id) for row in seen["alice"].get(CALLS).context["cl"].result_list] == [str(first.id)]


def test_pages_of_waits_follow_each_other_without_gap(seen: dict[str, Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(admin.site._registry[Wait]), "list_per_page", 2)
    waiting.publish(tmp_path / "w", waiting.SIGNAL, waiting.WORKED)
    made = [str(waiting.parked().id) for _ in range(5)]
    url, walked = "", []
    for _ in range(9):
        cl = seen["alice"].get(WAITS + url).context["cl"]
        walked += [str(row.run_id) for row in cl.result_list]
        if cl.older is None:
            break
        url = cl.older
    assert walked == made
    back = seen["alice"].get(WAITS + cl.newer).context["cl"]
    assert [str(row.run_id) for row in back.result_list] == made[2:4]


def test_lists_of_waits_ask_as_much_for_many_as_for_few(seen: dict[str, Client], tmp_path: Path) -> None:
    def asked(url: str) -> int:
        seen["alice"].get(url)
        with CaptureQueriesContext(connection) as captured:
            assert seen["alice"].get(url).status_code == 200
        assert not [query for query in captured.captured_queries if "COUNT(" in query["sql"]]
        return len(captured)

    waiting.for_a_person(tmp_path / "w")
    few = {url: asked(url) for url in (WAITS, CALLS)}
    for _ in range(3):
        waiting.parked()
    assert {url: asked(url) for url in (WAITS, CALLS)} == few


def test_a_member_sends_a_signal_by_a_form_made_from_its_contract(seen: dict[str, Client], tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path / "w")
    url = page_of(waiting.wait_of(run))
    page = text(seen["alice"].get(url))
    assert 'name="in-amount"' in page and 'name="in-note"' in page and "csrfmiddlewaretoken" in page
    wrong = seen["alice"].post(url, {"in-amount": "0"})
    assert wrong.status_code == 422 and "amount" in text(wrong) and "The wait is still open" in text(wrong)
    done = seen["alice"].post(url, {"in-amount": "7", "in-note": "thanks"}, follow=True)
    assert "The signal &#x27;payment&#x27; is sent" in text(done)
    assert pipelines.drive(run)["result"] == {"got": {"amount": 7, "note": "thanks"}}
    (entry,) = [entry for entry in reports.entries_of(run.id) if entry["verb"] == "runs.wait.answered"]
    assert entry["actor"] == {"kind": "person", "id": "alice", "auth": "session"}
    assert "answered" in text(seen["alice"].get(url)) and "person:alice" in text(seen["alice"].get(url))


def test_a_signal_without_a_contract_takes_any_json(seen: dict[str, Client], tmp_path: Path) -> None:
    waiting.publish(tmp_path / "w", "- {id: paid, wait: {signal: payment, timeout: 2d}}", waiting.WORKED)
    run = waiting.parked()
    seen["alice"].post(page_of(waiting.wait_of(run)), {"input": "[1, null]"})
    assert pipelines.drive(run)["result"] == {"got": [1, None]}


def test_an_onlooker_reads_who_can_answer_and_gets_no_form(seen: dict[str, Client], tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path / "w")
    url = page_of(waiting.wait_of(run))
    page = text(seen["bob"].get(url))
    assert "you are not a member of it" in page and "any member of team" in page and 'name="in-amount"' not in page
    assert seen["bob"].post(url, {"in-amount": "7"}).status_code == 403
    assert (Wait.objects.get(run=run).state, reports.entries_of(run.id)[-1]["verb"]) == ("open", "runs.answer.refused")


def test_a_call_is_settled_by_somebody_who_did_not_start_its_run(seen: dict[str, Client], tmp_path: Path) -> None:
    run = waiting.for_a_person(tmp_path / "w")
    Run.objects.filter(id=run.id).update(started_by="person:alice")
    for url in (page_of(waiting.wait_of(run)), page_of(waiting.call_of(run))):
        mine, theirs = text(seen["alice"].get(url)), text(seen["erin"].get(url))
        assert "You started run" in mine and 'name="decision"' not in mine
        assert "It was not done. It is made anew, once" in theirs and 'name="in-paid"' in theirs
    url = page_of(waiting.wait_of(run))
    said = {"decision": "done", "in-paid": "true", "reason": "on the statement"}
    assert seen["alice"].post(url, said).status_code == 403
    wrong = seen["erin"].post(url, {**said, "in-paid": ""})
    assert wrong.status_code == 422 and "breaks the contract" in text(wrong)
    assert "it was done" in text(seen["erin"].post(url, said, follow=True))
    assert pipelines.drive(run)["result"] == {"paid": True}
    assert [entry["verb"] for entry in reports.entries_of(run.id)].count("runs.call.resolved") == 1


def test_of_a_call_that_was_not_done_no_result_is_taken(seen: dict[str, Client], tmp_path: Path) -> None:
    run = waiting.for_a_person(tmp_path / "w")
    seen["erin"].post(page_of(waiting.call_of(run)), {"decision": "not_done", "in-paid": "true", "reason": "asked"})
    assert Call.objects.get(run=run).state == "resolved_not_done"


def test_the_page_of_a_run_says_what_it_waits_for_and_leads_there(seen: dict[str, Client], tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path / "w")
    page = text(seen["alice"].get(page_of(run)))
    assert (
        page_of(waiting.wait_of(run)) in page
        and "Answer…" in page
        and "waiting for the signal payment" in page
        and "waiting until" not in page
        and "o-waits" in page
    )
    assert "Answer…" not in text(seen["bob"].get(page_of(run)))
    assert "1 run waiting" in text(seen["alice"].get(reverse("admin:index")))
    row = text(seen["alice"].get(reverse("admin:runs_run_changelist")))
    assert "for the signal payment" in row and f"until {run.wake_at:%Y-%m-%d}" not in row


def test_a_run_that_waited_in_vain_reads_so_in_lists_before_anybody_wrote_it(seen: dict[str, Client], tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path / "w")
    waiting.expire(run)
    assert "expired" in text(seen["alice"].get(reverse("admin:runs_run_changelist")))
    assert "nobody sent the signal" in text(seen["alice"].get(page_of(run)))


def test_what_waits_for_a_time_has_a_page_and_no_form(seen: dict[str, Client], tmp_path: Path) -> None:
    waiting.publish(tmp_path / "w", "- {id: paid, wait: {for: 3h}}", waiting.WORKED)
    run = waiting.parked()
    page = text(seen["alice"].get(page_of(waiting.wait_of(run))))
    assert "Nothing has to be done here" in page and "<textarea" not in page
    until = f"until {run.wake_at:%Y-%m-%d}"
    assert f"waiting {until}" in text(seen["alice"].get(page_of(run))) and until in text(seen["alice"].get(reverse("admin:runs_run_changelist")))
    assert seen["alice"].post(page_of(waiting.wait_of(run))).status_code == 409


def test_what_was_undone_and_what_was_not_stands_on_the_page_of_the_run(seen: dict[str, Client], tmp_path: Path) -> None:
    run = waiting.failed_after_acting(tmp_path / "w")
    page = text(seen["alice"].get(page_of(run)))
    assert "irreversible: it has no compensation" in page and "by its compensation, undo:flight" in page
    assert "↩ undo:flight" in page and "to undo step flight" in page


def test_nothing_of_a_call_is_shown_to_an_outsider(seen: dict[str, Client], tmp_path: Path) -> None:
    run = waiting.for_a_person(tmp_path / "w")
    for row in (waiting.wait_of(run), waiting.call_of(run)):
        assert seen["charlie"].get(page_of(row)).status_code == 404
        assert seen["charlie"].post(page_of(row), {"decision": "unknown", "reason": "x"}).status_code == 404
    assert "payer" not in text(seen["charlie"].get(WAITS)) + text(seen["charlie"].get(CALLS))


def test_reasons_of_runs_that_wait_in_vain_take_one_statement_for_all(tmp_path: Path) -> None:
    waiting.publish(tmp_path / "w", waiting.SIGNAL, waiting.WORKED)
    runs = [waiting.parked() for _ in range(3)]
    for run in runs:
        waiting.expire(run)
    rows = list(Run.objects.all())

    def asked(some: list[Run]) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert {one.cause for one in listed(some, clock.now())} == {"expired"}
        return len(captured)

    assert asked(rows[:1]) == asked(rows) <= 4


def overview(client: Client) -> HttpResponse:
    return client.get(reverse("admin:index"))


def test_the_overview_begins_with_what_its_reader_may_answer(seen: dict[str, Client], tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path / "w")
    page = text(overview(seen["alice"]))
    assert "waits for you" in page and page_of(waiting.wait_of(run)) in page and "✓ No run failed" not in page
    for name in ("bob", "dora", "charlie"):
        assert not overview(seen[name]).context["answers"], name
    assert "✓ No run failed" in text(overview(seen["bob"]))
    seen["alice"].post(page_of(waiting.wait_of(run)), {"in-amount": "7"})
    assert not overview(seen["alice"]).context["answers"]


def test_what_became_of_a_call_is_asked_on_the_overview_of_whoever_may_say_it(seen: dict[str, Client], tmp_path: Path) -> None:
    run = waiting.for_a_person(tmp_path / "w")
    Run.objects.filter(id=run.id).update(started_by="person:alice")

    def asked(name: str) -> list[str]:
        return [one["run"] for one in overview(seen[name]).context["answers"]]

    assert (asked("alice"), asked("erin"), asked("bob")) == ([], [str(run.id)], [])
    Call.objects.filter(run=run).update(not_after=clock.now())
    assert asked("erin") == []
    User.objects.filter(username="erin").update(email="Carol@Example.com")
    Call.objects.filter(run=run).update(not_after=clock.now() - timedelta(minutes=1))
    assert asked("erin") == []


def test_a_timer_is_nobodys_task_on_the_overview(seen: dict[str, Client], tmp_path: Path) -> None:
    waiting.publish(tmp_path / "w", "- {id: paid, wait: {for: 3h}}", waiting.WORKED)
    waiting.parked()
    assert not overview(seen["alice"]).context["answers"] and "1 run waiting" in text(overview(seen["alice"]))


def test_the_overview_asks_as_much_for_many_waits_as_for_few_and_shows_ten(seen: dict[str, Client], tmp_path: Path) -> None:
    def asked() -> int:
        overview(seen["erin"])
        with CaptureQueriesContext(connection) as captured:
            overview(seen["erin"])
        return len(captured)

    run = waiting.for_a_person(tmp_path / "p")
    waiting.publish(tmp_path / "w", waiting.SIGNAL, waiting.WORKED)
    waiting.parked()
    few, now = asked(), clock.now()
    for number in range(11):
        wait = {"kind": "signal", "subject": "payment", "opened_at": now, "expires_at": now + timedelta(days=1_000)}
        Wait.objects.create(run=run, step=f"other-{number}", **wait)
    assert asked() == few
    found = overview(seen["erin"])
    assert len(found.context["answers"]) == 10 and "more that you may answer" in text(found)


@pytest.mark.parametrize("why", ["they started it", "they answer for its agent", "they answer for it, in letters that only we fold"])
def test_what_its_reader_may_not_answer_hides_nothing_on_the_overview(seen: dict[str, Client], tmp_path: Path, why: str) -> None:
    run = waiting.for_a_person(tmp_path / "p")
    waiting.publish(tmp_path / "w", waiting.SIGNAL, waiting.WORKED)
    parked = waiting.parked()
    (word,) = Wait.objects.filter(run=run)
    if why == "they started it":
        Run.objects.filter(id=run.id).update(started_by="person:erin")
    else:
        odd = "\u00c9rin@example.com" if "letters" in why else "ERIN@example.com"
        Agent.objects.filter(name="payer").update(accountable=odd)
        User.objects.filter(username="erin").update(email=odd.swapcase())
    times = {"opened_at": word.opened_at, "expires_at": clock.now() + timedelta(hours=1)}
    Wait.objects.bulk_create([Wait(run=run, step=f"other-{number}", kind=word.kind, subject=word.subject, **times) for number in range(130)])
    assert [one["run"] for one in overview(seen["erin"]).context["answers"]] == [str(parked.id)], why
    assert len(overview(seen["alice"]).context["answers"]) == 10


def test_a_run_that_waits_for_a_word_on_a_call_says_so_wherever_it_is_listed(seen: dict[str, Client], tmp_path: Path) -> None:
    run = waiting.for_a_person(tmp_path / "w")
    for url in (page_of(run), reverse("admin:runs_run_changelist"), reverse("admin:agents_pipeline_change", args=[run.pipeline_id])):
        assert "for a word on a call" in text(seen["alice"].get(url)), url


def test_the_name_of_a_signal_is_text_and_letters_of_it_stay(seen: dict[str, Client], tmp_path: Path) -> None:
    run = waiting.for_a_signal(tmp_path / "w")
    Wait.objects.filter(run=run).update(subject="TZ<b>\u202e")
    for url in (page_of(run), reverse("admin:runs_run_changelist")):
        page = text(seen["alice"].get(url))
        assert "for the signal TZ&lt;b&gt;" in page and "\u202e" not in page, url


def test_a_key_with_letters_that_the_admin_escapes_opens_its_call(seen: dict[str, Client], tmp_path: Path) -> None:
    """`_23` in an address of the admin is a `#`: of forty keys one begins so."""
    call = waiting.call_of(waiting.for_a_person(tmp_path / "p"))
    key = f"o1_23{call.key[5:]}"
    Call.objects.filter(id=call.id).update(key=key)
    Wait.objects.filter(subject=call.key).update(subject=key)
    page = link_to(Call.objects.get(id=call.id))
    assert page in text(seen["erin"].get(CALLS)) and seen["erin"].get(page).status_code == 200
