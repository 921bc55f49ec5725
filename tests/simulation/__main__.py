"""`python -m tests.simulation --seeds N`: plays many seeds and prints what broke, and a last line as JSON."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import argparse
import json
import sys
import time
from collections import Counter

import django


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep-going", action="store_true", help="don't stop at the first seed that breaks something")
    asked = parser.parse_args()
    django.setup()
    from tests.simulation.playing import simulating

    began, broken, outcomes, commits, played = time.monotonic(), [], Counter[str](), 0, 0
    with simulating() as simulation:
        ready = time.monotonic()
        for seed in range(asked.first, asked.first + asked.seeds):
            done = simulation.play(seed)
            played += 1
            commits += done.commits
            outcomes.update(done.outcomes)
            if done.invariant:
                broken.append(seed)
                print(done.said, flush=True)
                if not asked.keep_going:
                    break
    took = time.monotonic() - ready
    summary = {"seeds": played, "first": asked.first, "broken": broken, "seeds_per_s": round(played / took, 1), "seconds": round(time.monotonic() - began, 1)}
    print(json.dumps(summary | {"commits": commits, "outcomes": dict(outcomes.most_common())}))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
