"""Commands in whole runs: each way to end has its cause and owner, is written down, and nothing else suffers."""

import json
import sys
from pathlib import Path

import pytest
from django.conf import LazySettings

from agents.children import process
from audit import reports
from audit.models import Opening
from runs.models import Call
from tests import documents, pipelines
from tests.documents import ROOT
from tests.pipelines import ANY

pytestmark = pytest.mark.django_db(transaction=True)

SCAN = """
import json, os, subprocess, sys, time

given = json.load(sys.stdin)
how = given.get("how", "")
print(f"how: {how}", file=sys.stderr, flush=True)
if how == "exit":
    sys.exit("no such feed")
elif how == "nul":
    os.write(2, b"\\0\\xff\\x1b[31mred\\n")
    sys.exit(5)
elif how == "signal":
    os.kill(os.getpid(), 11)
elif how == "memory":
    bytearray(1 << 40)
elif how == "hang" or how.startswith("/"):
    if how != "hang":
        open(how, "w").close()
    time.sleep(60)
elif how == "flood-out":
    while True:
        os.write(1, b"x" * 65536)
elif how == "flood-err":
    while True:
        os.write(2, b"x" * 65536)
elif how == "garbage":
    print("nothing of the kind")
elif how == "utf8":
    os.write(1, b'{"a": "\\xff"}')
elif how == "nan":
    print('{"a": NaN}')
elif how == "twice":
    print('{"a": 1, "a": 2}')
elif how == "number":
    print(3)
elif how == "huge-integer":
    print('{"a": 1152921504606846976}')
elif how == "nothing":
    pass
elif how == "closed":
    print("{}", flush=True)
    os.close(1)
    time.sleep(60)
elif how == "daemon":
    subprocess.Popen(["sleep", "60"], start_new_session=True)
    print("{}")
else:
    print(json.dumps({"ok": True, "about": {name: value for name, value in os.environ.items() if name.startswith("ORCHESTRA_")}}))
"""

CASES = {
    "exit": "exception",
    "nul": "exception",
    "signal": "crashed",
    "memory": "crashed",
    "hang": "deadline",
    "flood-out": "contract",
    "flood-err": "deadline",
    "garbage": "contract",
    "utf8": "contract",
    "nan": "contract",
    "twice": "contract",
    "number": "contract",
    "huge-integer": "contract",
    "nothing": "contract",
    "closed": "deadline",
}


def command(name: str, words: str, *, role: str = "decide", timeout: str = "2s", more: str = "") -> str:
    contracts = "" if role == "check" else f"\noutput: {ANY}"
    lines = f"kind: agent\nname: {name}\nteam: platform\nrole: {role}\npurpose: Test.\nrun: {{command: {words}}}\ntimeout: {timeout}\ninput: {ANY}"
    return lines + contracts + more


def publish(
    path: Path, *, more: str = "", role: str = "decide", steps: str = "- {id: scan, agent: scanner, with: {how: =input.how}}", **parts: str
) -> None:
    path.mkdir(exist_ok=True)
    (path / "scan.py").write_text(SCAN, encoding="utf-8")
    pipelines.publish(path, functions="", agents=[command("scanner", "[python, scan.py]", role=role, more=more)], steps=steps, **parts)


@pytest.fixture
def scanning(tmp_path: Path) -> None:
    publish(tmp_path / "p")


def test_a_command_runs_and_its_call_and_its_stderr_are_in_the_ledger(scanning: None) -> None:
    said = pipelines.run(input={"how": "fine"})
    assert (said["outcome"], said["integrity"]) == ("verified", "intact")
    call = Call.objects.get(kind="command")
    assert (call.name, call.agent, call.state, call.contained) == ("python scan.py", "scanner", "confirmed", sys.platform == "linux")
    assert json.loads(bytes(Opening.objects.get(entry=call.response_entry, path="response").value)) == {"stderr": "how: fine\n"}
    assert reports.chain_problems(pipelines.id_of(said)) == []
    about = said["result"]["about"]
    assert (about["ORCHESTRA_RUN"], about["ORCHESTRA_STEP"], about["ORCHESTRA_IDEMPOTENCY_KEY"]) == (said["id"], "scan", call.key)
    assert set(about) == {"ORCHESTRA_RUN", "ORCHESTRA_STEP", "ORCHESTRA_IDEMPOTENCY_KEY", "ORCHESTRA_DEADLINE"}


@pytest.mark.parametrize(("how", "cause"), CASES.items())
def test_a_misbehaving_command_fails_its_own_step_with_its_cause_and_owner(scanning: None, how: str, cause: str) -> None:
    said = pipelines.run(input={"how": how})
    assert (said["outcome"], said["exit_status"]) == ("failed", 12)
    assert (said["failure"]["cause"], said["failure"]["owner"], said["failure"]["team"]) == (cause, "agent:scanner", "platform")
    assert reports.chain_problems(pipelines.id_of(said)) == []
    assert said["integrity"] == "intact"


def test_the_failure_keeps_exit_status_and_the_end_of_stderr(scanning: None) -> None:
    failure = pipelines.run(input={"how": "exit"})["failure"]
    assert failure["message"] == "scan.py ended with exit status 1: no such feed"
    assert (failure["details"]["exit_status"], failure["details"]["stderr"]) == (1, "how: exit\nno such feed\n")


def test_a_daemon_is_gone_and_the_run_is_verified(scanning: None) -> None:
    assert pipelines.run(input={"how": "daemon"})["outcome"] == "verified"


def test_a_silent_command_is_stalled(tmp_path: Path) -> None:
    publish(tmp_path / "p", steps="- {id: scan, agent: scanner, with: {how: hang}, progress_timeout: 400ms}")
    assert pipelines.run()["failure"]["cause"] == "stalled"


def test_a_command_that_opens_the_installations_key_finds_it_empty(tmp_path: Path, settings: LazySettings) -> None:
    key = Path(settings.ORCHESTRA_HOME) / "secret_key"
    key.write_text("s3cret")
    words = json.dumps(["sh", "-c", f"""if [ -s '{key}' ]; then echo '{{"lie": true}}'; else echo '{{}}'; fi"""])
    pipelines.publish(tmp_path / "p", functions="", agents=[command("scanner", words)], steps="- {id: scan, agent: scanner}")
    said = pipelines.run()
    key.unlink()
    if process._given["level"] != "full":
        pytest.skip("this system has no namespaces")
    assert said["outcome"] == "verified"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has network namespaces")
def test_a_command_has_the_network_only_by_a_permission_and_its_call_says_so(tmp_path: Path) -> None:
    publish(tmp_path / "p", more='\npermissions: ["allow connect network:*"]')
    assert pipelines.run(input={"how": "fine"})["outcome"] == "verified"
    assert Call.objects.get(kind="command").contained is False


def test_one_that_misbehaves_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    ways = ["flood-out", "flood-err", "hang", "memory", "fine"]
    branches = ", ".join(f"b{number}: [{{id: s{number}, agent: scanner, with: {{how: {how}}}}}]" for number, how in enumerate(ways))
    publish(tmp_path / "p", steps=f"- {{id: all, parallel: {{{branches}}}, min_success: any}}")
    said = pipelines.drive(pipelines.start(), children=len(ways))
    assert said["outcome"] == "degraded"
    assert said["result"]["b4"]["ok"] is True


def test_an_act_that_got_no_answer_is_unresolved_and_never_sent_again(tmp_path: Path) -> None:
    publish(tmp_path / "p", role="act")
    said = pipelines.run(input={"how": "hang"})
    assert (said["state"], said["waits"][0]["kind"]) == ("waiting", "unresolved")
    assert Call.objects.get(kind="command").state == "unresolved"


def test_an_idempotent_act_passes_its_business_key_on_and_may_be_retried(tmp_path: Path) -> None:
    steps = "- {id: scan, agent: scanner, with: {how: =input.how, order: =input.order}, retry: {max: 1, backoff: 10ms}}"
    publish(tmp_path / "p", role="act", more='\nmode: {idempotent: "=input.order"}', steps=steps)
    assert pipelines.run(input={"how": "fine", "order": "o-1"})["result"]["about"]["ORCHESTRA_IDEMPOTENCY_KEY"] == "o-1"
    assert pipelines.step(pipelines.run(input={"how": "exit", "order": "o-2"}), "scan")["attempt"] == 2


def test_a_read_whose_worker_died_is_sent_again_with_the_same_key(tmp_path: Path) -> None:
    publish(tmp_path / "p")
    begun = tmp_path / "begun"
    run = pipelines.start(input={"how": str(begun)})
    pipelines.crash(run, at=begun.exists)
    said = pipelines.drive(run)
    assert said["failure"]["cause"] == "deadline"
    assert Call.objects.filter(kind="command").count() == 1
    verbs = [entry["verb"] for entry in reports.entries_of(run.id)]
    assert verbs.count("runs.call.resent") == 1


def test_a_verifier_may_be_a_command(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "check.py").write_text(
        "import datetime, hashlib, json, sys\nclaim = json.load(sys.stdin)['claim']\nat = datetime.datetime.now(datetime.UTC).isoformat()\n"
        "read = [{'source': 'claim', 'digest': hashlib.sha256(b'').hexdigest(), 'at': at}]\n"
        "word = 'pass' if claim.get('ok') else 'fail'\n"
        "print(json.dumps({'checks': [{'criterion': 'honest', 'verdict': word, 'why': 'looked', 'read': read}]}))\n"
    )
    steps = "- {id: scan, agent: scanner, with: {how: fine}}"
    checker = command("checker", "[python, check.py]", role="check", timeout="10s")
    (tmp_path / "p" / "scan.py").write_text(SCAN, encoding="utf-8")
    agents = [command("scanner", "[python, scan.py]"), checker]
    pipelines.publish(tmp_path / "p", functions="", agents=agents, steps=steps, verify="verify: {agent: checker, with: {claim: =result}}")
    said = pipelines.run()
    assert (said["outcome"], said["verdict"]["checks"][0]["by"]) == ("verified", "checker")


def test_a_program_that_has_gone_since_it_was_published_is_said_at_run_time(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho '{}'\n")
    program.chmod(0o700)
    agents = [command("scanner", f"[{program}]")]
    pipelines.publish(tmp_path / "p", functions="", agents=agents, steps="- {id: scan, agent: scanner}")
    program.unlink()
    failure = pipelines.run()["failure"]
    assert (failure["cause"], failure["owner"]) == ("exception", "agent:scanner")
    assert failure["message"].startswith(f"there is no program '{program}' on this worker")


def test_the_home_of_a_command_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source = "import json, os, pathlib; h = os.environ['HOME']; pathlib.Path(h, 'left').write_text('x'); print(json.dumps({'home': h}))"
    words = json.dumps(["python", "-c", source])
    pipelines.publish(tmp_path / "p", functions="", agents=[command("scanner", words)], steps="- {id: scan, agent: scanner}")
    home = Path(pipelines.run()["result"]["home"])
    assert home.parent == tmp_path
    assert not home.exists()


def test_the_command_of_the_how_to_runs(tmp_path: Path) -> None:
    page = {block.value: block.text for block in documents.blocks(ROOT / "docs" / "how-to" / "write-a-command.md") if block.key == "file"}
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "lines.py").write_text(page["lines.py"], encoding="utf-8")
    agents = [page["agents.yaml"].replace("my-team", "platform")]
    steps = "- {id: count, agent: line-counter, with: {file: =input.file}}"
    pipelines.publish(tmp_path / "p", functions="", agents=agents, steps=steps)
    assert pipelines.run(input={"file": str(tmp_path / "p" / "judge.py")})["result"] == {"lines": pipelines.JUDGE.count("\n")}
    assert "wc could not count" in pipelines.run(input={"file": "nothing"})["failure"]["message"]
