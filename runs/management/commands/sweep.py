"""`manage.py sweep`: call runs.sweeps.sweep once, say what it found."""

from typing import Any

from rich.text import Text

from audit.management.teaching import TeachingCommand
from runs import sweeps
from runs.management.terminal import Screen

MOST_WAIT_S = 60
"""For notices that are being sent."""
EPILOG = """\
what happens:
  The end of runs that are past their deadline, or cancelled with nobody to see it, is written. The finished runs that
  were compared for longest are compared with the ledger; one that differs reads `broken` from now on. An agent that is
  past its review_by, or whose accountable person is gone, is suspended; that it will be is noted beforehand. Engines
  and the queue's schedule do the same by themselves; this is for hands and for cron. It may run as often as you like.
  Notices that are due are sent, too; it waits for that up to a minute.

example:
  manage.py sweep

exit status: 0, whatever it found (broken runs are said, and logged as errors), 2 the database lacks tables,
75 the database is busy or out of reach
"""


class Command(TeachingCommand):
    help = "Write down what time has decided: overdue and cancelled runs, runs that differ from the ledger, agents and approvals whose time is up."
    epilog = EPILOG

    def handle(self, *args: Any, **options: Any) -> None:
        screen = Screen(options)
        with screen.refusals():
            swept = sweeps.sweep()
            sweeps.finish_beside(MOST_WAIT_S)
        broken = (f"{swept.broken} broken", "bold red" if swept.broken else "")
        screen.show(Text.assemble(f"ended {swept.ended}, compared {swept.checked} with the ledger: ", broken))
        if swept.suspended or swept.noticed:
            screen.show(Text(f"agents whose time is up: {swept.suspended} suspended, {swept.noticed} told beforehand"))
