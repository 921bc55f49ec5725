"""The commands stop, stops and resume: what a person reads, what they type next, and the exit status."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from agents.models import Stop
from audit.models import Entry
from runs.models import Run
from tests import pipelines
from tests.pipelines import agent
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)

WORK = "def work() -> dict:\n    return {}\n"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a narrow terminal."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(autouse=True)
def published(tmp_path: Path) -> None:
    pipelines.publish(tmp_path / "p", functions=WORK, agents=[agent("worker", "work:work")], steps="- {id: one, agent: worker}")


def resumed(*arguments: str) -> str:
    out = StringIO()
    call_command("resume", *arguments, stdout=out)
    return out.getvalue().strip()


def test_stop_says_how_to_look_at_it_and_how_to_take_it_back() -> None:
    done = typed("stop", "pipeline", "sample", "--reason", "its source is wrong")
    row = Stop.objects.get()
    assert (done.status, done.out) == (0, "pipeline 'sample': stopped\n")
    assert f"manage.py stops show {row.id}" in done.err and "manage.py resume pipeline sample" in done.err
    assert resumed("pipeline", "sample") == "pipeline 'sample': resumed"
    assert [entry.verb for entry in Entry.objects.filter(verb__startswith="agents.stop.").order_by("at", "id")] == [
        "agents.stop.set",
        "agents.stop.lifted",
    ]


def test_everything_has_no_name_and_one_word_is_an_agent() -> None:
    typed("stop", "everything", "--reason", "a leak")
    assert typed("runpipeline", "sample").status == 2
    assert resumed("everything") == "everything: resumed"
    typed("stop", "agent", "worker", "--reason", "odd")
    assert resumed("worker") == "agent worker: resumed, active"


def test_a_run_is_stopped_by_the_beginning_of_its_id_and_waits(tmp_path: Path) -> None:
    run = pipelines.start()
    typed("stop", "run", str(run.id)[:18], "--reason", "odd")
    said = typed("waits").out
    assert "for the end of the stop of run" in said and f"manage.py resume run {run.id}" in said
    assert "whoever may lift the stop" in said and "the run fails as stopped" in said
    resumed("run", str(run.id))
    pipelines.drive(run)
    assert Run.objects.get(id=run.id).outcome == "verified"


def test_stops_lists_them_and_show_proves_that_it_is_quiet() -> None:
    assert "nothing is stopped" in typed("stops").err
    run = pipelines.start()
    pipelines.drive(run)
    typed("stop", "version", "worker@1", "--reason", "reads nonsense")
    row = Stop.objects.get()
    listed = typed("stops").out
    assert "version 1 of 'worker': stopped" in listed and "by system:system: reads nonsense" in listed and f"stop {row.id}" in listed
    shown = typed("stops", "show", row.id).out
    assert "last call before it: " in shown and f"worker, step one of run {run.id}" in shown
    assert ": none\n  out at that moment: none\n  quiet since" in shown
    document = typed("stops", "show", row.id, "--json").document
    assert (document["what"], document["proof"]["quiet"], document["proof"]["in_flight"]) == ("version 1 of 'worker'", True, 0)
    resumed("version", "worker@1")
    assert (typed("stops").out, "was stopped" in typed("stops", "--all").out) == ("", True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pipeline", "smaple", "--reason", "x"), "did you mean 'sample'"),
        (("tool", "hammer", "--reason", "x"), "there is fetch"),
        (("nonsense", "x", "--reason", "x"), "nothing that can be stopped; stop one of everything"),
        (("pipeline", "sample", "--reason", " "), "a stop needs a reason"),
        (("version", "worker@7", "--reason", "x"), "has no version 7"),
        (("run", "0199d3c1-5a52", "--reason", "x"), "there is no run '0199d3c1-5a52'"),
    ],
)
def test_what_cannot_be_stopped_ends_with_2_and_is_an_entry(arguments: tuple[str, ...], said: str) -> None:
    done = typed("stop", *arguments)
    assert done.status == 2 and said in done.err
    assert Entry.objects.get(verb="agents.stop.refused").envelope()["facts"]["asked"] == "stop"


def test_what_is_not_stopped_is_not_resumed_and_ends_with_2() -> None:
    for arguments, said in ((("pipeline", "sample"), "there is no stop of pipeline 'sample' in force"), (("run", "0199"), "no stop of run '0199'")):
        with pytest.raises(CommandError, match=said) as error:
            resumed(*arguments)
        assert error.value.returncode == 2
    assert typed("stops", "show", "nothing").status == 2
