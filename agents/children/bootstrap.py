"""First file of a fresh interpreter: makes this folder importable under a private name, then hands over to the keeper.

Must not put the project on the import path: a team may `import agents` and mean its own.
Run by the worker as `python -I bootstrap.py …`; never imported.
"""

import importlib
import sys
import types


def start() -> None:
    package = types.ModuleType("_orchestra_child")
    package.__path__ = [__file__.rpartition("/")[0]]
    sys.modules[package.__name__] = package
    importlib.import_module("_orchestra_child.keeper").main(sys.argv[1:])


if __name__ == "__main__":
    start()
