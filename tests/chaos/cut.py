"""`python -m tests.chaos.cut SEED MORE`, alone in a network namespace: three hosts, one of which is cut off and comes back. Its Result, as JSON.

Django is set up here, over a PostgreSQL and a Redis of its own. Started by the scenario `hosts` and by its test.
"""

import dataclasses
import json
import os
import random
import subprocess
import sys

from tests import servers
from tests.chaos import database
from tests.chaos.network import ADDRESS, ALONE, Network
from tests.chaos.results import Result


def played_apart(seed: int, *, more: int) -> Result:
    """In a process and a network of its own; there must be namespaces and both servers. `more`: so many are cut off at random afterwards."""
    argv = [*ALONE, sys.executable, "-m", "tests.chaos.cut", str(seed), str(more)]
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("ORCHESTRA_", "DJANGO_"))}
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False, env=alone)
    if not done.stdout.strip():
        return Result("hosts", unsound=[f"the scenario itself ended with {done.returncode}"])
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def _play(seed: int, more: int) -> Result:
    chance, network = random.Random(f"hosts {seed}"), Network()
    with database.opened(database.POSTGRESQL, address=ADDRESS) as opened, servers.redis_server(address=ADDRESS) as redis:
        from tests.chaos import cables, workload
        from tests.chaos.scene import scene

        workload.publish(opened.folder / "pipelines")
        environment = {**opened.environment, "ORCHESTRA_REDIS_URL": redis.url, "ORCHESTRA_CONCURRENCY": str(cables.PLACES)}
        with scene("hosts", opened.folder / "scene", environment) as played:
            cables.set_up(played, network)
            cables.pull_with_answers_in_hand(played, network)
            for _ in range(more):
                cables.pull_any(played, network, chance)
    return played.result


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(_play(int(sys.argv[1]), int(sys.argv[2])))))
