"""The end of a command about one run: its document or its summary on stdout, its exit status as ours."""

import sys

from audit.actors import Actor
from runs import services
from runs.management.terminal.screen import Screen
from runs.management.terminal.summary import summary
from runs.management.terminal.working import say_where_nobody_works
from runs.models import RunState


def finish(run: str, *, screen: Screen, actor: Actor) -> None:
    """Returns only for exit status 0; any other ends the command."""
    with screen.refusals():
        document = services.run_document(services.find_run(run, actor=actor), actor=actor)
    if screen.json:
        screen.document(document)
    else:
        screen.show(summary(document))
        if document["state"] == RunState.QUEUED:
            say_where_nobody_works(screen)
    if document["exit_status"]:
        sys.exit(document["exit_status"])
