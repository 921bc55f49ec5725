"""`python benchmarks/run.py [--only NAME] [--list]`: measures Orchestra beside what its users would pick instead.

Each figure is one JSON line on stdout: {"measure", "value", "unit", "peer", "peer_value", "ratio"}. A ratio above 1 means that
Orchestra is ahead, whatever the unit. Progress goes to stderr. What can't be measured here is a line with "skipped" and the reason.
"""

import argparse
import json
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for tests.servers

import figures
import measures
from contestants import Gone


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and contestants end with us
    options = _options()
    if options.list:
        print("\n".join(f"{name:<20} {measure.__doc__}" for name, measure in measures.ALL.items()))
        return 0
    chosen = {name: measure for name, measure in measures.ALL.items() if options.only is None or name.startswith(options.only)}
    if not chosen:
        print(f"there is no measure '{options.only}'; there is {', '.join(measures.ALL)}", file=sys.stderr)
        return 2
    return max([_measure(name, measure) for name, measure in chosen.items()])


def _measure(name: str, measure: figures.Measure) -> int:
    print(f"{name} …", file=sys.stderr)
    try:
        for figure in measure():
            print(json.dumps(figure), flush=True)
    except figures.Skipped as reason:
        print(f"{name}: skipped, {reason}", file=sys.stderr)
        print(json.dumps({"measure": name, "skipped": str(reason)}), flush=True)
    except Gone as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Orchestra beside its peers.")
    parser.add_argument("--only", metavar="NAME", help="only this measure, or those whose name begins so")
    parser.add_argument("--list", action="store_true", help="say which measures there are")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
