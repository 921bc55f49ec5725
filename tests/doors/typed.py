"""Every command that looks or acts for somebody, as it is typed about one team's things: for the matrix of who may what.

`<word>` stands for the row of that team, `<me>` for whoever types it; what comes after `→` is looked for in what it prints.
No expectation lives here.
"""

import re
from dataclasses import dataclass
from io import StringIO

from django.core.management import CommandError, call_command, get_commands, load_command_class

from audit.errors import OrchestraError
from audit.management.persons import PersonsCommand
from tests.doors.everywhere import OURS, World, word

LINES = """
apply -f <folder>
apply -f <folder> --publish
approvals → <request>
approvals <request>
auditexport --agent <agent>
auditexport --person <person>
auditexport --run <run>
can <agent>
can <agent> read feed:metrics
cancel <run>
cover → <cover>
cover <person> --until <until>
cover <person> --person <owner> --until <until>
cover --end <cover>
decide <request> approve --reason x
decide <request> approve --alike --reason x
decide <request> comment --reason x
decide <proposal> approve --reason x
group → <group>
group <group>
group <group> --add outsider
group <group> --delete
group <group> --remove <person>
group newcomers --create
inventory → <agent>
inventory --team <team>
inventory <agent>
inventory <pipeline>
inventory <team>
key <agent> --revoke <key>
key <agent> --scope read
keys → <key>
keys <agent>
keys --owner <person>
locks → <lock>
locks --lift <lock>
members <team>
members <team> --add outsider
members <team> --hide outsider
members <team> --hide-group <group>
members <team> --remove <person>
members <team> --show outsider
members <team> --show-group operator
people → <person>
permit agent <agent> --grant deny_read_feed:x
permit team <team> --grant deny_read_feed:x
person <me>
person <person>
person <person> --activate
person <person> --deactivate
person <person> --email someone@example.com
person <me> --email someone@example.com
person <person> --give see-everything
person <person> --same-as outsider
person <person> --nobody-else
person <person> --password
person newcomer --create
prices → <model>
prices set p m2 --input 1 --output 1
prices update
proposals → <proposal>
proposals <proposal>
proposals <proposal> --withdraw
publish <agent>
publish <pipeline>
publish <pipeline> --dry-run
reinstate <agent>
reinstate <pipeline>
resume <agent>
resume tool fetch
resume version <agent>@1
retire <agent> --reason x
retire <pipeline> --reason x
reverify <run>
rollback <agent>
rollback <pipeline>
runpipeline <pipeline> --queue
runs → <pipeline>
settle <call> unknown --reason x
showrun <run>
signal <run> payment --payload {"amount":1}
stop everything --reason x
stop pipeline <pipeline> --reason x
stops → <stop>
stops show <stop>
suspend <agent> --reason x
token <me>
token <me> --list
token <person>
token <person> --list
token <person> --revoke <token>
token <person> --revoke-all
waits → <run>
waits --run <run>
"""


@dataclass(frozen=True)
class Line:
    """One command as it is typed."""

    text: str

    @property
    def command(self) -> str:
        return self.text.split()[0]

    @property
    def about(self) -> tuple[str, ...]:
        return ("own", "foreign") if re.search(r"<(?!me>)", self.text) else ("own",)

    def came_to(self, made: World, about: str, who: str) -> str:
        """The word for what it ends with, in the words of the table."""
        rows = made.rows(about)
        text = re.sub(r"<(\w+)>", lambda found: "colleague" if who == "nobody" else who, self.text) if "<me>" in self.text else self.text
        typed, _, wanted = re.sub(r"<(\w+)>", lambda found: word(found[1], rows), text).partition(" → ")
        out = StringIO()
        try:
            call_command(*(each.replace("deny_read_", "deny read ") for each in typed.split()), stdout=out, stderr=StringIO())
        except (CommandError, SystemExit) as left:
            return _word_for(left)
        return "yes" if wanted in out.getvalue() else "404"


def _word_for(left: CommandError | SystemExit) -> str:
    """By the refusal that the command turned into words; a run's own status, or an answer's, is an answer."""
    refusal, status = left.__context__, left.returncode if isinstance(left, CommandError) else left.code
    if isinstance(refusal, OrchestraError):
        assert status == 2, left
        return {403: "no", 404: "404", 409: "409"}.get(refusal.http_status, f"{refusal.code}: {refusal.message}")
    return "yes" if status in (12, 13) else f"{status}: {left}"


def lines() -> list[Line]:
    return [Line(text) for text in LINES.strip().splitlines()]


def persons_commands() -> set[str]:
    """Those of ours that are somebody's."""
    ours = {name: app for name, app in get_commands().items() if app in OURS}
    return {name for name, app in ours.items() if isinstance(load_command_class(app, name), PersonsCommand)}


def of_nobody() -> set[str]:
    """The installation's own: they serve it, set it up, write files, or say what to type instead."""
    return {name for name, app in get_commands().items() if app in OURS} - persons_commands()


REST = {
    "apply -f <folder>": "POST apply/",
    "apply -f <folder> --publish": "POST apply/",
    "approvals <request>": "GET approvals/<uuid:approval>/",
    "can <agent>": "GET agents/<name:agent>/permissions/",
    "can <agent> read feed:metrics": "GET agents/<name:agent>/may/",
    "cancel <run>": "POST runs/<id:run>/cancel/",
    "cover --end <cover>": "DELETE covers/<uuid:cover>/",
    "decide <request> approve --reason x": "POST approvals/<uuid:approval>/decide/",
    "decide <request> approve --alike --reason x": "POST approvals/<uuid:approval>/decide-alike/",
    "decide <request> comment --reason x": "POST approvals/<uuid:approval>/comment/",
    "decide <proposal> approve --reason x": "POST proposals/<uuid:proposal>/decide/",
    "group <group>": "GET groups/<person:group>/",
    "group <group> --add outsider": "POST groups/<person:group>/people/",
    "group <group> --delete": "DELETE groups/<person:group>/",
    "group <group> --remove <person>": "DELETE groups/<person:group>/people/<person:person>/",
    "group newcomers --create": "POST groups/",
    "inventory <agent>": "GET agents/<name:agent>/",
    "inventory <pipeline>": "GET pipelines/<name:pipeline>/",
    "inventory <team>": "GET teams/<name:team>/",
    "inventory --team <team>": "GET teams/<name:team>/",
    "key <agent> --revoke <key>": "DELETE agents/<name:agent>/keys/<key:key>/",
    "key <agent> --scope read": "POST agents/<name:agent>/keys/",
    "keys <agent>": "GET agents/<name:agent>/keys/",
    "locks --lift <lock>": "DELETE sign-in-locks/<uuid:lock>/",
    "members <team>": "GET teams/<name:team>/",
    "members <team> --add outsider": "POST teams/<name:team>/members/",
    "members <team> --hide outsider": "DELETE teams/<name:team>/onlookers/<person:person>/",
    "members <team> --hide-group <group>": "DELETE teams/<name:team>/groups/<person:group>/",
    "members <team> --remove <person>": "DELETE teams/<name:team>/members/<person:person>/",
    "members <team> --show outsider": "POST teams/<name:team>/onlookers/",
    "members <team> --show-group operator": "POST teams/<name:team>/groups/",
    "permit agent <agent> --grant deny_read_feed:x": "POST agents/<name:agent>/permissions/",
    "permit team <team> --grant deny_read_feed:x": "POST teams/<name:team>/permissions/",
    "person <person>": "GET people/<person:person>/",
    "person <person> --activate": "POST people/<person:person>/activate/",
    "person <person> --deactivate": "POST people/<person:person>/deactivate/",
    "person <person> --email someone@example.com": "POST people/<person:person>/email/",
    "person <person> --give see-everything": "POST people/<person:person>/permissions/",
    "person <person> --same-as outsider": "POST people/<person:person>/same/",
    "person <person> --password": "POST people/<person:person>/password/",
    "person newcomer --create": "POST people/",
    "prices set p m2 --input 1 --output 1": "POST prices/",
    "prices update": "POST prices/update/",
    "proposals <proposal>": "GET proposals/<uuid:proposal>/",
    "proposals <proposal> --withdraw": "POST proposals/<uuid:proposal>/withdraw/",
    "publish <agent>": "POST agents/<name:agent>/publish/",
    "publish <pipeline>": "POST pipelines/<name:pipeline>/publish/",
    "publish <pipeline> --dry-run": "GET pipelines/<name:pipeline>/preview/",
    "reinstate <agent>": "POST agents/<name:agent>/reinstate/",
    "reinstate <pipeline>": "POST pipelines/<name:pipeline>/reinstate/",
    "resume <agent>": "POST agents/<name:agent>/resume/",
    "resume version <agent>@1": "POST stops/<uuid:stop>/lift/",
    "retire <agent> --reason x": "POST agents/<name:agent>/retire/",
    "retire <pipeline> --reason x": "POST pipelines/<name:pipeline>/retire/",
    "reverify <run>": "POST runs/<id:run>/reverify/",
    "rollback <agent>": "POST agents/<name:agent>/rollback/",
    "rollback <pipeline>": "POST pipelines/<name:pipeline>/rollback/",
    "runpipeline <pipeline> --queue": "POST runs/",
    "settle <call> unknown --reason x": "POST calls/<uuid:call>/settle/",
    "showrun <run>": "GET runs/<id:run>/",
    'signal <run> payment --payload {"amount":1}': "POST runs/<id:run>/signals/<name:signal>/",
    "stop pipeline <pipeline> --reason x": "POST stops/",
    "stops show <stop>": "GET stops/<uuid:stop>/",
    "suspend <agent> --reason x": "POST agents/<name:agent>/suspend/",
    "token <me>": "POST tokens/",
    "token <person> --list": "DELETE people/<person:person>/tokens/",
    "token <person> --revoke <token>": "DELETE tokens/<uuid:token>/",
    "token <person> --revoke-all": "DELETE people/<person:person>/tokens/",
}
"""The address that does the same: whoever types it gets from it what they get over REST."""


def twin(line: Line, about: str) -> str | None:
    """The row of the table for the same over REST."""
    return f"rest {REST[line.text]} {about}" if line.text in REST else None
