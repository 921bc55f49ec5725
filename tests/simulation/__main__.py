"""`python -m tests.simulation --seeds N`: plays many seeds, prints what broke, and a summary as JSON in the last line.

`--mutants` looks for the first seed that notices each mutant instead. Exit status 1: a seed broke something, or a mutant was noticed by none.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import argparse
import json
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import django

if TYPE_CHECKING:
    from tests.simulation.playing import Simulation


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep-going", action="store_true", help="don't stop at the first seed that breaks something")
    parser.add_argument("--traces", action="store_true", help="print the last events of every seed")
    parser.add_argument("--mutants", nargs="*", metavar="WORDS", help="which seed notices each mutant (or those whose names hold these words)")
    asked = parser.parse_args()
    django.setup()
    from tests.simulation.playing import simulating

    with simulating() as simulation:
        return _seeds(simulation, asked) if asked.mutants is None else _mutants(simulation, asked)


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _seeds(simulation: "Simulation", asked: argparse.Namespace) -> int:
    began, spent = time.monotonic(), time.process_time()
    broken: list[int] = []
    counted: dict[str, Counter[str]] = {"outcomes": Counter(), "profiles": Counter(), "broken_by": Counter()}
    commits = played = 0
    with suppress(KeyboardInterrupt):  # what was played until then is told all the same
        for seed in range(asked.first, asked.first + asked.seeds):
            done = simulation.play(seed)
            played += 1
            commits += done.commits
            counted["outcomes"].update(done.outcomes)
            counted["profiles"][done.profile] += 1
            if asked.traces and simulation.world is not None:
                tell("\n".join([f"seed {seed}", *simulation.world.trace]))
            if done.invariant:
                broken.append(seed)
                counted["broken_by"][done.invariant] += 1
                tell(done.said)
                if not asked.keep_going:
                    break
    took = time.monotonic() - began
    summary: dict[str, Any] = {"seeds": played, "first": asked.first, "broken": broken, "commits": commits}
    summary |= {"seconds": round(took, 1), "seconds_of_cpu": round(time.process_time() - spent, 1), "seeds_per_s": round(played / took, 1)}
    tell(json.dumps(summary | {name: dict(counts.most_common()) for name, counts in counted.items()}))
    return 1 if broken else 0


def _mutants(simulation: "Simulation", asked: argparse.Namespace) -> int:
    from tests.simulation.mutants import MUTANTS
    from tests.simulation.mutating import mutated

    noticed: dict[str, int | None] = {}
    for mutant in MUTANTS:
        if asked.mutants and not any(words in mutant.name for words in asked.mutants):
            continue
        with mutated(mutant):
            seeds = (seed for seed in range(asked.first, asked.first + asked.seeds) if simulation.play(seed).invariant)
            noticed[mutant.name] = next(seeds, None)
        tell(f"{mutant.name}: {noticed[mutant.name]}")
    tell(json.dumps({"mutants": len(noticed), "survive": [name for name, seed in noticed.items() if seed is None], "noticed_by": noticed}))
    return 1 if None in noticed.values() else 0


if __name__ == "__main__":
    sys.exit(main())
