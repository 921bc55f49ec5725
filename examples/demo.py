"""`make demo`: six runs of four real pipelines over real input, the saves first, each held to what it promises.

Types what a person would type (`manage.py …`, in this installation, so `make serve` shows the runs afterwards), reads the
runs' own JSON documents, and exits 1 if one of them did not come out as promised. Safe to repeat.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # a script's own folder comes first on the path, not the project's

from audit.management.typed import manage as as_typed  # noqa: E402 - found by the line above
from audit.visible import visible  # noqa: E402 - as above

FOLDER = "examples/ops-digest"
AUDIT = "examples/security-audit"
DEPLOYER = "examples/deployer"
FEED = f"feed={FOLDER}/data/ec2_cpu_utilization_5f5533.csv"
ADMIN = "http://127.0.0.1:8000/admin/"
AS_OF = "2014-02-28T14:25:00Z"
# Without what is only developed with: `make demo` doesn't install it, so its licences would be unknown.
OWN_SOURCE = ("--input", "path=.", "--input", 'exclude=["var", "requirements-dev.in", "requirements-dev.lock"]')
SETUP = (("migrate", "--no-input", "--verbosity", "0"), ("apply", "-f", FOLDER, "--publish"))
SETUP_BESIDE = (("apply", "-f", AUDIT, "--publish"), ("apply", "-f", DEPLOYER, "--publish"))
# A folder of one's own: whoever else on this machine plays the same must not find what somebody has released.
PRODUCTION = ("--input", f"build={DEPLOYER}/build", "--input", "environment=production", "--input", f"root=/tmp/environments-{os.getuid()}")
STARTER, STARTERS_TEAM = "starter", "platform"
"""The account of whoever starts the deployment: somebody has to have, for them to be kept from approving it."""
RUNS_S = 240
SETUP_S = 120
WAITS = 13
STYLES = {0: "bold green", 11: "bold red", 12: "bold red", WAITS: "bold yellow"}
REPORT = " Report: "
"""Where a scene's sentence goes over to a path, which the table leaves out."""

Document = Mapping[str, Any]
tokens: dict[str, str] = {}
"""Of the people who type something, for as long as this runs."""
console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 100)


class Broken(Exception):
    """Something did not come out as this demonstration promises."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One run: what it shows, what is typed, how it must end, and the sentence that says why it did (Broken if it doesn't)."""

    title: str
    what: str
    arguments: Sequence[str]
    exit_status: int
    why: Callable[[Document], str]
    by: str | None = None
    """Who types it; None: nobody in particular."""


@dataclass(frozen=True, slots=True)
class Played:
    scene: Scene
    document: Document
    why: str
    seconds: float


def stale(document: Document) -> str:
    failure = document["failure"]
    if (failure["cause"], failure["owner"]) != ("stale", "agent:feed-reader") or " old " not in failure["message"]:
        raise Broken(f"the feed was to be refused for its age, on its reader's account; the run says {failure}")
    return f"{failure['message']}. Owner: {failure['owner'].replace(':', ' ')}, team {failure['team']}"


def recomputed(document: Document) -> str:
    summary = str(document["verdict"]["summary"])
    counted = re.search(r"recomputed (\d+) of (\d+) numbers", summary)
    if counted is None or counted[1] != counted[2] or counted[1] == "0":
        raise Broken(f"the auditor was to recompute every number; it says {summary!r}")
    return f"auditor {summary}"


def as_of_then(document: Document) -> str:
    if document["label"] != f"verified as of {AS_OF}":
        raise Broken(f"the run was to read as verified as of {AS_OF}; it reads {document['label']}")
    return recomputed(document)


def lie(document: Document) -> str:
    caught = [check for check in document["verdict"]["checks"] if check["verdict"] == "fail" and check.get("claimed") is not None]
    if not caught or caught[0].get("found") is None:
        raise Broken("the verdict was to name the number that was claimed and the number in the source")
    first = caught[0]
    return f"the writer claimed {first['claimed']}, the source says {first['found']} ({first['criterion']}, blames step {first['blames']})"


def audited(document: Document) -> str:
    result, counts = document["result"], document["result"]["counts"]
    checks = [check for check in document["verdict"]["checks"] if check["by"] == "audit-verifier"]
    if result["missing"] or not checks or any(check["verdict"] != "pass" for check in checks):
        raise Broken(f"all three scanners were to be there and every check to pass; missing {result['missing']}, checks {checks}")
    found = f"{counts['high']} high, {counts['medium']} medium, {counts['low']:,} low"
    return f"{found}; verifier {document['verdict']['summary']}.{REPORT}{result['report']}"


def asked_in_vain(document: Document) -> str:
    """Whoever started it says yes, and is told why that doesn't count."""
    listed = manage(["approvals", "--json"], timeout_s=SETUP_S, capture_errors=True)
    request = next((each for each in json.loads(listed.stdout or "[]") if each["run"] == document["id"]), None)
    if request is None:
        raise Broken(f"the deployment was to wait for an approval; the run says {document['label']}")
    arguments = ["decide", request["id"], "approve", "--reason", "it is mine"]
    say(f"   $ {typed(arguments)}", "dim")
    said = manage(arguments, timeout_s=SETUP_S, capture_errors=True, by=STARTER)
    if said.returncode != 2 or "you started the run" not in said.stderr:
        raise Broken(f"whoever started it was not to decide it; decide ended with {said.returncode}: {(said.stderr or said.stdout).strip()[-500:]}")
    return f"it asks {request['asks']}, and nothing was sent. {STARTER}, who started it, says yes: {' '.join(said.stderr.split())}"


FIRST = (
    Scene("A feed that stopped in 2014 is refused, not summarised", "stale feed", ("ops-digest", "--input", FEED), 12, stale),
    Scene("The same feed, judged as of its own time", "same feed, then", ("ops-digest", "--input", FEED, "--as-of", AS_OF), 0, as_of_then),
    Scene("A writer that flatters one number", "lying writer", ("ops-digest-lying", "--input", FEED, "--as-of", AS_OF), 11, lie),
    Scene("This machine, sampled for some seconds", "this machine", ("ops-digest", "--input", "feed=host"), 0, recomputed),
)
THEN = (
    Scene("Orchestra's own source, audited by three scanners at once", "own source", ("security-audit", *OWN_SOURCE), 0, audited),
    Scene("A deployment to production waits for somebody else's yes", "deployment", ("deployment", *PRODUCTION), WAITS, asked_in_vain, STARTER),
)


def main() -> int:
    began = time.monotonic()
    say("Orchestra: six runs of four pipelines. Two of them must not pass, and one must not go on by itself.\n", "bold")
    try:
        for arguments in (*SETUP, *SETUP_BESIDE):
            say(f"$ {typed(arguments)}", "dim")
        with ThreadPoolExecutor(max_workers=1) as beside:
            set_up(SETUP)
            ready = beside.submit(prepare)  # while the first scenes are played, which leave a processor idle
            played = [play(number, scene) for number, scene in enumerate(FIRST, start=1)]
            ready.result()
        played += [play(number, scene) for number, scene in enumerate(THEN, start=len(played) + 1)]
    except Broken as broken:
        say(f"\nThe demonstration broke: {visible(broken, 2000)}", "bold red")
        return 1
    conclude(played, time.monotonic() - began)
    return 0


def prepare() -> None:
    """What the later scenes need."""
    set_up(SETUP_BESIDE)
    let_in(STARTER, STARTERS_TEAM)


def set_up(commands: Sequence[Sequence[str]]) -> None:
    for arguments in commands:
        done = manage(arguments, timeout_s=SETUP_S, capture_errors=True)
        if done.returncode:
            raise Broken(f"manage.py {arguments[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-1500:]}")


def let_in(person: str, team: str) -> None:
    """A token for a day of an account in the team, which is made once, however often this is shown."""
    asked = ["token", person, "--days", "1", "--name", "make demo"]
    made = manage(asked, timeout_s=SETUP_S, capture_errors=True)
    if made.returncode:
        for arguments in (["person", person, "--create"], ["members", team, "--add", person], asked):
            made = manage(arguments, timeout_s=SETUP_S, capture_errors=True)
    found = re.search(r"\borc_\S+", made.stdout)
    if made.returncode or found is None:
        raise Broken(f"no token for {person}: {made.stderr.strip()[-500:]}")
    tokens[person] = found[0]


def play(number: int, scene: Scene) -> Played:
    say(f"\n{number}  {scene.title}", "bold")
    say(f"   $ {typed(['runpipeline', *scene.arguments])}" + (f"     # with {scene.by}'s token in ORCHESTRA_TOKEN" if scene.by else ""), "dim")
    began = time.monotonic()
    done = manage(["runpipeline", *scene.arguments, "--json"], timeout_s=RUNS_S, by=scene.by)
    seconds = time.monotonic() - began
    document = read(done.stdout)
    if done.returncode != scene.exit_status:
        how = document.get("error") or document.get("failure") or document.get("label")
        raise Broken(f"'{scene.what}' was to end with exit status {scene.exit_status} and ended with {done.returncode}: {how}")
    why = visible(scene.why(document), 600)
    console.print(Text.assemble("   ", (str(document["label"]), STYLES[scene.exit_status]), f"  exit status {done.returncode}"))
    for line in Text(why).wrap(console, console.width - 3):
        line.rstrip()
        console.print(Text.assemble("   ", line))
    return Played(scene, document, why, seconds)


def conclude(played: Sequence[Played], seconds: float) -> None:
    table = Table(
        title="\nWhat came out", title_style="bold", title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim"
    )
    table.add_column("what", no_wrap=True)
    table.add_column("outcome", max_width=20)
    table.add_column("why")
    table.add_column("seconds", justify="right")
    for each in played:
        outcome = Text(str(each.document["label"]), style=STYLES[each.scene.exit_status])
        table.add_row(each.scene.what, outcome, each.why.partition(REPORT)[0], f"{each.seconds:.1f}")
    with console.capture() as captured:
        console.print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
    sys.stdout.flush()
    lying = next(each.document["id"] for each in played if each.scene.exit_status == 11)
    report = next(each.document["result"]["report"] for each in played if REPORT in each.why)
    say(f"\nAll six as promised, in {seconds:.0f} s. What to type next:", "bold")
    for command, what in (
        ("make serve", f"these runs in the admin, at {ADMIN}; it says who signs in, and shows the password the first time"),
        (f"{as_typed()} approvals", "the deployment that waits; docs/how-to/approve.md says how somebody else lets it go"),
        (f"{as_typed()} showrun {lying[:18]}", "the lie, with its evidence"),
        (f"less {shlex.quote(report)}", "the findings in Orchestra's own source, as the audit's pipeline wrote them"),
        (f"{as_typed()} runs", "all of them"),
        (f"{as_typed()} new pipeline mine", "your own, in a folder of that name; docs/tutorial.md builds one from nothing"),
    ):
        console.print(Text.assemble("  ", command, (f"\n      {what}", "dim")), soft_wrap=True)


def manage(arguments: Sequence[str], *, timeout_s: float, capture_errors: bool = False, by: str | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as from a shell; a run's live progress goes to this terminal and is gone at its end."""
    environment = {name: value for name, value in os.environ.items() if name != "ORCHESTRA_TOKEN"}
    environment |= {} if by is None else {"ORCHESTRA_TOKEN": tokens[by]}
    errors = subprocess.PIPE if capture_errors or not sys.stderr.isatty() else None
    try:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Broken(f"manage.py {shlex.join(arguments)} was not done after {timeout_s:.0f} s") from None


def read(text: str) -> Document:
    try:
        document = json.loads(text)
    except ValueError:
        raise Broken(f"the run printed no JSON document: {text[:500]!r}") from None
    assert isinstance(document, dict)
    return document


def typed(arguments: Sequence[str]) -> str:
    """The command as a person types it here, broken before its options where it is long."""
    line = f"{as_typed()} {shlex.join(arguments)}"
    return line if len(line) <= 76 else line.replace(" --", " \\\n       --")


def say(text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
