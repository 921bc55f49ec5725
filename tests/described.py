"""What a child says of a folder's code is asked once in a process of tests: many publish the same few folders, and each child takes half a second.

The child itself, and what it does with code of every kind, is asked by tests of its own (tests/agents/test_children_describe.py).
"""

from collections.abc import Callable
from copy import deepcopy

from agents.children import Described
from agents.registry.preparing import Prepared


def once(describe: Callable[[Prepared], Described]) -> Callable[[Prepared], Described]:
    """`describe`, which remembers what it said of the same bytes; what it found wrong is asked anew."""
    said: dict[tuple[str, tuple[tuple[str, bytes], ...]], Described] = {}

    def described(prepared: Prepared) -> Described:
        key = (prepared.taken.digest, tuple(sorted(prepared.taken.specs.items())))
        if key in said:
            return deepcopy(said[key])
        answer = describe(prepared)
        if not any(function.problems for function in answer.functions.values()) and not any(answer.expressions.values()):
            said[key] = deepcopy(answer)
        return answer

    return described
