"""What a call of a team's function would cost without a pool: an interpreter that starts, imports the function and answers."""

import json
import sys
from importlib import import_module

folder, name = sys.argv[1:]
sys.path.insert(0, folder)
module, _, function = name.partition(":")
json.dump(getattr(import_module(module), function)(**json.load(sys.stdin)), sys.stdout)
